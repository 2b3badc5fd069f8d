/** Every benchmark in a tiny run, so that none rots. What they measure is not looked at. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { logPeerBenchmarks, ownBenchmarks } from './benchmarks.ts'
import { documentBenchmarks } from './documents/benchmarks.ts'
import { installedCandidates } from './documents/candidates.ts'
import { parseOptions } from './options.ts'
import { peersInstalled } from './peer-modules.ts'
import { type Benchmark, runProgram } from './program.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringbolt-bench-test-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Runs one benchmark as the command line does; returns what it wrote. */
async function runQuick(benchmark: Benchmark): Promise<unknown> {
  const jsonFile = join(folder, 'figures.json')
  const printed: string[] = []
  const args = ['--quick', '--markdown', '--folder', folder, '--json', jsonFile]
  const report = await runProgram('bench', [benchmark], args, (text) => printed.push(text))
  expect(printed.join('\n')).toContain(benchmark.title)
  // Databases are removed; the figures alone are left.
  expect(readdirSync(folder)).toEqual(['figures.json'])
  const written: unknown = JSON.parse(readFileSync(jsonFile, 'utf8'))
  expect(written).toEqual(report)
  const values = report?.tables.flatMap(({ rows }) => rows.flatMap((row) => row.values)) ?? []
  expect(values.length).toBeGreaterThan(0)
  expect(values.every((value) => value >= 0 && Number.isFinite(value))).toBe(true)
  return written
}

const documents = documentBenchmarks(await installedCandidates())

describe('tiny runs of', () => {
  test.each(ownBenchmarks.map((benchmark) => [benchmark.title, benchmark] as const))(
    '%s',
    async (_, benchmark) => {
      await runQuick(benchmark)
    },
  )

  test.each(documents.map((benchmark) => [benchmark.title, benchmark] as const))(
    'documents: %s',
    async (_, benchmark) => {
      await runQuick(benchmark)
    },
  )

  // One shape: the others differ in the load only, and the log's own benchmarks vary that.
  test.skipIf(!peersInstalled())('the log beside peers', async () => {
    await runQuick(logPeerBenchmarks.at(-1)!)
  })
})

test('options that cannot be are refused', () => {
  expect(() => parseOptions(['--rounds', '0'])).toThrow('--rounds is more than 0, not 0')
  expect(() => parseOptions(['--seconds', 'soon'])).toThrow('--seconds is more than 0, not soon')
  expect(() => parseOptions(['--fast'])).toThrow(TypeError)
  expect(() => parseOptions(['--documents', '150'])).toThrow('a multiple of 1000, not 150')
  expect(parseOptions(['--help'])).toBeUndefined()
})

test('benchmarks are chosen by parts of their titles', async () => {
  const ran: string[] = []
  const named = (title: string): Benchmark => ({
    title,
    settings: [`${title}: as it comes`],
    run: async () => {
      ran.push(title)
      return await Promise.resolve([])
    },
  })
  const all = ['get', 'range, of many', 'load'].map(named)
  const args = ['--quick', '--folder', folder, '--only', 'range,load']
  const report = await runProgram('bench', all, args, () => undefined)
  expect(ran).toEqual(['range, of many', 'load'])
  const whole = ['--quick', '--folder', folder, '--only', 'range, of']
  await runProgram('bench', all, whole, () => undefined)
  expect(ran.slice(2)).toEqual(['range, of many'])
  expect(report?.settings).toEqual(['range, of many: as it comes', 'load: as it comes'])
  await expect(runProgram('bench', all, ['--only', 'none'], () => undefined)).rejects.toThrow(
    'no title contains none; there are\n  get\n  range, of many\n  load',
  )
})
