/** Looks behind the end of the log for what tells a lost tail from damage. Changes nothing. */
import { decodeGroupHeader } from './group.ts'
import { GROUP_ALIGNMENT_BYTES, GROUP_HEADER_BYTES, GROUP_MAGIC } from './layout.ts'
import type { LogFile } from './log-store.ts'
import type { SegmentHeader } from './segment.ts'

/** What stands behind the end of the log in the same file. */
export interface TailEvidence {
  /** Sound headers of this log with the epoch that is due, or a later one. */
  readonly groupsSound: number
  /** The highest durable epoch that a sound later header speaks of; 0 without one. */
  readonly durableEpoch: number
  readonly durableByteOffset: number
  /** Just past the last byte that is not zero. */
  readonly contentEnd: number
}

const TAIL_STEP_BYTES = 1024 * 1024
const MAGIC_BYTES: Buffer = Buffer.from([
  GROUP_MAGIC & 0xff,
  (GROUP_MAGIC >>> 8) & 0xff,
  (GROUP_MAGIC >>> 16) & 0xff,
  GROUP_MAGIC >>> 24,
])

/**
 * Looks for later groups at every aligned position. A sound header is evidence enough: it was
 * written after the sync that it speaks of, whatever became of its body. That keeps the cost of each
 * position constant, however hostile the bytes. A copy of a group inside a record cannot mislead: its
 * epoch had been given out before the record was written, so it is below the epochs looked for.
 */
export function scanTail(
  file: LogFile,
  segment: SegmentHeader,
  position: number,
  epochDue: number,
): TailEvidence {
  const limit = Math.min(file.length(), segment.segmentBytes)
  // Steps overlap by a header, so that none is missed between two.
  const buffer = Buffer.allocUnsafeSlow(TAIL_STEP_BYTES + GROUP_HEADER_BYTES)
  let groupsSound = 0
  let durableEpoch = 0
  let durableByteOffset = position
  let contentEnd = position
  for (let start = position; start < limit; start += TAIL_STEP_BYTES) {
    const wanted = Math.min(buffer.length, limit - start)
    const filled = file.readAt(start, buffer.subarray(0, wanted))
    const step = buffer.subarray(0, filled)
    contentEnd = Math.max(contentEnd, start + lastContent(step))
    for (let at = step.indexOf(MAGIC_BYTES); at >= 0; at = step.indexOf(MAGIC_BYTES, at + 1)) {
      if (at >= TAIL_STEP_BYTES || at % GROUP_ALIGNMENT_BYTES !== 0) continue
      if (filled - at < GROUP_HEADER_BYTES) break
      const head = step.subarray(at, at + GROUP_HEADER_BYTES)
      const read = decodeGroupHeader(head, Number.POSITIVE_INFINITY, segment.logId)
      if (!read.ok || read.header.foreignId !== undefined || read.header.epoch < epochDue) continue
      groupsSound++
      if (read.header.epoch > epochDue && read.header.durableEpoch > durableEpoch) {
        durableEpoch = read.header.durableEpoch
        durableByteOffset = start + at
      }
    }
  }
  return { groupsSound, durableEpoch, durableByteOffset, contentEnd }
}

function lastContent(bytes: Buffer): number {
  let end = bytes.length
  while (end >= 8 && bytes.readUInt32LE(end - 4) === 0 && bytes.readUInt32LE(end - 8) === 0)
    end -= 8
  while (end > 0 && bytes[end - 1] === 0) end--
  return end
}
