import { FRAME_ALIGNMENT_BYTES } from '@ringbolt/ring'

declare const lsnBrand: unique symbol
/**
 * Log sequence number: the byte position of a frame in the stream of all frames since the log was
 * made. A safe integer, a multiple of 8; the first is 0. Group headers and certificates don't count.
 */
export type Lsn = number & { readonly [lsnBrand]: true }

function isLsn(value: number): value is Lsn {
  return Number.isSafeInteger(value) && value >= 0 && value % FRAME_ALIGNMENT_BYTES === 0
}

/** @throws RangeError for what cannot be the position of a frame */
export function lsnOf(value: number): Lsn {
  if (!isLsn(value)) {
    throw new RangeError(`an LSN is a multiple of ${FRAME_ALIGNMENT_BYTES} from 0, not ${value}`)
  }
  return value
}
