/**
 * Candidates measured in turn, A B C, B C A, …: what slows the machine for a while slows all of them,
 * and none always comes after the same other.
 */
export interface Series<Candidate, Figure> {
  readonly candidate: Candidate
  /** One a round. */
  readonly figures: readonly Figure[]
}

export async function interleave<Candidate, Figure>(
  candidates: readonly Candidate[],
  rounds: number,
  measure: (candidate: Candidate, round: number) => Promise<Figure>,
): Promise<Series<Candidate, Figure>[]> {
  const series = candidates.map((candidate) => ({ candidate, figures: new Array<Figure>() }))
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < series.length; turn++) {
      const { candidate, figures } = series[(round + turn) % series.length]!
      figures.push(await measure(candidate, round))
    }
  }
  return series
}
