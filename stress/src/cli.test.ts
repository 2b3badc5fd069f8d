import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLog } from '@ringbolt/wal'
import { checkFile } from 'ringbolt'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { backupsExist } from './harness/backup.ts'
import type { OperationLog } from './harness/operation-log.ts'
import type { RunData } from './harness/run-data.ts'
import type { Report } from './report.ts'
import { runCommand } from './testing/command.ts'

const TRACER = 'strace'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringbolt-cli-'))
})

afterEach(() => rmSync(folder, { recursive: true }))

describe('exit codes and help', () => {
  test.each(['documents', 'log', 'deaths', 'kill', 'kill-processes'])(
    '%s --help shows options and examples',
    async (command) => {
      const { code, stdout } = await runCommand([command, '--help'])
      expect(code).toBe(0)
      for (const text of ['--workers <n>', '--seed <n>', 'Examples:', `$ pnpm stress ${command}`]) {
        expect(stdout).toContain(text)
      }
    },
  )

  test.each([
    [['log', '--sync', 'sometimes'], 'Allowed choices are full, normal, off'],
    [['log', '--seconds', '-1'], 'a time in seconds'],
    [['log', '--record-bytes', '8..64'], 'from 16'],
    [['log', '--record-bytes', '64..32'], 'a length, or two'],
    [['log', '--workers', 'many'], 'a whole number from 2'],
    [['documents', '--cache-bytes', '1000'], 'a whole number from 1048576'],
    [['documents', '--record-bytes', '64'], 'unknown option'],
    [['documents', '--processes', '0'], 'a whole number from 1'],
    [['kill-processes', '--processes', '1'], 'a whole number from 2'],
    [['documents', '--kill', 'often'], 'a time in seconds'],
    [['documents', '--report', 'page.txt'], 'a file named *.html'],
    [['shake'], 'unknown command'],
  ])('%j is a usage error: 2', async (args, message) => {
    const { code, stderr } = await runCommand(args)
    expect(stderr).toContain(message)
    expect(code).toBe(2)
  })

  test('a folder with something in it: 3, and it is left alone', async () => {
    writeFileSync(join(folder, 'letters.txt'), 'mine')
    const { code, stderr } = await runCommand(['log', '--folder', folder])
    expect(code).toBe(3)
    expect(stderr).toContain('RINGBOLT_NOT_EMPTY')
    expect(readdirSync(folder)).toEqual(['letters.txt'])
  })

  test('a ring of an impossible size: 3', async () => {
    const args = ['log', '--ring-bytes', '1000', '--folder', join(folder, 'run')]
    const { code, stderr } = await runCommand(args)
    expect(code).toBe(3)
    expect(stderr).toContain('power of two')
  })
})

test('W3 L1 L2: a short soak proves every acknowledged record, and removes its folder', async () => {
  const run = join(folder, 'run')
  const args = ['log', '--seconds', '3', '--checkpoint-seconds', '1', '--folder', run, '--json']
  const { code, stdout, stderr } = await runCommand(args)
  expect(stderr).toMatch(/^seed \d+, in /)
  expect(stderr).toMatch(/acknowledged, .* syncs, ring/)
  const report: Report & { proved: boolean } = JSON.parse(stdout)
  expect(report.findings).toEqual([])
  expect(report.verdicts.filter(({ ok }) => !ok)).toEqual([])
  expect(report.verdicts).toHaveLength(9)
  expect({ code, proved: report.proved }).toEqual({ code: 0, proved: true })
  expect(readdirSync(run)).toEqual([])
})

const SMALL = ['--cache-bytes', '1048576', '--checkpoint-log-bytes', '200000']

test.skipIf(backupsExist())('M5: --backup is refused by a version that has none', async () => {
  const { code, stderr } = await runCommand(['documents', '--backup', '5'])
  expect(stderr).toContain('This version of ringbolt has no hot backups.')
  expect(code).toBe(2)
})

test.each([
  ['async', ['--in-flight', '16']],
  ['blocking', ['--blocking', '--workers', '3']],
])('M4 M6 S8 S9 S10 S11: a short run of the harness, %s: all is proved', async (_, load) => {
  const run = join(folder, 'run')
  const page = join(folder, 'page.html')
  const args = ['--seconds', '4', '--kill', '0.8', '--folder', run, '--report', page, '--json']
  const { code, stdout, stderr } = await runCommand(['documents', ...args, ...SMALL, ...load])
  expect(stderr).toMatch(/acknowledged, .* reads of others' writes/)
  expect(stderr).toContain(`Report: ${page}`)
  const report: Report & { proved: boolean } = JSON.parse(stdout)
  expect(report.findings).toEqual([])
  expect(report.verdicts.filter(({ ok }) => !ok)).toEqual([])
  expect({ code, proved: report.proved }).toEqual({ code: 0, proved: true })
  expect(readdirSync(run)).toEqual([])
  const data: RunData = JSON.parse(readFileSync(join(folder, 'page.json'), 'utf8'))
  expect(data).toMatchObject({ format: 'ringbolt-run', version: 1, proved: true, findings: [] })
  expect(data.verdicts).toEqual(report.verdicts)
  expect(data.totals.processesKilled).toBeGreaterThan(0)
  expect(data.totals.freshnessChecks).toBeGreaterThan(0)
  expect(data.samples.atS.length).toBeGreaterThan(2)
  expect(readFileSync(page, 'utf8')).toContain('All is proved')
})

test('M6: the watchdog fails the harness; seed, counts, database and page are kept', async () => {
  const run = join(folder, 'run')
  const page = join(folder, 'page.html')
  const slow = ['--sync-delay-ms', '1500', '--watchdog-seconds', '0.5', '--kill', '0']
  const few = ['--in-flight', '2', '--seed', '3', '--heartbeat', '1']
  const args = ['documents', ...slow, ...few, '--folder', run, '--report', page]
  const { code, stdout } = await runCommand(args)
  expect(code).toBe(1)
  expect(stdout).toMatch(/SilenceError: nothing was acknowledged .* the watchdog allows 500/)
  expect(stdout).toContain('NOT PROVED. Seed 3; to run it again: pnpm stress documents --sync-d')
  expect(stdout).toContain(`Kept: ${run}`)
  const log: OperationLog = JSON.parse(readFileSync(join(run, 'operations.json'), 'utf8'))
  expect(log.settings).toMatchObject({ seed: 3, lanes: 2, silenceMaxMs: 500 })
  expect(log.findings[0]).toMatch(/SilenceError/)
  expect(log.acknowledged[0]).toHaveLength(2)
  expect(checkFile(join(run, 'app.db')).findings).toEqual([])
  expect(readFileSync(page, 'utf8')).toContain('Not proved')
})

test('a run of hours prints a heartbeat, and no line for each kill', async () => {
  const page = join(folder, 'page.html')
  const args = ['--seconds', '3.5', '--kill', '0.8', '--heartbeat', '1', '--in-flight', '4']
  const { code, stdout } = await runCommand(['documents', ...args, '--report', page])
  expect(code).toBe(0)
  const beats = stdout.match(/^\d{4}-\d\d-\d\dT\S+Z {2}[\d,]+ acknowledged/gm)
  expect(beats?.length).toBeGreaterThanOrEqual(2)
  expect(stdout).not.toContain('SIGKILL,')
  expect(stdout).not.toMatch(/pid \d+: SIGKILL/)
})

test('M6: the watchdog fails a run in which nothing is acknowledged', async () => {
  const run = join(folder, 'run')
  const slow = ['--sync-delay-ms', '1500', '--watchdog-seconds', '0.5', '--kills', '0']
  const { code, stdout } = await runCommand(['log', ...slow, '--folder', run, '--seed', '3'])
  expect(code).toBe(1)
  expect(stdout).toMatch(
    /SilenceError: nothing was acknowledged for \d+ ms, the watchdog allows 500/,
  )
  expect(stdout).toContain('NOT PROVED. Seed 3; to run it again: pnpm stress log --sync-delay-ms')
  expect(stdout).toContain(`Kept: ${run}`)
})

test('W4: a sync that fails under load: everyone is told, what was acknowledged is there', async (context) => {
  if (!hasStrace()) {
    // oxlint-disable-next-line no-console
    console.log('not run: there is no strace that may trace here')
    context.skip()
  }
  const run = join(folder, 'run')
  const inject = 'inject=fdatasync:error=EIO:when=300+'
  const { code, stdout } = await runCommand(
    ['log', '--seconds', '20', '--kills', '0', '--folder', run, '--json'],
    [TRACER, '-f', '-qq', '-o', '/dev/null', '-e', 'trace=fdatasync', '-e', inject],
  )
  const report: Report = JSON.parse(stdout)
  expect(code).toBe(1)
  expect(report.folder).toBe(run)
  const [acknowledged, ended] = report.verdicts
  expect(acknowledged).toMatchObject({ ok: true })
  expect(ended).toMatchObject({ ok: false })
  expect(report.findings.join('\n')).toMatch(/failed by itself.*EIO/)
  await using log = await openLog(join(run, 'log'))
  expect(log.recovery).toMatchObject({ leftOut: [] })
  expect(await log.append(Buffer.from('goes on'))).toBe(log.recovery.endLsn)
})

function hasStrace(): boolean {
  try {
    execFileSync(TRACER, ['-qq', '-o', '/dev/null', 'true'], { stdio: 'ignore' })
    return true
  } catch (error) {
    // Missing, or tracing is forbidden: either way the test says so and is left out.
    return error === undefined
  }
}
