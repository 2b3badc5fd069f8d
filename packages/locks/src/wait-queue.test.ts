/** The queue's order and patience, with a clock that the test moves. */
import { describe, expect, test } from 'vitest'
import { LOCK_FILE_BYTES, SLOT_BYTES, SLOT_COUNT, SLOTS_OFFSET } from './layout.ts'
import { nodePlatform } from './node-platform.ts'
import type { OpenFile, Platform } from './platform.ts'
import { PATIENCE_MS, type Place, WaitQueue } from './wait-queue.ts'

class MemoryFile implements OpenFile {
  readonly path = 'memory'
  readonly descriptor = -1
  readonly identity = { device: 0n, inode: 0n }
  readonly bytes = new Uint8Array(LOCK_FILE_BYTES)

  length(): number {
    return this.bytes.length
  }
  read(position: number, target: Uint8Array): number {
    target.set(this.bytes.subarray(position, position + target.length))
    return target.length
  }
  write(position: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, position)
  }
  sync(): void {}
  close(): void {}
}

interface Setting {
  readonly file: MemoryFile
  readonly queue: WaitQueue
  readonly pass: (durationMs: number) => void
}

/** Tokens count up from `firstToken`: they choose the slots. */
function setting(firstToken = 0): Setting {
  let nowMs = 1_000
  let token = firstToken
  const file = new MemoryFile()
  const platform: Platform = {
    ...nodePlatform,
    clock: { ...nodePlatform.clock, monotonicMs: () => nowMs },
    randomBytes: (count) => {
      const bytes = new Uint8Array(count)
      new DataView(bytes.buffer).setUint32(0, token++, true)
      return bytes
    },
  }
  return {
    file,
    queue: new WaitQueue(file, platform),
    pass: (durationMs) => {
      nowMs += durationMs
    },
  }
}

describe('wait queue', () => {
  test('L3: who came earlier is ahead; leaving moves the others up', () => {
    const { queue, pass } = setting()
    const places: Place[] = []
    for (let index = 0; index < 4; index++) {
      places.push(queue.join())
      pass(1)
    }
    expect(places.map((place) => queue.ahead(place))).toEqual([0, 1, 2, 3])
    expect(queue.ahead(null)).toBe(4)
    queue.leave(places[1] ?? queue.join())
    expect([0, 2, 3].map((index) => queue.ahead(places[index] ?? null))).toEqual([0, 1, 2])
    expect(queue.count()).toBe(3)
  })

  test('L3: two who came at the same moment have an order', () => {
    const { queue } = setting()
    const places = [queue.join(), queue.join()]
    expect(places.map((place) => queue.ahead(place))).toEqual([0, 1])
  })

  test('L3: one that shows no sign of life is passed over, and has its place again when it does', () => {
    const { queue, pass } = setting()
    const still = queue.join()
    pass(1)
    let moving = queue.join()
    for (let passedMs = 0; passedMs <= PATIENCE_MS; passedMs += 50) {
      expect(queue.ahead(moving)).toBe(passedMs < PATIENCE_MS ? 1 : 0)
      pass(50)
      moving = queue.keep(moving)
    }
    expect(queue.ahead(moving)).toBe(0)
    queue.keep(still)
    expect(queue.ahead(moving)).toBe(1)
  })

  test('an overwritten waiter finds another slot and keeps its arrival', () => {
    const { queue, file, pass } = setting()
    const first = queue.join()
    pass(1)
    const second = queue.join()
    const slot = SLOTS_OFFSET + (first.slotIndex ?? 0) * SLOT_BYTES
    const usurper = SLOTS_OFFSET + (second.slotIndex ?? 0) * SLOT_BYTES
    file.write(slot, file.bytes.slice(usurper, usurper + SLOT_BYTES))
    const moved = queue.keep(first)
    expect(moved.slotIndex).not.toBe(first.slotIndex)
    expect(moved.arrivalMs).toBe(first.arrivalMs)
    expect(queue.ahead(moved)).toBe(0)
    queue.leave(first)
    expect(queue.ahead(moved)).toBe(0)
  })

  test('more waiters than slots: the rest wait behind all, and move in when one leaves', () => {
    const { queue, pass } = setting(7)
    const places: Place[] = []
    for (let index = 0; index <= SLOT_COUNT; index++) {
      places.push(queue.join())
      pass(1)
    }
    const last = places[SLOT_COUNT] ?? queue.join()
    expect(last.slotIndex).toBeNull()
    expect(queue.ahead(last)).toBe(SLOT_COUNT)
    expect(queue.keep(last).slotIndex).toBeNull()
    queue.leave(places[3] ?? last)
    const placed = queue.keep(last)
    expect(placed.slotIndex).toBe(places[3]?.slotIndex)
    expect(queue.ahead(placed)).toBe(SLOT_COUNT - 1)
  })

  test('slots from another boot, torn ones and rubbish count for nothing', () => {
    const { queue, file, pass } = setting()
    pass(10_000)
    queue.join()
    pass(-10_000)
    expect(queue.count()).toBe(0)
    pass(10_000)
    expect(queue.count()).toBe(1)
    for (let offset = 0; offset < SLOT_BYTES; offset++) {
      const whole = file.bytes.slice()
      const at = SLOTS_OFFSET + offset
      file.bytes[at] = (file.bytes[at] ?? 0) ^ 0xff
      expect(queue.count()).toBe(0)
      file.bytes.set(whole)
    }
    file.bytes.fill(0xff, SLOTS_OFFSET)
    expect(queue.count()).toBe(0)
  })
})
