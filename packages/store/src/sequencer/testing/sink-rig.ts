/** Ring, consumer, sink and log in one thread, stepped by hand, over trees that are maps unless others are given. */
import {
  AtomicsMemory,
  attachConsumer,
  createRing,
  openRing,
  type RingEnvironment,
  RingProducer,
  takeSlot,
  threadEnvironment,
} from '@ringbolt/ring'
import {
  LogClient,
  LogConsumer,
  MemoryStore,
  SegmentedLog,
  WATERMARK_BYTES,
  Watermarks,
} from '@ringbolt/wal'
import { CommandClient } from '../../client/command-client.ts'
import { apply, validate } from '../apply.ts'
import { CommandReader } from '../command.ts'
import { RefusalReader, RefusalWriter, refusalsBytes } from '../refusals.ts'
import {
  type CommandLog,
  type SinkTrees,
  StoreSink,
  type StoreSinkParts,
  type VersionedSpace,
} from '../store-sink.ts'
import { MapTrees } from './map-trees.ts'

const LOG_ID = new Uint8Array(16).fill(9)
const SLOTS = 4

export interface RigOptions {
  readonly ringBytes?: number
  readonly acknowledgedBy?: 'sync' | 'write'
  readonly wrapLog?: (log: CommandLog) => CommandLog
  readonly admit?: StoreSinkParts['admit']
  readonly environment?: RingEnvironment
  /** Given: groups get notes. */
  readonly wallMs?: () => number
  /** Other trees than maps, with a catalog. */
  readonly pages?: {
    readonly trees: SinkTrees
    readonly space: VersionedSpace
    readonly makeRoom: () => void
  }
}

export interface RigClient {
  readonly producer: RingProducer
  readonly log: LogClient
  readonly refusals: RefusalReader
  readonly commands: CommandClient
}

export class SinkRig {
  readonly store = new MemoryStore()
  readonly trees = new MapTrees()
  readonly log: SegmentedLog
  readonly sink: StoreSink
  readonly consumer: LogConsumer
  readonly ring: SharedArrayBuffer
  readonly marks: Watermarks
  readonly refusalsMemory = new AtomicsMemory(new SharedArrayBuffer(refusalsBytes(SLOTS)))
  /** What was published: version and sequence. */
  readonly published: [number, number][] = []
  readonly #environment: RingEnvironment
  #version = 0

  constructor(options: RigOptions = {}) {
    const { ringBytes = 4096, acknowledgedBy = 'sync', environment = threadEnvironment } = options
    this.#environment = environment
    this.trees.create(0, 1)
    this.log = SegmentedLog.open(this.store, {
      create: true,
      logId: LOG_ID,
      recordLengthMaxBytes: 2 ** 27,
    })
    this.ring = createRing({ capacityBytes: ringBytes, slotCount: SLOTS }, 0)
    this.marks = new Watermarks(new AtomicsMemory(new SharedArrayBuffer(WATERMARK_BYTES)))
    this.marks.format(0)
    this.sink = new StoreSink({
      log: options.wrapLog?.(this.log) ?? this.log,
      trees: options.pages?.trees ?? this.trees,
      space: options.pages?.space ?? {
        seal: () => ++this.#version,
        publish: (version, sequence) => this.published.push([version, sequence]),
        reclaim: () => false,
        takenPageIds: () => [],
      },
      refusals: new RefusalWriter(this.refusalsMemory),
      makeRoom: options.pages?.makeRoom ?? (() => undefined),
      admit: options.admit ?? (() => undefined),
      sequence: 0,
      address: 0,
      acknowledgedBy,
      groupBodyBytesMax: ringBytes,
      onPublished: () => undefined,
      wallMs: options.wallMs,
    })
    this.consumer = new LogConsumer(
      attachConsumer(this.ring),
      this.sink,
      this.marks,
      { kind: 'each' },
      () => 0,
    )
  }

  client(): RigClient {
    const ring = openRing(this.ring)
    const slot = takeSlot(ring, 1)
    const producer = new RingProducer(ring, slot, this.#environment)
    const log = new LogClient(producer, this.marks, 'durable', this.#environment)
    const refusals = new RefusalReader(this.refusalsMemory, slot)
    const commands = new CommandClient(log, refusals, slot, this.#environment, neverBusy)
    return { producer, log, refusals, commands }
  }

  /** All that is in the ring. */
  drain(): void {
    while (this.consumer.step());
  }

  /** Steps until the promise is settled, letting its callbacks run. */
  async settle<T>(promise: Promise<T>): Promise<T> {
    let settled = false
    const watched = (async (): Promise<void> => {
      await Promise.allSettled([promise])
      settled = true
    })()
    while (!settled) {
      this.drain()
      await new Promise((resolve) => setImmediate(resolve))
    }
    await watched
    return await promise
  }

  /** The maps that the log leads to. @throws when a record does not hold */
  replayed(): MapTrees {
    const trees = new MapTrees()
    trees.create(0, 1)
    const reader = new CommandReader()
    const noRoomNeeded = (): void => undefined
    for (const [ordinal, record] of this.records().entries()) {
      reader.open(record, 0, record.length)
      const refusal = validate(reader, trees, noRoomNeeded)
      if (refusal !== undefined) throw new Error(`record ${ordinal}: ${refusal.reason}`)
      reader.open(record, 0, record.length)
      apply(reader, trees, ordinal + 1, noRoomNeeded)
    }
    return trees
  }

  /** What stands in the log, record by record. */
  records(): Buffer[] {
    return Array.from(this.log.read(), ({ record }) => Buffer.from(record))
  }
}

function neverBusy(): Error {
  return new Error('refused as busy, with nobody else there')
}
