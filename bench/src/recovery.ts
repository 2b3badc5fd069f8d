/** How fast a log comes back: opening it, which checks every byte, and reading all its records. */
import { FileStore, SegmentedLog } from '@ringbolt/wal'
import { withFolder } from './log-candidates.ts'
import type { BenchOptions } from './options.ts'
import type { Benchmark } from './program.ts'
import type { Table } from './report.ts'

const RECORD_BYTES = 60
const LOG_BYTES = 256 * 1024 * 1024
const LOG_BYTES_QUICK = 256 * 1024
/** What 256 appends in flight make of it. */
const GROUP_BYTES = 16 * 1024
const LOG_ID = new Uint8Array(16).fill(1)

/** Returns the number of records. */
function writeLog(folder: string, logBytes: number): number {
  const log = SegmentedLog.open(new FileStore(folder), {
    create: true,
    logId: LOG_ID,
    groupBytesMax: GROUP_BYTES,
    sync: 'off',
  })
  const record = new Uint8Array(RECORD_BYTES).fill(7)
  let records = 0
  for (; log.endLsn < logBytes; records++) log.append(record)
  log.sync()
  log.close()
  return records
}

interface Recovered {
  readonly openMs: number
  readonly readMs: number
}

function recoverLog(folder: string, records: number): Recovered {
  const begunMs = performance.now()
  const log = SegmentedLog.open(new FileStore(folder))
  const openedMs = performance.now()
  let read = 0
  for (const { record } of log.read()) read += record.length === RECORD_BYTES ? 1 : 0
  const readMs = performance.now() - openedMs
  log.close()
  if (read !== records) throw new Error(`read ${read} of ${records} records`)
  return { openMs: openedMs - begunMs, readMs }
}

async function measureRecovery(options: BenchOptions): Promise<readonly Table[]> {
  const logBytes = options.quick ? LOG_BYTES_QUICK : LOG_BYTES
  return await withFolder(options.folder, (folder) => {
    const records = writeLog(folder, logBytes)
    const rounds = Array.from({ length: options.rounds }, () => recoverLog(folder, records))
    const rate = (ms: number): number => (records / ms) * 1000
    const remark = `${records} records of ${RECORD_BYTES} B, groups of ${GROUP_BYTES} B`
    const rows = [
      { name: 'open', remark, values: rounds.map(({ openMs }) => rate(openMs)) },
      {
        name: 'open, and read all',
        remark,
        values: rounds.map(({ openMs, readMs }) => rate(openMs + readMs)),
      },
    ]
    return Promise.resolve([{ title: recovery.title, unit: 'records/s', base: undefined, rows }])
  })
}

export const recovery: Benchmark = {
  title: 'recovery of a log of 256 MiB',
  run: measureRecovery,
}
