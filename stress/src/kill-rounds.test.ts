import { expect, test } from 'vitest'
import { killRounds } from './kill-rounds.ts'
import { silentProgress } from './progress.ts'
import { RunFolder } from './run-folder.ts'
import { RECORD_BYTES_DEFAULT, SETTINGS_DEFAULT } from './settings.ts'

const seed = Number(process.env['RINGBOLT_SEED'] ?? Date.now() % 2 ** 32)

test(`W3 L2: five processes killed by SIGKILL on one log, seed ${seed}: nothing acknowledged is lost`, async () => {
  const { min, max } = RECORD_BYTES_DEFAULT
  const folder = new RunFolder(undefined)
  const report = await killRounds(
    {
      settings: {
        ...SETTINGS_DEFAULT,
        workload: { seed, recordBytesMin: min, recordBytesMax: max },
        segmentBytes: 1024 * 1024,
      },
      rounds: 5,
    },
    folder,
    silentProgress,
  )
  expect(report.findings).toEqual([])
  expect(report.verdicts.filter(({ ok }) => !ok)).toEqual([])
  expect(report.verdicts).toHaveLength(3)
  folder.remove()
})
