/**
 * What the workers append: records that say who wrote them and which they are, and whose every byte
 * follows from the seed. So a reader that knows the seed alone finds any altered byte.
 *
 *   byte 0   incarnation   of the worker: each replacement is a new one
 *        4   ordinal       0, 1, 2, … within the incarnation
 *        8   length        of the whole record
 *       12   check         of the three above and the seed
 *       16   payload       a stretch of a seeded pool, its place chosen by seed and check
 */
import { Random } from '@ringbolt/wal/simulation'
import { mix } from './mix.ts'

const INCARNATION_OFFSET = 0
const ORDINAL_OFFSET: number = INCARNATION_OFFSET + 4
const LENGTH_OFFSET: number = ORDINAL_OFFSET + 4
const CHECK_OFFSET: number = LENGTH_OFFSET + 4
const PAYLOAD_OFFSET: number = CHECK_OFFSET + 4

/** The shortest record: a header and nothing else. */
export const RECORD_BYTES_MIN: number = PAYLOAD_OFFSET

const POOL_BYTES = 65_536

export interface WorkloadSpec {
  readonly seed: number
  readonly recordBytesMin: number
  readonly recordBytesMax: number
}

/** What a record turned out to be. `torn`: its beginning is right and the rest is missing or zeros. */
export type Inspection =
  | { readonly kind: 'whole'; readonly incarnation: number; readonly ordinal: number }
  | {
      readonly kind: 'altered' | 'torn'
      /** Who wrote it, when the header still says so. */
      readonly author: { readonly incarnation: number; readonly ordinal: number } | undefined
      readonly detail: string
    }

export class Workload {
  readonly #spec: WorkloadSpec
  readonly #pool: Buffer

  constructor(spec: WorkloadSpec) {
    const { recordBytesMin, recordBytesMax, seed } = spec
    if (!(recordBytesMin >= RECORD_BYTES_MIN && recordBytesMax >= recordBytesMin)) {
      throw new RangeError(
        `record lengths must be from ${RECORD_BYTES_MIN} upwards, not ${recordBytesMin} to ${recordBytesMax}`,
      )
    }
    this.#spec = spec
    this.#pool = Buffer.alloc(POOL_BYTES + recordBytesMax)
    const random = new Random(seed)
    for (let at = 0; at + 4 <= this.#pool.length; at += 4) {
      // No zero bytes: what a torn write leaves is then told from what was written.
      this.#pool.writeUInt32LE((random.uint32() | 0x0101_0101) >>> 0, at)
    }
  }

  get recordBytesMax(): number {
    return this.#spec.recordBytesMax
  }

  lengthOf(incarnation: number, ordinal: number): number {
    const { seed, recordBytesMin, recordBytesMax } = this.#spec
    const span = recordBytesMax - recordBytesMin + 1
    return recordBytesMin + (mix(seed, incarnation, ordinal) % span)
  }

  /** Writes the record to the start of `target`; returns its length. */
  encode(target: Buffer, incarnation: number, ordinal: number): number {
    const length = this.lengthOf(incarnation, ordinal)
    const check = this.#check(incarnation, ordinal, length)
    target.writeUInt32LE(incarnation, INCARNATION_OFFSET)
    target.writeUInt32LE(ordinal, ORDINAL_OFFSET)
    target.writeUInt32LE(length, LENGTH_OFFSET)
    target.writeUInt32LE(check, CHECK_OFFSET)
    const from = check % POOL_BYTES
    this.#pool.copy(target, PAYLOAD_OFFSET, from, from + length - PAYLOAD_OFFSET)
    return length
  }

  inspect(bytes: Uint8Array): Inspection {
    const record = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (record.length < PAYLOAD_OFFSET) {
      const detail = `${record.length} bytes, a header has ${PAYLOAD_OFFSET}`
      return { kind: 'torn', author: undefined, detail }
    }
    const incarnation = record.readUInt32LE(INCARNATION_OFFSET)
    const ordinal = record.readUInt32LE(ORDINAL_OFFSET)
    const length = record.readUInt32LE(LENGTH_OFFSET)
    const check = record.readUInt32LE(CHECK_OFFSET)
    const checkDue = this.#check(incarnation, ordinal, length)
    if (check !== checkDue || length !== this.lengthOf(incarnation, ordinal)) {
      const detail = `header of incarnation ${incarnation}, ordinal ${ordinal}, ${length} bytes: check ${checkDue} is due, ${check} stands there`
      return { kind: 'altered', author: undefined, detail }
    }
    const author = { incarnation, ordinal }
    if (record.length !== length) {
      const detail = `${record.length} bytes, appended were ${length}`
      return { kind: 'torn', author, detail }
    }
    const from = check % POOL_BYTES
    const to = from + length - PAYLOAD_OFFSET
    if (this.#pool.compare(record, PAYLOAD_OFFSET, length, from, to) === 0) {
      return { kind: 'whole', incarnation, ordinal }
    }
    return { ...this.#difference(record, from), author }
  }

  #difference(record: Buffer, from: number): { kind: 'altered' | 'torn'; detail: string } {
    let at = PAYLOAD_OFFSET
    while (record[at] === this.#pool[from + at - PAYLOAD_OFFSET]) at++
    const due = this.#pool[from + at - PAYLOAD_OFFSET]
    const detail = `byte ${at} of ${record.length}: ${due} was appended, ${record[at]} stands there`
    return { kind: record.subarray(at).every((byte) => byte === 0) ? 'torn' : 'altered', detail }
  }

  #check(incarnation: number, ordinal: number, length: number): number {
    return mix(mix(this.#spec.seed, incarnation, ordinal), length, 0x5eed)
  }
}
