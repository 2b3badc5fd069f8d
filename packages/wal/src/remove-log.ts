/**
 * Removing a log whose records all stand elsewhere, durably. A crash in between leaves some of its
 * files, which the next call removes: whole or not, they say no more than what stands elsewhere.
 */
import type { LogStore } from './log-store.ts'
import { readHeader, withFile, wrongLog } from './recovery-headers.ts'
import { epochOfName, isSegmentName, spareOrdinal, unfinishedOrdinal } from './segment.ts'

/**
 * Removes segments and spares, and leaves other files alone. Nobody may have the log open.
 * @throws LogMismatchError when a segment is of a log with another id; nothing is removed then
 */
export function removeLog(store: LogStore, logId: Uint8Array): void {
  const names = store.list()
  const segments = names.filter(isSegmentName).sort()
  for (const name of segments) assertOwn(store, name, logId)
  const spares = names.filter(
    (name) => (spareOrdinal(name) ?? unfinishedOrdinal(name)) !== undefined,
  )
  for (const name of [...segments, ...spares]) store.remove(name)
  store.syncFolder()
}

function assertOwn(store: LogStore, name: string, logId: Uint8Array): void {
  const read = withFile(store, name, (file) => readHeader(file, epochOfName(name)))
  if (!read.ok || Buffer.compare(read.header.logId, logId) === 0) return
  throw wrongLog(store, name, logId, read.header)
}
