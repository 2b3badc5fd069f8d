/** What both programs have in common: options in, benchmarks one after another, tables out. */
import { writeFileSync } from 'node:fs'
import { medianFdatasyncMs } from './disk.ts'
import { machineFacts } from './machine.ts'
import { type BenchOptions, parseOptions, USAGE } from './options.ts'
import { machineLine, markdownTable, type Report, type Table, terminalTable } from './report.ts'
import { median } from './statistics.ts'

export interface Benchmark {
  readonly title: string
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
  print(machineLine(report))
  if (options.markdown) {
    print(`\n${report.tables.map(markdownTable).join('\n')}\n${machineLine(report)}`)
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
  for (const benchmark of benchmarks.filter(({ title }) => title.includes(options.only))) {
    for (const table of await benchmark.run(options)) {
      tables.push(table)
      onTable(table)
    }
    fdatasyncMs.push(medianFdatasyncMs(options.folder, syncs))
  }
  return { machine: machineFacts(median(fdatasyncMs)), rounds: options.rounds, tables }
}
