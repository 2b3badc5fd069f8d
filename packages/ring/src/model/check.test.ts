/** What the checker promises beyond exploring: deaths, bounds, replay, and refusing what it cannot do. */
import { describe, expect, test } from 'vitest'
import {
  assertHolds,
  check,
  checkDeaths,
  ModelError,
  type Program,
  replay,
  type ThreadContext,
} from './index.ts'

const LOCK = 0
const COUNT = 1
const OWNER_NONE = 0

function lock({ memory }: ThreadContext): void {
  while (memory.exchange(LOCK, 1) !== OWNER_NONE) memory.wait(LOCK, 1, Infinity)
}

function unlock({ memory }: ThreadContext): void {
  memory.store(LOCK, OWNER_NONE)
  memory.notify(LOCK, 1)
}

function addUnderLock(context: ThreadContext): void {
  lock(context)
  context.memory.store(COUNT, context.memory.load(COUNT) + 1)
  unlock(context)
}

const locked: Program<{ mortal: void; other: void }> = {
  memoryBytes: 8,
  threads: { mortal: addUnderLock, other: addUnderLock },
}

const codeOf = (action: () => unknown): string => {
  try {
    action()
  } catch (error) {
    if (error instanceof ModelError) return error.code
    throw error
  }
  return 'nothing was thrown'
}

describe('deaths', () => {
  test('R9: a lock’s holder that dies blocks the other for ever, from taking to freeing it', () => {
    assertHolds(check(locked))
    // Accesses: exchange 1, load 2, store 3, free 4, notify 5. Dead after 4 it has not notified.
    const kinds = [0, 1, 2, 3, 4, 5].map(
      (accesses) => check(locked, { thread: 'mortal', accesses }).violation?.kind ?? null,
    )
    expect(kinds).toEqual([null, 'deadlock', 'deadlock', 'deadlock', 'deadlock', null])
  })

  test('R9: checkDeaths finds the first such point and names it in the schedule', () => {
    const report = checkDeaths(locked, 'mortal')
    expect(report.violation?.kind).toBe('deadlock')
    expect(report.violation?.schedule).toMatch(/^mortal@1 [ab\d]+$/)
    expect(report.complete).toBe(false)
  })

  const published: Program<{ mortal: void; heir: string }> = {
    memoryBytes: 16,
    threads: {
      mortal({ memory }) {
        memory.bytesIn(8, Uint8Array.of(1))
        memory.bytesIn(9, Uint8Array.of(2))
        memory.store(LOCK, 1)
      },
      heir(context) {
        const died = context.awaitDeath('mortal')
        return `${died} ${context.memory.load(LOCK)} ${context.memory.bytesOut(8, 2).join(' ')}`
      },
    },
  }

  test('R9: a proven death orders what the dead thread did before what its heir does', () => {
    const seen = new Set<string>()
    const report = checkDeaths(
      { ...published, finish: (_memory, { heir }) => void seen.add(heir ?? 'blocked') },
      'mortal',
    )
    assertHolds(report)
    expect(report.deathPoints).toBe(3)
    expect([...seen]).toEqual(['true 0 0 0', 'true 0 1 0', 'true 0 1 2', 'false 1 1 2'])
  })

  test('R9: a wake-up can be lost with the thread that it went to', () => {
    const report = checkDeaths(
      {
        memoryBytes: 4,
        threads: {
          mortal({ memory }) {
            memory.wait(LOCK, 0, Infinity)
            memory.load(LOCK)
          },
          survivor: ({ memory }) => memory.wait(LOCK, 0, Infinity),
          waker({ memory }) {
            memory.store(LOCK, 1)
            memory.notify(LOCK, 1)
          },
        },
      },
      'mortal',
    )
    expect(report.violation?.kind).toBe('deadlock')
    expect(report.violation?.message).toContain('survivor is parked')
  })

  test('R9: one that dies in its wait has left the list', () => {
    const { violation } = check(
      {
        memoryBytes: 4,
        threads: {
          mortal: ({ memory }) => memory.wait(LOCK, 0, Infinity),
          waker(context) {
            context.awaitDeath('mortal')
            return context.memory.notify(LOCK, 1)
          },
        },
        finish(_memory, values) {
          expect(values).toEqual({ waker: 0 })
        },
      },
      { thread: 'mortal', accesses: 1 },
    )
    expect(violation).toBeNull()
  })
})

describe('the example of the documentation', () => {
  const LOCKED = 0
  const DATA_BYTE_OFFSET = 8

  const twice = (free: (memory: ThreadContext['memory']) => void) => {
    const increment = ({ memory }: ThreadContext): number => {
      while (memory.exchange(LOCKED, 1) === 1) memory.wait(LOCKED, 1, Infinity)
      const [count = 0] = memory.bytesOut(DATA_BYTE_OFFSET, 1)
      memory.bytesIn(DATA_BYTE_OFFSET, Uint8Array.of(count + 1))
      free(memory)
      return count
    }
    return check({
      memoryBytes: 16,
      threads: { a: increment, b: increment },
      finish(_memory, { a, b }) {
        if (a === b) throw new Error(`both found ${a}`)
      },
    })
  }

  test('R8: holds as it stands, and breaks in the two ways it names', () => {
    const stands = twice((memory) => {
      memory.store(LOCKED, 0)
      memory.notify(LOCKED, 1)
    })
    assertHolds(stands)
    const neverFreed = twice((memory) => void memory.notify(LOCKED, 1))
    const freedTooLate = twice((memory) => {
      memory.notify(LOCKED, 1)
      memory.store(LOCKED, 0)
    })
    expect(neverFreed.violation?.kind).toMatch(/deadlock|livelock/)
    expect(freedTooLate.violation?.kind).toBe('deadlock')
  })
})

describe('violations', () => {
  const racy: Program<{ a: void; b: void }> = {
    memoryBytes: 8,
    threads: {
      a: ({ memory }) => memory.store(COUNT, memory.load(COUNT) + 1),
      b: ({ memory }) => memory.store(COUNT, memory.load(COUNT) + 1),
    },
    finish(memory) {
      if (memory.load(COUNT) !== 2) throw new Error(`expected 2, found ${memory.load(COUNT)}`)
    },
  }

  test('R8: a schedule replays to the same trace, each time', () => {
    const { violation } = check(racy)
    if (violation === null) throw new Error('no violation was found')
    const again = replay(racy, violation.schedule)
    expect(again.trace).toEqual(violation.trace)
    expect(again.trace).toEqual([
      '  1 a load(word 1) = 0',
      '  2 b load(word 1) = 0',
      '  3 b store(word 1, 1)',
      '  4 a store(word 1, 1)',
      'property: Error: expected 2, found 1',
    ])
    expect(violation.schedule).toBe('ab2a')
  })

  test('R8: assertHolds tells the message, the schedule and the trace', () => {
    const report = check(racy)
    expect(() => assertHolds(report)).toThrow(
      /expected 2, found 1\nfound after \d+ executions; schedule: ab2a\n {2}1 a load\(word 1\) = 0\n/,
    )
    expect(codeOf(() => assertHolds(report))).toBe('RINGBOLT_MODEL_VIOLATED')
  })

  test('R8: an invariant sees states between steps that end alike', () => {
    const { violation } = check({
      memoryBytes: 8,
      threads: {
        a({ memory }) {
          memory.store(0, 1)
          memory.store(0, 0)
        },
        b({ memory }) {
          memory.store(1, 1)
          memory.store(1, 0)
        },
      },
      always(memory) {
        if (memory.load(0) === 1 && memory.load(1) === 1) throw new Error('both at once')
      },
    })
    expect(violation?.kind).toBe('property')
    expect(violation?.message).toBe('Error: both at once')
  })

  test('R8: an exception in a thread is a violation with a schedule', () => {
    const cause = new RangeError('two')
    const { violation } = check({
      memoryBytes: 4,
      threads: {
        a: ({ memory }) => memory.add(0, 1),
        b({ memory }) {
          if (memory.load(0) === 1) throw cause
        },
      },
    })
    expect(violation).toMatchObject({
      kind: 'exception',
      message: 'thread b threw RangeError: two',
      schedule: 'ab',
      cause,
    })
  })

  test('R8: an access past the end is an exception', () => {
    const { violation } = check({
      memoryBytes: 4,
      threads: { a: ({ memory }) => memory.bytesOut(2, 4) },
    })
    expect(violation?.message).toContain('bytesOut of bytes 2..6 in a memory of 4')
  })

  test('R8: a loop that never ends is a livelock', () => {
    const { violation } = check({
      memoryBytes: 4,
      stepsMax: 50,
      threads: {
        spinner({ memory }) {
          while (memory.load(0) === 0);
        },
        other: ({ memory }) => memory.store(0, 1),
      },
    })
    expect(violation).toMatchObject({ kind: 'livelock', schedule: 'a50' })
  })

  test('R8: past its bound a check is incomplete, and does not hold', () => {
    const report = check({ ...racy, finish: () => undefined, executionsMax: 2 })
    expect(report).toMatchObject({ executions: 2, complete: false, violation: null })
    expect(codeOf(() => assertHolds(report))).toBe('RINGBOLT_MODEL_INCOMPLETE')
    const all = check({ ...racy, finish: () => undefined })
    const exact = check({ ...racy, finish: () => undefined, executionsMax: all.executions })
    expect(exact).toEqual(all)
  })
})

describe('what cannot be checked is refused', () => {
  test('a thread that does something else when run again', () => {
    let run = 0
    const program = {
      memoryBytes: 8,
      threads: {
        moody({ memory }: ThreadContext) {
          memory.store(run++ % 2, 1)
          memory.load(0)
        },
      },
    }
    expect(() => check(program)).toThrow(
      'thread moody is not deterministic: with the same results its access 1 first did store(word 0, 1), then did store(word 1, 1)',
    )
    expect(codeOf(() => check(program))).toBe('RINGBOLT_MODEL_NONDETERMINISTIC')
  })

  test('a thread that ends sooner when run again', () => {
    let run = 0
    const program = {
      memoryBytes: 8,
      threads: {
        moody({ memory }: ThreadContext) {
          if (run++ === 0) memory.load(1)
        },
      },
    }
    expect(() => check(program)).toThrow('access 1 first did load(word 1), then returned')
  })

  test('a thread that catches what parks it', () => {
    const program = {
      memoryBytes: 4,
      threads: {
        greedy({ memory }: ThreadContext) {
          try {
            return memory.load(0)
          } catch {
            return -1
          }
        },
      },
    }
    expect(codeOf(() => check(program))).toBe('RINGBOLT_MODEL_SWALLOWED')
  })

  test('but a finally that touches memory is fine', () => {
    const report = check({
      memoryBytes: 4,
      threads: {
        a({ memory }) {
          try {
            memory.add(0, 1)
          } finally {
            memory.add(0, 1)
          }
        },
      },
      finish(memory) {
        expect(memory.load(0)).toBe(2)
      },
    })
    assertHolds(report)
    expect(report.stepsTotal).toBe(2)
  })

  test('asynchronous threads and waitAsync', () => {
    const asynchronous = {
      memoryBytes: 4,
      threads: { a: async ({ memory }: ThreadContext) => Promise.resolve(memory.load(0)) },
    }
    expect(codeOf(() => check(asynchronous))).toBe('RINGBOLT_MODEL_UNSUPPORTED')
    const waiting = {
      memoryBytes: 4,
      threads: { a: ({ memory }: ThreadContext) => memory.waitAsync(0, 0, 1).async },
    }
    expect(codeOf(() => check(waiting))).toBe('RINGBOLT_MODEL_UNSUPPORTED')
  })

  test('an invariant that writes, a setup that would block', () => {
    const threads = { a: ({ memory }: ThreadContext) => memory.load(0) }
    expect(
      codeOf(() => check({ memoryBytes: 4, threads, always: (memory) => memory.store(0, 1) })),
    ).toBe('RINGBOLT_MODEL_UNSUPPORTED')
    expect(
      codeOf(() =>
        check({ memoryBytes: 4, threads, setup: (memory) => void memory.wait(0, 0, Infinity) }),
      ),
    ).toBe('RINGBOLT_MODEL_UNSUPPORTED')
  })

  test('sizes and names that make no sense', () => {
    const threads = { a: ({ memory }: ThreadContext) => memory.load(0) }
    expect(codeOf(() => check({ memoryBytes: 6, threads }))).toBe('RINGBOLT_MODEL_PROGRAM')
    expect(codeOf(() => check({ memoryBytes: 4, threads: {} }))).toBe('RINGBOLT_MODEL_PROGRAM')
    expect(codeOf(() => check({ memoryBytes: 4, threads }, { thread: 'b', accesses: 0 }))).toBe(
      'RINGBOLT_MODEL_PROGRAM',
    )
  })

  test('schedules that are none, or of another program', () => {
    const program = {
      memoryBytes: 4,
      threads: { a: ({ memory }: ThreadContext) => memory.load(0) },
    }
    for (const schedule of ['A', 'a2', 'ab', 'nobody a']) {
      expect(codeOf(() => replay(program, schedule))).toBe('RINGBOLT_MODEL_SCHEDULE')
    }
    expect(replay(program, '').trace).toEqual(['the schedule ends here, before the program does'])
    expect(replay(program, 'a').trace).toEqual(['  1 a load(word 0) = 0', 'finished: no violation'])
  })
})
