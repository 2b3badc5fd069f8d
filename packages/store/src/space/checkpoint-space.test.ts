/**
 * Checkpoints of the sequencer's own space, whose cache is far smaller than the database: pages are spilled,
 * evicted and read again between the steps, while commits, a reader's pins and versions that are not
 * published yet go on.
 */
import { isRingboltError } from '@ringbolt/ring'
import { Random, SimulatedDisk } from '@ringbolt/wal/simulation'
import { describe, expect, test } from 'vitest'
import { FIRST_PAGE, NO_PAGE, PAGE_BYTES } from '../page/page.ts'
import { Checkpoint } from './checkpoint.ts'
import { readFreeList } from './free-list.ts'
import { MainFile } from './main-file.ts'
import { PageFile } from './page-file.ts'
import { PageReader, type Pin, takeReaderSlot } from './page-reader.ts'
import { emptyDirectory } from './published.ts'
import { createRegion } from './region.ts'
import { SharedSpace, type SpacePin } from './shared-space.ts'
import {
  branchOf,
  childWord,
  contentOf,
  fillLeaf,
  forEachReference,
  leafOf,
  setChild,
} from './testing/space-doubles.ts'

const NAME = 'app.db'
const FRAMES = 56
const READER = 1
const ROOTS = 2
const BRANCHES = 9
const LEAVES = 10
const LEAF_COUNT: number = ROOTS * BRANCHES * LEAVES
const logId = new Uint8Array(16).fill(4)

interface Sealed {
  readonly version: number
  readonly sequence: number
  readonly directory: { readonly pages: Uint32Array; readonly checksums: Uint32Array }
}

/** Two trees of fixed shape; a leaf holds one number or is not there. */
class Database {
  readonly main: MainFile
  readonly space: SharedSpace
  readonly reader: PageReader
  readonly directory = emptyDirectory()
  sequence: number

  constructor(disk: SimulatedDisk, firstVersion: number) {
    this.main = MainFile.open(disk, NAME)
    const cacheBytes = FRAMES * PAGE_BYTES
    const region = createRegion({ cacheBytes, readersMax: 2, pinsMax: 8, firstVersion })
    this.space = new SharedSpace(region, this.main.pages, this.main.pageIds, forEachReference, {
      pause: () => undefined,
    })
    const pages = new PageFile(disk.open(NAME))
    this.reader = new PageReader(region, takeReaderSlot(region, READER), pages)
    this.sequence = this.main.meta.sequence
    for (const [index, { pageId, checksum }] of this.main.meta.directory.entries()) {
      this.directory.pages[index] = pageId
      this.directory.checksums[index] = checksum
    }
    const { version, sequence, directory } = this.seal()
    this.space.publish(version, sequence, directory)
  }

  put(at: number, value: number): void {
    const { space, directory } = this
    const root = at % ROOTS
    const branch = Math.floor(at / ROOTS) % BRANCHES
    const leaf = Math.floor(at / ROOTS / BRANCHES)
    space.makeRoom(24)
    const old = directory.pages[root] ?? NO_PAGE
    const rootId =
      old === NO_PAGE
        ? branchOf(space, Array<number>(BRANCHES).fill(NO_PAGE), 2)
        : space.writable(old, directory.checksums[root] ?? 0)
    directory.pages[root] = rootId
    directory.checksums[root] = 0
    const branchId = this.#child(rootId, branch, () =>
      branchOf(space, Array<number>(LEAVES).fill(NO_PAGE)),
    )
    if (value !== 0) {
      fillLeaf(
        space,
        this.#child(branchId, leaf, () => leafOf(space, value)),
        value,
      )
      return
    }
    const gone = this.space.words[childWord(space.locate(branchId, 0), leaf)] ?? NO_PAGE
    if (gone !== NO_PAGE) space.retire(gone)
    setChild(space, branchId, leaf, NO_PAGE, 0)
  }

  #child(parent: number, index: number, make: () => number): number {
    const { space } = this
    const word = childWord(space.locate(parent, 0), index)
    const [old = NO_PAGE, checksum = 0] = space.words.subarray(word, word + 2)
    const pageId = old === NO_PAGE ? make() : space.writable(old, checksum)
    setChild(space, parent, index, pageId, 0)
    return pageId
  }

  seal(): Sealed {
    const { pages, checksums } = this.directory
    const directory = { pages: pages.slice(), checksums: checksums.slice() }
    return { version: this.space.seal(), sequence: this.sequence, directory }
  }

  begin(pin: SpacePin): Checkpoint {
    return new Checkpoint(this.main, this.space, forEachReference, {
      version: pin.version,
      sequence: pin.sequence,
      directory: pin.directory,
      logId,
      logLsn: pin.sequence * 8,
      baseSequence: 0,
      clean: false,
    })
  }

  /** All leaves of the newest state as the sequencer sees it; pages may be read again. */
  read(reached: (pageId: number) => void): number[] {
    const { space, directory } = this
    const children = (pageId: number, checksum: number, count: number): [number, number][] => {
      if (pageId === NO_PAGE) return Array.from({ length: count }, () => [NO_PAGE, 0])
      reached(pageId)
      space.makeRoom(1)
      const word = childWord(space.locate(pageId, checksum), 0)
      const words = Array.from(space.words.subarray(word, word + 2 * count))
      return Array.from({ length: count }, (_, at) => [words[2 * at] ?? 0, words[2 * at + 1] ?? 0])
    }
    const values = Array<number>(LEAF_COUNT).fill(0)
    for (let root = 0; root < ROOTS; root++) {
      const { pages, checksums } = directory
      const branches = children(pages[root] ?? 0, checksums[root] ?? 0, BRANCHES)
      for (const [branch, reference] of branches.entries()) {
        for (const [leaf, [leafId, checksum]] of children(...reference, LEAVES).entries()) {
          if (leafId === NO_PAGE) continue
          reached(leafId)
          space.makeRoom(1)
          const content = contentOf(space.words, space.locate(leafId, checksum))
          values[(leaf * BRANCHES + branch) * ROOTS + root] = content
        }
      }
    }
    return values
  }

  /** Free or reachable: never both, never neither. Returns the leaves. */
  verify(): number[] {
    const { meta, pages } = this.main
    const { free, pageIds } = readFreeList(pages, meta)
    const used = new Set<number>(pageIds)
    const values = this.read((pageId) => {
      expect(used.has(pageId)).toBe(false)
      used.add(pageId)
    })
    for (let pageId = FIRST_PAGE; pageId < meta.pageCount; pageId++) {
      expect([pageId, free.has(pageId)]).toEqual([pageId, !used.has(pageId)])
    }
    return values
  }
}

/** From an open to a crash. */
class Life {
  readonly #random: Random
  readonly #database: Database
  readonly #states: Map<number, number[]>
  readonly #values: number[]
  #unpublished: Sealed[] = []
  #pins: Pin[] = []
  #running: { readonly checkpoint: Checkpoint; readonly pin: SpacePin } | undefined
  durable: number
  checkpoints = 0

  constructor(random: Random, database: Database, states: Map<number, number[]>) {
    this.#random = random
    this.#database = database
    this.#states = states
    this.durable = database.main.meta.sequence
    this.#values = [...(states.get(this.durable) ?? [])]
  }

  get progress(): number {
    return this.#running?.pin.sequence ?? this.durable
  }

  run(turns: number): void {
    const { space } = this.#database
    for (let turn = 0; turn < turns; turn++) {
      this.#commit()
      while (this.#unpublished.length > 0 && this.#random.chance(0.7)) this.#publish()
      this.#movePins()
      if (this.#random.chance(0.6)) space.reclaim()
      space.admitWanted()
      this.#checkpoint()
    }
  }

  #commit(): void {
    const database = this.#database
    for (let change = this.#random.below(6); change > 0; change--) {
      const at = this.#random.below(LEAF_COUNT)
      const value = this.#random.chance(0.2) ? 0 : this.#random.between(1, 1_000_000)
      database.put(at, value)
      this.#values[at] = value
    }
    database.sequence++
    this.#states.set(database.sequence, [...this.#values])
    this.#unpublished.push(database.seal())
  }

  #publish(): void {
    const sealed = this.#unpublished.shift()
    if (sealed === undefined) return
    this.#database.space.publish(sealed.version, sealed.sequence, sealed.directory)
  }

  #movePins(): void {
    const { reader } = this.#database
    if (this.#pins.length < 4 && this.#random.chance(0.1)) this.#pins.push(reader.pin())
    const pin = this.#random.chance(0.1) ? this.#pins.shift() : undefined
    if (pin !== undefined) reader.unpin(pin)
  }

  #checkpoint(): void {
    const { main, space } = this.#database
    if (this.#running === undefined) {
      if (!this.#random.chance(0.3)) return
      const pin = space.pinPublished()
      this.#running = { pin, checkpoint: this.#database.begin(pin) }
    }
    const { checkpoint, pin } = this.#running
    if (checkpoint.state === 'writing') {
      checkpoint.step(this.#random.between(1, 20))
      return
    }
    main.pages.sync()
    checkpoint.synced()
    if (checkpoint.state !== 'done') return
    space.unpin(pin)
    this.durable = pin.sequence
    this.#running = undefined
    this.checkpoints++
  }
}

function runSeed(seed: number): number {
  const random = new Random(seed)
  let disk = new SimulatedDisk({ random: random.fork('disk'), sectorBytes: 4096 })
  MainFile.create(disk, NAME, { databaseId: new Uint8Array(16) }).close()
  const states = new Map([[0, Array<number>(LEAF_COUNT).fill(0)]])
  let allowed = [0]
  let checkpoints = 0
  for (let life = 0; life < 3; life++) {
    const firstVersion = random.pick([1, -40, 2 ** 31 - 40])
    const database = new Database(disk, firstVersion)
    const found = database.main.meta.sequence
    expect(allowed).toContain(found)
    expect(database.verify()).toEqual(states.get(found))
    const process = new Life(random, database, states)
    const phase = random.pick(['before', 'middle', 'after'] as const)
    const kind = random.chance(0.7) ? 'power' : 'kill'
    disk.planCrash({ call: 'any', nth: 1 + random.below(600), phase, kind })
    try {
      process.run(random.between(20, 120))
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

describe('S8, S10: checkpoints beside commits in a cache a quarter of the database', () => {
  const first = Number(process.env['RINGBOLT_SEED'] ?? 1)
  const count = Number(process.env['RINGBOLT_SEEDS'] ?? 60)

  test(`a crash at any call leaves the last checkpoint whole (seeds from ${first})`, () => {
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
