/** A figure measured in several rounds. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** @param fraction 0.5 for the median, 0.99 for p99; the nearest rank is taken */
export function percentile(sorted: Float64Array, fraction: number): number {
  if (sorted.length === 0) throw new RangeError('percentile of no values')
  const rank = Math.max(1, Math.ceil(fraction * sorted.length))
  return sorted[rank - 1]!
}

/** Of an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('median of no values')
  const sorted = values.toSorted((a, b) => a - b)
  const upper = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[upper]! : (sorted[upper - 1]! + sorted[upper]!) / 2
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

/** One ratio a round: both figures were taken within seconds of each other. */
export function ratioSpread(values: readonly number[], bases: readonly number[]): Spread {
  if (values.length !== bases.length) {
    throw new RangeError(`${values.length} values against ${bases.length}`)
  }
  return spreadOf(values.map((value, round) => value / bases[round]!))
}
