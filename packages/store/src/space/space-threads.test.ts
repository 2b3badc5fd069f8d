/** Real threads: what the model checker shows of small programs, on pages, a file and a clock of their own. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { AtomicsMemory } from '@ringbolt/ring'
import { FileStore } from '@ringbolt/wal'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { PAGE_BYTES } from '../page/page.ts'
import { PageFile } from './page-file.ts'
import { freeThread } from './page-reader.ts'
import { emptyDirectory } from './published.ts'
import { createRegion } from './region.ts'
import { SharedSpace } from './shared-space.ts'
import type { ReaderWork } from './testing/reader-thread.ts'
import {
  branchOf,
  childWord,
  fillLeaf,
  forEachReference,
  leafOf,
  PlainPageIds,
  setChild,
} from './testing/space-doubles.ts'

const LEAVES = 200
const FRAMES = 64

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringbolt-space-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

/** A sequencer whose state is a branch over many leaves, more than the cache holds. */
class Writer {
  readonly region: SharedArrayBuffer = createRegion({
    cacheBytes: FRAMES * PAGE_BYTES,
    readersMax: 8,
    pinsMax: 16,
  })
  readonly control = new SharedArrayBuffer(8)
  readonly memory: AtomicsMemory = new AtomicsMemory(this.control)
  readonly pageIds: PlainPageIds = new PlainPageIds()
  readonly file: PageFile
  readonly space: SharedSpace
  readonly #directory = emptyDirectory()
  readonly #sleeping = new AtomicsMemory(new SharedArrayBuffer(4))
  #sequence = 0
  #root = 0

  constructor() {
    this.file = new PageFile(new FileStore(folder, {}).create('pages'))
    this.space = new SharedSpace(this.region, this.file, this.pageIds, forEachReference, {
      pause: () => this.#sleeping.wait(0, 0, 1),
    })
    const leaves = Array.from({ length: LEAVES }, (_, content) => {
      this.space.makeRoom(2)
      return leafOf(this.space, content)
    })
    this.space.makeRoom(2)
    this.#root = branchOf(this.space, leaves)
    this.publish()
  }

  publish(): void {
    this.#directory.pages[0] = this.#root
    this.space.publish(this.space.seal(), this.#sequence++, this.#directory)
    this.space.reclaim()
    this.space.admitWanted()
  }

  /** Changes some leaves in the next version. */
  change(first: number, count: number): void {
    const { space } = this
    for (let offset = 0; offset < count; offset++) {
      const index = (first + offset * 7) % LEAVES
      space.makeRoom(8)
      this.#root = space.writable(this.#root, 0)
      const word = childWord(space.locate(this.#root, 0), index)
      const child = space.words[word]!
      const copy = space.writable(child, space.words[word + 1]!)
      fillLeaf(space, copy, this.#sequence * LEAVES + index)
      if (copy !== child) setChild(space, this.#root, index, copy, 0)
    }
    this.publish()
  }

  reader(threadId: number): { worker: Worker; ended: Promise<unknown> } {
    const { region, control } = this
    const seed = threadId * 7919
    const workerData: ReaderWork = { region, control, folder, threadId, leaves: LEAVES, seed }
    const worker = new Worker(new URL('./testing/reader-thread.js', import.meta.url), {
      workerData,
    })
    const ended = new Promise((resolve, reject) => {
      worker.once('error', reject)
      worker.once('exit', resolve)
    })
    return { worker, ended }
  }

  get reads(): number {
    return this.memory.load(1)
  }

  /** Goes on changing until so much was read; lets this thread's events in between. */
  async changeUntil(isDone: () => boolean): Promise<void> {
    for (let round = 0; !isDone(); round++) {
      for (let times = 0; times < 10; times++) this.change(round * 13 + times * 5, 4)
      await new Promise(setImmediate)
    }
  }

  /** All readers are gone: nothing but the newest state is left. */
  assertNothingLeft(): void {
    this.space.reclaim()
    expect(this.pageIds.taken.size).toBe(LEAVES + 1)
    expect(this.space.stats).toMatchObject({ retiredWaiting: 0, limboFrames: 0, pins: 0 })
  }
}

test('S10: threads read random pages through a small cache while all is changed, evicted and used again', async () => {
  const writer = new Writer()
  const readers = [1, 2, 3].map((threadId) => writer.reader(threadId))
  const ended = Promise.all(readers.map((reader) => reader.ended))
  const isEnough = (): boolean => {
    const { evictions, admissions } = writer.space.stats
    return writer.reads > 60_000 && evictions > 1000 && admissions > 100
  }
  try {
    await Promise.race([ended, writer.changeUntil(isEnough)])
  } finally {
    writer.memory.store(0, 1)
  }
  await ended
  writer.assertNothingLeft()
  const { evictions, spills, admissions } = writer.space.stats
  console.log(
    `${writer.reads} reads; ${evictions} evictions, ${spills} spills, ${admissions} admissions`,
  )
  writer.file.close()
})

test('S11: threads that are terminated in the middle leave nothing behind once that is told', async () => {
  const writer = new Writer()
  const survivor = writer.reader(1)
  for (let threadId = 2; threadId < 14; threadId++) {
    const { worker } = writer.reader(threadId)
    await once(worker, 'message')
    const before = writer.reads
    const exit = once(worker, 'exit')
    await writer.changeUntil(() => writer.reads > before + 4000)
    await worker.terminate()
    await exit
    freeThread(writer.region, threadId)
  }
  writer.memory.store(0, 1)
  await survivor.ended
  writer.assertNothingLeft()
  writer.file.close()
})
