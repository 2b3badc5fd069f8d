import { expect, test } from 'vitest'
import { silentProgress } from '../progress.ts'
import type { Report } from '../report.ts'
import { RunFolder } from '../run-folder.ts'
import { PROCESS_KILLS_DEFAULT, processKills } from './process-kills.ts'

const seed = Number(process.env['RINGBOLT_SEED'] ?? Date.now() % 2 ** 32)

test(`S9 M4 L2: three processes on one database, ten times SIGKILL on one of them, seed ${seed}: the others go on, nothing acknowledged is lost`, async () => {
  const folder = new RunFolder(undefined)
  const report = await processKills(
    {
      // A slow disk leaves the processor to those that start.
      settings: { ...PROCESS_KILLS_DEFAULT, seed, workers: 1, lanes: 4, syncDelayMs: 10 },
      processes: 3,
      rounds: 10,
      closeEvery: 5,
    },
    folder,
    silentProgress,
  )
  expect(report.findings).toEqual([])
  expect(report.verdicts.filter(({ ok }) => !ok)).toEqual([])
  expect(report.verdicts).toHaveLength(6)
  expect(figure(report, 'processes killed')).toBe(12)
  expect(figure(report, 'in their turn')).toBeGreaterThan(0)
  expect(figure(report, 'while another had its turn')).toBeGreaterThan(0)
  expect(figure(report, 'times that all closed')).toBe(2)
  folder.remove()
}, 300_000)

function figure({ figures }: Pick<Report, 'figures'>, name: string): unknown {
  return figures.find((each) => each.name === name)?.value
}
