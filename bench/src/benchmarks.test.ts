/** Every benchmark in a tiny run, so that none rots. What they measure is not looked at. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ownBenchmarks, peerBenchmarks } from './benchmarks.ts'
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

describe('tiny runs of', () => {
  test.each(ownBenchmarks.map((benchmark) => [benchmark.title, benchmark] as const))(
    '%s',
    async (_, benchmark) => {
      await runQuick(benchmark)
    },
  )

  // One shape: the others differ in the load only, and the log's own benchmarks vary that.
  test.skipIf(!peersInstalled())('peers', async () => {
    await runQuick(peerBenchmarks.at(-1)!)
  })
})

test('options that cannot be are refused', () => {
  expect(() => parseOptions(['--rounds', '0'])).toThrow('--rounds is more than 0, not 0')
  expect(() => parseOptions(['--seconds', 'soon'])).toThrow('--seconds is more than 0, not soon')
  expect(() => parseOptions(['--fast'])).toThrow(TypeError)
  expect(parseOptions(['--help'])).toBeUndefined()
})
