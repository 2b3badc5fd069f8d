import { isRingboltError } from '@ringbolt/ring'
import { FaultStore, MemoryStore } from '@ringbolt/wal'
import { Random, SimulatedDisk, type SyncLoss } from '@ringbolt/wal/simulation'
import { describe, expect, test } from 'vitest'
import { FIRST_PAGE, NO_PAGE, PAGE_BYTES, PAGE_WORDS, PageKind } from '../page/page.ts'
import { Checkpoint, type CheckpointSpace, type CheckpointTarget } from './checkpoint.ts'
import { readFreeList } from './free-list.ts'
import { MainFile } from './main-file.ts'
import { META_DIRECTORY_COUNT } from './main-layout.ts'
import { sealPage } from './page-file.ts'

const NAME = 'app.db'
const FRAMES = 400
const BRANCHES = 6
const LEAVES = 8
const COUNT_WORD = 5
const REFERENCES_WORD = 6
const logId = new Uint8Array(16).fill(4)

function forEachReference(
  _bytes: Uint8Array,
  words: Uint32Array,
  frame: number,
  visit: (wordIndex: number) => void,
): void {
  const first = frame * PAGE_WORDS
  const count = words[first + COUNT_WORD] ?? 0
  for (let index = 0; index < count; index++) visit(first + REFERENCES_WORD + index * 2)
}

interface Pinned {
  readonly version: number
  readonly sequence: number
  readonly directory: CheckpointTarget['directory']
}

/**
 * A tree of fixed shape with copy-on-write: a directory page, branches, leaves that hold a number each or
 * are not there. It does with pages what the sequencer's space does, and no more.
 */
class Graph implements CheckpointSpace {
  readonly words = new Uint32Array(FRAMES * PAGE_WORDS)
  readonly bytes = new Uint8Array(this.words.buffer)
  readonly main: MainFile
  readonly #frames = new Map<number, number>()
  readonly #freeFrames = Array.from({ length: FRAMES }, (_, frame) => frame)
  readonly #dirty = new Set<number>()
  readonly #births = new Map<number, number>()
  #retired: { pageId: number; birth: number; retired: number }[] = []
  working = 1
  sequence: number
  readonly directory = {
    pages: new Uint32Array(META_DIRECTORY_COUNT),
    checksums: new Uint32Array(META_DIRECTORY_COUNT),
  }

  constructor(main: MainFile) {
    this.main = main
    this.sequence = main.meta.sequence
    for (const [index, { pageId, checksum }] of main.meta.directory.entries()) {
      this.directory.pages[index] = pageId
      this.directory.checksums[index] = checksum
    }
  }

  residentFrame(pageId: number): number {
    return this.#frames.get(pageId) ?? -1
  }

  isDirty(frame: number): boolean {
    return this.#dirty.has(frame)
  }

  writeBack(frame: number): void {
    const first = frame * PAGE_WORDS
    forEachReference(this.bytes, this.words, frame, (word) => this.#complete(word))
    const image = Buffer.from(this.bytes.slice(first * 4, first * 4 + PAGE_BYTES))
    this.words[first] = sealPage(image)
    this.main.pages.writePage(this.words[first + 1] ?? 0, image)
    this.#dirty.delete(frame)
  }

  #complete(word: number): void {
    const child = this.words[word] ?? NO_PAGE
    if (child === NO_PAGE || this.words[word + 1] !== 0) return
    const frame = this.residentFrame(child)
    if (frame < 0 || this.isDirty(frame)) throw new Error(`page ${child} is not written`)
    this.words[word + 1] = this.words[frame * PAGE_WORDS] ?? 0
  }

  forEachRetired(visit: (pageId: number, birth: number, retired: number) => void): void {
    for (const { pageId, birth, retired } of this.#retired) visit(pageId, birth, retired)
  }

  checkpointed(version: number): void {
    for (const [pageId, birth] of this.#births) if (birth <= version) this.#births.delete(pageId)
  }

  locate(pageId: number, checksum: number): number {
    const resident = this.residentFrame(pageId)
    if (resident >= 0) return resident
    const frame = this.#takeFrame(pageId)
    const start = frame * PAGE_BYTES
    const page = this.bytes.subarray(start, start + PAGE_BYTES)
    this.main.pages.readPage(pageId, checksum, page)
    return frame
  }

  #takeFrame(pageId: number): number {
    const frame = this.#freeFrames.pop()
    if (frame === undefined) throw new Error('no frame')
    this.words.fill(0, frame * PAGE_WORDS, (frame + 1) * PAGE_WORDS)
    this.#frames.set(pageId, frame)
    return frame
  }

  #make(kind: number, references: number): number {
    const pageId = this.main.pageIds.take(this.working)
    const frame = this.#takeFrame(pageId)
    this.words[frame * PAGE_WORDS + 1] = pageId
    this.words[frame * PAGE_WORDS + COUNT_WORD] = references
    this.bytes[frame * PAGE_BYTES + 8] = kind
    this.#dirty.add(frame)
    this.#births.set(pageId, this.working)
    return pageId
  }

  /** In the working version: itself, or a copy in its place. */
  #writable(pageId: number, checksum: number, kind: number, references: number): number {
    if (pageId === NO_PAGE) return this.#make(kind, references)
    const source = this.locate(pageId, checksum)
    if (this.#births.get(pageId) === this.working && this.isDirty(source)) return pageId
    const copyId = this.#make(kind, references)
    const from = source * PAGE_WORDS + COUNT_WORD
    const to = this.residentFrame(copyId) * PAGE_WORDS + COUNT_WORD
    this.words.copyWithin(to, from, (source + 1) * PAGE_WORDS)
    this.#retire(pageId)
    return copyId
  }

  #retire(pageId: number): void {
    const birth = this.#births.get(pageId) ?? 0
    if (birth === this.working) this.#free(pageId, birth, birth)
    else this.#retired.push({ pageId, birth, retired: this.working })
  }

  #free(pageId: number, birth: number, retired: number): void {
    const frame = this.residentFrame(pageId)
    this.#births.delete(pageId)
    if (frame >= 0) this.#drop(pageId, frame)
    this.main.pageIds.release(pageId, birth, retired)
  }

  #drop(pageId: number, frame: number): void {
    this.#frames.delete(pageId)
    this.#dirty.delete(frame)
    this.#freeFrames.push(frame)
  }

  /** Sets a leaf's number; 0 takes the leaf away. */
  put(branch: number, leaf: number, value: number): void {
    const [root = NO_PAGE] = this.directory.pages
    const rootId = this.#writable(
      root,
      this.directory.checksums[0] ?? 0,
      PageKind.directory,
      BRANCHES,
    )
    this.directory.pages[0] = rootId
    this.directory.checksums[0] = 0
    const branchId = this.#child(rootId, branch, PageKind.branch, LEAVES)
    const word = this.#word(branchId, leaf)
    if (value === 0) {
      const gone = this.words[word] ?? NO_PAGE
      if (gone !== NO_PAGE) this.#retire(gone)
      this.words.fill(0, word, word + 2)
      return
    }
    const leafId = this.#child(branchId, leaf, PageKind.leaf, 0)
    const first = this.residentFrame(leafId) * PAGE_WORDS
    this.words.fill(value, first + REFERENCES_WORD, first + PAGE_WORDS)
  }

  #child(parent: number, index: number, kind: number, references: number): number {
    const word = this.#word(parent, index)
    const [old = NO_PAGE, checksum = 0] = this.words.subarray(word, word + 2)
    const pageId = this.#writable(old, checksum, kind, references)
    if (pageId !== old) this.words[word] = pageId
    this.words[word + 1] = 0
    return pageId
  }

  #word(pageId: number, index: number): number {
    return this.residentFrame(pageId) * PAGE_WORDS + REFERENCES_WORD + index * 2
  }

  /** All leaves of the newest version; every page of it is looked at. */
  read(reached: (pageId: number) => void = () => undefined): number[] {
    const values: number[] = []
    const children = (pageId: number, checksum: number, count: number): [number, number][] => {
      if (pageId === NO_PAGE) return Array.from({ length: count }, () => [NO_PAGE, 0])
      reached(pageId)
      const first = this.locate(pageId, checksum) * PAGE_WORDS + REFERENCES_WORD
      const words = Array.from(this.words.subarray(first, first + count * 2))
      return Array.from({ length: count }, (_, at) => [words[2 * at] ?? 0, words[2 * at + 1] ?? 0])
    }
    const { pages, checksums } = this.directory
    for (const branch of children(pages[0] ?? 0, checksums[0] ?? 0, BRANCHES)) {
      for (const [leafId, checksum] of children(...branch, LEAVES)) {
        if (leafId === NO_PAGE) {
          values.push(0)
          continue
        }
        reached(leafId)
        const first = this.locate(leafId, checksum) * PAGE_WORDS
        const content = new Set(this.words.subarray(first + REFERENCES_WORD, first + PAGE_WORDS))
        expect(content.size).toBe(1)
        values.push(...content)
      }
    }
    return values
  }

  /** Ends the working version and publishes it. */
  publish(): Pinned {
    const version = this.working++
    const { pages, checksums } = this.directory
    const directory = { pages: pages.slice(), checksums: checksums.slice() }
    return { version, sequence: this.sequence, directory }
  }

  /** Frees what no version from that one on shows. */
  reclaim(oldestVersion: number): void {
    const retired = this.#retired
    this.#retired = retired.filter((page) => page.retired > oldestVersion)
    for (const page of retired) {
      if (page.retired <= oldestVersion) this.#free(page.pageId, page.birth, page.retired)
    }
  }

  /** Writes dirty pages whose children are written, and lets go of written ones. */
  spill(random: Random): void {
    for (const frame of this.#dirty) {
      let ready = random.chance(0.5)
      forEachReference(this.bytes, this.words, frame, (word) => {
        const child = this.residentFrame(this.words[word] ?? NO_PAGE)
        if (child >= 0 && this.isDirty(child)) ready = false
      })
      if (ready) this.writeBack(frame)
    }
    for (const frame of this.#frames.values()) {
      forEachReference(this.bytes, this.words, frame, (word) => {
        const child = this.residentFrame(this.words[word] ?? NO_PAGE)
        if (child >= 0 && !this.isDirty(child)) this.#complete(word)
      })
    }
    for (const [pageId, frame] of this.#frames) {
      // Pins' directories do not learn checksums here, so their pages stay.
      const isDirectory = this.bytes[frame * PAGE_BYTES + 8] === PageKind.directory
      if (!isDirectory && !this.isDirty(frame) && random.chance(0.3)) this.#drop(pageId, frame)
    }
  }
}

function targetOf(pinned: Pinned, clean = false): CheckpointTarget {
  return { ...pinned, logId, logLsn: pinned.sequence * 8, baseSequence: 0, clean }
}

function newGraph(store = new MemoryStore()): Graph {
  return new Graph(MainFile.create(store, NAME, { databaseId: new Uint8Array(16) }))
}

/** Free or reachable: never both, never neither. Returns the leaves. */
function verify(graph: Graph): number[] {
  const { main } = graph
  const { free, pageIds } = readFreeList(main.pages, main.meta)
  const used = new Set<number>(pageIds)
  const values = graph.read((pageId) => {
    expect(used.has(pageId)).toBe(false)
    used.add(pageId)
  })
  for (let pageId = FIRST_PAGE; pageId < main.meta.pageCount; pageId++) {
    expect([pageId, free.has(pageId)]).toEqual([pageId, !used.has(pageId)])
  }
  return values
}

describe('S8: checkpoint', () => {
  test('writes what is dirty, children first, in bounded steps', () => {
    const store = new MemoryStore()
    const graph = newGraph(store)
    for (let leaf = 0; leaf < LEAVES; leaf++) graph.put(leaf % BRANCHES, leaf, leaf + 1)
    const expected = graph.read()
    const checkpoint = new Checkpoint(
      graph.main,
      graph,
      forEachReference,
      targetOf(graph.publish()),
    )
    let steps = 0
    for (; checkpoint.state === 'writing'; steps++) {
      const before = checkpoint.pagesWritten
      checkpoint.step(2)
      expect(checkpoint.pagesWritten - before).toBeLessThanOrEqual(2)
    }
    expect(steps).toBeGreaterThan(8)
    expect(checkpoint.pagesWritten).toBe(1 + BRANCHES + LEAVES)
    expect(checkpoint.state).toBe('sync-data')
    expect(() => checkpoint.step(1)).toThrow('sync-data')
    expect(checkpoint.synced()).toBe('sync-meta')
    expect(graph.main.meta.checkpoint).toBe(1)
    expect(checkpoint.synced()).toBe('done')
    expect(graph.main.meta).toMatchObject({ checkpoint: 2, freeCount: 0 })
    expect(() => checkpoint.synced()).toThrow('done')

    // Only what changed is written the next time, and one page for the list of what it freed.
    graph.put(0, 0, 99)
    const next = new Checkpoint(
      graph.main,
      graph,
      forEachReference,
      targetOf(graph.publish(), true),
    )
    next.finish()
    expect(next.pagesWritten).toBe(3 + 1)
    graph.main.close()
    const again = new Graph(MainFile.open(store, NAME))
    expect(again.main.meta.clean).toBe(true)
    expect(verify(again)).toEqual(expected.with(0, 99))
  })

  test('an empty database needs neither pages nor a list', () => {
    const graph = newGraph()
    const faults = targetOf(graph.publish(), true)
    new Checkpoint(graph.main, graph, forEachReference, faults).finish()
    expect(graph.main.meta).toMatchObject({ pageCount: FIRST_PAGE, freeCount: 0 })
    expect(verify(new Graph(graph.main))).toEqual(Array(BRANCHES * LEAVES).fill(0))
  })

  test('one at a time', () => {
    const graph = newGraph()
    const begin = (): Checkpoint =>
      new Checkpoint(graph.main, graph, forEachReference, targetOf(graph.publish()))
    begin()
    expect(begin).toThrow('in progress')
  })

  test('S9: a failed write or sync throws, and the checkpoint before is still there', () => {
    for (const call of ['write', 'sync'] as const) {
      for (let nth = 1; nth <= 2; nth++) {
        const memory = new MemoryStore()
        const faults = new FaultStore(memory)
        const main = MainFile.create(faults, NAME, { databaseId: new Uint8Array(16) })
        const graph = new Graph(main)
        graph.put(1, 1, 5)
        const expected = graph.read()
        new Checkpoint(main, graph, forEachReference, targetOf(graph.publish())).finish()
        graph.put(1, 1, 6)
        const second = new Checkpoint(main, graph, forEachReference, targetOf(graph.publish()))
        faults.setFault({ call, nth })
        expect(() => second.finish()).toThrow(expect.objectContaining({ code: 'RINGBOLT_IO' }))
        const found = new Graph(MainFile.open(memory, NAME))
        expect(found.main.meta.sequence).toBe(0)
        const expectedNow = call === 'sync' && nth === 2 ? 6 : 5
        expect(verify(found)).toEqual(expected.with(LEAVES + 1, expectedNow))
      }
    }
  })
})

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
