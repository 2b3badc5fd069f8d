/**
 * The checker checked: on small random programs the reduced exploration must find exactly what the
 * exhaustive one finds. Every failure names its seed; RINGBOLT_SEED starts from another one, and
 * RINGBOLT_SCALE multiplies the number of programs.
 */
import { describe, expect, test } from 'vitest'
import { historiesOf } from './execution.ts'
import { explore } from './explorer.ts'
import type { AnyProgram, Death, Program, ThreadContext, ViolationKind } from './program.ts'

const SEED = Number(process.env['RINGBOLT_SEED'] ?? 1)
const SCALE = Number(process.env['RINGBOLT_SCALE'] ?? 1)
const WORDS = 3
const EXECUTIONS_MAX = 20_000

/** Mulberry32. */
function randomOf(seed: number): (below: number) => number {
  let state = seed | 0
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

type Instruction = (context: ThreadContext, seen: number[]) => void

interface Flavour {
  /** Fewer words: more waiters on the same one. */
  readonly words: number
  readonly waits: boolean
  readonly plain: boolean
  readonly deaths: boolean
}

/** One instruction of a model thread; later ones depend on what earlier ones saw. */
function instruction(random: (below: number) => number, flavour: Flavour): Instruction {
  const word = random(flavour.words)
  const value = random(3)
  const skipsWhen = random(4)
  const body = instructionBody(random, flavour, word, value)
  return (context, seen) => {
    if (seen.at(-1) === skipsWhen) seen.push(-1)
    else body(context, seen)
  }
}

function instructionBody(
  random: (below: number) => number,
  flavour: Flavour,
  word: number,
  value: number,
): Instruction {
  const choices = 6 + (flavour.waits ? 4 : 0) + (flavour.plain ? 3 : 0) + (flavour.deaths ? 1 : 0)
  const choice = random(choices)
  const count = random(2) === 0 ? 1 : Infinity
  const timeoutMs = random(2) === 0 ? 5 : Infinity
  const kinds: Instruction[] = [
    ({ memory }, seen) => void seen.push(memory.load(word)),
    ({ memory }) => memory.store(word, value),
    ({ memory }, seen) => memory.store(word, (seen.at(-1) ?? 0) + 1),
    ({ memory }, seen) => void seen.push(memory.add(word, 1)),
    ({ memory }, seen) => void seen.push(memory.exchange(word, value)),
    ({ memory }, seen) => void seen.push(memory.compareExchange(word, value, value + 1)),
  ]
  if (flavour.waits) {
    const results = ['ok', 'not-equal', 'timed-out']
    kinds.push(
      ({ memory }, seen) => void seen.push(results.indexOf(memory.wait(word, value, timeoutMs))),
      ({ memory }, seen) => void seen.push(results.indexOf(memory.wait(word, 0, timeoutMs))),
      ({ memory }, seen) => void seen.push(memory.notify(word, count)),
      ({ memory }, seen) => void seen.push(memory.notify(word, count)),
    )
  }
  if (flavour.plain) {
    const byteOffset = random(WORDS * 4 - 4)
    kinds.push(
      ({ memory }) => memory.bytesIn(byteOffset, Uint8Array.of(value, 1)),
      ({ memory }, seen) => void seen.push(memory.bytesOut(byteOffset, 2)[0] ?? -1),
      ({ memory }) => memory.zero(byteOffset, 3),
    )
  }
  if (flavour.deaths) {
    kinds.push((context, seen) => {
      if (context.name !== 'a') seen.push(context.awaitDeath('a') ? 1 : 0)
    })
  }
  const chosen = kinds[choice]
  if (chosen === undefined) throw new RangeError(`no instruction ${choice}`)
  return chosen
}

function randomProgram(seed: number, flavour: Flavour): Program<Record<string, unknown>> {
  const random = randomOf(seed)
  const threadCount = 2 + random(2)
  const threads: Record<string, (context: ThreadContext) => unknown> = {}
  for (const name of ['a', 'b', 'c'].slice(0, threadCount)) {
    const length = 1 + random(threadCount === 2 ? 6 : 4)
    const instructions = Array.from({ length }, () => instruction(random, flavour))
    threads[name] = (context) => {
      const seen: number[] = []
      for (const perform of instructions) perform(context, seen)
      return seen
    }
  }
  return { memoryBytes: WORDS * 4, threads }
}

interface Found {
  executions: number
  complete: boolean
  /** Final states, deadlocks included. */
  states: string[]
  kinds: string[]
}

function explored(
  program: AnyProgram,
  death: Death | null,
  reduction: 'none' | 'source-dpor',
): Found {
  const states = new Set<string>()
  const kinds = new Set<string>()
  const observed: AnyProgram = {
    ...program,
    reduction,
    finish(memory, values) {
      const words = Array.from({ length: WORDS }, (_, word) => memory.load(word))
      states.add(JSON.stringify([words, values]))
    },
  }
  const { executions, complete } = explore(
    observed,
    death,
    historiesOf(observed),
    EXECUTIONS_MAX,
    ({ kind, message }) => {
      kinds.add(kind)
      if (kind === 'deadlock') states.add(message)
      return 'continue'
    },
  )
  return { executions, complete, states: [...states].toSorted(), kinds: [...kinds].toSorted() }
}

/** Returns how many executions each way took, over all programs. */
function compareAll(
  count: number,
  makeProgram: (seed: number) => AnyProgram,
  death: (seed: number) => Death | null,
  compares: 'everything' | ViolationKind,
): { exhaustive: number; reduced: number; compared: number } {
  const totals = { exhaustive: 0, reduced: 0, compared: 0 }
  for (let seed = SEED; seed < SEED + count; seed++) {
    const program = makeProgram(seed)
    const exhaustive = explored(program, death(seed), 'none')
    if (!exhaustive.complete) continue
    const reduced = explored(program, death(seed), 'source-dpor')
    const label = `seed ${seed}`
    expect({ label, complete: reduced.complete }).toEqual({ label, complete: true })
    // A race or a failed invariant ends its execution, and hides what would have come after.
    const essence = ({ states, kinds }: Found) =>
      compares === 'everything'
        ? { label, states, kinds }
        : { label, has: kinds.includes(compares) }
    expect(essence(reduced)).toEqual(essence(exhaustive))
    expect(reduced.executions).toBeLessThanOrEqual(exhaustive.executions)
    totals.exhaustive += exhaustive.executions
    totals.reduced += reduced.executions
    totals.compared++
  }
  return totals
}

const ATOMICS: Flavour = { words: WORDS, waits: false, plain: false, deaths: false }
const WAITS: Flavour = { words: 2, waits: true, plain: false, deaths: false }

describe(`reduced and exhaustive exploration agree (RINGBOLT_SEED=${SEED})`, () => {
  test('R8: on final states of programs of atomics, in a tenth of the executions', () => {
    const totals = compareAll(
      400 * SCALE,
      (seed) => randomProgram(seed, ATOMICS),
      () => null,
      'everything',
    )
    expect(totals.compared).toBeGreaterThan(200 * SCALE)
    expect(totals.reduced * 10).toBeLessThan(totals.exhaustive)
  })

  test('R8: on final states and deadlocks of programs that wait and notify', () => {
    const totals = compareAll(
      600 * SCALE,
      (seed) => randomProgram(seed, WAITS),
      () => null,
      'everything',
    )
    expect(totals.compared).toBeGreaterThan(200 * SCALE)
    expect(totals.reduced * 4).toBeLessThan(totals.exhaustive)
  })

  test('R8: where timeouts may fire', () => {
    const totals = compareAll(
      400 * SCALE,
      (seed) => ({ ...randomProgram(seed, WAITS), timeoutsMayFire: true }),
      () => null,
      'everything',
    )
    expect(totals.compared).toBeGreaterThan(200 * SCALE)
  })

  test('R9: where timeouts may fire and a thread dies', () => {
    const totals = compareAll(
      400 * SCALE,
      (seed) => ({ ...randomProgram(seed, { ...WAITS, deaths: true }), timeoutsMayFire: true }),
      (seed) => ({ thread: 'a', accesses: seed % 5 }),
      'everything',
    )
    expect(totals.compared).toBeGreaterThan(200 * SCALE)
  })

  test('R9: where a thread dies and others wait for its death', () => {
    const totals = compareAll(
      400 * SCALE,
      (seed) => randomProgram(seed, { ...WAITS, deaths: true }),
      (seed) => ({ thread: 'a', accesses: seed % 4 }),
      'everything',
    )
    expect(totals.compared).toBeGreaterThan(200 * SCALE)
  })

  test('R8: on whether there is a data race', () => {
    const totals = compareAll(
      400 * SCALE,
      (seed) => randomProgram(seed, { words: WORDS, waits: true, plain: true, deaths: false }),
      () => null,
      'race',
    )
    expect(totals.compared).toBeGreaterThan(200 * SCALE)
  })

  test('R8: on whether an invariant of several words ever fails', () => {
    const totals = compareAll(
      400 * SCALE,
      (seed) => ({
        ...randomProgram(seed, ATOMICS),
        always(memory) {
          if (memory.load(0) === 1 && memory.load(1) === 2 && memory.load(2) === seed % 3) {
            throw new Error('the forbidden state')
          }
        },
      }),
      () => null,
      'property',
    )
    expect(totals.compared).toBeGreaterThan(200 * SCALE)
  })
})
