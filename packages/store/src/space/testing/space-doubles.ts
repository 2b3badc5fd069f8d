/** Stands for the main file, the free ids and the trees, in tests of the space alone. */
import { StoreCorruptError } from '../../errors.ts'
import {
  PAGE_BYTES,
  PAGE_HEADER_BYTES,
  PAGE_ID_WORD,
  PAGE_KIND_BYTE,
  PAGE_LEVEL_BYTE,
  PAGE_WORDS,
  PageKind,
} from '../../page/page.ts'
import type { PageIdSource, PageStore } from '../page-loader.ts'
import type { SharedSpace } from '../shared-space.ts'

/** Pages in memory, verified as the main file verifies them. */
export class MemoryPages implements PageStore {
  readonly images = new Map<number, Buffer>()
  reads = 0
  #gathering = false

  readPage(pageId: number, checksum: number, target: Uint8Array): void {
    const image = this.images.get(pageId)
    const place = { file: 'memory', offset: pageId * PAGE_BYTES }
    if (image === undefined) throw new StoreCorruptError(place, 'page', pageId, 'missing')
    const stored = image.readUInt32LE(0)
    if (checksum !== 0 && checksum !== stored) {
      throw new StoreCorruptError(place, 'checksum', checksum, stored)
    }
    this.reads++
    target.set(image)
  }

  writePage(pageId: number, image: Uint8Array): void {
    const id = new DataView(image.buffer, image.byteOffset).getUint32(PAGE_ID_WORD * 4, true)
    if (id !== pageId) throw new Error(`page ${id} was written to the place of ${pageId}`)
    this.images.set(pageId, Buffer.from(image))
  }

  gather(write: () => void): void {
    if (this.#gathering) throw new Error('gather does not nest')
    this.#gathering = true
    write()
    this.#gathering = false
  }
}

/** Ids that are free again as soon as they are released, the lowest first. */
export class PlainPageIds implements PageIdSource {
  readonly taken = new Set<number>()
  readonly released: { pageId: number; birth: number; retired: number }[] = []
  readonly #free: number[] = []
  #next: number

  constructor(first = 2) {
    this.#next = first
  }

  take(_birthVersion: number): number {
    this.#free.sort((a, b) => b - a)
    const pageId = this.#free.pop() ?? this.#next++
    this.taken.add(pageId)
    return pageId
  }

  takeThis(pageId: number, _birthVersion: number): boolean {
    while (this.#next <= pageId) this.#free.push(this.#next++)
    const at = this.#free.indexOf(pageId)
    if (at < 0) return false
    this.#free.splice(at, 1)
    this.taken.add(pageId)
    return true
  }

  release(pageId: number, birth: number, retired: number): void {
    if (!this.taken.delete(pageId)) throw new Error(`page ${pageId} was freed twice`)
    this.released.push({ pageId, birth, retired })
    this.#free.push(pageId)
  }
}

/** A made-up page: header, number of references, references. */
const COUNT_WORD: number = PAGE_HEADER_BYTES / 4
const REFERENCES_WORD: number = COUNT_WORD + 1

export function forEachReference(
  _bytes: Uint8Array,
  words: Uint32Array,
  frame: number,
  visit: (wordIndex: number) => void,
): void {
  const first = frame * PAGE_WORDS
  const count = words[first + COUNT_WORD]!
  for (let index = 0; index < count; index++) visit(first + REFERENCES_WORD + index * 2)
}

/** A new leaf, filled with a number. */
export function leafOf(space: SharedSpace, content: number): number {
  const pageId = space.words[space.allocate() * PAGE_WORDS + PAGE_ID_WORD]!
  fillLeaf(space, pageId, content)
  return pageId
}

export function fillLeaf(space: SharedSpace, pageId: number, content: number): void {
  const frame = space.locate(pageId, 0)
  if (!space.isWritable(frame)) throw new Error(`page ${pageId} is not writable`)
  const start = frame * PAGE_BYTES
  space.bytes[start + PAGE_KIND_BYTE] = PageKind.leaf
  space.words.fill(content, frame * PAGE_WORDS + REFERENCES_WORD, (frame + 1) * PAGE_WORDS)
}

/** The number that a leaf is filled with; throws when it is not the same all over. */
export function contentOf(words: Uint32Array, frame: number): number {
  const first = frame * PAGE_WORDS + REFERENCES_WORD
  const content = words[first]!
  for (let word = first; word < (frame + 1) * PAGE_WORDS; word++) {
    if (words[word] !== content) throw new Error(`torn page: ${content} and ${words[word]}`)
  }
  return content
}

/** A new branch over those pages. */
export function branchOf(space: SharedSpace, children: readonly number[], level = 1): number {
  const frame = space.allocate()
  const pageId = space.words[frame * PAGE_WORDS + PAGE_ID_WORD]!
  space.bytes[frame * PAGE_BYTES + PAGE_KIND_BYTE] = PageKind.branch
  space.bytes[frame * PAGE_BYTES + PAGE_LEVEL_BYTE] = level
  space.words[frame * PAGE_WORDS + COUNT_WORD] = children.length
  for (const [index, child] of children.entries()) setChild(space, pageId, index, child, 0)
  return pageId
}

export function setChild(
  space: SharedSpace,
  branchId: number,
  index: number,
  child: number,
  checksum: number,
): void {
  const word = childWord(space.locate(branchId, 0), index)
  space.words[word] = child
  space.words[word + 1] = checksum
}

/** Where in `words` a branch's reference stands: the child's id, then its checksum. */
export function childWord(frame: number, index: number): number {
  return frame * PAGE_WORDS + REFERENCES_WORD + index * 2
}
