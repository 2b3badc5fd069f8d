export type { WaitOptions } from './append-queue.ts'
export { poisonRing, RingConsumer } from './consumer.ts'
export { currentThreadId, type RingEnvironment, threadEnvironment } from './environment.ts'
export {
  type ErrorFacts,
  errorFromPlain,
  errorToPlain,
  isRingboltError,
  type PlainError,
  RingboltError,
} from './errors.ts'
export {
  FRAME_ABORTED,
  FRAME_HEADER_BYTES,
  FRAME_LENGTH_MASK,
  frameBytes,
  UNIT_BYTES as FRAME_ALIGNMENT_BYTES,
} from './layout.ts'
export { RingProducer, type Ticket, takeSlot } from './producer.ts'
export {
  assertRingSizes,
  formatRing,
  Ring,
  type RingAddress,
  type RingSizes,
  ringMemoryBytes,
} from './ring.ts'
export {
  NoSlotError,
  RecordTooLargeError,
  RingClosedError,
  RingCorruptError,
  RingFullError,
  RingNotDrainedError,
  RingPoisonedError,
} from './ring-errors.ts'
export { AtomicsMemory, type SharedMemory, type WaitResult } from './shared-memory.ts'
export { attachConsumer, attachProducer, createRing, openRing } from './shared-ring.ts'
