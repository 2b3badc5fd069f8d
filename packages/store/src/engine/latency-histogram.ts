/**
 * How long things took, as counts by size class: eight classes to each doubling, so a percentile is right to an eighth.
 *
 * Threads: one adds; any reads, and may see a moment's work half counted. Adding allocates nothing.
 */

const SUB_BITS = 3
const SUB_CLASSES: number = 2 ** SUB_BITS
/** Of microseconds in 31 bits: half an hour; longer ones count as that. */
const OCTAVES = 31
const CLASSES: number = (OCTAVES - SUB_BITS + 1) * SUB_CLASSES
const US_MAX: number = 2 ** OCTAVES - 1
const PLACE_TOTAL: number = CLASSES
const PLACE_MAX: number = CLASSES + 1
const PLACES: number = CLASSES + 2

export const HISTOGRAM_BYTES: number = PLACES * 8

/** In milliseconds; percentiles are rounded up by an eighth at the most. All 0 when nothing was counted. */
export interface Latency {
  readonly count: number
  readonly totalMs: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

export class LatencyHistogram {
  readonly #places: Float64Array

  /** @param byteOffset of its HISTOGRAM_BYTES */
  constructor(buffer: SharedArrayBuffer, byteOffset: number) {
    this.#places = new Float64Array(buffer, byteOffset, PLACES)
  }

  add(durationMs: number): void {
    const places = this.#places
    const at = classOf(Math.min(US_MAX, Math.max(0, durationMs * 1000)) | 0)
    places[at] = places[at]! + 1
    places[PLACE_TOTAL] = places[PLACE_TOTAL]! + durationMs
    if (durationMs > places[PLACE_MAX]!) places[PLACE_MAX] = durationMs
  }

  read(): Latency {
    const counts = this.#places.slice(0, CLASSES)
    const count = counts.reduce((sum, value) => sum + value, 0)
    const maxMs = this.#places[PLACE_MAX]!
    const at = (share: number): number => Math.min(maxMs, endMsOf(counts, Math.ceil(count * share)))
    return {
      count,
      totalMs: this.#places[PLACE_TOTAL]!,
      p50Ms: at(0.5),
      p90Ms: at(0.9),
      p99Ms: at(0.99),
      maxMs,
    }
  }
}

/** @param microseconds whole, below 2^31 */
function classOf(microseconds: number): number {
  if (microseconds < SUB_CLASSES) return microseconds
  const shift = 31 - Math.clz32(microseconds) - SUB_BITS
  return (shift << SUB_BITS) + (microseconds >>> shift)
}

/** Where the class ends in which the so manieth is. */
function endMsOf(counts: Float64Array, ordinal: number): number {
  let seen = 0
  for (let at = 0; at < counts.length; at++) {
    seen += counts[at]!
    if (seen >= ordinal && seen > 0) return classEnd(at) / 1000
  }
  return 0
}

function classEnd(at: number): number {
  if (at < SUB_CLASSES) return at + 1
  const shift = (at >>> SUB_BITS) - 1
  return (at - (shift << SUB_BITS) + 1) * 2 ** shift
}
