/** When a read has to wait for what others have acknowledged, and when it need not. */
import { AtomicsMemory } from '@ringbolt/ring'
import { describe, expect, test } from 'vitest'
import { Control, controlBytes } from './control.ts'
import { Freshness } from './freshness.ts'
import { encodeSharedHead } from './shared-head.ts'

/** Another process writes; the sequencer here follows at once when it is woken, if it may. */
class Rig {
  readonly control = new Control(new AtomicsMemory(new SharedArrayBuffer(controlBytes(1))))
  readonly freshness: Freshness
  looks = 0
  wakes = 0
  nowMs = 1000
  follows = true
  #epoch = 0
  #isNew = false

  constructor(stalenessMs: number) {
    this.freshness = new Freshness({
      control: this.control,
      board: {
        readNew: () => {
          this.looks++
          if (!this.#isNew) return undefined
          this.#isNew = false
          const said = new DataView(new ArrayBuffer(64))
          encodeSharedHead(said, { lsn: 8, epoch: this.#epoch, checkpoint: 1, pageEnd: 9, log: 7 })
          return said
        },
        close: () => undefined,
      },
      stalenessMs,
      nowMs: () => this.nowMs,
      wakeSequencer: () => {
        this.wakes++
        if (this.follows) this.control.followed(this.#epoch)
      },
      assertOpen: () => {
        if (!this.follows) throw new Error('would wait')
      },
    })
  }

  /** The other one acknowledges something. */
  commit(): number {
    this.#isNew = true
    return ++this.#epoch
  }

  readAt(nowMs: number): void {
    this.nowMs = nowMs
    this.freshness.ensure()
  }
}

describe('without a bound', () => {
  test('M4: each read looks, and waits for what was acknowledged before it', () => {
    const rig = new Rig(0)
    rig.freshness.ensure()
    expect([rig.looks, rig.wakes]).toEqual([1, 0])
    const epoch = rig.commit()
    rig.freshness.ensure()
    expect(rig.control.hasFollowed(epoch)).toBe(true)
    expect([rig.looks, rig.wakes]).toEqual([2, 1])
    rig.freshness.ensure()
    expect([rig.looks, rig.wakes]).toEqual([3, 1])
    rig.follows = false
    rig.commit()
    expect(() => rig.freshness.ensure()).toThrow('would wait')
  })

  test('M4: in its own turn nobody looks', () => {
    const rig = new Rig(0)
    rig.control.setTurn(true)
    rig.commit()
    rig.freshness.ensure()
    expect([rig.looks, rig.wakes]).toEqual([0, 0])
  })
})

describe('with a bound of 100 ms', () => {
  test('M4: who reads all the time looks four times within it, and waits only for what is as old as that', () => {
    const rig = new Rig(100)
    rig.commit()
    rig.readAt(1000)
    expect(rig.looks).toBe(1)
    // Nobody follows any more.
    rig.follows = false
    const late = rig.commit()
    for (let nowMs = 1000; nowMs < 1025; nowMs++) rig.readAt(nowMs)
    expect(rig.looks).toBe(1)
    // Seen, asked for, not waited for: it was acknowledged 25 ms ago at the most.
    rig.readAt(1025)
    expect([rig.looks, rig.control.freshWanted]).toEqual([2, true])
    rig.readAt(1049)
    expect(() => rig.readAt(1050)).toThrow('would wait')
    rig.follows = true
    rig.readAt(1076)
    expect(rig.control.hasFollowed(late)).toBe(true)
  })

  test('M4: who has not read for long waits for the newest', () => {
    const rig = new Rig(100)
    rig.readAt(1000)
    const epoch = rig.commit()
    rig.readAt(1200)
    expect(rig.control.hasFollowed(epoch)).toBe(true)
    rig.follows = false
    rig.commit()
    expect(() => rig.readAt(1276)).toThrow('would wait')
    rig.follows = true
    rig.readAt(1400)
  })
})
