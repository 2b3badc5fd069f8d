/**
 * A set of page ids: a bitmap in chunks, made as they are needed, so that it costs a few bytes for each
 * mebibyte of the file, and a hostile file's claim of billions of free pages costs nothing.
 *
 * Taking the lowest looks at a chunk's 32 summary words at most, behind a hint below which no chunk has a
 * member.
 */
import { PAGE_COUNT_MAX } from './main-layout.ts'

const WORD_BITS = 32
const CHUNK_WORDS = 1024
const CHUNK_IDS: number = CHUNK_WORDS * WORD_BITS
const SUMMARY_WORDS: number = CHUNK_WORDS / WORD_BITS
const ALL = 0xffff_ffff

class Chunk {
  readonly words: Uint32Array
  /** A bit for each word that has a member. */
  readonly summary: Uint32Array
  count: number

  constructor(words: Uint32Array, summary: Uint32Array, count: number) {
    this.words = words
    this.summary = summary
    this.count = count
  }

  static empty(): Chunk {
    return new Chunk(new Uint32Array(CHUNK_WORDS), new Uint32Array(SUMMARY_WORDS), 0)
  }

  static full(): Chunk {
    const words = new Uint32Array(CHUNK_WORDS).fill(ALL)
    return new Chunk(words, new Uint32Array(SUMMARY_WORDS).fill(ALL), CHUNK_IDS)
  }

  copy(): Chunk {
    return new Chunk(this.words.slice(), this.summary.slice(), this.count)
  }

  has(at: number): boolean {
    return (((this.words[at >>> 5] ?? 0) >>> (at & 31)) & 1) === 1
  }

  add(at: number): void {
    const word = at >>> 5
    this.words[word] = (this.words[word] ?? 0) | (1 << (at & 31))
    const line = word >>> 5
    this.summary[line] = (this.summary[line] ?? 0) | (1 << (word & 31))
    this.count++
  }

  delete(at: number): void {
    const word = at >>> 5
    const left = (this.words[word] ?? 0) & ~(1 << (at & 31))
    this.words[word] = left
    const line = word >>> 5
    if (left === 0) this.summary[line] = (this.summary[line] ?? 0) & ~(1 << (word & 31))
    this.count--
  }

  /** Not of an empty chunk. */
  lowest(): number {
    let line = 0
    while (this.summary[line] === 0) line++
    const word = line * WORD_BITS + lowestBit(this.summary[line] ?? 0)
    return word * WORD_BITS + lowestBit(this.words[word] ?? 0)
  }
}

function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word)
}

/** `full` stands for a chunk all of whose ids are members, without memory of its own. */
type ChunkSlot = Chunk | 'full' | undefined

export class PageIdSet {
  readonly #chunks: ChunkSlot[] = []
  #size = 0
  /** No chunk below has a member. */
  #lowestChunk = 0

  get size(): number {
    return this.#size
  }

  has(pageId: number): boolean {
    const chunk = this.#chunks[Math.floor(pageId / CHUNK_IDS)]
    return chunk === 'full' || (chunk?.has(pageId % CHUNK_IDS) ?? false)
  }

  /** False: it was a member already. */
  add(pageId: number): boolean {
    if (this.has(pageId)) return false
    const index = Math.floor(pageId / CHUNK_IDS)
    this.#chunk(index).add(pageId % CHUNK_IDS)
    this.#size++
    if (index < this.#lowestChunk) this.#lowestChunk = index
    return true
  }

  /** False: it was no member. */
  delete(pageId: number): boolean {
    if (!this.has(pageId)) return false
    this.#chunk(Math.floor(pageId / CHUNK_IDS)).delete(pageId % CHUNK_IDS)
    this.#size--
    return true
  }

  /** Takes the lowest member out; undefined: there is none. */
  takeLowest(): number | undefined {
    if (this.#size === 0) return undefined
    let index = this.#lowestChunk
    while (this.#countIn(index) === 0) index++
    this.#lowestChunk = index
    const chunk = this.#chunk(index)
    const at = chunk.lowest()
    chunk.delete(at)
    this.#size--
    return index * CHUNK_IDS + at
  }

  /** Ids that are no members yet; memory only for chunks that are not filled whole. */
  addExtent(first: number, count: number): void {
    let pageId = first
    const end = first + count
    while (pageId < end) {
      const index = Math.floor(pageId / CHUNK_IDS)
      const chunkEnd = (index + 1) * CHUNK_IDS
      if (pageId % CHUNK_IDS === 0 && chunkEnd <= end && this.#countIn(index) === 0) {
        this.#reach(index)
        this.#chunks[index] = 'full'
        this.#size += CHUNK_IDS
        this.#lowestChunk = Math.min(this.#lowestChunk, index)
        pageId = chunkEnd
      } else {
        this.add(pageId)
        pageId++
      }
    }
  }

  /** Runs of neighbours, rising. The set must not change meanwhile. */
  forEachExtent(visit: (first: number, count: number) => void): void {
    const runs = new RunJoiner(visit)
    for (const [index, chunk] of this.#chunks.entries()) {
      const base = index * CHUNK_IDS
      if (chunk === 'full') runs.add(base, CHUNK_IDS)
      else if (chunk !== undefined && chunk.count > 0) addRunsOfWords(base, chunk.words, runs)
    }
    runs.end()
  }

  copy(): PageIdSet {
    const copy = new PageIdSet()
    for (const chunk of this.#chunks) {
      copy.#chunks.push(chunk instanceof Chunk ? chunk.copy() : chunk)
    }
    copy.#size = this.#size
    copy.#lowestChunk = this.#lowestChunk
    return copy
  }

  #countIn(index: number): number {
    const chunk = this.#chunks[index]
    return chunk === 'full' ? CHUNK_IDS : (chunk?.count ?? 0)
  }

  /** The chunk, made or given memory when it has none. */
  #chunk(index: number): Chunk {
    const slot = this.#chunks[index]
    if (slot instanceof Chunk) return slot
    this.#reach(index)
    const chunk = slot === 'full' ? Chunk.full() : Chunk.empty()
    this.#chunks[index] = chunk
    return chunk
  }

  #reach(index: number): void {
    if (index * CHUNK_IDS > PAGE_COUNT_MAX)
      throw new RangeError(`no page has id ${index * CHUNK_IDS}`)
    while (this.#chunks.length <= index) this.#chunks.push(undefined)
  }
}

/** Makes one extent of runs that touch where words and chunks do. */
class RunJoiner {
  readonly #visit: (first: number, count: number) => void
  #first = 0
  #end = 0

  constructor(visit: (first: number, count: number) => void) {
    this.#visit = visit
  }

  add(start: number, count: number): void {
    if (start !== this.#end) {
      this.end()
      this.#first = start
    }
    this.#end = start + count
  }

  end(): void {
    if (this.#end > this.#first) this.#visit(this.#first, this.#end - this.#first)
  }
}

function addRunsOfWords(base: number, words: Uint32Array, runs: RunJoiner): void {
  for (let at = 0; at < words.length; at++) {
    let rest = words[at]!
    const start = base + at * WORD_BITS
    while (rest !== 0) {
      const from = lowestBit(rest)
      // Of the zeros above the run's first bit, the lowest ends it; without one it runs to bit 31.
      const above = ~rest & (ALL << from)
      const to = above === 0 ? WORD_BITS : lowestBit(above)
      runs.add(start + from, to - from)
      rest = to === WORD_BITS ? 0 : rest & (ALL << to)
    }
  }
}
