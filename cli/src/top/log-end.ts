/** Where a log ends, out of its newest segment alone, while somebody appends to it. Only reads. */
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { FileStore, inspectLog, LogNotFoundError, SegmentFolder } from '@ringbolt/wal'

export interface LogEnd {
  readonly logId: string
  /** One past the ordinal of the last record. */
  readonly endSequence: number
  readonly endLsn: number
  /** Of the last group. */
  readonly epoch: number
  /** Of all files in the folder. */
  readonly bytes: number
  readonly segments: number
  readonly spares: number
}

const SEGMENT = /\.seg$/
const SPARE = /^spare-/

/** A log's folder with nothing but the newest segment in it. */
class NewestSegment extends FileStore {
  override list(): string[] {
    return super
      .list()
      .filter((name) => SEGMENT.test(name))
      .toSorted()
      .slice(-1)
  }
}

/** Undefined: there is no log, or none any more. */
export function logEndOf(folder: string): LogEnd | undefined {
  return whileThere(folder, () => {
    const steps = inspectLog(new NewestSegment(folder, { readOnly: true }))
    let step = steps.next()
    while (step.done !== true) step = steps.next()
    const { logId, segments } = step.value
    const last = segments.at(-1)
    if (logId === undefined || last === undefined) return undefined
    const { endSequence, endLsn, lastEpoch } = last
    return { logId, endSequence, endLsn, epoch: lastEpoch, ...sizesIn(folder) }
  })
}

/** The first segment that is still there: its name, and the ordinal of its first record. */
export function firstSegmentOf(
  folder: string,
  logId: string,
): { readonly name: string; readonly firstSequence: number } | undefined {
  return whileThere(folder, () => {
    const store = new FileStore(folder, { readOnly: true })
    const [first] = new SegmentFolder(store, Buffer.from(logId, 'hex')).segments()
    return first && { name: first.name, firstSequence: first.header.firstSequence }
  })
}

function whileThere<T>(folder: string, read: () => T | undefined): T | undefined {
  try {
    return existsSync(folder) ? read() : undefined
  } catch (error) {
    // The last one to close it removes segments first, then the folder.
    if (error instanceof LogNotFoundError || !existsSync(folder)) return undefined
    throw error
  }
}

function sizesIn(folder: string): Pick<LogEnd, 'bytes' | 'segments' | 'spares'> {
  const names = new FileStore(folder, { readOnly: true }).list()
  const bytes = names.reduce((sum, name) => sum + sizeOf(join(folder, name)), 0)
  const count = (pattern: RegExp): number => names.filter((name) => pattern.test(name)).length
  return { bytes, segments: count(SEGMENT), spares: count(SPARE) }
}

/** 0: it was released since it was listed. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
