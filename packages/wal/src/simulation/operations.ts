/** The operations of a workload: each announced to the model, made on the log, confirmed and checked. */
import { FRAME_ABORTED, FRAME_HEADER_BYTES } from '@ringbolt/ring'
import { LogIoError, type LogPoisonedError } from '../errors.ts'
import { frameBytesOf, writeFrame } from '../frame.ts'
import { viewOf } from '../group.ts'
import { groupBytes } from '../layout.ts'
import { lsnOf } from '../lsn.ts'
import type { SegmentedLog } from '../segmented-log.ts'
import type { LogModel } from './log-model.ts'
import { checkRead, differ } from './oracle.ts'
import { Random } from './random.ts'
import { drawRecord, type OperationKind } from './seed-plan.ts'
import type { Simulation } from './simulation.ts'

/** Records are cut out of one block of chance bytes: drawing each byte anew would take most of the time. */
const POOL: Uint8Array = new Random(0x5eed).bytes(new Uint8Array(256 * 1024))
const STAMP_BYTES = 8

export class Operations {
  readonly #simulation: Simulation
  readonly #log: SegmentedLog
  readonly #model: LogModel

  constructor(simulation: Simulation, log: SegmentedLog) {
    this.#simulation = simulation
    this.#log = log
    this.#model = simulation.model
  }

  perform(weights: readonly (readonly [OperationKind, number])[], random: Random): void {
    const kind = random.weighted(weights)
    const { context, coverage, disk, lines } = this.#simulation
    context.activity = kind
    coverage.add(`operation: ${kind}`)
    const faultsBefore = disk.faultsHit
    try {
      this.#dispatch(kind, random)
    } catch (error) {
      this.#excuse(kind, error, faultsBefore)
      return
    }
    if (disk.crashed !== undefined) {
      // Preparing a spare keeps its failures to itself.
      if (kind === 'prepareStep') return
      this.#simulation.fail(`${kind} returned although the disk had crashed`)
    }
    if (disk.faultsHit > faultsBefore) {
      coverage.add(`fault while: ${kind}`)
      this.#simulation.fail(
        kind === 'prepareStep' || this.#simulation.consequencesOnly
          ? undefined
          : `${kind} returned although a call had failed`,
      )
    }
    lines?.push(`  end ${this.#log.endLsn}, durable ${this.#log.durableLsn}`)
    this.#checkMarks()
  }

  #excuse(kind: OperationKind, error: unknown, faultsBefore: number): void {
    const { coverage, disk, lines } = this.#simulation
    const reads = kind === 'read' || kind === 'truncateAfter'
    if (reads && error instanceof LogIoError && disk.faultsHit > faultsBefore) {
      // Reading changes nothing, so a failure to read poisons nothing; a cut reads before it changes.
      lines?.push(`  threw ${String(error)}`)
      coverage.add(`fault while: ${kind}`)
      if (kind === 'truncateAfter') this.#model.cutFailed(this.#log.durableLsn)
      return
    }
    this.#model.claim(this.#log.durableLsn)
    this.#simulation.excuse(error, faultsBefore)
  }

  #dispatch(kind: OperationKind, random: Random): void {
    switch (kind) {
      case 'append':
        return this.#append(this.#drawBytes(random))
      case 'appendAndSync':
        return this.#appendAndSync(this.#drawBytes(random))
      case 'writeGroup':
        return this.#writeGroup(random)
      case 'flush':
        return this.#flushing('flush', () => this.#log.flush())
      case 'sync':
        return this.#syncing('sync', () => this.#log.sync())
      case 'acknowledge':
        return this.#acknowledge()
      case 'ensureDurable':
        return this.#ensureDurable(random)
      case 'prepareStep':
        this.#say('prepareStep')
        this.#log.prepareStep()
        return undefined
      case 'truncateBefore':
        return this.#truncateBefore(random)
      case 'truncateAfter':
        return this.#truncateAfter(random)
      case 'truncate':
        return this.#truncate()
      case 'cleanupSegments':
        return this.#cleanupSegments()
      case 'read':
        return this.#read(random)
    }
  }

  /** Used where nothing may fail. */
  appendSurely(random: Random): void {
    this.#simulation.context.activity = 'appendAndSync'
    this.#appendAndSync(this.#drawBytes(random))
  }

  /** W4: all later calls get the same cause, and no mark moves. */
  checkPoison(): void {
    const log = this.#log
    const { poisoned, durableLsn } = log
    const record = new Uint8Array(1)
    for (const call of [() => log.append(record), () => log.sync(), () => log.flush()]) {
      this.#simulation.fail(throwsThe(call, poisoned))
    }
    this.#simulation.fail(differ('durable LSN of a poisoned log', durableLsn, log.durableLsn))
    this.#simulation.fail(
      durableLsn <= this.#model.groupsEnd.lsn ? undefined : 'a poisoned log moved its mark',
    )
  }

  #checkMarks(): void {
    const log = this.#log
    const model = this.#model
    this.#simulation.fail(
      differ('end LSN', model.endLsn, log.endLsn) ??
        differ('next sequence', model.nextSequence, log.nextSequence) ??
        differ('next epoch', model.nextEpoch, log.nextEpoch) ??
        differ('written LSN', model.writtenLsn, log.writtenLsn) ??
        differ('pending bytes', model.endLsn - log.durableLsn, log.pendingBytes) ??
        differ('first LSN', model.base.lsn, log.firstLsn),
    )
  }

  #say(text: string): void {
    const { lines, operations } = this.#simulation
    lines?.push(`${operations - 1} ${text}`)
  }

  /** The log writes its open group by itself when the next record would make it too large. */
  #append(record: Uint8Array): void {
    this.#say(`append ${record.length} bytes`)
    const model = this.#model
    const bytes = frameBytesOf(record.length)
    const flushes =
      model.openBytes > 0 && model.openBytes + bytes > this.#simulation.geometry.groupBytesMax
    if (flushes) model.flushBegins()
    const due = model.endLsn
    const lsn = this.#log.append(record)
    if (flushes) model.confirm(this.#log.durableLsn)
    model.append(record, record.length)
    this.#simulation.fail(differ('LSN of the record', due, lsn))
  }

  #appendAndSync(record: Uint8Array): void {
    this.#append(record)
    this.#acknowledge()
  }

  #acknowledge(): void {
    if (this.#simulation.geometry.sync === 'full') {
      this.#syncing('acknowledge', () => this.#log.acknowledge())
    } else {
      this.#flushing('acknowledge', () => this.#log.acknowledge())
    }
    this.#simulation.fail(differ('acknowledged LSN', this.#model.endLsn, this.#log.acknowledgedLsn))
  }

  #flushing(name: string, call: () => void): void {
    this.#say(name)
    this.#model.flushBegins()
    call()
    this.#model.confirm(this.#log.durableLsn)
  }

  #syncing(name: string, call: () => void): void {
    this.#flushing(name, call)
    this.#simulation.fail(differ('durable LSN', this.#model.endLsn, this.#log.durableLsn))
  }

  #ensureDurable(random: Random): void {
    const log = this.#log
    if (log.endLsn === log.firstLsn) return
    const lsn = lsnOf(random.between(log.firstLsn / 8, log.endLsn / 8 - 1) * 8)
    this.#say(`ensureDurable ${lsn}`)
    if (lsn >= log.durableLsn) this.#model.flushBegins()
    log.ensureDurable(lsn)
    if (this.#model.open.length === 0) this.#model.confirm(log.durableLsn)
    this.#simulation.fail(log.isDurable(lsn) ? undefined : `LSN ${lsn} is not durable`)
  }

  #writeGroup(random: Random): void {
    const records = Array.from({ length: random.between(1, 4) }, (_, index) =>
      this.#drawBytes(random.fork(index)),
    )
    const aborted = random.chance(0.3) ? random.between(1, 64) : 0
    this.#say(`writeGroup ${records.map(({ length }) => length).join(', ')}; aborted ${aborted}`)
    const model = this.#model
    model.flushBegins()
    const firstLsn = model.endLsn
    const firstSequence = model.nextSequence
    const body = framesOf(records, aborted)
    for (const record of records) model.append(record, record.length)
    if (aborted > 0) model.append(undefined, aborted)
    const epoch = model.nextEpoch
    model.flushBegins()
    // As from a ring: two runs, parted anywhere.
    const at = random.below(body.length)
    const runs = at === 0 ? [body] : [body.subarray(0, at), body.subarray(at)]
    const written = this.#log.writeGroup(runs, records.length, aborted > 0 ? 1 : 0)
    model.confirm(this.#log.durableLsn)
    this.#simulation.fail(
      differ('epoch', epoch, written.epoch) ??
        differ('first LSN', firstLsn, written.firstLsn) ??
        differ('first sequence', firstSequence, written.firstSequence) ??
        differ('end LSN', model.endLsn, written.endLsn),
    )
  }

  #truncateBefore(random: Random): void {
    const lsn = this.#drawBoundary(random)
    this.#say(`truncateBefore ${lsn}`)
    this.#model.releaseBegins(lsn)
    this.#log.truncateBefore(lsnOf(lsn))
    this.#released(lsn)
  }

  #cleanupSegments(): void {
    this.#say('cleanupSegments')
    const { durableLsn } = this.#log
    this.#model.releaseBegins(durableLsn)
    this.#log.cleanupSegments()
    this.#released(durableLsn)
  }

  #released(lsn: number): void {
    const { firstLsn } = this.#log
    this.#simulation.fail(
      firstLsn > lsn || this.#model.groupBoundary(firstLsn) === undefined
        ? `released up to LSN ${firstLsn}, allowed were ${lsn}`
        : undefined,
    )
    this.#model.releaseDone(firstLsn)
  }

  #truncateAfter(random: Random): void {
    const lsn = this.#drawBoundary(random)
    this.#say(`truncateAfter ${lsn}`)
    const model = this.#model
    model.flushBegins()
    const boundary = model.at(lsn)
    if (boundary === undefined) throw new Error(`LSN ${lsn} is no boundary`)
    const cuts = lsn !== model.endLsn
    if (cuts) model.cutBegins(boundary)
    this.#log.truncateAfter(lsnOf(lsn))
    model.confirm(cuts ? model.endLsn : this.#log.durableLsn)
    if (cuts) model.cutDone()
    this.#simulation.coverage.add('cut')
  }

  #truncate(): void {
    this.#say('truncate')
    const model = this.#model
    model.flushBegins()
    model.cutBegins({ lsn: 0, sequence: 1 })
    this.#log.truncate()
    model.confirm(model.endLsn)
    model.cutDone()
  }

  #read(random: Random): void {
    const bounds = [this.#drawBoundary(random), this.#drawBoundary(random)]
    const from = Math.min(...bounds)
    const to = Math.min(Math.max(...bounds), this.#model.writtenLsn)
    this.#say(`read ${from} to ${to}`)
    if (from > to) return
    this.#simulation.fail(checkRead(this.#log, this.#model, from, to))
  }

  /** A frame's beginning, or the end of the log. */
  #drawBoundary(random: Random): number {
    const { groups, base } = this.#model
    if (groups.length === 0) return base.lsn
    if (random.chance(0.1)) return this.#model.groupsEnd.lsn
    return random.pick(random.pick(groups).frames).lsn
  }

  /** A record whose group ends where the segment does, or some bytes before or past that. */
  #fillingBytes(random: Random): number {
    const last = this.#log.segments.at(-1)
    if (last === undefined) return 1
    const remaining = last.header.segmentBytes - last.endPosition - groupBytes(0, 1)
    const close = remaining - this.#model.openBytes - FRAME_HEADER_BYTES - 8 * random.below(4) + 8
    return Math.max(1, close)
  }

  #drawBytes(random: Random): Uint8Array {
    const { geometry, disk } = this.#simulation
    const { lengthBytes = this.#fillingBytes(random), filling } = drawRecord(random, geometry)
    const record = new Uint8Array(lengthBytes)
    if (filling === 'zeros') return record
    const source = filling === 'echo' ? disk.contentOf(random.pick(this.#log.segments).name) : POOL
    const start = random.below(Math.max(1, source.length - lengthBytes)) & -8
    record.set(source.subarray(start, start + lengthBytes))
    if (filling === 'chance') random.bytes(record.subarray(0, STAMP_BYTES))
    return record
  }
}

function framesOf(records: readonly Uint8Array[], abortedBytes: number): Uint8Array {
  let length = abortedBytes > 0 ? frameBytesOf(abortedBytes) : 0
  for (const record of records) length += frameBytesOf(record.length)
  const body = new Uint8Array(length)
  let at = 0
  for (const record of records) at = writeFrame(body, at, record)
  if (abortedBytes > 0) viewOf(body).setInt32(at, abortedBytes | FRAME_ABORTED, true)
  return body
}

function throwsThe(call: () => unknown, poison: LogPoisonedError | undefined): string | undefined {
  try {
    call()
  } catch (error) {
    return error === poison ? undefined : `a poisoned log threw ${String(error)}`
  }
  return 'a poisoned log accepted a call'
}
