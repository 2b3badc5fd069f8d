/**
 * The file of an incremental backup: the pages of a checkpoint that are newer than an earlier backup. Into bytes and
 * out of them; pure but for the pages, which are checked one by one as they are read.
 *
 *   ┌───────────────────────┐ 0
 *   │ header                │ who it follows, how many pages
 *   ├───────────────────────┤ 8192
 *   │ meta                  │ of the checkpoint, as the main file would have it after a clean close
 *   ├───────────────────────┤ 16384
 *   │ pages, in any order   │ each with its id and checksum, as in the main file
 *   └───────────────────────┘
 */
import { crc32c } from '@node-rs/crc32'
import type { LogFile } from '@ringbolt/wal'
import { StoreCorruptError } from '../errors.ts'
import { NOT_WRITTEN, PAGE_BYTES, PAGE_CHECKSUM_WORD, PAGE_ID_WORD } from '../page/page.ts'
import { ID_BYTES, META_SLOTS, REFERENCE_BYTES } from '../space/main-layout.ts'
import { decodeMeta, encodeMeta, hex, type Meta } from '../space/meta.ts'
import { assertPage } from '../space/page-file.ts'
import { BackupChainError } from './errors.ts'
import {
  INCREMENT_CHECKSUM_OFFSET,
  INCREMENT_FIRST_PAGE,
  INCREMENT_LIST_CHECKSUM_OFFSET,
  INCREMENT_MAGIC,
  INCREMENT_META_PAGE,
  INCREMENT_PAGE_BYTES_OFFSET,
  INCREMENT_PAGES_OFFSET,
  INCREMENT_SINCE_OFFSET,
  INCREMENT_SINCE_STATE_OFFSET,
  INCREMENT_VERSION,
  INCREMENT_VERSION_OFFSET,
} from './layout.ts'

/** What identifies the state that a backup holds. */
export interface BackupState {
  readonly databaseId: Uint8Array
  readonly sequence: number
  /** Of the references to the directory, which vouch for all pages. */
  readonly stateChecksum: number
}

export function stateOf({ databaseId, sequence, directory }: Meta): BackupState {
  const bytes = Buffer.alloc(directory.length * REFERENCE_BYTES)
  for (const [at, { pageId, checksum }] of directory.entries()) {
    bytes.writeUInt32LE(pageId, at * REFERENCE_BYTES)
    bytes.writeUInt32LE(checksum, at * REFERENCE_BYTES + 4)
  }
  return { databaseId, sequence, stateChecksum: crc32c(bytes) }
}

/** Ids and checksums of the pages, one after another: none can be missing, doubled or exchanged. */
export class PageListChecksum {
  #checksum = 0
  #pages = 0

  /** @param page whole */
  add(page: Uint8Array): void {
    this.#checksum = crc32c(page.subarray(0, 8), this.#checksum)
    this.#pages++
  }

  get checksum(): number {
    return this.#checksum
  }

  get pages(): number {
    return this.#pages
  }
}

/** Header and meta, for the beginning of the file. */
export function encodeIncrementHead(
  since: BackupState,
  meta: Meta,
  list: PageListChecksum,
): Buffer {
  const header = Buffer.alloc(PAGE_BYTES)
  header.write(INCREMENT_MAGIC, 0, 'latin1')
  header.writeUInt32LE(INCREMENT_VERSION, INCREMENT_VERSION_OFFSET)
  header.writeUInt32LE(PAGE_BYTES, INCREMENT_PAGE_BYTES_OFFSET)
  header.writeUInt32LE(list.pages, INCREMENT_PAGES_OFFSET)
  header.writeUInt32LE(list.checksum, INCREMENT_LIST_CHECKSUM_OFFSET)
  header.writeUInt32LE(since.stateChecksum, INCREMENT_SINCE_STATE_OFFSET)
  header.writeBigUInt64LE(BigInt(since.sequence), INCREMENT_SINCE_OFFSET)
  header.writeUInt32LE(checksumOf(header), INCREMENT_CHECKSUM_OFFSET)
  return Buffer.concat([header, encodeMeta(meta)])
}

function checksumOf(header: Uint8Array): number {
  return crc32c(header.subarray(INCREMENT_VERSION_OFFSET))
}

export function isIncrement(firstBytes: Buffer): boolean {
  return firstBytes.toString('latin1', 0, INCREMENT_MAGIC.length) === INCREMENT_MAGIC
}

/** An incremental backup that is being read. */
export class Increment {
  /** What it leads to. */
  readonly meta: Meta
  readonly since: Omit<BackupState, 'databaseId'>
  readonly pageCount: number
  readonly #file: LogFile
  readonly #place: string
  readonly #listChecksum: number

  /** @throws StoreCorruptError, BackupChainError for a file that is none */
  constructor(file: LogFile, place: string) {
    this.#file = file
    this.#place = place
    const header = this.#pageAt(0)
    if (!isIncrement(header)) {
      throw new BackupChainError(place, 'is not an incremental backup of Ringbolt')
    }
    const stored = header.readUInt32LE(INCREMENT_CHECKSUM_OFFSET)
    const actual = checksumOf(header)
    if (stored !== actual) {
      throw this.#corrupt(INCREMENT_CHECKSUM_OFFSET, 'header checksum', hex(actual), hex(stored))
    }
    const version = header.readUInt32LE(INCREMENT_VERSION_OFFSET)
    if (version !== INCREMENT_VERSION) {
      const expected = INCREMENT_VERSION
      throw new BackupChainError(place, `has format version ${version}, not ${expected}`, {
        expected,
        actual: version,
      })
    }
    const pageBytes = header.readUInt32LE(INCREMENT_PAGE_BYTES_OFFSET)
    if (pageBytes !== PAGE_BYTES) {
      throw this.#corrupt(INCREMENT_PAGE_BYTES_OFFSET, 'page size', PAGE_BYTES, pageBytes)
    }
    this.pageCount = header.readUInt32LE(INCREMENT_PAGES_OFFSET)
    const lengthBytes = (INCREMENT_FIRST_PAGE + this.pageCount) * PAGE_BYTES
    if (file.length() !== lengthBytes) {
      throw this.#corrupt(file.length(), 'file length', lengthBytes, file.length())
    }
    this.#listChecksum = header.readUInt32LE(INCREMENT_LIST_CHECKSUM_OFFSET)
    const sequence = Number(header.readBigUInt64LE(INCREMENT_SINCE_OFFSET))
    this.since = { sequence, stateChecksum: header.readUInt32LE(INCREMENT_SINCE_STATE_OFFSET) }
    this.meta = this.#readMeta()
    if (sequence > this.meta.sequence) {
      const expected = `at most ${this.meta.sequence}`
      throw this.#corrupt(INCREMENT_SINCE_OFFSET, 'sequence it follows', expected, sequence)
    }
  }

  /** @throws BackupChainError when it does not follow that state */
  assertFollows(state: BackupState): void {
    const { databaseId, sequence } = this.meta
    if (Buffer.compare(databaseId, state.databaseId) !== 0) {
      throw new BackupChainError(this.#place, 'belongs to another database than the backup before')
    }
    const { since } = this
    if (since.sequence !== state.sequence) {
      const problem = `follows a backup of commit ${since.sequence}, and the one before is of commit ${state.sequence}`
      throw new BackupChainError(this.#place, problem, {
        expected: since.sequence,
        actual: state.sequence,
        sequence,
      })
    }
    if (since.stateChecksum === state.stateChecksum) return
    const problem = `follows another backup of commit ${since.sequence} than the one before`
    throw new BackupChainError(this.#place, problem, { sequence: since.sequence })
  }

  /** Each page, checked; the bytes last until the next step. */
  *pages(): Generator<{ readonly pageId: number; readonly image: Buffer }, void, undefined> {
    const image = Buffer.alloc(PAGE_BYTES)
    const view = new DataView(image.buffer, image.byteOffset, image.byteLength)
    const list = new PageListChecksum()
    for (let at = 0; at < this.pageCount; at++) {
      const offset = (INCREMENT_FIRST_PAGE + at) * PAGE_BYTES
      const length = this.#file.readAt(offset, image)
      if (length !== PAGE_BYTES) throw this.#corrupt(offset, 'page length', PAGE_BYTES, length)
      const pageId = view.getUint32(PAGE_ID_WORD * 4, true)
      const { pageCount } = this.meta
      if (pageId < INCREMENT_FIRST_PAGE || pageId >= pageCount) {
        const expected = `from ${INCREMENT_FIRST_PAGE} to ${pageCount - 1}`
        throw this.#corrupt(offset + PAGE_ID_WORD * 4, 'page id', expected, pageId)
      }
      assertPage(image, view, 0, pageId, NOT_WRITTEN, { file: this.#place, offset })
      list.add(image)
      yield { pageId, image }
    }
    if (list.checksum === this.#listChecksum) return
    const expected = hex(this.#listChecksum)
    const what = 'checksum of the list of pages'
    throw this.#corrupt(INCREMENT_LIST_CHECKSUM_OFFSET, what, expected, hex(list.checksum))
  }

  #readMeta(): Meta {
    const page = this.#pageAt(INCREMENT_META_PAGE)
    let finding: {
      offset: number
      what: string
      expected: string | number
      actual: string | number
    }
    finding = { offset: 0, what: 'meta', expected: 'one', actual: 'none' }
    for (let parity = 0; parity < META_SLOTS; parity++) {
      const read = decodeMeta(page, parity)
      if (read.kind === 'sound') return read.meta
      finding = read.finding
    }
    const { what, expected, actual } = finding
    throw this.#corrupt(INCREMENT_META_PAGE * PAGE_BYTES, what, expected, actual)
  }

  #pageAt(index: number): Buffer {
    const page = Buffer.alloc(PAGE_BYTES)
    this.#file.readAt(index * PAGE_BYTES, page)
    return page
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

if (PAGE_CHECKSUM_WORD !== 0 || PAGE_ID_WORD !== 1 || ID_BYTES !== 16) {
  throw new Error('the list checksum covers the first eight bytes of each page')
}
