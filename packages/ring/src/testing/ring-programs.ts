/** The ring as programs for the model checker: shipped producer and consumer code, nothing else. */
import { RingConsumer } from '../consumer.ts'
import type { RingEnvironment } from '../environment.ts'
import type { Program, ThreadContext } from '../model/index.ts'
import { RingProducer, takeSlot } from '../producer.ts'
import { formatRing, Ring, ringMemoryBytes } from '../ring.ts'
import type { SharedMemory } from '../shared-memory.ts'
import { PassingMemory } from './planted-bugs.ts'
import { payload, recordsOf } from './records.ts'

/** A model has no clock and no event loop. */
const modelEnvironment: RingEnvironment = {
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
  /** A memory that makes a thread's accesses go wrong: a planted bug. */
  readonly producerMemory?: (memory: SharedMemory, slotIndex: number) => SharedMemory
  readonly consumerMemory?: (memory: SharedMemory) => SharedMemory
  readonly reaperMemory?: (memory: SharedMemory) => SharedMemory
  /**
   * `sleeping` (default): drains until all has come, asleep in between. A number: drains so many times
   * beside the producers, then once more when they are over; far fewer interleavings.
   */
  readonly consumer?: 'sleeping' | number
  readonly executionsMax?: number
}

/** What the consumer drained, as copies, in order. */
type Values = Record<string, Uint8Array | number | boolean>

const recordOf = (producer: number, ordinal: number, length: number): Uint8Array =>
  payload(producer * 100 + ordinal * 10 + 1, length)

/** Slots are taken before the threads start, in order: producer n has slot n. */
function appendAll({ memory }: ThreadContext, program: RingProgram, index: number): number {
  const own = program.producerMemory?.(memory, index) ?? memory
  const producer = new RingProducer(new Ring(own), index, modelEnvironment)
  for (const [ordinal, length] of program.producers[index]!.entries()) {
    producer.append(recordOf(index, ordinal, length))
  }
  return program.producers[index]!.length
}

function consumerOf({ memory }: ThreadContext, program: RingProgram): RingConsumer {
  return new RingConsumer(new Ring(program.consumerMemory?.(memory) ?? memory), modelEnvironment)
}

/** Drains until so many frames have come; with a mortal producer, until nothing more can come. */
function drainAll(context: ThreadContext, program: RingProgram, frames: number): Uint8Array {
  const consumer = consumerOf(context, program)
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
    threads['reaper'] = (context) => reap(context, program, mortal)
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
function reap(context: ThreadContext, program: RingProgram, mortal: number): boolean {
  const died = context.awaitDeath(`p${mortal}`)
  const memory = program.reaperMemory?.(context.memory) ?? context.memory
  new Ring(memory).reportThreadDeath(mortal)
  return died
}

/** Drains until the survivors' records are all there and the dead one's place is free again. */
function drainWithDeath(context: ThreadContext, program: RingProgram, mortal: number): Uint8Array {
  const consumer = consumerOf(context, program)
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
  const consumer = consumerOf(context, program)
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

/** Ends a thread's work before an access, for good, as a termination does. */
class Ended extends Error {}

class MortalMemory extends PassingMemory {
  #accessesLeft: number

  constructor(memory: SharedMemory, accesses: number) {
    super(memory)
    this.#accessesLeft = accesses
  }

  protected override before(): void {
    if (this.#accessesLeft-- <= 0) throw new Ended()
  }
}

/**
 * Producers 0 and 1 die after so many accesses, producer 2 lives; the consumer drains when all is
 * over. The checker kills one thread at the most, so these two are ended by their memory.
 */
export function twoDeathsProgram(
  accesses: readonly [number, number],
  lengths: readonly [number, number, number],
): Program<Values> {
  const program: RingProgram = {
    capacityBytes: 64,
    producers: lengths.map((length) => [length]),
    consumer: 0,
    producerMemory: (memory, slot) =>
      slot === 2 ? memory : new MortalMemory(memory, accesses[slot]!),
  }
  const base = ringProgram(program)
  const dying = (index: number) => (context: ThreadContext) => {
    try {
      return appendAll(context, program, index)
    } catch (error) {
      if (!(error instanceof Ended)) throw error
      return -1
    }
  }
  return {
    ...base,
    threads: {
      p0: dying(0),
      p1: dying(1),
      p2: (context) => appendAll(context, program, 2),
      consumer: (context) => {
        for (const name of ['p0', 'p1', 'p2']) context.awaitDeath(name)
        const ring = new Ring(context.memory)
        ring.reportThreadDeath(0)
        ring.reportThreadDeath(1)
        return drainRacing(context, program, 0)
      },
    },
    finish: (_, values) => checkTwoDeaths(values, lengths),
  }
}

function checkTwoDeaths(values: Partial<Values>, lengths: readonly number[]): void {
  const drained = values['consumer']
  if (!(drained instanceof Uint8Array)) throw new Error('the consumer did not finish')
  const { records, aborts } = recordsOf(drained)
  const whole = lengths.map(
    (length, index) =>
      records.filter((record) => Buffer.compare(record, recordOf(index, 0, length)) === 0).length,
  )
  if (records.length !== whole.reduce((sum, count) => sum + count, 0) || whole[2] !== 1) {
    throw new Error(`drained ${records.length} records, whole ones by producer: ${whole.join(' ')}`)
  }
  for (const index of [0, 1]) {
    if (whole[index]! > 1) throw new Error(`producer ${index}: its record came twice`)
    if (values[`p${index}`] === 1 && whole[index] !== 1) {
      throw new Error(`producer ${index} published and its record is not there`)
    }
  }
  if (aborts.length > 2) throw new Error(`${aborts.length} ranges closed, 2 deaths`)
}
