import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { silentProgress } from './progress.ts'
import { isProved } from './report.ts'
import { simulate } from './simulate.ts'

const firstSeed = Number(process.env['RINGBOLT_SEED'] ?? 1)

test.each(['store', 'log'] as const)(
  `S8, W12: a campaign of the %s over threads runs each seed, from ${firstSeed}, and says what it exercised`,
  async (of) => {
    const folder = mkdtempSync(join(tmpdir(), 'ringbolt-simulate-'))
    const report = await simulate(
      {
        of,
        firstSeed,
        count: 120,
        threads: 2,
        failuresMax: 1,
        failureFolder: join(folder, 'failures'),
      },
      silentProgress,
    )
    expect(report.findings).toEqual([])
    expect(isProved({ ...report, replay: '' })).toBe(true)
    const [seeds] = report.figures
    expect(seeds).toMatchObject({ name: 'seeds', value: 120 })
    expect(report.figures.filter(({ section }) => section === 'Exercised').length).toBeGreaterThan(
      5,
    )
    rmSync(folder, { recursive: true })
  },
)
