/** The ring as programs for the model checker: shipped producer and consumer code, nothing else. */
import { RingConsumer } from '../consumer.ts'
import type { RingEnvironment } from '../environment.ts'
import type { Program, ThreadContext } from '../model/index.ts'
import { RingProducer, takeSlot } from '../producer.ts'
import { formatRing, Ring, ringMemoryBytes } from '../ring.ts'
import { payload, recordsOf } from './records.ts'

/** A model has no clock and no event loop. */
export const modelEnvironment: RingEnvironment = {
  nowMs: () => 0,
  alive: (wakeUp) => wakeUp,
  after: () => () => undefined,
}

export interface RingProgram {
  readonly capacityBytes: number
  /** Per producer, the lengths of the records it appends. */
  readonly producers: readonly (readonly number[])[]
  readonly firstAddress?: number
  /** The producer (by index) that may die; the consumer is told of its proven death. */
  readonly mortal?: number
  /** Code under test other than the shipped: a planted bug. */
  readonly makeProducer?: (context: ThreadContext, slotIndex: number) => Appender
  readonly makeConsumer?: (context: ThreadContext) => RingConsumer
  /**
   * `sleeping` (default): drains until all has come, asleep in between. A number: drains so many times
   * beside the producers, then once more when they are over; far fewer interleavings.
   */
  readonly consumer?: 'sleeping' | number
  readonly executionsMax?: number
}

export interface Appender {
  append(record: Uint8Array): unknown
}

/** What the consumer drained, as copies, in order. */
export type Values = Record<string, Uint8Array | number | boolean>

export const recordOf = (producer: number, ordinal: number, length: number): Uint8Array =>
  payload(producer * 100 + ordinal * 10 + 1, length)

export function appendAll(context: ThreadContext, program: RingProgram, producer: number): number {
  const appender = program.makeProducer?.(context, producer) ?? shippedProducer(context, producer)
  for (const [ordinal, length] of program.producers[producer]!.entries()) {
    appender.append(recordOf(producer, ordinal, length))
  }
  return program.producers[producer]!.length
}

/** Slots are taken before the threads start, in order: thread n has slot n. */
export function shippedProducer(context: ThreadContext, slotIndex: number): RingProducer {
  return new RingProducer(new Ring(context.memory), slotIndex, modelEnvironment)
}

export function shippedConsumer(context: ThreadContext): RingConsumer {
  return new RingConsumer(new Ring(context.memory), modelEnvironment)
}

/** Drains until so many frames have come; with a mortal producer, until nothing more can come. */
function drainAll(context: ThreadContext, program: RingProgram, frames: number): Uint8Array {
  const consumer = program.makeConsumer?.(context) ?? shippedConsumer(context)
  const runs: Uint8Array[] = []
  let drained = 0
  while (drained < frames) {
    if (consumer.fold() === 0) {
      consumer.waitForRecords(Number.POSITIVE_INFINITY)
      continue
    }
    consumer.readCommitted((run) => runs.push(Uint8Array.from(run)))
    drained += consumer.drainableRecords
    consumer.free()
  }
  return Uint8Array.from(runs.flatMap((run) => [...run]))
}

/** Producers, one consumer that drains all; each record must come out once, whole, in order. */
export function ringProgram(program: RingProgram): Program<Values> {
  const sizes = { capacityBytes: program.capacityBytes, slotCount: program.producers.length }
  const frames = program.producers.flat().length
  const threads: Record<string, (context: ThreadContext) => Uint8Array | number | boolean> = {}
  for (const index of program.producers.keys()) {
    threads[`p${index}`] = (context) => appendAll(context, program, index)
  }
  const racing = program.consumer ?? 'sleeping'
  const survivors = frames - (program.mortal === undefined ? 0 : mortalFrames(program))
  threads['consumer'] = (context) => drainAll(context, program, survivors)
  if (program.mortal !== undefined) {
    const { mortal } = program
    threads['consumer'] = (context) => drainWithDeath(context, program, mortal)
    threads['reaper'] = (context) => reap(context, mortal)
  }
  if (racing !== 'sleeping')
    threads['consumer'] = (context) => drainRacing(context, program, racing)
  return {
    memoryBytes: ringMemoryBytes(sizes),
    threads,
    setup: (memory) => {
      formatRing(memory, sizes, program.firstAddress)
      const ring = new Ring(memory)
      for (const index of program.producers.keys()) takeSlot(ring, index)
    },
    finish: (_, values) => checkDrained(program, values['consumer']),
    ...(program.executionsMax === undefined ? {} : { executionsMax: program.executionsMax }),
  }
}

function mortalFrames(program: RingProgram): number {
  return program.producers[program.mortal!]!.length
}

/** Waits for the proof of the death, as a parent waits for `exit`, and tells the ring. */
function reap(context: ThreadContext, mortal: number): boolean {
  const died = context.awaitDeath(`p${mortal}`)
  new Ring(context.memory).reportThreadDeath(mortal)
  return died
}

/** Drains until the survivors' records are all there and the dead one's place is free again. */
function drainWithDeath(context: ThreadContext, program: RingProgram, mortal: number): Uint8Array {
  const consumer = program.makeConsumer?.(context) ?? shippedConsumer(context)
  const owed = program.producers.flatMap((lengths, index) => (index === mortal ? [] : lengths))
  const runs: Uint8Array[] = []
  let fromSurvivors = 0
  for (;;) {
    if (consumer.fold() > 0) {
      const from = runs.length
      consumer.readCommitted((run) => runs.push(Uint8Array.from(run)))
      consumer.free()
      const { records } = recordsOf(Uint8Array.from(runs.slice(from).flatMap((run) => [...run])))
      fromSurvivors += records.filter((record) => !isOf(program, mortal, record)).length
      continue
    }
    if (fromSurvivors === owed.length && consumer.ring.producersAttached < 1 + owedSlots(program)) {
      return Uint8Array.from(runs.flatMap((run) => [...run]))
    }
    consumer.waitForRecords(Number.POSITIVE_INFINITY)
  }
}

/** Drains beside the producers, then when all others are over. */
function drainRacing(context: ThreadContext, program: RingProgram, times: number): Uint8Array {
  const consumer = program.makeConsumer?.(context) ?? shippedConsumer(context)
  const runs: Uint8Array[] = []
  const drain = (): number => {
    const bytes = consumer.fold()
    consumer.readCommitted((run) => runs.push(Uint8Array.from(run)))
    consumer.free()
    return bytes
  }
  for (let time = 0; time < times; time++) drain()
  for (const index of program.producers.keys()) context.awaitDeath(`p${index}`)
  if (program.mortal !== undefined) context.awaitDeath('reaper')
  while (drain() > 0);
  if (consumer.ring.occupiedBytes > 0) throw new Error('something stays in the ring for good')
  if (program.mortal !== undefined && consumer.ring.producersAttached > owedSlots(program)) {
    throw new Error("the dead producer's slot did not come back")
  }
  return Uint8Array.from(runs.flatMap((run) => [...run]))
}

/** Survivors stay attached; the dead one's slot must come back. */
function owedSlots(program: RingProgram): number {
  return program.producers.length - 1
}

function isOf(program: RingProgram, producer: number, record: Uint8Array): boolean {
  return program.producers[producer]!.some(
    (length, ordinal) => Buffer.compare(record, recordOf(producer, ordinal, length)) === 0,
  )
}

function checkDrained(program: RingProgram, drained: Values[string] | undefined): void {
  if (!(drained instanceof Uint8Array)) throw new Error('the consumer did not finish')
  const { records, aborts } = recordsOf(drained)
  const next = program.producers.map(() => 0)
  for (const record of records) {
    const producer = next.findIndex((ordinal, index) => {
      const length = program.producers[index]![ordinal]
      return length !== undefined && Buffer.compare(record, recordOf(index, ordinal, length)) === 0
    })
    if (producer < 0) throw new Error(`a record that is nobody's next: ${record.join(' ')}`)
    next[producer]!++
  }
  for (const [index, lengths] of program.producers.entries()) {
    if (index !== program.mortal && next[index] !== lengths.length) {
      throw new Error(`producer ${index}: ${next[index]} of ${lengths.length} records drained`)
    }
  }
  const deaths = program.mortal === undefined ? 0 : 1
  if (aborts.length > deaths) throw new Error(`${aborts.length} ranges closed, ${deaths} deaths`)
  if (aborts.some((abort) => abort.some((byte) => byte !== 0))) {
    throw new Error('a closed range holds bytes of the dead')
  }
}
