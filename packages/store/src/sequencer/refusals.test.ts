/** Refusals in plain memory, and under the model checker: the shipped code beside a mark. */
import { AtomicsMemory, type SharedMemory } from '@ringbolt/ring'
import { assertHolds, check, type Program } from '@ringbolt/ring/model'
import { expect, test } from 'vitest'
import {
  OutcomeUnknownError,
  REFUSALS_IN_FLIGHT_MAX,
  RefusalReader,
  RefusalWriter,
  refusalsBytes,
} from './refusals.ts'

const CONFLICT = { reason: 'conflict', operation: 3 } as const
const FULL = { reason: 'full', operation: 2 ** 28 - 1 } as const

function memory(slots = 2): SharedMemory {
  return new AtomicsMemory(new SharedArrayBuffer(refusalsBytes(slots)))
}

test('a refusal is found by its address, once, by its client alone', () => {
  const shared = memory()
  const own = new RefusalReader(shared, 1)
  const other = new RefusalReader(shared, 0)
  const writer = new RefusalWriter(shared)
  writer.refuse(1, 2 ** 40 + 8, CONFLICT)
  writer.refuse(1, 2 ** 40 + 64, FULL)
  expect(other.take(2 ** 40 + 8)).toBeUndefined()
  expect(own.take(2 ** 40 + 64)).toEqual(FULL)
  expect(own.take(2 ** 40 + 16)).toBeUndefined()
  expect(own.take(2 ** 40 + 8)).toEqual(CONFLICT)
  expect(own.take(2 ** 40 + 8)).toBeUndefined()
})

test('S11: a slot that is not there is nobody’s', () => {
  const shared = memory(1)
  const writer = new RefusalWriter(shared)
  for (const slot of [1, 2, 0xffff]) writer.refuse(slot, 8, CONFLICT)
  expect(new RefusalReader(shared, 0).take(8)).toBeUndefined()
})

test('as many as can be in flight are all kept, over many rounds', () => {
  const shared = memory()
  const writer = new RefusalWriter(shared)
  const reader = new RefusalReader(shared, 0)
  let address = 0
  for (let round = 0; round < 5; round++) {
    const first = address
    for (let at = 0; at < REFUSALS_IN_FLIGHT_MAX; at++, address += 8) {
      writer.refuse(0, address, { reason: 'definition', operation: at })
    }
    for (let at = 0; at < REFUSALS_IN_FLIGHT_MAX; at++) {
      expect(reader.take(first + at * 8)).toEqual({ reason: 'definition', operation: at })
    }
  }
})

test('S11: garbage in a client’s name makes an answer unknown, never a refusal a commit', () => {
  const shared = memory()
  const writer = new RefusalWriter(shared)
  const reader = new RefusalReader(shared, 0)
  writer.refuse(0, 0, CONFLICT)
  for (let at = 1; at <= 3000; at++) writer.refuse(0, at * 8, { reason: 'malformed', operation: 0 })
  expect(() => reader.take(0)).toThrow(OutcomeUnknownError)
  expect(reader.take(3000 * 8)).toEqual({ reason: 'malformed', operation: 0 })
  expect(reader.take(3001 * 8)).toBeUndefined()
  reader.forget()
  expect(reader.take(8)).toBeUndefined()
})

/** Two words behind the refusals: the mark, and that the client has sent its commands. */
const MARK_WORD = refusalsBytes(1) / 4
const SENT_WORD = MARK_WORD + 1

/** Three commands of which the first and the last are refused. @param late the planted bug: mark first */
function program(late: boolean): Program<Record<string, string>> {
  return {
    memoryBytes: refusalsBytes(1) + 8,
    setup: () => undefined,
    threads: {
      sequencer({ memory }) {
        const writer = new RefusalWriter(memory)
        memory.wait(SENT_WORD, 0, Number.POSITIVE_INFINITY)
        for (let command = 1; command <= 3; command++) {
          if (late) memory.store(MARK_WORD, command)
          if (command !== 2) writer.refuse(0, command * 8, CONFLICT)
          memory.store(MARK_WORD, command)
        }
        return ''
      },
      client({ memory }) {
        const reader = new RefusalReader(memory, 0)
        memory.store(SENT_WORD, 1)
        memory.notify(SENT_WORD, 1)
        let seen = ''
        for (let look = 0; look < 3; look++) {
          const mark = memory.load(MARK_WORD)
          while (seen.length < mark) {
            seen += reader.take((seen.length + 1) * 8) === undefined ? 'c' : 'r'
          }
        }
        return seen
      },
    },
    finish(_, { client }) {
      if (client === undefined || !'rcr'.startsWith(client))
        throw new Error(`the client saw ${client}`)
    },
  }
}

test('S2: who sees the mark past his command sees its refusal', () => {
  const report = check(program(false))
  console.log(`refusals: ${report.executions} executions, ${report.stepsTotal} steps`)
  assertHolds(report)
})

test('S2: the checker bites: a mark that moves before the refusal stands is found', () => {
  expect(() => assertHolds(check(program(true)))).toThrow('the client saw')
})
