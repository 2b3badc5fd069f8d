/** Incremental backups of a large database, by how much has changed since the last one, and where. Ringbolt's alone. */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type BackupResult, restore } from 'ringbolt'
import type { Benchmark } from '../program.ts'
import type { Row } from '../report.ts'
import { interleave, type Series } from '../rounds.ts'
import { fieldsOf, storedDocument } from './document.ts'
import type { JobResult } from './job.ts'
import { type Large, withLarge } from './large.ts'
import { byAge, mainFileIn } from './ringbolt.ts'
import { verifyClosed } from './runs.ts'
import type { Candidate } from './store.ts'
import { settingsOf, withDigits } from './tables.ts'

type Place = 'in one place' | 'spread'

interface Step {
  readonly name: string
  /** Which documents are changed before it. */
  readonly share: number
  readonly place: Place
  /** All of the database, not only what has changed. */
  readonly isFull: boolean
}

const SHARES = [0.001, 0.01, 0.1]
const PLACES: readonly Place[] = ['in one place', 'spread']

const full: Step = { name: 'full', share: 0.001, place: 'in one place', isFull: true }
const steps: readonly Step[] = [
  full,
  ...SHARES.flatMap((share) =>
    PLACES.map((place): Step => {
      const name = `increment, ${share * 100} % updated ${place}`
      return { name, share, place, isFull: false }
    }),
  ),
]

const UPDATES_PER_TRANSACTION = 1000
const SAMPLE = 250

/** What has become of each document: 0 is how it was loaded. */
class Notes {
  readonly #changes: Uint16Array
  #change = 0

  constructor(documents: number) {
    this.#changes = new Uint16Array(documents)
  }

  /** As long as the one before, so that all stay where they are. */
  #noteOf(change: number): string {
    return `brown foxes ${String(change).padStart(4, '0')}`
  }

  /** Changes every document of the step, by the API; the index is not touched. */
  async update({ loaded, database }: Large, { share, place }: Step): Promise<void> {
    const { documents, ids } = loaded
    const change = ++this.#change
    const note = this.#noteOf(change)
    const count = Math.round(documents * share)
    const stride = place === 'spread' ? Math.floor(documents / count) : 1
    const first = place === 'spread' ? 0 : Math.floor((documents - count) / 2)
    for (let done = 0; done < count; done += UPDATES_PER_TRANSACTION) {
      const length = Math.min(UPDATES_PER_TRANSACTION, count - done)
      await database.transaction(async (transaction) => {
        const collection = transaction.collection(byAge)
        for (let index = done; index < done + length; index++) {
          const ordinal = first + index * stride
          this.#changes[ordinal] = change
          await collection.update(ids[ordinal]!, (document) => {
            document.note = note
          })
        }
      })
    }
  }

  /** A sample of what must be there now. */
  sample({ loaded: { documents, ids } }: Large): JobResult {
    const present = Array.from({ length: SAMPLE }, (_, index) => {
      const ordinal = Math.floor((index * documents) / SAMPLE)
      const change = this.#changes[ordinal]!
      const fields = fieldsOf(ordinal, documents)
      const note = change === 0 ? fields.note : this.#noteOf(change)
      return storedDocument(ids[ordinal]!, { ...fields, note })
    })
    return { operations: 0, countChange: 0, present, absent: [], latenciesMs: new Float64Array() }
  }
}

/** A full backup and all that followed it. */
class Chain {
  readonly #folder: string
  #files: string[] = []
  #made = 0

  constructor(folder: string) {
    this.#folder = folder
    mkdirSync(folder)
  }

  async add({ database }: Large, isFull: boolean): Promise<BackupResult> {
    const path = join(this.#folder, `${this.#made++}`)
    const since = this.#files.at(-1)
    if (!isFull && since !== undefined) {
      const result = await database.backup(path, { since })
      this.#files.push(path)
      return result
    }
    const result = await database.backup(path)
    for (const file of this.#files) rmSync(file)
    this.#files = [path]
    return result
  }

  async restoreTo(target: string): Promise<void> {
    const [from, ...increments] = this.#files
    if (from === undefined) throw new Error('there is no backup')
    await restore({ from, increments, target })
  }
}

const MIB = 2 ** 20

function rowsOf(
  all: readonly Series<Step, BackupResult>[],
  valueOf: (result: BackupResult) => number,
): readonly Row[] {
  return all.map(({ candidate: { name }, figures }) => ({
    name,
    remark: `${withDigits(figures[0]!.pages)} pages`,
    values: figures.map(valueOf),
  }))
}

export function increments(ringbolt: Candidate): Benchmark {
  const title = 'incremental backup of a large database'
  return {
    title,
    settings: settingsOf([ringbolt]),
    async run(options) {
      return await withLarge(ringbolt, options, async (large) => {
        const { database, folder, loaded, written } = large
        const notes = new Notes(loaded.documents)
        const chain = new Chain(join(folder, 'backups'))
        await chain.add(large, true)
        const all = await interleave(steps, options.rounds, async (step) => {
          await notes.update(large, step)
          // What a backup has to do itself is the figure, not the writing of what has changed.
          await database.checkpoint()
          return await chain.add(large, step.isFull)
        })
        written.push(notes.sample(large))
        const restored = join(folder, 'restored')
        mkdirSync(restored)
        await chain.restoreTo(mainFileIn(restored))
        await verifyClosed({ ...loaded, folder: restored }, written)
        const size = `${withDigits(loaded.documents)} documents, one index`
        return [
          {
            title: `${title}: time, of ${size}`,
            unit: 'ms',
            base: full.name,
            rows: rowsOf(all, ({ durationMs }) => durationMs),
          },
          {
            title: `${title}: bytes`,
            unit: 'MiB',
            base: full.name,
            rows: rowsOf(all, ({ bytes }) => bytes / MIB),
          },
        ]
      })
    },
  }
}
