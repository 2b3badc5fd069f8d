/**
 * How long acknowledgements took: counts in buckets that grow with what they hold, each within 3 % of it. In shared
 * memory, so that all workers of a process count into one and a dead one's counts stay; as plain counts they are
 * added up over processes and subtracted over time, which a percentile cannot be.
 */

/** Buckets to an octave: what lies in one differs by a 32nd at most. */
const SUB_BUCKETS = 32
const SUB_BUCKET_BITS = 5
/** Up to 2^32 µs, more than an hour. */
const BUCKETS: number = (32 - SUB_BUCKET_BITS + 1) * SUB_BUCKETS

export class Latencies {
  readonly buffer: SharedArrayBuffer
  readonly #counts: Int32Array

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer
    this.#counts = new Int32Array(buffer)
  }

  static create(): Latencies {
    return new Latencies(new SharedArrayBuffer(BUCKETS * 4))
  }

  record(ms: number): void {
    // Counted only: whoever reads takes the counts as they are.
    Atomics.add(this.#counts, bucketOf(Math.round(ms * 1000)), 1)
  }

  /** By bucket. */
  counts(): number[] {
    return Array.from(this.#counts, (_, at) => Atomics.load(this.#counts, at))
  }
}

function bucketOf(us: number): number {
  const value = Math.min(Math.max(us, 0), 2 ** 32 - 1)
  if (value < SUB_BUCKETS) return value
  const octave = 31 - Math.clz32(value) - SUB_BUCKET_BITS
  return octave * SUB_BUCKETS + (value >>> octave)
}

/** The middle of what a bucket holds, in ms. */
function msOf(bucket: number): number {
  if (bucket < SUB_BUCKETS) return bucket / 1000
  const octave = Math.floor(bucket / SUB_BUCKETS) - 1
  const first = (SUB_BUCKETS + (bucket % SUB_BUCKETS)) * 2 ** octave
  return (first + 2 ** octave / 2) / 1000
}

/** What was counted between two looks at the same counts. */
export function countsSince(before: readonly number[], now: readonly number[]): number[] {
  return now.map((count, at) => count - (before[at] ?? 0))
}

export function addCounts(to: number[], counts: readonly number[]): void {
  for (const [at, count] of counts.entries()) to[at] = (to[at] ?? 0) + count
}

export function countOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0)
}

/** In ms; undefined when nothing was counted. @param percentile up to 100, which is the longest */
export function percentileMs(counts: readonly number[], percentile: number): number | undefined {
  const rank = Math.max(1, Math.ceil((countOf(counts) * percentile) / 100))
  let passed = 0
  for (const [bucket, count] of counts.entries()) {
    passed += count
    if (passed >= rank) return msOf(bucket)
  }
  return undefined
}
