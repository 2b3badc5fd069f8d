/**
 * Damages a database file on purpose, which no crash and no release does: for tests of what finds it. Where it is
 * meant to, checksums are made to fit again, up to the meta, so that one thing is wrong and no other.
 *
 * The file is one that nobody has open. It is read as a whole: a page's number is its frame.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { FIRST_PAGE, NO_PAGE, PAGE_BYTES, PAGE_WORDS, type PageKind } from '../../page/page.ts'
import { FreeListWriter } from '../../space/free-list.ts'
import {
  chooseMeta,
  decodeMeta,
  encodeMeta,
  type Meta,
  metaOffset,
  metaSlot,
} from '../../space/meta.ts'
import { PageFile, sealPage } from '../../space/page-file.ts'
import { entryWord } from '../../tree/directory.ts'
import {
  DIRECTORY_ENTRIES,
  ENTRY_COUNT_LOW,
  ENTRY_ROOT,
  ENTRY_STATE,
  NODE_HEADS_WORD,
  PAGE_WHAT_WORD,
  TREE_SHIFT,
} from '../../tree/layout.ts'
import { highStart, nodeCount, referencesWord } from '../../tree/node.ts'
import { forEachReference } from '../../tree/references.ts'

/** Where a page is referred to: a word of another page, or of the meta's directory. */
interface Referrer {
  readonly pageId: number
  readonly word: number
}

export class DamageKit {
  readonly #path: string
  readonly #bytes: Buffer
  readonly #words: Uint32Array
  readonly #referrers = new Map<number, Referrer>()
  #meta: Meta

  constructor(path: string) {
    const content = readFileSync(path)
    // One page more, for damage that needs one.
    const memory = new ArrayBuffer(content.length + PAGE_BYTES)
    this.#path = path
    this.#bytes = Buffer.from(memory)
    this.#bytes.set(content)
    this.#words = new Uint32Array(memory)
    const metas = [0, 1].map((slot) => decodeMeta(Buffer.from(this.#page(slot)), slot))
    this.#meta = chooseMeta([metas[0]!, metas[1]!], path).meta
    for (const { pageId } of this.#meta.directory) this.#refer(pageId, { pageId: NO_PAGE, word: 0 })
  }

  get meta(): Meta {
    return this.#meta
  }

  /** Pages of that tree and kind, by their ids. */
  pagesOf(tree: number, kind: PageKind): number[] {
    return [...this.#referrers.keys()]
      .filter((pageId) => {
        const what = this.#words[pageId * PAGE_WORDS + PAGE_WHAT_WORD]!
        return what >>> TREE_SHIFT === tree && (what & 0xff) === kind
      })
      .toSorted((a, b) => a - b)
  }

  get directoryPage(): number {
    return this.#meta.directory[0]!.pageId
  }

  // ---- damage -----------------------------------------------------------------------------------

  /** One bit of the page, its checksum as it was. */
  flipBit(pageId: number): void {
    this.#bytes[pageId * PAGE_BYTES + PAGE_BYTES / 2]! ^= 4
    this.#save()
  }

  /** The page is whole in itself, but not the one that is referred to: a write that was lost. */
  loseWrite(pageId: number): void {
    this.#words[pageId * PAGE_WORDS + PAGE_WORDS / 2]! ^= 4
    sealPage(this.#page(pageId))
    this.#save()
  }

  /** A page at the end of the file of which nobody knows. Returns it. */
  leak(): number {
    const { pageCount } = this.#meta
    this.#putMeta({ pageCount: pageCount + 1 })
    this.#save(pageCount + 1)
    return pageCount
  }

  /** The free list says that the page, too, is free. */
  freeInUse(pageId: number): void {
    const { pageCount } = this.#meta
    const file = new PageFile({
      name: this.#path,
      readAt: () => 0,
      writeAt: (position, parts) => this.#bytes.set(parts[0]!, position),
      sync: () => undefined,
      length: () => this.#bytes.length,
      truncate: () => undefined,
      close: () => undefined,
    })
    const list = new FreeListWriter(file, Uint32Array.of(pageId, 1), [pageCount])
    list.write(1)
    this.#putMeta({ pageCount: pageCount + 1, freeCount: 1, freeList: list.reference })
    this.#save(pageCount + 1)
  }

  /** The branch's second child is its first. Returns that child. */
  referTwice(branch: number): number {
    const word = this.#childWord(branch, 0)
    const child = this.#words[word]!
    this.#words.copyWithin(word + 2, word, word + 2)
    this.#seal(branch)
    return child
  }

  /** The branch's second child is a page that there is not. */
  referNowhere(branch: number, pageId: number): void {
    this.#words[this.#childWord(branch, 1)] = pageId
    this.#seal(branch)
  }

  /** Two keys of a page change places. */
  swapKeys(pageId: number): void {
    const word = pageId * PAGE_WORDS + NODE_HEADS_WORD + 2
    const head = this.#words[word]!
    this.#words[word] = this.#words[word + 1]!
    this.#words[word + 1] = head
    this.#seal(pageId)
  }

  /** The page says that it reaches a little further. */
  moveFence(pageId: number): void {
    this.#bytes[highStart(this.#words, pageId)]! += 1
    this.#seal(pageId)
  }

  /** The directory says that the tree has one level more. Returns its root. */
  deepen(tree: number): number {
    const entry = entryWord(this.#directoryOf(tree), tree)
    this.#words[entry + ENTRY_STATE]! += 0x100
    this.#seal(this.#directoryOf(tree))
    return this.#words[entry + ENTRY_ROOT]!
  }

  /** The directory says that the tree has one entry more. */
  miscount(tree: number): void {
    this.#words[entryWord(this.#directoryOf(tree), tree) + ENTRY_COUNT_LOW]! += 1
    this.#seal(this.#directoryOf(tree))
  }

  /** Any change of a page's words, which then vouches for them. */
  edit(pageId: number, change: (words: Uint32Array) => void): void {
    change(this.#words.subarray(pageId * PAGE_WORDS, (pageId + 1) * PAGE_WORDS))
    this.#seal(pageId)
  }

  // ---- -----------------------------------------------------------------------------------------

  #directoryOf(tree: number): number {
    return this.#meta.directory[Math.floor(tree / DIRECTORY_ENTRIES)]!.pageId
  }

  #childWord(branch: number, index: number): number {
    return referencesWord(branch, nodeCount(this.#words, branch)) + 2 * index
  }

  /** Notes who refers to the page, and to all below it. */
  #refer(pageId: number, referrer: Referrer): void {
    // It may have been damaged before.
    if (pageId === NO_PAGE || pageId >= this.#meta.pageCount || this.#referrers.has(pageId)) return
    this.#referrers.set(pageId, referrer)
    forEachReference(this.#bytes, this.#words, pageId, (word) => {
      this.#refer(this.#words[word]!, { pageId, word })
    })
  }

  /** New checksums from the page up to the meta. */
  #seal(pageId: number): void {
    let changed = pageId
    for (;;) {
      const checksum = sealPage(this.#page(changed))
      const referrer = this.#referrers.get(changed)
      if (referrer === undefined) throw new Error(`nobody refers to page ${changed}`)
      if (referrer.pageId === NO_PAGE) {
        const directory = this.#meta.directory.map((reference) =>
          reference.pageId === changed ? { ...reference, checksum } : reference,
        )
        this.#putMeta({ directory })
        break
      }
      this.#words[referrer.word + 1] = checksum
      changed = referrer.pageId
    }
    this.#save()
  }

  #putMeta(changes: Partial<Meta>): void {
    this.#meta = { ...this.#meta, ...changes }
    this.#bytes.set(encodeMeta(this.#meta), metaOffset(metaSlot(this.#meta.checkpoint)))
  }

  #page(pageId: number): Buffer {
    return this.#bytes.subarray(pageId * PAGE_BYTES, (pageId + 1) * PAGE_BYTES)
  }

  #save(pages: number = this.#bytes.length / PAGE_BYTES - 1): void {
    if (pages < FIRST_PAGE) throw new RangeError(`a file of ${pages} pages`)
    writeFileSync(this.#path, this.#bytes.subarray(0, pages * PAGE_BYTES))
  }
}
