/**
 * The board of a lock file: some bytes that whoever holds the lock says to everybody, by one small write. Any thread
 * may read them at any time: by one small read, or, when it looks again and again, in memory.
 *
 * Nothing here decides anything about the lock. What is written outlives the holder, and its process; a reader that
 * meets a write reads again. A copy of the file says nothing: the checksum is of the board and of the file's inode.
 */
import { BOARD_BYTES, BOARD_OFFSET, checksumOf, LOCK_FILE_BYTES, viewOf } from './layout.ts'
import { type FileMap, mapFile } from './mapping.ts'
import type { OpenFile, Platform } from './platform.ts'

// A reader meets a writer at most for as long as it takes to copy these bytes.
const READS_MAX = 8
const WORDS: number = (BOARD_BYTES + 4) / 4

export class Board {
  readonly #platform: Platform
  readonly #file: OpenFile
  readonly #bytes: Uint8Array = new Uint8Array(BOARD_BYTES + 4)
  readonly #view: DataView = viewOf(this.#bytes)
  readonly #said: DataView = new DataView(this.#bytes.buffer, 0, BOARD_BYTES)
  readonly #words = new Int32Array(this.#bytes.buffer)
  /** Null: it cannot be had. */
  #map: FileMap | null | undefined
  /** What `readNew` has seen, whole or not. */
  readonly #seen = new Int32Array(WORDS)
  readonly #inode: number

  constructor(platform: Platform, file: OpenFile) {
    this.#platform = platform
    this.#file = file
    this.#inode = Number(BigInt.asUintN(32, file.identity.inode))
  }

  get #checksum(): number {
    return (checksumOf(this.#bytes, 0, BOARD_BYTES) ^ this.#inode) >>> 0
  }

  /** The last thing said, valid until the next call; undefined when nothing whole was ever said. */
  read(): DataView | undefined {
    for (let reads = 0; reads < READS_MAX; reads++) {
      if (this.#file.read(BOARD_OFFSET, this.#bytes) < this.#bytes.length) return undefined
      const checksum = this.#view.getUint32(BOARD_BYTES, true)
      if (checksum === this.#checksum) return this.#said
    }
    return undefined
  }

  /**
   * The last thing said, when it is another one than at the last call. Cheap enough to ask before every look at
   * something that others change: some 50 ns, and a few milliseconds for the first call; without koffi, a system call.
   */
  readNew(): DataView | undefined {
    if (this.#map === undefined) this.#map = mapFile(this.#platform, this.#file, LOCK_FILE_BYTES)
    if (this.#map === null) this.#file.read(BOARD_OFFSET, this.#bytes)
    else this.#map.read(BOARD_OFFSET / 4, this.#words)
    if (!this.#seeNew()) return undefined
    return this.read()
  }

  #seeNew(): boolean {
    const words = this.#words
    const seen = this.#seen
    let isNew = false
    for (let word = 0; word < WORDS; word++) {
      const value = words[word] ?? 0
      if (value === seen[word]) continue
      seen[word] = value
      isNew = true
    }
    return isNew
  }

  /** For who holds the lock. @param fill gets the bytes as they were written or read last */
  write(fill: (said: DataView) => void): void {
    fill(this.#said)
    this.#view.setUint32(BOARD_BYTES, this.#checksum, true)
    this.#file.write(BOARD_OFFSET, this.#bytes)
  }

  /** Of one that was opened by itself. */
  close(): void {
    this.#map?.close()
    this.#map = null
    this.#file.close()
  }
}
