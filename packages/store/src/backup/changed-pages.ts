/**
 * The pages of a checkpoint that are newer than an earlier state of the same database: a walk from the directory down
 * that leaves out what has not changed since.
 *
 * A page's header has the highest commit sequence in and below it, and each change makes a new page of its own
 * sequence (tree-writer.ts, T2): so a page of a sequence at or below the earlier state's is in that state, under the
 * same id. Exceptions, which are always taken: directory pages, whose header has none; empty leaves of new trees, whose sequence is 0; and trees
 * that are being dropped, whose pages change without a commit. Whatever this should miss, a reference's checksum
 * betrays: the pages above hold those of all pages below.
 *
 * Cost: a page that is taken is read whole; of each page that it refers to 20 bytes are.
 */
import type { LogFile } from '@ringbolt/wal'
import { StoreCorruptError } from '../errors.ts'
import {
  FIRST_PAGE,
  NO_PAGE,
  NOT_WRITTEN,
  PAGE_BYTES,
  PAGE_HEADER_BYTES,
  PAGE_ID_WORD,
  PAGE_KIND_BYTE,
  PAGE_SEQUENCE_HIGH_WORD,
  PAGE_SEQUENCE_LOW_WORD,
  PageKind,
} from '../page/page.ts'
import { hex, type Meta } from '../space/meta.ts'
import { assertPage } from '../space/page-file.ts'
import { TreeState } from '../tree/directory.ts'
import { DIRECTORY_ENTRY_WORDS, ENTRY_ROOT, ENTRY_STATE, U32_RANGE } from '../tree/layout.ts'
import { forEachReference } from '../tree/references.ts'

interface Reference {
  readonly pageId: number
  readonly checksum: number
  /** Taken whatever its header says. */
  readonly always: boolean
}

/**
 * @param since commit sequence of the earlier state
 * @returns each page, whole, until the next step; `undefined` now and then, when nothing was found for a while
 */
export function* changedPages(
  file: LogFile,
  place: string,
  meta: Meta,
  since: number,
): Generator<Buffer | undefined, void, undefined> {
  yield* new Walk(file, place, meta, since).run()
}

const LOOKS_PER_PAUSE = 4096

class Walk {
  readonly #file: LogFile
  readonly #place: string
  readonly #meta: Meta
  readonly #since: number
  readonly #stack: Reference[] = []
  readonly #header: Buffer = Buffer.alloc(PAGE_HEADER_BYTES)
  readonly #page: Buffer
  readonly #view: DataView
  readonly #words: Uint32Array

  constructor(file: LogFile, place: string, meta: Meta, since: number) {
    this.#file = file
    this.#place = place
    this.#meta = meta
    this.#since = since
    const buffer = new ArrayBuffer(PAGE_BYTES)
    this.#page = Buffer.from(buffer)
    this.#view = new DataView(buffer)
    this.#words = new Uint32Array(buffer)
    for (const { pageId, checksum } of meta.directory) {
      if (pageId !== NO_PAGE) this.#stack.push({ pageId, checksum, always: true })
    }
  }

  *run(): Generator<Buffer | undefined, void, undefined> {
    let pages = 0
    let looks = 0
    for (let next = this.#stack.pop(); next !== undefined; next = this.#stack.pop()) {
      if (++looks % LOOKS_PER_PAUSE === 0) yield undefined
      this.#assertReference(next)
      if (!next.always && !this.#isNew(next)) continue
      this.#read(next)
      // A tree refers to each page once; more of them than there are places is a circle.
      if (++pages > this.#meta.pageCount) {
        throw this.#corrupt(next.pageId, 'pages in the trees', this.#meta.pageCount, pages)
      }
      this.#pushChildren(next.always)
      yield this.#page
    }
  }

  #isNew({ pageId, checksum }: Reference): boolean {
    const header = this.#header
    const length = this.#file.readAt(pageId * PAGE_BYTES, header)
    if (length !== PAGE_HEADER_BYTES) {
      throw this.#corrupt(pageId, 'page length', PAGE_BYTES, length)
    }
    const stored = header.readUInt32LE(0)
    if (stored !== checksum) {
      const what = "page checksum against the reference's"
      throw this.#corrupt(pageId, what, hex(checksum), hex(stored))
    }
    const id = header.readUInt32LE(PAGE_ID_WORD * 4)
    if (id !== pageId) throw this.#corrupt(pageId, 'page id', pageId, id)
    const low = header.readUInt32LE(PAGE_SEQUENCE_LOW_WORD * 4)
    const sequence = header.readUInt32LE(PAGE_SEQUENCE_HIGH_WORD * 4) * U32_RANGE + low
    return sequence > this.#since || sequence === 0
  }

  #read({ pageId, checksum }: Reference): void {
    const offset = pageId * PAGE_BYTES
    const length = this.#file.readAt(offset, this.#page)
    if (length !== PAGE_BYTES) throw this.#corrupt(pageId, 'page length', PAGE_BYTES, length)
    const place = { file: this.#place, offset }
    assertPage(this.#page, this.#view, 0, pageId, checksum, place)
  }

  #pushChildren(always: boolean): void {
    const words = this.#words
    const isDirectory = this.#page[PAGE_KIND_BYTE] === PageKind.directory
    forEachReference(this.#page, words, 0, (word) => {
      const child = { pageId: words[word] ?? NO_PAGE, checksum: words[word + 1] ?? NOT_WRITTEN }
      this.#stack.push({ ...child, always: isDirectory ? this.#isDropping(word) : always })
    })
  }

  /** @param word of the root's reference in a directory page */
  #isDropping(word: number): boolean {
    const state = this.#words[word - ENTRY_ROOT + ENTRY_STATE] ?? 0
    return (state & 0xff) !== TreeState.live
  }

  #assertReference({ pageId, checksum }: Reference): void {
    const { pageCount } = this.#meta
    if (pageId < FIRST_PAGE || pageId >= pageCount) {
      const expected = `from ${FIRST_PAGE} to ${pageCount - 1}`
      throw this.#corrupt(pageId, 'reference to a page', expected, pageId)
    }
    if (checksum !== NOT_WRITTEN) return
    throw this.#corrupt(pageId, `reference to page ${pageId}`, 'its checksum', 'none')
  }

  #corrupt(
    pageId: number,
    what: string,
    expected: string | number,
    actual: string | number,
  ): StoreCorruptError {
    const place = { file: this.#place, offset: pageId * PAGE_BYTES }
    return new StoreCorruptError(place, what, expected, actual)
  }
}

if (ENTRY_ROOT !== 0 || DIRECTORY_ENTRY_WORDS < ENTRY_STATE) {
  throw new Error("a root's reference is the first of its entry's words")
}
