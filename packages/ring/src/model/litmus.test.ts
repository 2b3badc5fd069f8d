/** Programs whose answers are known from the literature: what the model must allow, and must not. */
import { describe, expect, test } from 'vitest'
import { assertHolds, check, type Program, replay, type ThreadContext } from './index.ts'

type Values = Record<string, unknown>

/** Every set of values that the program's threads can end with. */
function outcomes<V extends Values>(program: Program<V>): string[] {
  const seen = new Set<string>()
  const report = check({
    ...program,
    finish(_memory, values) {
      seen.add(JSON.stringify(Object.values(values)))
    },
  })
  assertHolds(report)
  return [...seen].toSorted()
}

function violationOf<V extends Values>(program: Program<V>) {
  const { violation } = check(program)
  if (violation === null) throw new Error('no violation was found')
  return violation
}

const X = 0
const Y = 1
const TURN = 2
const COUNTER = 3

const readBoth =
  (first: number, second: number) =>
  ({ memory }: ThreadContext) =>
    [memory.load(first), memory.load(second)].join('')

const messagePassing = (publish: (context: ThreadContext) => void) => ({
  memoryBytes: 16,
  threads: {
    writer(context: ThreadContext) {
      context.memory.bytesIn(8, Uint8Array.of(7))
      publish(context)
    },
    reader: ({ memory }: ThreadContext) =>
      memory.load(X) === 1 ? (memory.bytesOut(8, 1)[0] ?? -1) : null,
  },
})

/** Counts without atomicity inside of the lock; the plain accesses prove exclusion as well. */
function critical({ memory }: ThreadContext): void {
  const [count = 0] = memory.bytesOut(COUNTER * 4, 1)
  memory.bytesIn(COUNTER * 4, Uint8Array.of(count + 1))
}

const enter = (own: number, other: number) => (context: ThreadContext) => {
  context.memory.store(own, 1)
  if (context.memory.load(other) === 1) return false
  critical(context)
  return true
}

const counting = (increment: (context: ThreadContext) => void) => ({
  memoryBytes: 4,
  threads: { a: increment, b: increment, c: increment },
  finish(memory: ThreadContext['memory']) {
    expect(memory.load(0)).toBe(3)
  },
})

describe('sequential consistency', () => {
  test('store buffering: both threads never read zero', () => {
    const program = {
      memoryBytes: 8,
      threads: {
        a({ memory }: ThreadContext) {
          memory.store(X, 1)
          return memory.load(Y)
        },
        b({ memory }: ThreadContext) {
          memory.store(Y, 1)
          return memory.load(X)
        },
      },
    }
    expect(outcomes(program)).toEqual(['[0,1]', '[1,0]', '[1,1]'])
    expect(check(program).executions).toBe(3)
    expect(check({ ...program, reduction: 'none' }).executions).toBe(6)
  })

  test('independent reads of independent writes: the readers agree on the order', () => {
    const seen = outcomes({
      memoryBytes: 8,
      threads: {
        a: readBoth(X, Y),
        b: readBoth(Y, X),
        writerOfX: ({ memory }: ThreadContext) => memory.store(X, 1),
        writerOfY: ({ memory }: ThreadContext) => memory.store(Y, 1),
      },
    })
    expect(seen).toHaveLength(15)
    expect(seen).not.toContain('["10","10",null,null]')
  })

  test.each([1, 2, 3, 4, 5])('%i independent accesses: one execution, or all orders', (count) => {
    const threads: Record<string, (context: ThreadContext) => unknown> = {}
    for (let word = 0; word < count; word++) {
      threads[`t${word}`] = ({ memory }) => memory.add(word, 1)
    }
    const program = { memoryBytes: 32, threads }
    let factorial = 1
    for (let factor = 2; factor <= count; factor++) factorial *= factor
    expect(check(program)).toMatchObject({ executions: 1, redundantExecutions: 0, complete: true })
    expect(check({ ...program, reduction: 'none' }).executions).toBe(factorial)
  })
})

describe('plain data', () => {
  test('R8: published by an atomic flag it is whole and does not race', () => {
    expect(outcomes(messagePassing(({ memory }) => memory.store(X, 1)))).toEqual([
      '[null,7]',
      '[null,null]',
    ])
  })

  test('R8: published before it is written, it races', () => {
    const violation = violationOf({
      memoryBytes: 16,
      threads: {
        writer({ memory }) {
          memory.store(X, 1)
          memory.bytesIn(8, Uint8Array.of(7))
        },
        reader: ({ memory }) => (memory.load(X) === 1 ? memory.bytesOut(8, 1)[0] : null),
      },
    })
    expect(violation.kind).toBe('race')
    expect(violation.message).toContain('byte 8')
  })

  test('R8: a reader that does not look at the flag races', () => {
    const { kind } = violationOf({
      memoryBytes: 16,
      threads: {
        writer: ({ memory }) => memory.bytesIn(8, Uint8Array.of(7)),
        reader: ({ memory }) => memory.bytesOut(4, 5),
      },
    })
    expect(kind).toBe('race')
  })

  test('R8: neighbouring bytes of one word do not race', () => {
    const report = check({
      memoryBytes: 4,
      threads: {
        a: ({ memory }) => memory.bytesIn(0, Uint8Array.of(1, 2)),
        b: ({ memory }) => memory.zero(2, 2),
      },
    })
    assertHolds(report)
    expect(report.executions).toBe(1)
  })

  test('R8: an order that only happens to be there is a race: a load orders nothing after it', () => {
    const { kind } = violationOf({
      memoryBytes: 16,
      threads: {
        reader({ memory }) {
          memory.bytesOut(8, 4)
          memory.load(X)
        },
        writer({ memory }) {
          memory.store(X, 1)
          memory.zero(8, 4)
        },
      },
    })
    expect(kind).toBe('race')
  })

  test('R8: a plain write and an atomic access of the same word race', () => {
    const { kind } = violationOf({
      memoryBytes: 4,
      threads: {
        a: ({ memory }) => memory.zero(1, 1),
        b: ({ memory }) => memory.load(0),
      },
    })
    expect(kind).toBe('race')
  })

  test('R8: a wake-up orders the woken thread after the notify', () => {
    const report = check({
      memoryBytes: 16,
      threads: {
        waiter({ memory }) {
          // Not woken when the notify came first; then it has learned nothing, and must not read.
          return memory.wait(X, 0, Infinity) === 'ok' ? memory.bytesOut(8, 1)[0] : null
        },
        waker({ memory }) {
          memory.bytesIn(8, Uint8Array.of(7))
          memory.notify(X, 1)
        },
      },
      mayStayBlocked: ['waiter'],
      finish(_memory, { waiter }) {
        expect([undefined, 7]).toContain(waiter)
      },
    })
    assertHolds(report)
  })
})

function peterson(own: number, other: number, storesFlag: boolean) {
  return (context: ThreadContext) => {
    const { memory } = context
    if (storesFlag) memory.store(own, 1)
    memory.store(TURN, other)
    context.assume(!(memory.load(other) === 1 && memory.load(TURN) === other))
    critical(context)
    memory.store(own, 0)
  }
}

const petersonTwice = (storesFlag: boolean): Program<{ a: void; b: void }> => ({
  memoryBytes: 16,
  threads: { a: peterson(X, Y, storesFlag), b: peterson(Y, X, storesFlag) },
  finish(memory) {
    expect(memory.bytesOut(COUNTER * 4, 1)[0]).toBe(2)
  },
})

describe('mutual exclusion', () => {
  test('R8: Peterson’s algorithm excludes, and hands the data on', () => {
    const report = check(petersonTwice(true))
    assertHolds(report)
    expect(report.executions).toBeGreaterThan(1)
    expect(report.discardedExecutions).toBeGreaterThan(0)
  })

  test('R8: Peterson’s algorithm without its flags is found broken', () => {
    expect(violationOf(petersonTwice(false)).kind).toBe('race')
  })

  test('R8: Dekker’s flags without a turn exclude, but both may give up', () => {
    const program = { memoryBytes: 16, threads: { a: enter(X, Y), b: enter(Y, X) } }
    expect(outcomes(program)).toEqual(['[false,false]', '[false,true]', '[true,false]'])
  })
})

describe('lost updates', () => {
  test('R8: load and store loses one', () => {
    const violation = violationOf(counting(({ memory }) => memory.store(0, memory.load(0) + 1)))
    expect(violation.kind).toBe('property')
    expect(violation.message).toContain('to be 3')
  })

  test('R8: add loses none', () => {
    assertHolds(check(counting(({ memory }) => void memory.add(0, 1))))
  })

  test('R8: a compare-exchange loop loses none', () => {
    const report = check(
      counting(({ memory }) => {
        for (;;) {
          const seen = memory.load(0)
          if (memory.compareExchange(0, seen, seen + 1) === seen) return
        }
      }),
    )
    assertHolds(report)
  })
})

describe('waiting', () => {
  const READY = 0
  const EPOCH = 1

  const publisher = ({ memory }: ThreadContext): void => {
    memory.store(READY, 1)
    memory.add(EPOCH, 1)
    memory.notify(EPOCH, 1)
  }

  test('R8: check, then wait for what may have come in between: a lost wake-up is a deadlock', () => {
    const program: Program<{ waiter: void; publisher: void }> = {
      memoryBytes: 8,
      threads: {
        waiter({ memory }) {
          if (memory.load(READY) === 1) return
          memory.wait(EPOCH, memory.load(EPOCH), Infinity)
        },
        publisher,
      },
    }
    const { kind, message, schedule } = violationOf(program)
    expect(kind).toBe('deadlock')
    expect(message).toBe(
      'nobody can go on: waiter is parked in wait(word 1, while 1), which holds 1',
    )
    expect(replay(program, schedule).violation).toEqual({ kind, message })
  })

  test('R8: an eventcount, which reads the epoch before it checks, loses none', () => {
    const report = check({
      memoryBytes: 8,
      threads: {
        waiter({ memory }) {
          for (;;) {
            const epoch = memory.load(EPOCH)
            if (memory.load(READY) === 1) return
            memory.wait(EPOCH, epoch, Infinity)
          }
        },
        publisher,
      },
    })
    assertHolds(report)
  })

  test('R8: a finite timeout does not hide a lost wake-up, unless it may fire', () => {
    const program: Program<{ waiter: string }> = {
      memoryBytes: 8,
      threads: { waiter: ({ memory }) => memory.wait(READY, 0, 100) },
    }
    expect(violationOf(program).kind).toBe('deadlock')
    expect(outcomes({ ...program, timeoutsMayFire: true })).toEqual(['["timed-out"]'])
  })

  test('R8: timeouts and wake-ups race', () => {
    const seen = outcomes({
      memoryBytes: 8,
      timeoutsMayFire: true,
      threads: {
        waiter: ({ memory }) => memory.wait(READY, 0, 100),
        waker: ({ memory }) => memory.notify(READY, 1),
      },
    })
    expect(seen).toEqual(['["ok",1]', '["timed-out",0]'])
  })

  // A wait that found another value was taken to commute with notifies, since it never joined the list
  // of waiters. Then the order "notify, park, change the value" was never looked at in this program:
  // the exploration met `a` either parked first, or after the value had changed.
  test('R8: a notify that comes before the wait is found, although the value changes later', () => {
    const { kind, message } = violationOf({
      memoryBytes: 8,
      threads: {
        a: ({ memory }) => memory.wait(READY, 0, Infinity),
        b({ memory }) {
          memory.load(EPOCH)
          memory.add(READY, 1)
        },
        c: ({ memory }) => memory.notify(READY, Infinity),
      },
    })
    expect(kind).toBe('deadlock')
    expect(message).toContain('a is parked in wait(word 0, while 0), which holds 1')
  })

  test('R8: first come, first woken', () => {
    const program: Program<Values> = {
      memoryBytes: 4,
      threads: {
        a: ({ memory }) => memory.wait(READY, 0, Infinity),
        b: ({ memory }) => memory.wait(READY, 0, Infinity),
        waker: ({ memory }) => memory.notify(READY, 1),
      },
      mayStayBlocked: ['a', 'b'],
    }
    expect(replay(program, 'abca').trace.at(-2)).toContain('wakes from')
    expect(() => replay(program, 'abcb')).toThrow('thread b cannot go on')
    expect(replay(program, 'bacb').trace.at(-2)).toContain('wakes from')
    expect(() => replay(program, 'baca')).toThrow('thread a cannot go on')
  })
})

/** Node n's link is word n: the index of the node below. */
function next(node: number): number {
  return node
}

function nodeOf(head: number): number {
  return head & 0xff
}

describe('a stack of nodes linked by index', () => {
  const HEAD = 0
  const POPPED_BY_A = 4
  const COUNT_SHIFT = 8

  /** Nodes 1 and 2 are on the stack: 1 on top. `counted`: the head carries a count of changes. */
  const aba = (counted: boolean): Program<{ a: number; b: number }> => {
    const bump = (head: number, node: number) =>
      counted ? (((head >> COUNT_SHIFT) + 1) << COUNT_SHIFT) | node : node
    const pop = (memory: ThreadContext['memory']): number => {
      for (;;) {
        const head = memory.load(HEAD)
        const node = nodeOf(head)
        if (node === 0) return 0
        const below = memory.load(next(node))
        if (memory.compareExchange(HEAD, head, bump(head, below)) === head) return node
      }
    }
    const push = (memory: ThreadContext['memory'], node: number): void => {
      for (;;) {
        const head = memory.load(HEAD)
        memory.store(next(node), nodeOf(head))
        if (memory.compareExchange(HEAD, head, bump(head, node)) === head) return
      }
    }
    return {
      memoryBytes: 20,
      setup(memory) {
        memory.store(HEAD, 1)
        memory.store(next(1), 2)
      },
      threads: {
        a({ memory }) {
          const node = pop(memory)
          memory.store(POPPED_BY_A, node)
          return node
        },
        b({ memory }) {
          const top = pop(memory)
          const below = pop(memory)
          if (top !== 0) push(memory, top)
          return below
        },
      },
      finish(memory, { b }) {
        const left: number[] = []
        for (let node = nodeOf(memory.load(HEAD)); node !== 0; node = memory.load(next(node))) {
          left.push(node)
        }
        const held = [memory.load(POPPED_BY_A), b ?? 0].filter((node) => node !== 0)
        expect([...left, ...held].toSorted((x, y) => x - y)).toEqual([1, 2])
      },
    }
  }

  test('R8: a bare head suffers from ABA: a node that is held is on the stack again', () => {
    expect(violationOf(aba(false)).kind).toBe('property')
  })

  test('R8: a counted head does not', () => {
    assertHolds(check(aba(true)))
  })
})
