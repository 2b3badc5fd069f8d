/** Holds of the log under the model checker: whatever the sequencer sees, no reader needs what is before it. */
import type { SharedMemory } from '@ringbolt/ring'
import { assertHolds, check, type Program } from '@ringbolt/ring/model'
import { expect, test } from 'vitest'
import { formatLogHolds, freeLogHolds, LogHolds } from './log-holds.ts'

const HALF = 2 ** 31
const HOLD_BYTES = 16
/** Behind the only hold: how far its reader has said that it is, before it says so; that the next one has the hold. */
const SAID_WORD = 4
const NEXT_WORD = 5
const STEPS: readonly number[] = [5 * HALF + 7, 6 * HALF - 1, 6 * HALF + 3]
const NEXT = 100

/** A reader goes on over the boundary of its words and ends; another takes the hold. */
function program(
  look: (memory: SharedMemory) => number | undefined,
): Program<Record<string, string>> {
  return {
    memoryBytes: HOLD_BYTES + 8,
    setup: formatLogHolds,
    threads: {
      reader({ memory }) {
        const holds = new LogHolds(memory)
        memory.store(SAID_WORD, 1)
        const hold = holds.take(1, STEPS[0]!)
        for (let at = 1; at < STEPS.length; at++) {
          memory.store(SAID_WORD, at + 1)
          hold.moveTo(STEPS[at]!)
        }
        memory.store(SAID_WORD, 0)
        freeLogHolds(memory, 1)
        holds.take(2, NEXT)
        memory.store(NEXT_WORD, 1)
        return ''
      },
      sequencer({ memory }) {
        // What is held before the look must be seen by it.
        const hasNext = memory.load(NEXT_WORD) === 1
        const oldest = look(memory)
        const said = memory.load(SAID_WORD)
        if (hasNext && oldest !== NEXT) return `the next reader needs ${NEXT}, not ${oldest}`
        // Which of the two it saw does not matter, but no mixture.
        const bound = said === 0 ? STEPS.at(-1)! : STEPS[said - 1]!
        const isSound = oldest === undefined || oldest <= bound
        return isSound ? `saw ${oldest}` : `saw ${oldest}, read up to ${bound}`
      },
    },
    finish(_, { sequencer }) {
      if (sequencer?.startsWith('saw') !== true || sequencer.includes(',')) {
        throw new Error(sequencer)
      }
    },
  }
}

test('M9: the log is kept from where its slowest reader is, or from before', () => {
  const report = check(program((memory) => new LogHolds(memory).oldest()))
  console.log(`log holds: ${report.executions} executions, ${report.stepsTotal} steps`)
  assertHolds(report)
})

test('M9: the checker bites: a look that takes the low word first is found', () => {
  const look = (memory: SharedMemory): number | undefined => {
    if (memory.load(0) === 0) return undefined
    const low = memory.load(1)
    const high = memory.load(2)
    return high < 0 ? undefined : high * HALF + low
  }
  expect(() => assertHolds(check(program(look)))).toThrow('read up to')
})
