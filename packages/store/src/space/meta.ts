/**
 * A meta: what a checkpoint is, in a page of its own; into bytes, out of them, and the choice between two.
 * Pure.
 *
 * Checkpoint n has its meta in page n % 2, so the one before stays until n is durable. What a crash leaves:
 *
 *   the meta of n was being written      page n % 2 is old, whole new, or torn; n - 1 is whole in the other
 *   n was durable                        n is whole; the other page is n - 1
 *
 * A torn meta therefore means n - 1, whose log has not been released yet: who opens the log holds it against
 * that (`../engine/store-log.ts`). A meta that was durable and was damaged later looks the same here, and is
 * told by the log, where it has been released since; where it has not, n - 1 and its log still hold
 * everything, and a page that was overwritten since is found by its reference's checksum.
 */
import { crc32c } from '@node-rs/crc32'
import { FIRST_PAGE, NO_PAGE, PAGE_BYTES } from '../page/page.ts'
import {
  type MainFileFinding,
  MainFileForeignError,
  MainFileMetasError,
  MainFilePageSizeError,
  MainFileVersionError,
} from './main-file-errors.ts'
import {
  ID_BYTES,
  MAIN_FORMAT_VERSION,
  META_BASE_SEQUENCE_OFFSET,
  META_CHECKPOINT_OFFSET,
  META_CHECKSUM_OFFSET,
  META_DATABASE_ID_OFFSET,
  META_DIRECTORY_COUNT,
  META_FLAG_CLEAN,
  META_FLAGS_KNOWN,
  META_FLAGS_OFFSET,
  META_FREE_COUNT_OFFSET,
  META_FREE_LIST_OFFSET,
  META_LOG_ID_OFFSET,
  META_LOG_LSN_OFFSET,
  META_MAGIC,
  META_MAGIC_OFFSET,
  META_PAGE_BYTES_OFFSET,
  META_PAGE_COUNT_OFFSET,
  META_SEQUENCE_OFFSET,
  META_SLOTS,
  META_VERSION_OFFSET,
  PAGE_COUNT_MAX,
  REFERENCE_BYTES,
} from './main-layout.ts'

export interface PageReference {
  readonly pageId: number
  readonly checksum: number
}

export interface Meta {
  /** Closed cleanly: nothing is to be replayed. */
  readonly clean: boolean
  /** Ordinal of the checkpoint, from 0; the number's parity is its page. */
  readonly checkpoint: number
  /** The highest commit sequence in it. */
  readonly sequence: number
  readonly databaseId: Uint8Array
  /** The log that goes on from here. */
  readonly logId: Uint8Array
  /** Where in that log the first record is that is not in the checkpoint. */
  readonly logLsn: number
  /** Commit sequence of a record: this plus the record's ordinal in the log. */
  readonly baseSequence: number
  /** All pages of the checkpoint have ids below it. */
  readonly pageCount: number
  /** How many of them are free. */
  readonly freeCount: number
  readonly freeList: PageReference
  readonly directory: readonly PageReference[]
}

/** `foreign`: no magic. `version`, `pageSize`: sound, but not for this release. */
export type MetaRead =
  | { readonly kind: 'sound'; readonly meta: Meta }
  | {
      readonly kind: 'foreign' | 'version' | 'pageSize' | 'damaged'
      readonly finding: MainFileFinding
    }

export interface MetaChoice {
  readonly meta: Meta
  /** What is wrong with the other page; undefined: it is the meta before, or none was asked for. */
  readonly other: MainFileFinding | undefined
}

export function metaSlot(checkpoint: number): number {
  return checkpoint % META_SLOTS
}

export function metaOffset(slot: number): number {
  return slot * PAGE_BYTES
}

/** The whole page. */
export function encodeMeta(meta: Meta): Buffer {
  const page = Buffer.alloc(PAGE_BYTES)
  page.write(META_MAGIC, META_MAGIC_OFFSET, 'latin1')
  page.writeUInt32LE(MAIN_FORMAT_VERSION, META_VERSION_OFFSET)
  page.writeUInt32LE(PAGE_BYTES, META_PAGE_BYTES_OFFSET)
  page.writeUInt32LE(meta.clean ? META_FLAG_CLEAN : 0, META_FLAGS_OFFSET)
  page.writeBigUInt64LE(BigInt(meta.checkpoint), META_CHECKPOINT_OFFSET)
  page.writeBigUInt64LE(BigInt(meta.sequence), META_SEQUENCE_OFFSET)
  page.set(meta.databaseId, META_DATABASE_ID_OFFSET)
  page.set(meta.logId, META_LOG_ID_OFFSET)
  page.writeBigUInt64LE(BigInt(meta.logLsn), META_LOG_LSN_OFFSET)
  page.writeBigUInt64LE(BigInt(meta.baseSequence), META_BASE_SEQUENCE_OFFSET)
  page.writeUInt32LE(meta.pageCount, META_PAGE_COUNT_OFFSET)
  page.writeUInt32LE(meta.freeCount, META_FREE_COUNT_OFFSET)
  for (const [index, { pageId, checksum }] of [meta.freeList, ...meta.directory].entries()) {
    const offset = META_FREE_LIST_OFFSET + index * REFERENCE_BYTES
    page.writeUInt32LE(pageId, offset)
    page.writeUInt32LE(checksum, offset + 4)
  }
  page.writeUInt32LE(checksumOf(page), META_CHECKSUM_OFFSET)
  return page
}

/** Of everything behind it. */
function checksumOf(page: Uint8Array): number {
  return crc32c(page.subarray(META_VERSION_OFFSET))
}

/** @param page the whole page, on the heap */
export function decodeMeta(page: Buffer, slot: number): MetaRead {
  const magic = page.toString('latin1', META_MAGIC_OFFSET, META_MAGIC_OFFSET + META_MAGIC.length)
  const refuse = refuserAt(slot)
  if (magic !== META_MAGIC) {
    const shown = `bytes ${Buffer.from(magic, 'latin1').toString('hex')}`
    const expected = `bytes ${Buffer.from(META_MAGIC, 'latin1').toString('hex')}`
    return refuse('foreign', META_MAGIC_OFFSET, 'magic', expected, shown)
  }
  const checksum = page.readUInt32LE(META_CHECKSUM_OFFSET)
  const actual = checksumOf(page)
  if (checksum !== actual) {
    return refuse('damaged', META_CHECKSUM_OFFSET, 'meta checksum', hex(actual), hex(checksum))
  }
  const version = page.readUInt32LE(META_VERSION_OFFSET)
  if (version !== MAIN_FORMAT_VERSION) {
    const kind = version > MAIN_FORMAT_VERSION ? 'version' : 'damaged'
    return refuse(kind, META_VERSION_OFFSET, 'format version', MAIN_FORMAT_VERSION, version)
  }
  const flags = page.readUInt32LE(META_FLAGS_OFFSET)
  if ((flags & ~META_FLAGS_KNOWN) !== 0) {
    const known = `bits of ${META_FLAGS_KNOWN}`
    return refuse('version', META_FLAGS_OFFSET, 'meta flags', known, flags)
  }
  const pageBytes = page.readUInt32LE(META_PAGE_BYTES_OFFSET)
  if (pageBytes !== PAGE_BYTES) {
    return refuse('pageSize', META_PAGE_BYTES_OFFSET, 'page size', PAGE_BYTES, pageBytes)
  }
  return checkedFields(page, slot, (flags & META_FLAG_CLEAN) !== 0)
}

type Refuse = (
  kind: Exclude<MetaRead['kind'], 'sound'>,
  offset: number,
  what: string,
  expected: string | number,
  actual: string | number,
) => MetaRead

function refuserAt(slot: number): Refuse {
  return (kind, offset, what, expected, actual) => ({
    kind,
    finding: { offset: metaOffset(slot) + offset, what, expected, actual },
  })
}

/** Bounds that keep all that follows safe, whoever wrote the checksum. */
function checkedFields(page: Buffer, slot: number, clean: boolean): MetaRead {
  const refuse = refuserAt(slot)
  const numbers: readonly (readonly [string, number])[] = [
    ['checkpoint number', META_CHECKPOINT_OFFSET],
    ['commit sequence', META_SEQUENCE_OFFSET],
    ['log LSN', META_LOG_LSN_OFFSET],
    ['base sequence', META_BASE_SEQUENCE_OFFSET],
  ]
  for (const [what, offset] of numbers) {
    const value = u64(page, offset)
    if (!Number.isSafeInteger(value)) {
      return refuse('damaged', offset, what, 'at most 2^53-1', value)
    }
  }
  const checkpoint = u64(page, META_CHECKPOINT_OFFSET)
  if (metaSlot(checkpoint) !== slot) {
    const expected = slot === 0 ? 'even' : 'odd'
    return refuse('damaged', META_CHECKPOINT_OFFSET, 'checkpoint number', expected, checkpoint)
  }
  const pageCount = page.readUInt32LE(META_PAGE_COUNT_OFFSET)
  if (pageCount < FIRST_PAGE || pageCount > PAGE_COUNT_MAX) {
    const expected = `from ${FIRST_PAGE} to ${PAGE_COUNT_MAX}`
    return refuse('damaged', META_PAGE_COUNT_OFFSET, 'page count', expected, pageCount)
  }
  const freeCount = page.readUInt32LE(META_FREE_COUNT_OFFSET)
  if (freeCount > pageCount - FIRST_PAGE) {
    const expected = `at most ${pageCount - FIRST_PAGE}`
    return refuse('damaged', META_FREE_COUNT_OFFSET, 'free pages', expected, freeCount)
  }
  const references = referencesOf(page)
  const wrong = wrongReference(references, pageCount)
  if (wrong !== undefined) {
    const offset = META_FREE_LIST_OFFSET + wrong * REFERENCE_BYTES
    const expected = `none, or a page of its own from ${FIRST_PAGE} to ${pageCount - 1}, with its checksum`
    return refuse('damaged', offset, 'reference', expected, references[wrong]?.pageId ?? NO_PAGE)
  }
  const [freeList = NO_REFERENCE, ...directory] = references
  return {
    kind: 'sound',
    meta: {
      clean,
      checkpoint,
      sequence: u64(page, META_SEQUENCE_OFFSET),
      databaseId: idAt(page, META_DATABASE_ID_OFFSET),
      logId: idAt(page, META_LOG_ID_OFFSET),
      logLsn: u64(page, META_LOG_LSN_OFFSET),
      baseSequence: u64(page, META_BASE_SEQUENCE_OFFSET),
      pageCount,
      freeCount,
      freeList,
      directory,
    },
  }
}

export const NO_REFERENCE: PageReference = { pageId: NO_PAGE, checksum: 0 }

/** The free list's, then the directory's, which stand behind it. */
function referencesOf(page: Buffer): PageReference[] {
  return Array.from({ length: 1 + META_DIRECTORY_COUNT }, (_, index) => {
    const offset = META_FREE_LIST_OFFSET + index * REFERENCE_BYTES
    return { pageId: page.readUInt32LE(offset), checksum: page.readUInt32LE(offset + 4) }
  })
}

/** The first that can't be: out of range, used twice, or with a page but no checksum, or the reverse. */
function wrongReference(
  references: readonly PageReference[],
  pageCount: number,
): number | undefined {
  const seen = new Set<number>()
  for (const [index, { pageId, checksum }] of references.entries()) {
    if (pageId === NO_PAGE && checksum === 0) continue
    const inRange = pageId >= FIRST_PAGE && pageId < pageCount
    if (!inRange || checksum === 0 || seen.has(pageId)) return index
    seen.add(pageId)
  }
  return undefined
}

/**
 * The newest sound one.
 * @param metas what pages 0 and 1 hold
 * @throws MainFileForeignError, MainFileVersionError, MainFilePageSizeError, MainFileMetasError
 */
export function chooseMeta(metas: readonly [MetaRead, MetaRead], file: string): MetaChoice {
  const [even, odd] = metas
  // A newer release has been here: what this one knows of the file no longer holds, whatever the other says.
  for (const read of metas) {
    if (read.kind === 'version') throw new MainFileVersionError(file, read.finding)
    if (read.kind === 'pageSize') throw new MainFilePageSizeError(file, read.finding)
  }
  if (even.kind === 'sound' && odd.kind === 'sound') return newerOf(even.meta, odd.meta, file)
  if (even.kind === 'sound') return { meta: even.meta, other: findingOf(odd) }
  if (odd.kind === 'sound') return { meta: odd.meta, other: findingOf(even) }
  if (even.kind === 'foreign' && odd.kind === 'foreign') {
    throw new MainFileForeignError(file, even.finding)
  }
  throw new MainFileMetasError(file, [even.finding, odd.finding])
}

function findingOf(read: MetaRead): MainFileFinding | undefined {
  return read.kind === 'sound' ? undefined : read.finding
}

function newerOf(even: Meta, odd: Meta, file: string): MetaChoice {
  const meta = even.checkpoint > odd.checkpoint ? even : odd
  const other = meta === even ? odd : even
  const ids = [even, odd].map(({ databaseId }) => Buffer.from(databaseId).toString('hex'))
  if (ids[0] !== ids[1]) {
    const findings = ids.map((id, slot) => ({
      offset: metaOffset(slot) + META_DATABASE_ID_OFFSET,
      what: 'database id',
      expected: ids[1 - slot] ?? '',
      actual: id,
    }))
    const [first, second] = findings
    if (first !== undefined && second !== undefined) {
      throw new MainFileMetasError(file, [first, second])
    }
  }
  if (other.checkpoint === meta.checkpoint - 1) return { meta, other: undefined }
  // The write of the one between was lost; it has been superseded, so nothing hangs on it.
  const offset = metaOffset(metaSlot(other.checkpoint)) + META_CHECKPOINT_OFFSET
  const expected = meta.checkpoint - 1
  const what = 'checkpoint number'
  return { meta, other: { offset, what, expected, actual: other.checkpoint } }
}

function u64(page: Buffer, offset: number): number {
  return page.readUInt32LE(offset) + page.readUInt32LE(offset + 4) * 2 ** 32
}

function idAt(page: Buffer, offset: number): Uint8Array {
  return new Uint8Array(page.subarray(offset, offset + ID_BYTES))
}

export function hex(value: number): string {
  return `0x${(value >>> 0).toString(16).padStart(8, '0')}`
}
