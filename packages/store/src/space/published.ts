/**
 * The published states: the newest version, and for each recent one the commit sequence that it shows and
 * its directory.
 *
 * Threads: the sequencer alone writes; any thread reads.
 *
 * Invariants
 *  P1 A version's block is complete, and all pages that its directory leads to are in memory or in the file,
 *     before the version word says so. Who loads the word sees all of that.
 *  P2 A block whose version word says v before and after it was read holds v's state. It is taken for a later
 *     version only after the word was cleared.
 *
 * A reader that is stopped between its look at the version and the reading of the block, while as many
 * versions are published as there are blocks, finds another version in it and enters again.
 */
import type { SharedMemory } from '@ringbolt/ring'
import {
  BLOCK_CHECKSUMS,
  BLOCK_PAGES,
  BLOCK_SEQUENCE_HIGH,
  BLOCK_SEQUENCE_LOW,
  BLOCK_VERSION,
  blockWord,
  DIRECTORY_REFERENCES,
  type RegionLayout,
  WORD_VERSION,
} from './layout.ts'
import { NO_VERSION } from './versions.ts'

/** References to the directory's pages, as `tree/directory.ts` has them; 0 where there is none. */
export interface DirectoryReferences {
  readonly pages: Uint32Array
  readonly checksums: Uint32Array
}

export function emptyDirectory(): DirectoryReferences {
  return {
    pages: new Uint32Array(DIRECTORY_REFERENCES),
    checksums: new Uint32Array(DIRECTORY_REFERENCES),
  }
}

export function copyDirectory(from: DirectoryReferences): DirectoryReferences {
  return { pages: from.pages.slice(), checksums: from.checksums.slice() }
}

const SEQUENCE_LOW_RANGE = 2 ** 32

export class Published {
  readonly #memory: SharedMemory
  readonly #layout: RegionLayout
  /** Commit sequence of the state read last. */
  sequence = 0

  constructor(memory: SharedMemory, layout: RegionLayout) {
    this.#memory = memory
    this.#layout = layout
  }

  /** The newest version. */
  get version(): number {
    return this.#memory.load(WORD_VERSION)
  }

  /** Sequencer: what it has stored before is seen by whoever enters from now on. */
  publish(version: number, sequence: number, directory: DirectoryReferences): void {
    writeBlock(this.#memory, this.#layout, version, sequence, directory)
    // Publishes the block and the pages to every reader that enters from now on (P1).
    this.#memory.store(WORD_VERSION, version)
  }

  /** False when the block holds another version by now: `sequence` and `directory` are void then. */
  read(version: number, directory: DirectoryReferences): boolean {
    const memory = this.#memory
    const word = blockWord(this.#layout, version)
    for (let index = 0; index < DIRECTORY_REFERENCES; index++) {
      directory.pages[index] = memory.load(word + BLOCK_PAGES + index)
      directory.checksums[index] = memory.load(word + BLOCK_CHECKSUMS + index)
    }
    const low = memory.load(word + BLOCK_SEQUENCE_LOW) >>> 0
    this.sequence = memory.load(word + BLOCK_SEQUENCE_HIGH) * SEQUENCE_LOW_RANGE + low
    return memory.load(word + BLOCK_VERSION) === version
  }
}

/** Before the region is shared: the first version shows an empty database. */
export function formatPublished(
  memory: SharedMemory,
  layout: RegionLayout,
  firstVersion: number,
): void {
  writeBlock(memory, layout, firstVersion, 0, emptyDirectory())
}

function writeBlock(
  memory: SharedMemory,
  layout: RegionLayout,
  version: number,
  sequence: number,
  directory: DirectoryReferences,
): void {
  const word = blockWord(layout, version)
  // Tells readers that are still at the block's old version that it is going (P2).
  memory.store(word + BLOCK_VERSION, NO_VERSION)
  for (let index = 0; index < DIRECTORY_REFERENCES; index++) {
    memory.store(word + BLOCK_PAGES + index, directory.pages[index]!)
    memory.store(word + BLOCK_CHECKSUMS + index, directory.checksums[index]!)
  }
  memory.store(word + BLOCK_SEQUENCE_LOW, (sequence % SEQUENCE_LOW_RANGE) | 0)
  memory.store(word + BLOCK_SEQUENCE_HIGH, Math.floor(sequence / SEQUENCE_LOW_RANGE))
  memory.store(word + BLOCK_VERSION, version)
}
