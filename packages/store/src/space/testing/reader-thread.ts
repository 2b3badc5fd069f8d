/** A worker thread that reads random pages and checks every byte; see `space-threads.test.ts`. */
import { parentPort, workerData } from 'node:worker_threads'
import { AtomicsMemory } from '@ringbolt/ring'
import { FileStore } from '@ringbolt/wal'
import { PAGE_WORDS } from '../../page/page.ts'
import { PageFile } from '../page-file.ts'
import { PageReader, type Pin, takeReaderSlot } from '../page-reader.ts'
import { childWord, contentOf } from './space-doubles.ts'

export interface ReaderWork {
  readonly region: SharedArrayBuffer
  /** Word 0: 1 when it is time to stop. Word 1: reads, of all threads. */
  readonly control: SharedArrayBuffer
  readonly folder: string
  readonly threadId: number
  readonly leaves: number
  readonly seed: number
}

const work: ReaderWork = workerData
const control = new AtomicsMemory(work.control)
const file = new PageFile(new FileStore(work.folder, { readOnly: true }).open('pages'))
const slot = takeReaderSlot(work.region, work.threadId)
const reader = new PageReader(work.region, slot, file)
let state = work.seed
// Only now may the thread be terminated: not in the middle of its imports.
parentPort?.postMessage('reading')

function random(below: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
  return (state >>> 8) % below
}

/** A leaf holds its number and the sequence in which it was changed; never a later one than is read at. */
function readLeaf(index: number): number {
  const { pages, checksums } = reader.directory
  const root = reader.locate(pages[0]!, checksums[0]!)
  const word = childWord(root, index)
  const frame = reader.locate(reader.words[word]!, reader.words[word + 1]!)
  const content = contentOf(reader.words, frame)
  const isLeaf = content % work.leaves === index
  if (!isLeaf || Math.floor(content / work.leaves) > reader.sequence) {
    const pageId = reader.words[frame * PAGE_WORDS + 1]
    throw new Error(`leaf ${index} at ${reader.sequence}: page ${pageId} holds ${content}`)
  }
  return content
}

function readNewest(): void {
  reader.enter()
  try {
    readLeaf(random(work.leaves))
  } finally {
    reader.leave()
  }
}

/** What was read once through the pin is read the same for as long as it is held. */
function readPinned(pin: Pin, seen: Map<number, number>): void {
  reader.enterPinned(pin)
  try {
    for (let times = 0; times < 3; times++) {
      const index = random(work.leaves)
      const content = readLeaf(index)
      if ((seen.get(index) ?? content) !== content) {
        throw new Error(`leaf ${index} read ${seen.get(index)} and then ${content}`)
      }
      seen.set(index, content)
    }
  } finally {
    reader.leave()
  }
}

while (control.load(0) === 0) {
  const pin = reader.pin()
  const seen = new Map<number, number>()
  for (let times = random(100); times >= 0; times--) {
    readNewest()
    readPinned(pin, seen)
    // Counted so that the test goes on until enough was read.
    control.add(1, 4)
  }
  reader.unpin(pin)
}
reader.close()
file.close()
