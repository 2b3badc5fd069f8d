/** The ring as a thread uses it: real shared memory, the thread's clock, event loop and id. */
import { RingConsumer } from './consumer.ts'
import { currentThreadId, threadEnvironment } from './environment.ts'
import { RingProducer, takeSlot } from './producer.ts'
import { formatRing, Ring, type RingSizes, ringMemoryBytes } from './ring.ts'
import { AtomicsMemory } from './shared-memory.ts'

const SLOT_COUNT_DEFAULT = 64

/**
 * Makes a ring. Hand the buffer to other threads by `workerData` or `postMessage`.
 * @param sizes `capacityBytes` a power of two from 64 to 2^30; `slotCount` producers, 64 by default
 * @param firstAddress address of the first record, a multiple of 8
 * @throws RangeError for sizes out of bounds
 */
export function createRing(
  sizes: { readonly capacityBytes: number; readonly slotCount?: number },
  firstAddress = 0,
): SharedArrayBuffer {
  const whole: RingSizes = { slotCount: SLOT_COUNT_DEFAULT, ...sizes }
  const buffer = new SharedArrayBuffer(ringMemoryBytes(whole))
  formatRing(new AtomicsMemory(buffer), whole, firstAddress)
  return buffer
}

/** @throws RingCorruptError when the buffer holds no ring, or another version's */
export function openRing(buffer: SharedArrayBuffer): Ring {
  return new Ring(new AtomicsMemory(buffer))
}

/** @throws NoSlotError when all producer slots are taken */
export function attachProducer(buffer: SharedArrayBuffer): RingProducer {
  const ring = openRing(buffer)
  return new RingProducer(ring, takeSlot(ring, currentThreadId), threadEnvironment)
}

/** @throws NoSlotError when the ring has a consumer */
export function attachConsumer(buffer: SharedArrayBuffer): RingConsumer {
  return new RingConsumer(openRing(buffer), threadEnvironment)
}
