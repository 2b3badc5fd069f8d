/** Checkpoints of real trees in the sequencer's space: overflow values, drops and splits included. */
import { isRingboltError } from '@ringbolt/ring'
import { Random, SimulatedDisk } from '@ringbolt/wal/simulation'
import { describe, expect, test } from 'vitest'
import { FIRST_PAGE, NO_PAGE, PAGE_BYTES } from '../page/page.ts'
import { DirectoryReferences } from '../tree/directory.ts'
import { forEachReference } from '../tree/references.ts'
import { TreeReader } from '../tree/tree-reader.ts'
import { Trees } from '../tree/trees.ts'
import { Checkpoint } from './checkpoint.ts'
import { readFreeList } from './free-list.ts'
import { MainFile } from './main-file.ts'
import { createRegion } from './region.ts'
import { SharedSpace } from './shared-space.ts'

const NAME = 'app.db'
const FRAMES = 192
const ROOM = 64
const TREES = 3
const KEYS = 900
const logId = new Uint8Array(16).fill(4)

type State = ReadonlyMap<string, string>

class Database {
  readonly main: MainFile
  readonly space: SharedSpace
  readonly trees: Trees
  sequence: number

  constructor(disk: SimulatedDisk) {
    this.main = MainFile.open(disk, NAME)
    const region = createRegion({ cacheBytes: FRAMES * PAGE_BYTES, readersMax: 1, pinsMax: 1 })
    const environment = { pause: () => undefined }
    const { pages, pageIds, meta } = this.main
    this.space = new SharedSpace(region, pages, pageIds, forEachReference, environment)
    const directory = new DirectoryReferences()
    for (const [index, { pageId, checksum }] of meta.directory.entries()) {
      directory.pages[index] = pageId
      directory.checksums[index] = checksum
    }
    this.trees = new Trees(this.space, directory)
    this.sequence = meta.sequence
    this.publish()
  }

  publish(): void {
    this.space.publish(this.space.seal(), this.sequence, this.trees.directory)
    this.space.reclaim()
  }

  /** All entries, key by key: `tree/key` and the value's length with its first byte. */
  read(): State {
    const entries = new Map<string, string>()
    const reader = new TreeReader(this.space)
    for (let tree = 0; tree < TREES; tree++) {
      if (!this.trees.exists(tree)) continue
      let found = 0
      for (let number = 0; number < KEYS; number++) {
        this.space.makeRoom(ROOM)
        const key = `key ${number}`
        const { directory } = this.trees
        if (!reader.find(directory, tree, Buffer.from(key))) continue
        entries.set(`${tree}/${key}`, textOf(reader.value()))
        found++
      }
      expect(this.trees.count(tree)).toBe(found)
    }
    return entries
  }

  /** Free or reachable: never both, never neither. */
  verify(): void {
    const { meta, pages } = this.main
    const { free, pageIds } = readFreeList(pages, meta)
    const used = new Set<number>(pageIds)
    const walk = (pageId: number, checksum: number): void => {
      expect([pageId, used.has(pageId)]).toEqual([pageId, false])
      used.add(pageId)
      this.space.makeRoom(1)
      const { bytes, words } = this.space
      const children: [number, number][] = []
      forEachReference(bytes, words, this.space.locate(pageId, checksum), (word) => {
        children.push([words[word] ?? NO_PAGE, words[word + 1] ?? 0])
      })
      for (const child of children) walk(...child)
    }
    for (const { pageId, checksum } of meta.directory)
      if (pageId !== NO_PAGE) walk(pageId, checksum)
    for (let pageId = FIRST_PAGE; pageId < meta.pageCount; pageId++) {
      expect([pageId, free.has(pageId)]).toEqual([pageId, !used.has(pageId)])
    }
  }
}

function textOf(value: Uint8Array): string {
  return `${value.length}:${value[0] ?? 0}:${value.at(-1) ?? 0}`
}

class Life {
  readonly #random: Random
  readonly #database: Database
  readonly #state: Map<string, string>
  readonly #states: Map<number, State>
  durable: number
  progress: number
  checkpoints = 0

  constructor(random: Random, database: Database, states: Map<number, State>) {
    this.#random = random
    this.#database = database
    this.#states = states
    this.durable = database.main.meta.sequence
    this.progress = this.durable
    this.#state = new Map(states.get(this.durable))
  }

  run(turns: number): void {
    const { main, space } = this.#database
    let checkpoint: Checkpoint | undefined
    let pin = space.pinPublished()
    space.unpin(pin)
    for (let turn = 0; turn < turns; turn++) {
      this.#commit()
      if (checkpoint === undefined) {
        if (!this.#random.chance(0.3)) continue
        pin = space.pinPublished()
        this.progress = pin.sequence
        const facts = { logId, logLsn: pin.sequence, baseSequence: 0, clean: false }
        checkpoint = new Checkpoint(main, space, forEachReference, { ...pin, ...facts })
      }
      if (checkpoint.state === 'writing') {
        checkpoint.step(this.#random.between(1, 40))
        continue
      }
      main.pages.sync()
      if (checkpoint.synced() !== 'done') continue
      space.unpin(pin)
      this.durable = pin.sequence
      this.checkpoints++
      checkpoint = undefined
    }
  }

  #commit(): void {
    const database = this.#database
    const { trees, space } = database
    database.sequence++
    for (let change = this.#random.below(30); change > 0; change--) {
      const tree = this.#random.below(TREES)
      space.makeRoom(ROOM)
      if (!trees.exists(tree)) trees.create(tree, 1)
      space.makeRoom(ROOM)
      this.#change(tree)
    }
    this.#states.set(database.sequence, new Map(this.#state))
    database.publish()
  }

  #change(tree: number): void {
    const { trees, sequence } = this.#database
    const key = `key ${this.#random.below(KEYS)}`
    const name = `${tree}/${key}`
    if (this.#random.chance(0.3)) {
      expect(trees.delete(tree, Buffer.from(key), sequence)).toBe(this.#state.delete(name))
      return
    }
    const length = this.#random.chance(0.05) ? this.#random.below(60_000) : this.#random.below(300)
    const value = Buffer.alloc(length, this.#random.between(1, 255))
    trees.put(tree, Buffer.from(key), value, sequence)
    this.#state.set(name, textOf(value))
  }
}

function runSeed(seed: number): number {
  const random = new Random(seed)
  let disk = new SimulatedDisk({ random: random.fork('disk'), sectorBytes: 4096 })
  MainFile.create(disk, NAME, { databaseId: new Uint8Array(16) }).close()
  const states = new Map<number, State>([[0, new Map()]])
  let allowed = [0]
  let checkpoints = 0
  for (let life = 0; life < 3; life++) {
    const database = new Database(disk)
    const found = database.main.meta.sequence
    expect(allowed).toContain(found)
    database.verify()
    expect(database.read()).toEqual(states.get(found))
    const process = new Life(random, database, states)
    const phase = random.pick(['before', 'middle', 'after'] as const)
    const kind = random.chance(0.7) ? 'power' : 'kill'
    disk.planCrash({ call: 'any', nth: 1 + random.below(400), phase, kind })
    try {
      process.run(random.between(20, 80))
      disk.crash(kind)
    } catch (error) {
      if (!isRingboltError(error) || error.code !== 'RINGBOLT_SIMULATED_CRASH') throw error
    }
    checkpoints += process.checkpoints
    allowed = [process.durable, process.progress]
    disk = disk.reopen()
  }
  return checkpoints
}

describe('S8, S10: checkpoints of trees', () => {
  const first = Number(process.env['RINGBOLT_SEED'] ?? 1)
  const count = Number(process.env['RINGBOLT_SEEDS'] ?? 20)

  test(`a crash at any call leaves all entries of a checkpoint (seeds from ${first})`, () => {
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
