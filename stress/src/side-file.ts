/**
 * What was acknowledged, in a plain file outside the log: 8 bytes for each incarnation, how many of
 * its ordinals, from 0 without a gap, were acknowledged. Written after the acknowledgement, in place.
 * It grows as it is written to. Never synced: the page cache outlives the process, and SIGKILL ends the process only.
 */
import { closeSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs'

const SLOT_BYTES = 8

export class SideFile {
  readonly #descriptor: number
  readonly #slot: Buffer = Buffer.alloc(SLOT_BYTES)

  /** Opens a side file that `createSideFile` has made. */
  constructor(path: string) {
    this.#descriptor = openSync(path, 'r+')
  }

  setAcknowledged(incarnation: number, count: number): void {
    this.#slot.writeBigUInt64LE(BigInt(count))
    const written = writeSync(this.#descriptor, this.#slot, 0, SLOT_BYTES, incarnation * SLOT_BYTES)
    if (written !== SLOT_BYTES) {
      throw new Error(`side file: wrote ${written} of ${SLOT_BYTES} bytes`)
    }
  }

  /** 0 for what nobody has written yet. */
  acknowledgedOf(incarnation: number): number {
    const read = readSync(this.#descriptor, this.#slot, 0, SLOT_BYTES, incarnation * SLOT_BYTES)
    return read < SLOT_BYTES ? 0 : Number(this.#slot.readBigUInt64LE())
  }

  close(): void {
    closeSync(this.#descriptor)
  }
}

export function createSideFile(path: string, incarnations: number): void {
  writeFileSync(path, Buffer.alloc(incarnations * SLOT_BYTES), { flag: 'wx', mode: 0o600 })
}

/** By incarnation, how many ordinals were acknowledged. */
export function readSideFile(path: string): number[] {
  const bytes = readFileSync(path)
  return Array.from({ length: bytes.length / SLOT_BYTES }, (_, at) =>
    Number(bytes.readBigUInt64LE(at * SLOT_BYTES)),
  )
}
