/** Figures as tables: for a terminal, for a README, and as data. */
import type { Machine } from './machine.ts'
import { ratioSpread, type Spread, spreadOf } from './statistics.ts'

/** One measured quantity of one candidate; more is better unless the unit is a time. */
export interface Row {
  readonly name: string
  /** What the figure promises, or how it was taken. */
  readonly remark: string
  /** One a round. */
  readonly values: readonly number[]
}

export interface Table {
  readonly title: string
  readonly unit:
    | 'records/s'
    | 'documents/s'
    | 'operations/s'
    | 'ranges/s'
    | 'ms'
    | 'ns'
    | 'MiB'
    | 'MB/s'
    | '×'
  /** Each other row is set in relation to it, round by round. */
  readonly base: string | undefined
  readonly rows: readonly Row[]
  /** Who is not in it, and why. */
  readonly notes?: readonly string[]
}

export interface Report {
  readonly machine: Machine
  readonly rounds: number
  /** What was chosen for each candidate. */
  readonly settings: readonly string[]
  readonly tables: readonly Table[]
}

const COLUMNS = ['', 'median', 'min … max', 'ratio', 'min … max', 'remark'] as const

export function terminalTable(table: Table): string {
  const lines = [COLUMNS, ...table.rows.map((row) => cellsOf(table, row))]
  const widths = COLUMNS.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  const text = lines.map((line) => {
    const padded = line.map((cell, column) => {
      const left = column === 0 || column === COLUMNS.length - 1
      return left ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
    })
    return `  ${padded.join('  ').trimEnd()}`
  })
  const notes = (table.notes ?? []).map((note) => `  ${note}\n`)
  return `${headingOf(table)}\n${text.join('\n')}\n${notes.join('')}`
}

export function markdownTable(table: Table): string {
  const head = COLUMNS.map((column) => (column === '' ? headingOf(table) : column))
  const rule = COLUMNS.map((_, column) => (column === 0 || column === 5 ? '---' : '---:'))
  const lines = [head, rule, ...table.rows.map((row) => cellsOf(table, row))]
  const notes = (table.notes ?? []).map((note) => `\n${note}\n`)
  return `${lines.map((line) => `| ${line.join(' | ')} |`).join('\n')}\n${notes.join('')}`
}

/** One line for each candidate that has any. */
export function settingsLines({ settings }: Pick<Report, 'settings'>): string {
  return settings.map((line) => `- ${line}\n`).join('')
}

export function machineLine({ machine, rounds }: Pick<Report, 'machine' | 'rounds'>): string {
  const { cores, node, platform, fdatasyncMedianMs } = machine
  return `${cores} cores, Node ${node}, ${platform}; median fdatasync ${fdatasyncMedianMs.toFixed(3)} ms; ${rounds} rounds, candidates in turn`
}

function headingOf({ title, unit, base }: Table): string {
  return base === undefined ? `${title} (${unit})` : `${title} (${unit}; ratio: ${base} to each)`
}

function cellsOf(table: Table, row: Row): string[] {
  const base = table.rows.find(({ name }) => name === table.base)
  const spread = spreadOf(row.values)
  const ratio =
    base === undefined || base === row ? undefined : ratioSpread(base.values, row.values)
  return [
    row.name,
    figure(spread.median),
    range(spread, figure),
    ratio === undefined ? '' : times(ratio.median),
    ratio === undefined ? '' : range(ratio, times),
    row.remark,
  ]
}

function range({ min, max }: Spread, format: (value: number) => string): string {
  return `${format(min)} … ${format(max)}`
}

function times(value: number): string {
  return `${value.toPrecision(3)}×`
}

/** Three digits are what a shared machine gives. */
function figure(value: number): string {
  if (value < 100) return value.toPrecision(3)
  const step = 10 ** Math.max(0, Math.floor(Math.log10(value)) - 2)
  return (Math.round(value / step) * step).toLocaleString('en-US')
}
