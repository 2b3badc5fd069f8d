/** One model memory as three: a ring, the watermarks, and a word that stands for the disk. */
import {
  formatRing,
  Ring,
  ringMemoryBytes,
  type SharedMemory,
  takeSlot,
  type WaitResult,
} from '@ringbolt/ring'
import { WATERMARK_BYTES, Watermarks } from '../watermarks.ts'

const CAPACITY_BYTES = 64
const DISK_BYTES = 4

export interface Split {
  readonly ring: SharedMemory
  readonly marks: SharedMemory
  readonly disk: SharedMemory
}

/** A part of a memory, with positions of its own. */
class PartMemory implements SharedMemory {
  readonly byteLength: number
  readonly #memory: SharedMemory
  readonly #byteOffset: number
  readonly #wordOffset: number

  constructor(memory: SharedMemory, byteOffset: number, byteLength: number) {
    this.byteLength = byteLength
    this.#memory = memory
    this.#byteOffset = byteOffset
    this.#wordOffset = byteOffset / 4
  }

  load(word: number): number {
    return this.#memory.load(this.#wordOffset + word)
  }
  store(word: number, value: number): void {
    this.#memory.store(this.#wordOffset + word, value)
  }
  add(word: number, delta: number): number {
    return this.#memory.add(this.#wordOffset + word, delta)
  }
  exchange(word: number, value: number): number {
    return this.#memory.exchange(this.#wordOffset + word, value)
  }
  compareExchange(word: number, expected: number, replacement: number): number {
    return this.#memory.compareExchange(this.#wordOffset + word, expected, replacement)
  }
  wait(word: number, expected: number, timeoutMs: number): WaitResult {
    return this.#memory.wait(this.#wordOffset + word, expected, timeoutMs)
  }
  waitAsync(
    word: number,
    expected: number,
    timeoutMs: number,
  ): ReturnType<SharedMemory['waitAsync']> {
    return this.#memory.waitAsync(this.#wordOffset + word, expected, timeoutMs)
  }
  notify(word: number, count: number): number {
    return this.#memory.notify(this.#wordOffset + word, count)
  }
  bytesIn(byteOffset: number, source: Uint8Array): void {
    this.#memory.bytesIn(this.#byteOffset + byteOffset, source)
  }
  bytesOut(byteOffset: number, byteLength: number): Uint8Array {
    return this.#memory.bytesOut(this.#byteOffset + byteOffset, byteLength)
  }
  zero(byteOffset: number, byteLength: number): void {
    this.#memory.zero(this.#byteOffset + byteOffset, byteLength)
  }
}

export function split(memory: SharedMemory, slotCount: number): Split {
  const ringBytes = ringMemoryBytes({ capacityBytes: CAPACITY_BYTES, slotCount })
  return {
    ring: new PartMemory(memory, 0, ringBytes),
    marks: new PartMemory(memory, ringBytes, WATERMARK_BYTES),
    disk: new PartMemory(memory, ringBytes + WATERMARK_BYTES, DISK_BYTES),
  }
}

/** What a program over a ring with that many producers starts from: producer n has slot n. */
export function ringAndMarks(slotCount: number): {
  readonly memoryBytes: number
  readonly marksBytes: number
  setup(memory: SharedMemory): void
} {
  const sizes = { capacityBytes: CAPACITY_BYTES, slotCount }
  return {
    memoryBytes: ringMemoryBytes(sizes) + WATERMARK_BYTES + DISK_BYTES,
    marksBytes: WATERMARK_BYTES,
    setup(memory) {
      const parts = split(memory, slotCount)
      formatRing(parts.ring, sizes)
      for (let slot = 0; slot < slotCount; slot++) takeSlot(new Ring(parts.ring), slot)
      new Watermarks(parts.marks).format(0)
    },
  }
}
