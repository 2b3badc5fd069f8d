/** The changes that recovery makes to files. Each leaves a state that recovery handles the same. */
import type { LogFile, LogStore } from './log-store.ts'
import type { TailEvidence } from './recovery-tail.ts'
import { freeOrdinal, leftName, spareOrdinal, unfinishedName } from './segment.ts'
import { SegmentReader } from './segment-reader.ts'

const STEP_BYTES = 1024 * 1024
const ZEROS: Buffer = Buffer.alloc(STEP_BYTES)

/**
 * Overwrites a dropped tail with zeros, and gives a shortened file its length back.
 * @returns true when something was written; not synced yet
 */
export function zeroTail(
  file: LogFile,
  position: number,
  segmentBytes: number,
  { contentEnd }: TailEvidence,
): boolean {
  const fileBytes = file.length()
  const dirty = contentEnd > position
  if (dirty) writeZeros(file, position, contentEnd)
  if (fileBytes < segmentBytes) writeZeros(file, fileBytes, segmentBytes)
  return dirty || fileBytes < segmentBytes
}

function writeZeros(file: LogFile, from: number, to: number): void {
  for (let at = from; at < to; at += STEP_BYTES) {
    file.writeAt(at, [ZEROS.subarray(0, Math.min(STEP_BYTES, to - at))])
  }
}

/**
 * Writes groups again, the very bytes that were checked here, so that the sync that follows really
 * reaches them. Not what a scan has checked before: pages that a failed sync left unwritten may have
 * been evicted since, and the file read differently now.
 * @param checksumAtEnd what the chain must have come to at `to`
 * @returns false when the groups are not there any more: the log is to be scanned again
 */
export function rewriteUnproven(
  file: LogFile,
  logId: Uint8Array,
  from: number,
  to: number,
  checksumAtEnd: number,
): boolean {
  const reader = new SegmentReader(file, logId, true)
  let position = from
  let checksum: number | undefined
  while (position < to) {
    const read = reader.group(position, to)
    if (!read.ok) return false
    const { header, endPosition } = read.group
    if (checksum !== undefined && header.previous !== checksum) return false
    checksum = read.group.checksum
    file.writeAt(position, [reader.bytes(position, endPosition - position, to)])
    position = endPosition
  }
  return checksum === undefined || checksum === checksumAtEnd
}

/** What they hold may be of epochs that are about to be given out again. */
export function removeSpares(store: LogStore): void {
  const spares = store.list().filter((name) => spareOrdinal(name) !== undefined)
  for (const name of spares) store.remove(name)
  if (spares.length > 0) store.syncFolder()
}

/**
 * Keeps a segment under a name that the log never touches again.
 * @returns that name, certain to survive a crash
 */
export function putAside(store: LogStore, name: string, how: 'copy' | 'rename'): string {
  const names = store.list()
  const kept = leftName(name, new Set(names))
  if (how === 'copy') {
    // Under a name that the next open removes, should this be interrupted.
    const unfinished = unfinishedName(freeOrdinal(names))
    copyFile(store, name, unfinished)
    store.rename(unfinished, kept)
  } else {
    store.rename(name, kept)
  }
  store.syncFolder()
  return kept
}

function copyFile(store: LogStore, from: string, to: string): void {
  const source = store.open(from)
  try {
    const target = store.create(to)
    try {
      const buffer = Buffer.allocUnsafe(STEP_BYTES)
      let at = 0
      for (let filled = source.readAt(at, buffer); filled > 0; filled = source.readAt(at, buffer)) {
        target.writeAt(at, [buffer.subarray(0, filled)])
        at += filled
      }
      target.sync()
    } finally {
      target.close()
    }
  } finally {
    source.close()
  }
}
