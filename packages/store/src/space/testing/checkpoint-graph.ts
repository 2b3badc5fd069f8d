/** Stands for the sequencer's space in tests of the checkpoint: small, and without any way of its own. */
import { MemoryStore } from '@ringbolt/wal'
import type { Random } from '@ringbolt/wal/simulation'
import { expect } from 'vitest'
import { FIRST_PAGE, NO_PAGE, PAGE_BYTES, PAGE_WORDS, PageKind } from '../../page/page.ts'
import type { CheckpointSpace, CheckpointTarget } from '../checkpoint.ts'
import { readFreeList } from '../free-list.ts'
import { MainFile } from '../main-file.ts'
import { META_DIRECTORY_COUNT } from '../main-layout.ts'
import { sealPage } from '../page-file.ts'

export const NAME = 'app.db'
const FRAMES = 400
export const BRANCHES = 6
export const LEAVES = 8
const COUNT_WORD = 5
const REFERENCES_WORD = 6
const logId = new Uint8Array(16).fill(4)

export function forEachReference(
  _bytes: Uint8Array,
  words: Uint32Array,
  frame: number,
  visit: (wordIndex: number) => void,
): void {
  const first = frame * PAGE_WORDS
  const count = words[first + COUNT_WORD] ?? 0
  for (let index = 0; index < count; index++) visit(first + REFERENCES_WORD + index * 2)
}

export interface Pinned {
  readonly version: number
  readonly sequence: number
  readonly directory: CheckpointTarget['directory']
}

/**
 * A tree of fixed shape with copy-on-write: a directory page, branches, leaves that hold a number each or
 * are not there. It does with pages what the sequencer's space does, and no more.
 */
export class Graph implements CheckpointSpace {
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

export function targetOf(pinned: Pinned, clean = false): CheckpointTarget {
  return { ...pinned, logId, logLsn: pinned.sequence * 8, baseSequence: 0, clean }
}

export function newGraph(store = new MemoryStore()): Graph {
  return new Graph(MainFile.create(store, NAME, { databaseId: new Uint8Array(16) }))
}

/** Free or reachable: never both, never neither. Returns the leaves. */
export function verify(graph: Graph): number[] {
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
