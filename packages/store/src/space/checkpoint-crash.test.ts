import { isRingboltError } from '@ringbolt/ring'
import { MemoryStore } from '@ringbolt/wal'
import { Random, SimulatedDisk, type SyncLoss } from '@ringbolt/wal/simulation'
import { describe, expect, test } from 'vitest'
import { PAGE_BYTES } from '../page/page.ts'
import { Checkpoint } from './checkpoint.ts'
import { MainFile } from './main-file.ts'
import {
  BRANCHES,
  forEachReference,
  Graph,
  LEAVES,
  NAME,
  newGraph,
  type Pinned,
  targetOf,
  verify,
} from './testing/checkpoint-graph.ts'

/** One life of a process: changes, versions, spills and checkpoints until something fails. */
class Life {
  readonly #random: Random
  readonly #graph: Graph
  /** What each commit sequence shows. */
  readonly #states: Map<number, number[]>
  readonly #values: number[]
  durable: number
  progress: number | undefined
  checkpoints = 0

  constructor(random: Random, main: MainFile, states: Map<number, number[]>) {
    this.#random = random
    this.#graph = new Graph(main)
    this.#states = states
    this.#values = [...(states.get(main.meta.sequence) ?? [])]
    this.durable = main.meta.sequence
  }

  run(turns: number): void {
    const random = this.#random
    let checkpoint: Checkpoint | undefined
    let pinned: Pinned | undefined
    for (let turn = 0; turn < turns; turn++) {
      const published = this.#commit()
      if (random.chance(0.4)) this.#graph.reclaim(pinned?.version ?? published.version)
      if (random.chance(0.2)) this.#graph.spill(random)
      if (checkpoint === undefined) {
        if (!random.chance(0.4)) continue
        pinned = published
        this.progress = pinned.sequence
        const target = targetOf(pinned, random.chance(0.1))
        checkpoint = new Checkpoint(this.#graph.main, this.#graph, forEachReference, target)
      }
      this.#advance(checkpoint)
      if (checkpoint.state !== 'done') continue
      this.durable = this.progress ?? this.durable
      this.checkpoints++
      this.progress = undefined
      checkpoint = undefined
      pinned = undefined
    }
  }

  #commit(): Pinned {
    const graph = this.#graph
    const random = this.#random
    for (let change = random.below(4); change > 0; change--) {
      const value = random.chance(0.25) ? 0 : 1 + random.below(1_000_000)
      const at = random.below(BRANCHES * LEAVES)
      graph.put(Math.floor(at / LEAVES), at % LEAVES, value)
      this.#values[at] = value
    }
    graph.sequence++
    this.#states.set(graph.sequence, [...this.#values])
    return graph.publish()
  }

  #advance(checkpoint: Checkpoint): void {
    if (checkpoint.state === 'writing') {
      checkpoint.step(this.#random.between(1, 12))
    } else {
      this.#graph.main.pages.sync()
      checkpoint.synced()
    }
  }
}

const LOSSES: readonly SyncLoss[] = ['lost', 'reverted', 'kept', 'mixed']

function planTrouble(random: Random, disk: SimulatedDisk): void {
  const nth = 1 + random.below(60)
  const kind = random.chance(0.7) ? 'power' : 'kill'
  const phase = random.pick(['before', 'middle', 'after'] as const)
  switch (random.below(4)) {
    case 0:
      disk.planCrash({ call: 'any', nth, phase, kind })
      break
    case 1:
      disk.planCrash({ call: random.pick(['sync', 'write']), nth: 1 + (nth % 12), phase, kind })
      break
    case 2: {
      const call = random.pick(['sync', 'write'] as const)
      const errno = random.pick(['EIO', 'ENOSPC'] as const)
      const fault = { call, nth: 1 + (nth % 12), forever: random.chance(0.5), errno }
      disk.planFaults([{ ...fault, syncLoss: random.pick(LOSSES) }])
      break
    }
    default:
      disk.setCapacity(disk.lengthBytes + random.below(30) * PAGE_BYTES)
  }
}

function runSeed(seed: number): number {
  const random = new Random(seed)
  const sectorBytes = random.pick([512, 4096])
  let disk = new SimulatedDisk({ random: random.fork('disk'), sectorBytes, evictChance: 0.2 })
  MainFile.create(disk, NAME, { databaseId: new Uint8Array(16) }).close()
  const states = new Map([[0, Array<number>(BRANCHES * LEAVES).fill(0)]])
  let allowed = [0]
  let checkpoints = 0
  for (let life = 0; life < 4; life++) {
    const main = MainFile.open(disk, NAME)
    expect(allowed).toContain(main.meta.sequence)
    expect(verify(new Graph(main))).toEqual(states.get(main.meta.sequence))
    const process = new Life(random, main, states)
    planTrouble(random, disk)
    try {
      process.run(random.between(10, 60))
      disk.crash(random.pick(['power', 'kill']))
    } catch (error) {
      const expected = ['RINGBOLT_SIMULATED_CRASH', 'RINGBOLT_IO']
      if (!isRingboltError(error) || !expected.includes(error.code)) throw error
      if (random.chance(0.3)) disk.crash('power')
    }
    checkpoints += process.checkpoints
    allowed = [process.durable, process.progress ?? process.durable]
    disk = disk.reopen()
    disk.setCapacity(Number.POSITIVE_INFINITY)
  }
  return checkpoints
}

describe('S8, S9: crashes and faults at any call, over several lives', () => {
  const first = Number(process.env['RINGBOLT_SEED'] ?? 1)
  const count = Number(process.env['RINGBOLT_SEEDS'] ?? 250)

  test(`the last durable checkpoint is whole, or the one in progress (seeds from ${first})`, () => {
    let checkpoints = 0
    for (let seed = first; seed < first + count; seed++) {
      try {
        checkpoints += runSeed(seed)
      } catch (error) {
        throw new Error(`seed ${seed}: replay with RINGBOLT_SEED=${seed} RINGBOLT_SEEDS=1`, {
          cause: error,
        })
      }
    }
    expect(checkpoints).toBeGreaterThan(count)
  })
})

describe('S10: a main file with one byte changed', () => {
  /** Two checkpoints of a filled database: what each shows. */
  function filled(): { store: MemoryStore; older: number[]; newer: number[] } {
    const store = new MemoryStore()
    const graph = newGraph(store)
    const checkpoint = (): number[] => {
      graph.sequence++
      const target = targetOf(graph.publish())
      new Checkpoint(graph.main, graph, forEachReference, target).finish()
      graph.reclaim(target.version)
      return verify(new Graph(graph.main))
    }
    for (let at = 0; at < BRANCHES * LEAVES; at++) {
      graph.put(Math.floor(at / LEAVES), at % LEAVES, at + 1)
    }
    const older = checkpoint()
    for (const leaf of [0, 3, 5]) graph.put(leaf, leaf, 1000 + leaf)
    graph.put(2, 2, 0)
    const newer = checkpoint()
    graph.main.close()
    return { store, older, newer }
  }

  test('is an error that says where, or shows the other meta; never another document', () => {
    const { store, older, newer } = filled()
    const file = store.open(NAME)
    const outcomes = { error: 0, older: 0, newer: 0 }
    const byte = Buffer.alloc(1)
    for (let position = 0; position < file.length(); ) {
      const inPage = position % PAGE_BYTES
      file.readAt(position, byte)
      file.writeAt(position, [Buffer.from([(byte[0] ?? 0) ^ 0x10])])
      const found = readAll(store)
      if (found === undefined) outcomes.error++
      else if (found.join() === newer.join()) outcomes.newer++
      else {
        expect(found).toEqual(older)
        // The newest meta is in page 1; only damage to it shows the one before.
        expect(Math.floor(position / PAGE_BYTES)).toBe(1)
        outcomes.older++
      }
      file.writeAt(position, [byte])
      position += inPage < 32 ? 7 : 977
    }
    expect(outcomes.error).toBeGreaterThan(400)
    expect(outcomes.older).toBeGreaterThan(5)
    expect(outcomes.newer).toBeGreaterThan(5)
  })

  /** Undefined: refused, with file and offset. */
  function readAll(store: MemoryStore): number[] | undefined {
    try {
      return new Graph(MainFile.open(store, NAME, { readOnly: true })).read()
    } catch (error) {
      if (!isRingboltError(error)) throw error
      expect(error.code).toBe('RINGBOLT_CORRUPT')
      expect(error.facts).toMatchObject({
        file: 'memory/app.db',
        offset: expect.any(Number),
        expected: expect.anything(),
        actual: expect.anything(),
      })
      return undefined
    }
  }
})
