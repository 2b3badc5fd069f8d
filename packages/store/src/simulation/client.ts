/**
 * A client as a thread would be one: a producer slot, a reader slot, snapshots. It appends without blocking,
 * hears refusals, reads pages where they stand, and may end between any two of its instructions.
 */
import {
  AtomicsMemory,
  frameBytes,
  openRing,
  type Ring,
  RingPoisonedError,
  RingProducer,
  takeSlot,
  threadEnvironment,
} from '@ringbolt/ring'
import type { Random } from '@ringbolt/wal/simulation'
import type { StoreMemory } from '../engine/store-core.ts'
import { CommandBuilder } from '../sequencer/command.ts'
import { partsOf } from '../sequencer/parts.ts'
import { RefusalReader } from '../sequencer/refusals.ts'
import type { PageFile } from '../space/page-file.ts'
import { freeThread, PageReader, type Pin, takeReaderSlot } from '../space/page-reader.ts'
import { Look } from './oracle.ts'
import { type ModelCommand, type ModelState, refused } from './store-model.ts'

/** A state that is kept, and what it must show for as long. */
export interface Snapshot {
  readonly pin: Pin
  readonly state: ModelState
  readonly takenAtMs: number
}

/** A command on its way into the ring. */
export interface Appending {
  /** As they go into the ring, one after another. */
  readonly records: readonly Uint8Array[]
  next: number
  /** Where the last of them stands, once it does. */
  frame: { readonly lsn: number; readonly endLsn: number } | undefined
}

const GARBAGE_BYTES_MAX = 64
/** A command longer than this share of the ring goes in parts. */
const RING_SHARE = 4
/** Long commands of a client that may be under way at once. */
const STREAMS = 2

export class SimulatedClient {
  readonly threadId: number
  readonly snapshots: Snapshot[] = []
  readonly #memory: StoreMemory
  readonly #ring: Ring
  readonly #producer: RingProducer
  readonly #reader: PageReader
  readonly #refusals: RefusalReader
  readonly #newest: Look
  /** A read that has begun and goes on while the engine works: what it must find when it comes to look. */
  #slowRead: (() => string | undefined) | undefined

  constructor(memory: StoreMemory, file: PageFile | undefined, threadId: number) {
    this.threadId = threadId
    this.#memory = memory
    this.#ring = openRing(memory.ring)
    const slot = takeSlot(this.#ring, threadId)
    this.#producer = new RingProducer(this.#ring, slot, threadEnvironment)
    this.#refusals = new RefusalReader(new AtomicsMemory(memory.refusals), slot)
    const readerSlot = takeReaderSlot(memory.region, threadId)
    this.#reader = new PageReader(memory.region, readerSlot, file)
    this.#newest = new Look(this.#reader)
  }

  // ---- writing ------------------------------------------------------------------------------

  begin(command: ModelCommand, random: Random): Appending {
    const slot = this.#producer.slotIndex
    const bytes = command.garbage ? drawGarbage(random, slot) : encodeCommand(command, slot)
    const records = this.#recordsOf(bytes, random.below(STREAMS))
    return { records, next: 0, frame: undefined }
  }

  /** Appends the next part of it; false when there is no room. */
  append(appending: Appending): boolean {
    const record = appending.records[appending.next]
    if (record === undefined) throw new RangeError('everything was appended')
    const address = this.#producer.tryAppend(record)
    if (address === undefined) return false
    appending.next++
    if (appending.next === appending.records.length) {
      appending.frame = { lsn: address, endLsn: address + frameBytes(record.length) }
    }
    return true
  }

  /** For a command that the mark has passed, once. */
  refusalOf(lsn: number): string | undefined {
    const refusal = this.#refusals.take(lsn)
    return refusal === undefined ? undefined : refused(refusal.reason, refusal.operation)
  }

  #recordsOf(command: Buffer, stream: number): readonly Uint8Array[] {
    const recordBytesMax = Math.floor(this.#ring.recordLengthMaxBytes / RING_SHARE)
    if (command.length <= recordBytesMax) return [command]
    return [...partsOf(command, this.#producer.slotIndex, stream, recordBytesMax)]
  }

  /** Why nothing is accepted any more; undefined: all is well. */
  get poison(): unknown {
    try {
      this.#producer.assertNotPoisoned()
      return undefined
    } catch (error) {
      return error
    }
  }

  checkPoisoned(): string | undefined {
    try {
      this.#producer.tryAppend(new Uint8Array(1))
    } catch (error) {
      return error instanceof RingPoisonedError
        ? undefined
        : `a poisoned ring threw ${String(error)}`
    }
    return 'a poisoned ring took a record'
  }

  // ---- reading ------------------------------------------------------------------------------

  look(snapshot?: Snapshot): Look {
    return snapshot === undefined ? this.#newest : new Look(this.#reader, snapshot.pin)
  }

  newestSequence(): number {
    return this.#newest.within((_trees, _directory, sequence) => sequence)
  }

  pin(state: ModelState, nowMs: number): void {
    this.snapshots.push({ pin: this.#reader.pin(), state: state.clone(), takenAtMs: nowMs })
  }

  unpin(snapshot: Snapshot): void {
    this.#reader.unpin(snapshot.pin)
    this.snapshots.splice(this.snapshots.indexOf(snapshot), 1)
  }

  /**
   * Enters, and looks later: pages may be evicted, retired and reclaimed meanwhile, but not those of the state
   * entered.
   * @param begin looks inside the read, and gives what is to be looked at when it ends
   */
  beginSlowRead(
    snapshot: Snapshot | undefined,
    begin: (look: Look, bytes: Uint8Array) => () => string | undefined,
  ): void {
    const reader = this.#reader
    if (snapshot === undefined) reader.enter()
    else reader.enterPinned(snapshot.pin)
    this.#slowRead = () => undefined
    this.#slowRead = begin(Look.inside(reader), reader.bytes)
  }

  /** Ends the read that is under way, if there is one. @returns what it found wrong */
  endSlowRead(): string | undefined {
    const slowRead = this.#slowRead
    this.#slowRead = undefined
    if (slowRead === undefined) return undefined
    try {
      return slowRead()
    } finally {
      this.#reader.leave()
    }
  }

  get isReading(): boolean {
    return this.#slowRead !== undefined
  }

  // ---- ending -------------------------------------------------------------------------------

  /**
   * Runs no more, wherever it was. Returns where.
   * @param draw a command that it was just appending
   */
  die(random: Random, draw: (random: Random) => ModelCommand): string {
    if (!this.isReading && random.chance(0.3)) this.#reader.enter()
    const bytes = encodeCommand(draw(random), this.#producer.slotIndex)
    const [first, ...rest] = this.#recordsOf(bytes, 0)
    if (first === undefined || random.chance(0.3)) return 'idle'
    if (rest.length > 0 && random.chance(0.7)) {
      return this.#producer.tryAppend(first) === undefined ? 'without room' : 'between two parts'
    }
    if (!this.#producer.tryReserve(first.length)) return 'without room'
    if (random.chance(0.7)) this.#producer.fill(first.subarray(0, random.below(first.length)))
    return 'with a reservation'
  }

  /** Made known by whoever has proof of the death. */
  reportDeath(): void {
    this.#ring.reportThreadDeath(this.threadId)
    freeThread(this.#memory.region, this.threadId)
  }
}

/** Of the right length, or the right beginning, or nothing right at all; never a whole command. */
function drawGarbage(random: Random, slot: number): Buffer {
  const bytes = random.bytes(Buffer.alloc(random.between(1, GARBAGE_BYTES_MAX)))
  if (random.chance(0.5)) {
    const builder = new CommandBuilder()
    builder.put(0, bytes, bytes)
    const sound = builder.finish(slot)
    return Buffer.from(sound.subarray(0, random.between(1, sound.length - 1)))
  }
  bytes[0] = 0xff
  return bytes
}

function encodeCommand(command: ModelCommand, slot: number): Buffer {
  const builder = new CommandBuilder()
  builder.snapshotSequence = command.snapshotSequence
  for (const operation of command.operations) {
    const { kind, tree } = operation
    switch (kind) {
      case 'put':
        builder.put(tree, operation.key, operation.value, operation.expect)
        break
      case 'delete':
        builder.delete(tree, operation.key, operation.expect)
        break
      case 'check':
        builder.check(tree, operation.key, operation.expect)
        break
      case 'checkRange':
        builder.checkRange(tree, operation.from, operation.to)
        break
      case 'dropTree':
        builder.dropTree(tree)
        break
      case 'checkDefinition':
      case 'createTree':
      case 'setDefinition':
        builder[kind](tree, operation.definition)
        break
    }
  }
  return builder.finish(slot)
}
