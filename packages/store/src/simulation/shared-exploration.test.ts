/**
 * Two processes on one database, over the code that ships: every sequence of so many moves, and in each a death at every
 * call of every move. RINGBOLT_MODEL=full takes longer sequences.
 */
import { messageOf } from '@ringbolt/wal/simulation'
import { expect, test } from 'vitest'
import { type Move, SharedSimulation } from './shared-simulation.ts'

const WHATS = ['write', 'follow', 'checkpoint', 'steps', 'close', 'open'] as const
const MOVES: readonly Move[] = [0, 1].flatMap((who) => WHATS.map((what) => ({ who, what })))
const isFull = process.env['RINGBOLT_MODEL'] === 'full'
const LENGTH = isFull ? 4 : 2
/** What comes before, so that there is something to be in the middle of. */
const BEGINNINGS: readonly (readonly Move[])[] = [
  [{ who: 0, what: 'write' }],
  [
    { who: 1, what: 'write' },
    { who: 0, what: 'checkpoint' },
  ],
]
const SEEDS = isFull ? [3, 8] : [3]
const CALLS_MAX = 200

function* sequences(length: number): Generator<readonly Move[]> {
  if (length === 0) yield []
  else {
    for (const rest of sequences(length - 1)) for (const move of MOVES) yield [move, ...rest]
  }
}

test('M2 M3 M4 S9: every order of moves, and a death at every call of each', () => {
  let runs = 0
  let deaths = 0
  for (const seed of SEEDS) {
    for (const beginning of BEGINNINGS) {
      for (const sequence of sequences(LENGTH)) {
        const moves = [...beginning, ...sequence]
        explore(seed, moves, undefined)
        runs++
        for (let move = beginning.length; move < moves.length; move++) {
          for (let calls = 1; calls < CALLS_MAX; calls++) {
            runs++
            if (!explore(seed, moves, { move, calls })) break
            deaths++
          }
        }
      }
    }
  }
  // oxlint-disable-next-line no-console
  console.log(`${runs} runs, ${deaths} deaths`)
  expect(deaths).toBeGreaterThan(1_000)
}, 3_600_000)

function explore(
  seed: number,
  moves: readonly Move[],
  kill: { readonly move: number; readonly calls: number } | undefined,
): boolean {
  try {
    return new SharedSimulation(seed, false).runMoves(moves, kill)
  } catch (error) {
    const told = moves.map(({ who, what }) => `${what} by ${who}`).join(', ')
    throw new Error(`seed ${seed}: ${told}; killed ${JSON.stringify(kill)}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}
