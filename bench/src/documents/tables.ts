/** From what was measured of each candidate to tables. */
import type { Row, Table } from '../report.ts'
import type { Series } from '../rounds.ts'
import type { Candidate } from './store.ts'

export interface Figures<Figure> extends Series<{ readonly candidate: Candidate }, Figure> {}

/**
 * @param valueOf undefined where a candidate cannot do it
 * @param remarkOf default: what its acknowledgements promise
 */
export function tableOf<Figure>(
  title: string,
  unit: Table['unit'],
  all: readonly Figures<Figure>[],
  valueOf: (figure: Figure) => number | undefined,
  remarkOf: (figures: readonly Figure[], candidate: Candidate) => string = () => '',
): Table {
  const rows: Row[] = []
  const notes: string[] = []
  for (const {
    candidate: { candidate },
    figures,
  } of all) {
    const values = figures.map(valueOf).filter((value) => value !== undefined)
    if (values.length === 0)
      notes.push(`${candidate.name}: not possible, ${candidate.oneThreadOnly}`)
    else rows.push({ name: candidate.name, remark: remarkOf(figures, candidate), values })
  }
  return { title, unit, base: rows[0]?.name, rows, notes }
}

export function settingsOf(candidates: readonly Candidate[]): readonly string[] {
  return candidates.map(({ name, settings }) => `${name}: ${settings}`)
}

export function withDigits(count: number): string {
  return count.toLocaleString('en-US')
}
