/** What both programs have in common: options in, benchmarks one after another, tables out. */
import { writeFileSync } from 'node:fs'
import { medianFdatasyncMs } from './disk.ts'
import { machineFacts } from './machine.ts'
import { type BenchOptions, parseOptions, USAGE } from './options.ts'
import {
  machineLine,
  markdownTable,
  type Report,
  settingsLines,
  type Table,
  terminalTable,
} from './report.ts'
import { median } from './statistics.ts'

export interface Benchmark {
  readonly title: string
  /** Of each candidate: its name and what was chosen for it. */
  readonly settings?: readonly string[]
  run(options: BenchOptions): Promise<readonly Table[]>
}

export async function runProgram(
  command: string,
  benchmarks: readonly Benchmark[],
  args: readonly string[],
  print: (text: string) => void,
): Promise<Report | undefined> {
  const options = parseOptions(args)
  if (options === undefined) {
    print(`${command} [options]\n${USAGE}`)
    return undefined
  }
  const report = await runBenchmarks(benchmarks, options, (table) => print(terminalTable(table)))
  print(`${settingsLines(report)}${machineLine(report)}`)
  if (options.markdown) {
    const tables = report.tables.map(markdownTable).join('\n')
    print(`\n${tables}\n${settingsLines(report)}\n${machineLine(report)}`)
  }
  if (options.jsonFile !== undefined) {
    writeFileSync(options.jsonFile, `${JSON.stringify(report, undefined, 2)}\n`)
  }
  return report
}

const FDATASYNCS = 500
const FDATASYNCS_QUICK = 5

/** The disk is looked at before, between and after: it is not the same all the time. */
async function runBenchmarks(
  benchmarks: readonly Benchmark[],
  options: BenchOptions,
  onTable: (table: Table) => void,
): Promise<Report> {
  const syncs = options.quick ? FDATASYNCS_QUICK : FDATASYNCS
  const tables: Table[] = []
  const fdatasyncMs = [medianFdatasyncMs(options.folder, syncs)]
  const chosen = chooseBenchmarks(benchmarks, options.only)
  for (const benchmark of chosen) {
    for (const table of await benchmark.run(options)) {
      tables.push(table)
      onTable(table)
    }
    fdatasyncMs.push(medianFdatasyncMs(options.folder, syncs))
  }
  const settings = [...new Set(chosen.flatMap(({ settings = [] }) => settings))]
  return { machine: machineFacts(median(fdatasyncMs)), rounds: options.rounds, settings, tables }
}

function chooseBenchmarks(benchmarks: readonly Benchmark[], only: string): readonly Benchmark[] {
  // Titles have commas too: one that is there as it stands is not taken apart.
  const isWhole = benchmarks.some(({ title }) => title.includes(only))
  const parts = isWhole ? [only] : only.split(',').map((text) => text.trim())
  const unknown = parts.filter((text) => !benchmarks.some(({ title }) => title.includes(text)))
  if (unknown.length > 0) {
    const titles = benchmarks.map(({ title }) => `\n  ${title}`).join('')
    throw new RangeError(`no title contains ${unknown.join(' or ')}; there are${titles}`)
  }
  return benchmarks.filter(({ title }) => parts.some((text) => title.includes(text)))
}
