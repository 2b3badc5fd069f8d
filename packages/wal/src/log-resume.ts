/**
 * Taking a log over from somebody who has let go of it in good order: the headers of its segments are read, and
 * that nothing stands behind its end is seen. What its last writer had acknowledged was synced, so nothing has to
 * be repaired or written again. A writer that was killed leaves something behind the end, or another segment.
 */
import { isZero } from './frame.ts'
import { TERMINATOR_BYTES } from './layout.ts'
import type { LogPosition } from './log-follower.ts'
import type { LogStore } from './log-store.ts'
import { lsnOf } from './lsn.ts'
import type { LiveSegment, RecoveredLog } from './recovery.ts'
import { type Headed, readHeaders, soundHeader, withFile } from './recovery-headers.ts'

/** Undefined: the log has to be recovered. */
export function resumeAt(
  store: LogStore,
  logId: Uint8Array,
  at: LogPosition,
): RecoveredLog | undefined {
  const options = { policy: 'torn-tail', readOnly: false, logId } as const
  const headed = readHeaders(store, options).map(soundHeader)
  const last = headed.at(-1)
  if (last?.name !== at.segment || !endsAt(store, last, at.byteOffset)) return undefined
  const segments = headed.map((segment, index) => toLive(segment, headed[index + 1], at))
  return {
    segments,
    link: at.link,
    logId,
    voidSegments: [],
    sealed: false,
    resumed: true,
    report: {
      policy: 'torn-tail',
      created: false,
      groups: 0,
      records: 0,
      aborted: 0,
      firstLsn: segments[0]?.header.firstLsn ?? lsnOf(at.link.lsn),
      endLsn: lsnOf(at.link.lsn),
      lastEpoch: at.link.epoch - 1,
      droppedBytes: 0,
      droppedGroups: 0,
      leftOut: [],
      reason: 'clean',
    },
  }
}

/** Whether nothing was written behind that place since its group was. */
function endsAt(store: LogStore, { name, header }: Headed, byteOffset: number): boolean {
  // Without room for a terminator only another segment could follow.
  if (byteOffset + TERMINATOR_BYTES > header.segmentBytes) return true
  const behind = Buffer.alloc(TERMINATOR_BYTES)
  return withFile(store, name, (file) => file.readAt(byteOffset, behind) > 0 && isZero(behind))
}

function toLive({ name, header }: Headed, next: Headed | undefined, at: LogPosition): LiveSegment {
  return {
    name,
    header,
    endLsn: next?.header.firstLsn ?? lsnOf(at.link.lsn),
    endPosition: next === undefined ? at.byteOffset : header.segmentBytes,
    lastEpoch: (next?.header.firstEpoch ?? at.link.epoch) - 1,
    released: false,
  }
}
