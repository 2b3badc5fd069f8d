/**
 * Pages of the main file: read, verified, written.
 *
 * Threads: each thread that reads the file has a PageFile of its own; the sequencer's alone writes. Within
 * `gather` its writes are held back, so no page may be evicted then: another thread would read old bytes.
 *
 * Crash: a page is written over only while no durable checkpoint refers to it, so a torn page is never
 * reached; one that is reached and is not what its reference says is damage, and an error.
 */
import { crc32c } from '@node-rs/crc32'
import type { LogFile } from '@ringbolt/wal'
import { StoreCorruptError, type StorePlace } from '../errors.ts'
import {
  FIRST_PAGE,
  NOT_WRITTEN,
  PAGE_BYTES,
  PAGE_ID_WORD,
  PAGE_KIND_BYTE,
  PageKind,
} from '../page/page.ts'
import { hex } from './meta.ts'

const CHECKED_FROM = 4
const KIND_MAX: number = PageKind.freeList
const GATHERED_PAGES_MAX = 128

/**
 * Computes the page's checksum and stores it in its first word.
 * @param image the page, on the heap: the checksum's native code takes no shared memory
 * @returns the checksum, never 0
 */
export function sealPage(image: Uint8Array): number {
  const checksum = checksumOf(image)
  viewOf(image).setUint32(0, checksum, true)
  return checksum
}

function checksumOf(image: Uint8Array): number {
  const checksum = crc32c(image.subarray(CHECKED_FROM))
  return checksum === NOT_WRITTEN ? 1 : checksum
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/**
 * Is what stands at `at` the page with that id, whole?
 * @param view of the same bytes
 * @param checksum the reference's; NOT_WRITTEN: the page vouches for itself
 * @throws StoreCorruptError
 */
export function assertPage(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  pageId: number,
  checksum: number,
  place: StorePlace,
): void {
  const page = bytes.subarray(at, at + PAGE_BYTES)
  const stored = view.getUint32(at, true)
  const actual = checksumOf(page)
  if (stored !== actual) {
    throw new StoreCorruptError(place, 'page checksum', hex(actual), hex(stored))
  }
  if (checksum !== NOT_WRITTEN && checksum !== stored) {
    const what = "page checksum against the reference's"
    throw new StoreCorruptError(place, what, hex(checksum), hex(stored))
  }
  const id = view.getUint32(at + PAGE_ID_WORD * 4, true)
  if (id !== pageId) throw new StoreCorruptError(place, 'page id', pageId, id)
  const kind = page[PAGE_KIND_BYTE] ?? 0
  if (kind < 1 || kind > KIND_MAX) {
    throw new StoreCorruptError(place, 'page kind', `from 1 to ${KIND_MAX}`, kind)
  }
}

export class PageFile {
  readonly #file: LogFile
  readonly #place: string
  readonly #scratch: Buffer = Buffer.alloc(PAGE_BYTES)
  readonly #scratchView: DataView = viewOf(this.#scratch)
  readonly #gather: GatheredPages
  #gathering = false

  /** @param place folder and file, for messages */
  constructor(file: LogFile, place: string = file.name) {
    this.#file = file
    this.#place = place
    this.#gather = new GatheredPages(file)
  }

  /** Folder and file. */
  get place(): string {
    return this.#place
  }

  /**
   * Reads and verifies a page; of one that fails, no byte gets into `target`.
   * @param checksum the reference's; NOT_WRITTEN: the page vouches for itself
   * @param target PAGE_BYTES, shared memory or not
   * @throws StoreCorruptError
   */
  readPage(pageId: number, checksum: number, target: Uint8Array): void {
    if (this.#gathering) this.#gather.flush()
    const offset = this.#offsetOf(pageId)
    const page = this.#scratch
    const length = this.#file.readAt(offset, page)
    if (length !== PAGE_BYTES) throw this.#corrupt(offset, 'page length', PAGE_BYTES, length)
    assertPage(page, this.#scratchView, 0, pageId, checksum, { file: this.#place, offset })
    target.set(page)
  }

  /** @param image PAGE_BYTES with their checksum, copied when held back; see `sealPage` */
  writePage(pageId: number, image: Uint8Array): void {
    if (this.#gathering) this.#gather.add(pageId, image)
    else this.#file.writeAt(this.#offsetOf(pageId), [image])
  }

  /**
   * What `write` writes, neighbours go out together, in order of their place. When it throws, pages may be
   * lost that were called written: the caller gives up the file.
   */
  gather(write: () => void): void {
    if (this.#gathering) throw new Error('gather does not nest')
    this.#gathering = true
    try {
      write()
      this.#gather.flush()
    } finally {
      this.#gathering = false
      this.#gather.clear()
    }
  }

  /** All that was written is on stable storage. A failure is final: nothing may be retried. */
  sync(): void {
    this.#file.sync()
  }

  get lengthBytes(): number {
    return this.#file.length()
  }

  close(): void {
    this.#file.close()
  }

  #offsetOf(pageId: number): number {
    const offset = pageId * PAGE_BYTES
    if (pageId >= FIRST_PAGE) return offset
    throw this.#corrupt(offset, 'page id', `from ${FIRST_PAGE}`, pageId)
  }

  #corrupt(
    offset: number,
    what: string,
    expected: string | number,
    actual: string | number,
  ): StoreCorruptError {
    return new StoreCorruptError({ file: this.#place, offset }, what, expected, actual)
  }
}

/** Pages held back until there are enough of them to be sorted by their place. */
class GatheredPages {
  readonly #file: LogFile
  #buffer: Buffer | undefined
  #pageIds: number[] = []

  constructor(file: LogFile) {
    this.#file = file
  }

  add(pageId: number, image: Uint8Array): void {
    // Most PageFiles only read.
    this.#buffer ??= Buffer.alloc(GATHERED_PAGES_MAX * PAGE_BYTES)
    this.#buffer.set(image, this.#pageIds.length * PAGE_BYTES)
    this.#pageIds.push(pageId)
    if (this.#pageIds.length === GATHERED_PAGES_MAX) this.flush()
  }

  flush(): void {
    const buffer = this.#buffer
    if (buffer === undefined || this.#pageIds.length === 0) return
    const slots = this.#pageIds.map((pageId, slot) => ({ pageId, slot }))
    slots.sort((a, b) => a.pageId - b.pageId)
    let run: Uint8Array[] = []
    let runEnd = -1
    for (const { pageId, slot } of slots) {
      if (pageId !== runEnd) {
        this.#write(runEnd, run)
        run = []
      }
      run.push(buffer.subarray(slot * PAGE_BYTES, (slot + 1) * PAGE_BYTES))
      runEnd = pageId + 1
    }
    this.#write(runEnd, run)
    this.clear()
  }

  clear(): void {
    this.#pageIds = []
  }

  #write(endPageId: number, run: readonly Uint8Array[]): void {
    if (run.length > 0) this.#file.writeAt((endPageId - run.length) * PAGE_BYTES, run)
  }
}
