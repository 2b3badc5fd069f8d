/** Slots by which checkpoints are kept: who asks, who answers, who dies. */
import { AtomicsMemory } from '@ringbolt/ring'
import { describe, expect, test } from 'vitest'
import type { Meta } from '../space/meta.ts'
import type { SpacePin } from '../space/shared-space.ts'
import { freeHolds, HeldCheckpoints, HOLDS_BYTES, Holds } from './holds.ts'

const reference = { pageId: 7, checksum: 0xfedc_ba98 }
const meta: Meta = {
  clean: false,
  checkpoint: 12,
  sequence: 2 ** 40 + 5,
  databaseId: new Uint8Array(16).fill(1),
  logId: new Uint8Array(16).fill(2),
  logLsn: 88,
  baseSequence: 3,
  pageCount: 100,
  freeCount: 4,
  freeList: { pageId: 8, checksum: 3 },
  directory: [reference, ...Array.from({ length: 7 }, () => ({ pageId: 0, checksum: 0 }))],
}

function pinOf(version: number): SpacePin {
  const directory = { pages: new Uint32Array(8), checksums: new Uint32Array(8) }
  return { version, sequence: version, directory }
}

function setUp(): {
  memory: AtomicsMemory
  unpinned: number[]
  held: HeldCheckpoints
} {
  const memory = new AtomicsMemory(new SharedArrayBuffer(HOLDS_BYTES))
  const unpinned: number[] = []
  const space = { unpin: ({ version }: SpacePin) => void unpinned.push(version) }
  return { memory, unpinned, held: new HeldCheckpoints(memory, space) }
}

describe('M5: held checkpoints', () => {
  test('a checkpoint answers those who asked before it began, and stays until all have let go', () => {
    const { memory, unpinned, held } = setUp()
    const holds = new Holds(memory, 0)
    const [first, second] = [holds.ask(), holds.ask()]
    const asked = held.asked()
    const late = holds.ask()
    held.keep(asked, pinOf(5), meta)
    expect(holds.heldMeta(first)).toEqual(meta)
    expect(holds.heldMeta(second)).toEqual(meta)
    expect(holds.heldMeta(late)).toBeUndefined()
    holds.release(first)
    held.reclaim()
    expect(unpinned).toEqual([])
    holds.release(second)
    expect(held.reclaim()).toBe(true)
    expect(unpinned).toEqual([5])
    expect(held.reclaim()).toBe(false)
  })

  test('without anybody who wants it the pin goes at once', () => {
    const { memory, unpinned, held } = setUp()
    held.keep(held.asked(), pinOf(1), meta)
    const holds = new Holds(memory, 0)
    const slot = holds.ask()
    const asked = held.asked()
    holds.release(slot)
    held.keep(asked, pinOf(2), meta)
    expect(unpinned).toEqual([1, 2])
  })

  test('a slot that is taken anew, before the sequencer looked, lets go of the old pin', () => {
    const { memory, unpinned, held } = setUp()
    const holds = new Holds(memory, 0)
    held.keep([holds.ask()], pinOf(1), meta)
    holds.release(0)
    const other = new Holds(memory, 1)
    expect(other.ask()).toBe(0)
    held.keep(held.asked(), pinOf(2), { ...meta, checkpoint: 13 })
    expect(other.heldMeta(0)?.checkpoint).toBe(13)
    expect(unpinned).toEqual([1])
  })

  test('a death frees the slots of that thread alone; more than there are is refused', () => {
    const { memory, unpinned, held } = setUp()
    const [mortal, other] = [new Holds(memory, 3), new Holds(memory, 4)]
    const dead = mortal.ask()
    const living = other.ask()
    held.keep(held.asked(), pinOf(9), meta)
    for (let slot = 2; slot < 16; slot++) mortal.ask()
    expect(() => other.ask()).toThrow(expect.objectContaining({ code: 'RINGBOLT_FULL' }))
    freeHolds(memory, 3)
    held.reclaim()
    expect(unpinned).toEqual([])
    expect(other.heldMeta(living)).toEqual(meta)
    expect(other.heldMeta(dead)).toBeUndefined()
    other.release(living)
    held.reclaim()
    expect(unpinned).toEqual([9])
    for (let slot = 0; slot < 16; slot++) other.ask()
  })
})
