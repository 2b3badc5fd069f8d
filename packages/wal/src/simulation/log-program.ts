/** A small program over a log, for looking at the calls that it makes. */
import type { LogStore } from '../log-store.ts'
import { lsnOf } from '../lsn.ts'
import { SegmentedLog } from '../segmented-log.ts'
import { Random } from './random.ts'

export interface LogProgramEvents {
  /** The log is about to be opened. */
  onStart(): void
  /** All that was written is reported as durable. */
  onAcknowledge(): void
}

/** Opens the log several times over and does all that a log can do. */
export function runLogProgram(store: LogStore, seed: number, events: LogProgramEvents): void {
  const random = new Random(seed)
  for (let run = 0; run < 3; run++) {
    events.onStart()
    const log = SegmentedLog.open(store, {
      create: true,
      logId: new Uint8Array(16).fill(7),
      segmentBytes: 16 * 1024,
      sparesMax: 2,
    })
    events.onAcknowledge()
    for (let step = 0; step < 60; step++) {
      if (performStep(log, random)) events.onAcknowledge()
    }
    log.close()
    events.onAcknowledge()
  }
}

/** @returns true when the log says that all is durable */
function performStep(log: SegmentedLog, random: Random): boolean {
  const record = random.bytes(new Uint8Array(random.between(1, 3_000)))
  switch (random.below(10)) {
    case 0:
      log.sync()
      return true
    case 1:
      log.prepareStep()
      return false
    case 2:
      log.flush()
      return false
    case 3:
      log.truncateBefore(
        lsnOf(log.firstLsn + 8 * random.below((log.endLsn - log.firstLsn) / 8 + 1)),
      )
      return log.pendingBytes === 0
    case 4:
      if (random.chance(0.2)) log.truncateAfter(log.firstLsn)
      return log.pendingBytes === 0
    case 5:
    case 6:
      log.append(record)
      return false
    default:
      log.appendAndSync(record)
      return true
  }
}
