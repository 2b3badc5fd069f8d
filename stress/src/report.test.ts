import { expect, test } from 'vitest'
import { isProved, type Report, reportAsJson, reportAsText } from './report.ts'

const report: Report = {
  run: '4 workers, 20 s',
  seed: 7,
  replay: 'pnpm stress log --seed 7',
  folder: null,
  figures: [
    { section: 'Throughput', name: 'records', value: 1_234_567.8, unit: '/s' },
    { section: 'Throughput', name: 'sync p50', value: 0.1234, unit: 'ms' },
    { section: 'Memory', name: 'at the end', value: 128, unit: 'MiB' },
  ],
  verdicts: [{ name: 'all is there', ok: true, detail: '10 of 10' }],
  findings: [],
}

const failed: Report = {
  ...report,
  folder: '/tmp/kept',
  verdicts: [...report.verdicts, { name: 'nothing grows', ok: false, detail: '900 MiB' }],
  findings: ['lost: incarnation 1, ordinal 5'],
}

test('a report that proves all says so, and names its seed', () => {
  const text = reportAsText(report)
  expect(text).toContain('1,234,568 /s')
  expect(text).toContain('0.12 ms')
  expect(text).toContain('  ok   all is there: 10 of 10')
  expect(text).toContain('All is proved. Seed 7.')
  expect(text).not.toContain('Kept')
})

test('one that does not names seed, replay and folder, and each finding', () => {
  const text = reportAsText(failed)
  expect(text).toContain('  FAIL nothing grows: 900 MiB')
  expect(text).toContain('  lost: incarnation 1, ordinal 5')
  expect(text).toContain('NOT PROVED. Seed 7; to run it again: pnpm stress log --seed 7')
  expect(text).toContain('Kept: /tmp/kept')
})

test('as JSON: the same figures as numbers', () => {
  expect(JSON.parse(reportAsJson(failed))).toEqual({ proved: false, ...failed })
})

test('proved: verdicts there are, none fails, nothing was found', () => {
  expect(isProved(report)).toBe(true)
  expect(isProved({ ...report, verdicts: [] })).toBe(false)
  expect(isProved({ ...report, findings: ['torn'] })).toBe(false)
  expect(isProved(failed)).toBe(false)
})
