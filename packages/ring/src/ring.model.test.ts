/**
 * The shipped ring under the model checker: every interleaving of small programs, up to equivalence.
 * `RINGBOLT_MODEL=full` adds the explorations that take minutes.
 */
import { describe, expect, test } from 'vitest'
import { assertHolds, check, checkDeaths, type Report } from './model/index.ts'
import type { SharedMemory } from './shared-memory.ts'
import {
  ArmAfterLooking,
  FoldOverGap,
  FreeBeforeDrain,
  FreeWithoutZeroing,
  MissingClaim,
  PublishBeforeFill,
  ReserveWithoutExchange,
  RingOnlyWhenArmed,
  WantAfterLooking,
} from './testing/planted-bugs.ts'
import { type RingProgram, ringProgram, twoDeathsProgram } from './testing/ring-programs.ts'

const full = process.env['RINGBOLT_MODEL'] === 'full'

function holds(name: string, report: Report): void {
  const { executions, redundantExecutions, stepsTotal } = report
  console.log(`${name}: ${executions} executions, ${redundantExecutions} cut, ${stepsTotal} steps`)
  assertHolds(report)
}

interface Case {
  readonly name: string
  readonly program: RingProgram
  readonly long?: boolean
}

const races: Case[] = [
  { name: 'one producer, two records, the second wrapping', program: program([[30, 30]]) },
  { name: 'one producer, three records', program: program([[30, 30, 30]]), long: true },
  { name: 'two producers', program: program([[5], [13]]) },
  { name: 'two producers that must wait for each other’s room', program: program([[40], [40]]) },
  {
    name: 'two records each, a consumer beside them',
    program: program(
      [
        [5, 3],
        [13, 6],
      ],
      2,
    ),
  },
  { name: 'three producers, a consumer beside them', program: program([[5], [13], [3]], 2) },
  { name: 'three producers, a sleeping consumer', program: program([[5], [13], [3]]), long: true },
  {
    name: 'two records each',
    program: program([
      [5, 3],
      [13, 6],
    ]),
    long: true,
  },
]

function program(
  producers: RingProgram['producers'],
  consumer: RingProgram['consumer'] = 'sleeping',
): RingProgram {
  return { capacityBytes: 64, producers, consumer, executionsMax: 100_000_000 }
}

describe('R8: producers racing a consumer: nothing torn, nothing lost, no deadlock, no race', () => {
  for (const { name, program, long } of races) {
    test(name, ({ skip }) => {
      skip(long === true && !full, 'takes minutes: RINGBOLT_MODEL=full')
      holds(name, check(ringProgram(program)))
    })
  }

  test('R10: across the wrap of 32 bits and of the laps', () => {
    const firstAddress = (2 ** 32 - 2) * 8
    const wrapping = { ...program([[13], [5]]), firstAddress }
    holds('across 2^32', check(ringProgram(wrapping)))
  })
})

describe('R9: a producer that dies at any point: survivors drain, its range is whole or closed', () => {
  const deaths: Case[] = [
    { name: 'of two', program: { ...program([[5, 4], [13]], 2), mortal: 0 } },
    { name: 'of three', program: { ...program([[5], [13], [3]], 1), mortal: 0 } },
    {
      name: 'of two, a sleeping consumer',
      program: { ...program([[5], [13]]), mortal: 0 },
      long: true,
    },
  ]
  for (const { name, program, long } of deaths) {
    test(name, ({ skip }) => {
      skip(long === true && !full, 'takes minutes: RINGBOLT_MODEL=full')
      const report = checkDeaths(ringProgram(program), 'p0')
      holds(`${name}, ${report.deathPoints} deaths`, report)
    })
  }

  // Up to the publication; what comes later is in the long one above. The first run of this found a
  // consumer that slept for good: it saw a living claim before the dead one's range, the living
  // producer moved on and published before the doorbell was armed, and nothing rang again.
  test('of two, a sleeping consumer, up to its publication', () => {
    for (let accesses = 0; accesses <= 17; accesses++) {
      const sleeping = ringProgram({ ...program([[5], [13]]), mortal: 0 })
      holds(`dies after ${accesses} accesses`, check(sleeping, { thread: 'p0', accesses }))
    }
  })

  test('two deaths, at every pair of points, records of different lengths', () => {
    let explored = 0
    for (let first = 0; first <= 14; first++) {
      for (let second = 0; second <= 14; second++) {
        const report = check(twoDeathsProgram([first, second], [5, 29, 3]))
        explored += report.executions
        assertHolds(report)
      }
    }
    console.log(`two deaths: ${explored} executions`)
  })
})

describe('the checker bites: planted bugs', () => {
  const two = { ...program([[5], [13]]), executionsMax: 300_000 }
  const full64 = { ...program([[40], [40]]), executionsMax: 300_000 }
  const dying = { ...two, consumer: 1, mortal: 0 } as const

  test('publish before fill', () => {
    const buggy = { ...two, producerMemory: wrap(PublishBeforeFill) }
    expect(found(check(ringProgram(buggy)))).toMatch(/race/)
  })

  test('missing claim: a dead producer’s range stays for good', () => {
    const producerMemory: RingProgram['producerMemory'] = (memory, slot) =>
      slot === 0 ? new MissingClaim(memory, slot) : memory
    expect(found(checkDeaths(ringProgram({ ...dying, producerMemory }), 'p0'))).toMatch(
      /stays in the ring for good|of 1 records drained/,
    )
  })

  test('fold over a gap', () => {
    const buggy = { ...two, consumerMemory: wrap(FoldOverGap) }
    expect(found(check(ringProgram(buggy)))).toMatch(/race|property/)
  })

  test('free before drain', () => {
    const buggy = { ...full64, consumerMemory: wrap(FreeBeforeDrain) }
    expect(found(check(ringProgram(buggy)))).toMatch(/race|property|exception/)
  })

  test('free without zeroing: an old record is read again', () => {
    const buggy = { ...program([[5, 60, 5]]), consumerMemory: wrap(FreeWithoutZeroing) }
    expect(found(check(ringProgram(buggy)))).toMatch(/race|property|exception/)
  })

  test('lost wake-up of the consumer', () => {
    const buggy = { ...two, consumerMemory: wrap(ArmAfterLooking) }
    expect(found(check(ringProgram(buggy)))).toMatch(/deadlock/)
  })

  test('lost wake-up of a producer', () => {
    const buggy = { ...full64, producerMemory: wrap(WantAfterLooking) }
    expect(found(check(ringProgram(buggy)))).toMatch(/deadlock/)
  })

  test('reserve without compare-exchange', () => {
    const buggy = { ...two, producerMemory: wrap(ReserveWithoutExchange) }
    expect(found(check(ringProgram(buggy)))).toMatch(/race|property|deadlock|exception/)
  })

  // The second bug that the checker found in the ring: a producer cleared the doorbell and died before
  // it notified; the report of its death looked at the doorbell, found it clear, and woke nobody.
  test('a death reported only to an armed doorbell', () => {
    const buggy = { ...two, mortal: 0, reaperMemory: wrap(RingOnlyWhenArmed) }
    expect(found(checkDeaths(ringProgram(buggy), 'p0'))).toMatch(/deadlock/)
  })
})

function wrap(
  Mistake: new (memory: SharedMemory) => SharedMemory,
): (memory: SharedMemory) => SharedMemory {
  return (memory) => new Mistake(memory)
}

function found({ violation, executions }: Report): string {
  console.log(`found after ${executions} executions: ${violation?.kind}: ${violation?.message}`)
  return violation === null ? 'nothing found' : `${violation.kind}: ${violation.message}`
}
