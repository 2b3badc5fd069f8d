/** Holds an open log against the model. Every function returns what is wrong, or undefined. */
import { lsnOf } from '../lsn.ts'
import type { SegmentedLog } from '../segmented-log.ts'
import type { LogModel, ModelFrame } from './log-model.ts'

/**
 * A log that has just been opened: everything required is there, nothing else than what was announced, in
 * order, whole, up to the end of a group; all marks agree with each other and with the report.
 */
export function checkOpened(log: SegmentedLog, model: LogModel): string | undefined {
  const { firstLsn, endLsn } = log
  if (firstLsn < model.base.lsn || firstLsn > Math.max(model.base.lsn, model.releaseLsn)) {
    return `the log begins at LSN ${firstLsn}, expected from ${model.base.lsn} to ${model.releaseLsn}`
  }
  if (endLsn < model.requiredLsn) {
    return `the log ends at LSN ${endLsn}, but ${model.requiredLsn} was acknowledged`
  }
  const end = model.groupBoundary(endLsn)
  if (end === undefined || model.groupBoundary(firstLsn) === undefined) {
    return `the log holds LSN ${firstLsn} to ${endLsn}: no groups begin and end there`
  }
  return (
    checkMarks(log, end.sequence) ??
    checkEpochs(log, model, endLsn) ??
    checkContent(log, model) ??
    checkCounts(log, model)
  )
}

function checkMarks(log: SegmentedLog, sequence: number): string | undefined {
  const { endLsn, durableLsn, writtenLsn, pendingBytes, nextSequence, recovery } = log
  return (
    differ('next sequence', sequence, nextSequence) ??
    differ('durable LSN', endLsn, durableLsn) ??
    differ('written LSN', endLsn, writtenLsn) ??
    differ('pending bytes', 0, pendingBytes) ??
    differ("the report's first LSN", log.firstLsn, recovery.firstLsn) ??
    differ("the report's end LSN", endLsn, recovery.endLsn) ??
    (recovery.reason === 'clean' && recovery.droppedBytes !== 0
      ? `a clean report of ${recovery.droppedBytes} dropped bytes`
      : undefined)
  )
}

function checkEpochs(log: SegmentedLog, model: LogModel, endLsn: number): string | undefined {
  const last = model.groups.findLast((group) => group.endLsn <= endLsn)
  const floor = Math.max(model.epochFloor, last === undefined ? 1 : last.epoch + 1)
  if (log.nextEpoch < floor || log.nextEpoch > model.nextEpoch) {
    return `the next epoch is ${log.nextEpoch}, expected from ${floor} to ${model.nextEpoch}`
  }
  return undefined
}

/** Reads the whole log, both ways. */
export function checkContent(log: SegmentedLog, model: LogModel): string | undefined {
  const from = log.firstLsn
  const to = log.writtenLsn
  const wrong = checkRead(log, model, from, to)
  if (wrong !== undefined) return wrong
  let records = 0
  let groupsEnd: number = from
  let problem: string | undefined
  log.replay((group) => {
    problem ??= differ('first LSN of a replayed group', groupsEnd, group.firstLsn)
    groupsEnd = group.firstLsn + group.body.length
    records += group.recordCount
  })
  const due = countFrames(model, from, to).records
  return (
    problem ?? differ('end of replay', to, groupsEnd) ?? differ('replayed records', due, records)
  )
}

function checkCounts(
  { firstLsn, endLsn, recovery }: SegmentedLog,
  model: LogModel,
): string | undefined {
  const { records, aborted } = countFrames(model, firstLsn, endLsn)
  return (
    differ("the report's records", records, recovery.records) ??
    differ("the report's aborted frames", aborted, recovery.aborted)
  )
}

/** Reads a range and compares each record. */
export function checkRead(
  log: SegmentedLog,
  model: LogModel,
  from: number,
  to: number,
): string | undefined {
  const due = dueRecords(model, from, to)
  let expected = due.next().value
  for (const found of log.read(lsnOf(from), to)) {
    if (expected === undefined) return `LSN ${found.lsn}: a record that should not be there`
    const { frame, epoch } = expected
    if (found.lsn !== frame.lsn || found.sequence !== frame.sequence || found.epoch !== epoch) {
      return `expected LSN ${frame.lsn}, sequence ${frame.sequence}, epoch ${epoch}; found LSN ${found.lsn}, sequence ${found.sequence}, epoch ${found.epoch}`
    }
    if (frame.record === undefined || Buffer.compare(frame.record, found.record) !== 0) {
      return `LSN ${frame.lsn}: the record of ${found.record.length} bytes differs`
    }
    expected = due.next().value
  }
  return expected === undefined ? undefined : `LSN ${expected.frame.lsn}: the record is missing`
}

function* dueRecords(
  model: LogModel,
  from: number,
  to: number,
): Generator<{ frame: ModelFrame; epoch: number }, undefined, undefined> {
  for (const { frames, epoch, endLsn } of model.groups) {
    if (endLsn <= from) continue
    for (const frame of frames) {
      if (frame.lsn >= to) return undefined
      if (frame.lsn >= from && frame.record !== undefined) yield { frame, epoch }
    }
  }
  return undefined
}

function countFrames(
  model: LogModel,
  from: number,
  to: number,
): { records: number; aborted: number } {
  let records = 0
  let aborted = 0
  for (const { frames, endLsn } of model.groups) {
    if (endLsn <= from) continue
    for (const { lsn, record } of frames) {
      if (lsn < from || lsn >= to) continue
      if (record === undefined) aborted++
      else records++
    }
  }
  return { records, aborted }
}

export function differ<T extends number | string>(
  what: string,
  expected: T,
  actual: T,
): string | undefined {
  return expected === actual ? undefined : `${what}: expected ${expected}, found ${actual}`
}
