import { expect, test } from 'vitest'
import { deaths } from './deaths.ts'
import { silentProgress } from './progress.ts'
import { RunFolder } from './run-folder.ts'
import { RECORD_BYTES_DEFAULT, SETTINGS_DEFAULT } from './settings.ts'

const seed = Number(process.env['RINGBOLT_SEED'] ?? Date.now() % 2 ** 32)
const DEATHS = 40

test(`R9 L6: ${DEATHS} workers killed under load, seed ${seed}: nobody is held up, nothing is lost`, async () => {
  const { min, max } = RECORD_BYTES_DEFAULT
  const folder = new RunFolder(undefined)
  const report = await deaths(
    {
      settings: {
        ...SETTINGS_DEFAULT,
        workload: { seed, recordBytesMin: min, recordBytesMax: max },
        segmentBytes: 1024 * 1024,
      },
      deaths: DEATHS,
    },
    folder,
    silentProgress,
  )
  expect(report.findings).toEqual([])
  expect(report.verdicts.filter(({ ok }) => !ok)).toEqual([])
  expect(report.verdicts).toHaveLength(6)
  folder.remove()
})
