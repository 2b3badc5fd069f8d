/** What a run says at its end: to people as text, to programs as JSON. */
import type { Verdict } from './verdicts.ts'

export interface Figure {
  readonly section: string
  readonly name: string
  readonly value: number | string
  readonly unit: string
}

export interface Report {
  /** What was run, in words. */
  readonly run: string
  readonly seed: number
  /** The whole command that repeats it. */
  readonly replay: string
  /** Where the log is kept; null when it was removed. */
  readonly folder: string | null
  readonly figures: readonly Figure[]
  readonly verdicts: readonly Verdict[]
  /** One line each: what the oracle found, what failed. */
  readonly findings: readonly string[]
}

export function isProved({ verdicts, findings }: Report): boolean {
  return verdicts.length > 0 && findings.length === 0 && verdicts.every(({ ok }) => ok)
}

export function reportAsJson(report: Report): string {
  return JSON.stringify({ proved: isProved(report), ...report }, undefined, 2)
}

const NAME_WIDTH = 34

export function reportAsText(report: Report): string {
  const sections = [...new Set(report.figures.map(({ section }) => section))]
  const lines = [
    '',
    report.run,
    ...sections.flatMap((section) => [`\n${section}`].concat(figureLines(report, section))),
    '',
    'Verdicts',
    ...report.verdicts.map(
      ({ ok, name, detail }) => `  ${ok ? 'ok  ' : 'FAIL'} ${name}: ${detail}`,
    ),
  ]
  if (report.findings.length > 0) {
    lines.push('', 'Findings', ...report.findings.map((finding) => `  ${finding}`))
  }
  lines.push('')
  if (isProved(report)) {
    lines.push(`All is proved. Seed ${report.seed}.`)
  } else {
    lines.push(`NOT PROVED. Seed ${report.seed}; to run it again: ${report.replay}`)
  }
  if (report.folder !== null) lines.push(`Kept: ${report.folder}`)
  return lines.join('\n')
}

function figureLines({ figures }: Report, section: string): string[] {
  return figures
    .filter((figure) => figure.section === section)
    .map(({ name, value, unit }) =>
      `  ${name.padEnd(NAME_WIDTH)} ${valueText(value)} ${unit}`.trimEnd(),
    )
}

/** A whole number with its thousands set apart. */
export function thousands(value: number): string {
  return Math.round(value).toLocaleString('en-GB')
}

function valueText(value: number | string): string {
  if (typeof value === 'string') return value
  const digits = Number.isInteger(value) || Math.abs(value) >= 1000 ? 0 : 2
  return value.toLocaleString('en-GB', { maximumFractionDigits: digits })
}
