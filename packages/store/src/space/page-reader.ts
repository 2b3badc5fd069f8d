/**
 * A thread's view of the pages: enters a version, finds pages in memory or reads them from the file, leaves.
 *
 * Threads: belongs to the thread whose slot it has. Reads do not nest: a slot protects one version.
 *
 * Invariants: those of `reader-slots.ts`, `pins.ts` and `page-table.ts`. A read is synchronous, so a thread is
 * inside for as long as one function runs; nothing located outlives the stay.
 *
 * Crash: a thread that ends inside a read leaves its slot and pins as they are; `freeThread` clears them.
 */
import { SnapshotExpiredError, StoreClosedError, StoreCorruptError } from '../errors.ts'
import { PAGE_BYTES } from '../page/page.ts'
import type { PageSource } from '../page/page-space.ts'
import { READER_LOOKUPS, readerWord } from './layout.ts'
import type { PageLoader } from './page-loader.ts'
import { NOT_RESIDENT, PageTable } from './page-table.ts'
import { PrivateFrames } from './private-frames.ts'
import { copyDirectory, type DirectoryReferences } from './published.ts'
import { Region } from './region.ts'
import { VersionReader } from './version-reader.ts'
import { want } from './wanted.ts'

export { freeThread, takeReaderSlot } from './reader-slots.ts'

/** A version that is kept for its owner: a snapshot's. */
export interface Pin {
  readonly version: number
  readonly sequence: number
  readonly directory: DirectoryReferences
}

/** Which of the shared pins it is; -1 once it was given back. */
class HeldPin implements Pin {
  readonly version: number
  readonly sequence: number
  readonly directory: DirectoryReferences
  index: number

  constructor(index: number, version: number, sequence: number, directory: DirectoryReferences) {
    this.index = index
    this.version = version
    this.sequence = sequence
    this.directory = directory
  }
}

const GIVEN_BACK = -1

export class PageReader implements PageSource {
  readonly bytes: Buffer
  readonly words: Uint32Array
  readonly #region: Region
  readonly #versions: VersionReader
  readonly #table: PageTable
  readonly #referenced: Uint8Array
  readonly #private: PrivateFrames
  readonly #file: PageLoader | undefined
  readonly #wakeSequencer: () => void
  #directory: DirectoryReferences
  #sequence = 0
  #inside = false
  #closed = false
  readonly #control: Int32Array
  readonly #lookupsWord: number
  #lookups: number

  /**
   * @param slotIndex of this thread, from `takeReaderSlot`
   * @param file undefined: in memory, where nothing is ever evicted
   * @param wakeSequencer when this thread, or others, had to read pages from the file
   */
  constructor(
    buffer: SharedArrayBuffer,
    slotIndex: number,
    file: PageLoader | undefined,
    wakeSequencer: () => void = () => undefined,
  ) {
    const region = new Region(buffer)
    const { memory, layout, control } = region
    this.#region = region
    this.bytes = region.bytes
    this.words = region.words
    this.#referenced = region.referenced
    this.#file = file
    this.#wakeSequencer = wakeSequencer
    this.#versions = new VersionReader(memory, control, layout, slotIndex)
    this.#directory = this.#versions.directory
    this.#table = new PageTable(memory, control, region.words, layout)
    this.#private = new PrivateFrames(region, slotIndex)
    this.#control = control
    this.#lookupsWord = readerWord(layout, slotIndex) + READER_LOOKUPS
    this.#lookups = control[this.#lookupsWord]!
  }

  /** Of the version entered, or entered last. */
  get directory(): DirectoryReferences {
    return this.#directory
  }

  get sequence(): number {
    return this.#sequence
  }

  /** Begins a read of the newest published version. */
  enter(): void {
    this.#assertOutside()
    const versions = this.#versions
    versions.enter()
    this.#directory = versions.directory
    this.#sequence = versions.sequence
    this.#inside = true
  }

  /**
   * Begins a read of a pinned version.
   * @throws SnapshotExpiredError when the pin was revoked, StoreClosedError when it was given back
   */
  enterPinned(pin: Pin): void {
    this.#assertOutside()
    const { index, version } = heldPin(pin)
    if (index === GIVEN_BACK) throw new StoreClosedError('the snapshot')
    if (!this.#versions.enterPinned(index, version)) {
      throw new SnapshotExpiredError(this.#versions.pinAgeMaxMs)
    }
    this.#directory = pin.directory
    this.#sequence = pin.sequence
    this.#inside = true
  }

  /** Ends the read: frames located are void. */
  leave(): void {
    this.#inside = false
    // For whoever counts; in the line that leaving writes to anyway.
    this.#control[this.#lookupsWord] = this.#lookups
    this.#versions.leave()
  }

  /** Keeps the newest version. @throws StoreFullError */
  pin(): Pin {
    this.enter()
    try {
      const { version, sequence, directory } = this.#versions
      return new HeldPin(this.#versions.pin(), version, sequence, copyDirectory(directory))
    } finally {
      this.leave()
    }
  }

  /** Gives the version up; not inside a read. Idempotent. */
  unpin(pin: Pin): void {
    const held = heldPin(pin)
    if (held.index === GIVEN_BACK || this.#closed) return
    this.#assertOutside()
    this.#versions.unpin(held.index)
    held.index = GIVEN_BACK
  }

  /** Copies a page that is in memory; false when it is not. For those who look at each page once: asks for none. */
  copyResident(pageId: number, target: Uint8Array): boolean {
    const frame = this.#table.find(pageId)
    if (frame === NOT_RESIDENT) return false
    target.set(this.bytes.subarray(frame * PAGE_BYTES, (frame + 1) * PAGE_BYTES))
    return true
  }

  locate(pageId: number, checksum: number): number {
    this.#lookups = (this.#lookups + 1) | 0
    const frame = this.#table.find(pageId)
    if (frame === NOT_RESIDENT) return this.#locateInFile(pageId, checksum)
    // Only when it changes: a line that all threads write would go round between them.
    if (this.#referenced[frame] === 0) this.#referenced[frame] = 1
    return frame
  }

  /** Gives slot and pins back; not inside a read. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#assertOutside()
    this.#closed = true
    this.#versions.close()
  }

  #locateInFile(pageId: number, checksum: number): number {
    const found = this.#private.find(pageId, checksum)
    if (found >= 0) return found
    if (this.#file === undefined) {
      const place = { file: ':memory:', offset: 0 }
      throw new StoreCorruptError(place, 'page', `${pageId} in memory`, 'missing')
    }
    const frame = this.#private.read(this.#file, pageId, checksum)
    if (want(this.#region.memory, pageId, checksum)) this.#wakeSequencer()
    return frame
  }

  #assertOutside(): void {
    if (this.#closed) throw new StoreClosedError('the attachment')
    if (this.#inside) throw new Error('a read was begun inside another: they do not nest')
  }
}

function heldPin(pin: Pin): HeldPin {
  if (pin instanceof HeldPin) return pin
  throw new TypeError('not a pin of a page reader')
}
