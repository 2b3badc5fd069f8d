import { DirectMemory } from './direct-memory.ts'
import type { Operation } from './operation.ts'
import type { StepRecord } from './step-record.ts'

/** The model's memory: performs an access on it, and reverts it again from the step's record. */
export class MemoryContent {
  /** The same memory for `setup`, `finish` and `always`. */
  readonly direct: DirectMemory
  readonly #bytes: Uint8Array<SharedArrayBuffer>
  readonly #words: Int32Array<SharedArrayBuffer>
  readonly #preserved: Uint8Array

  constructor(byteLength: number) {
    const buffer = new SharedArrayBuffer(byteLength)
    this.direct = new DirectMemory(buffer)
    this.#bytes = new Uint8Array(buffer)
    this.#words = new Int32Array(buffer)
    this.#preserved = new Uint8Array(byteLength)
  }

  wordAt(byteOffset: number): number {
    return this.#words[byteOffset >> 2] ?? 0
  }

  /** Runs something that may write, and puts everything back. */
  preserving<Result>(action: () => Result): Result {
    this.#preserved.set(this.#bytes)
    const result = action()
    this.#bytes.set(this.#preserved)
    return result
  }

  perform({ kind, byteOffset, byteLength, expected, value, bytes }: Operation, record: StepRecord) {
    const end = byteOffset + byteLength
    if (kind === 'bytesOut') {
      record.resultBytes = new Uint8Array(byteLength)
      record.resultBytes.set(this.#bytes.subarray(byteOffset, end))
    } else if (kind === 'bytesIn' || kind === 'zero') {
      record.changedAt = byteOffset
      record.bytesBefore = this.#bytes.slice(byteOffset, end)
      if (bytes === null) this.#bytes.fill(0, byteOffset, end)
      else this.#bytes.set(bytes, byteOffset)
    } else {
      const before = this.wordAt(byteOffset)
      if (kind !== 'store') record.result = before
      if (kind === 'load' || (kind === 'compareExchange' && before !== expected)) return
      record.changedAt = byteOffset
      record.wordBefore = before
      this.#words[byteOffset >> 2] = kind === 'add' ? before + value : value
    }
  }

  revert({ changedAt, wordBefore, bytesBefore }: StepRecord): void {
    if (changedAt < 0) return
    if (bytesBefore === null) this.#words[changedAt >> 2] = wordBefore
    else this.#bytes.set(bytesBefore, changedAt)
  }
}
