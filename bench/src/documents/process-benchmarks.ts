/** How soon a large database is open, what memory a store takes, and what snapshots leave behind. */
import { join } from 'node:path'
import { withFolder } from '../log-candidates.ts'
import type { BenchOptions } from '../options.ts'
import type { Benchmark } from '../program.ts'
import type { Row, Table } from '../report.ts'
import { interleave } from '../rounds.ts'
import { median } from '../statistics.ts'
import { fieldsOf, type StoredDocument, storedDocument } from './document.ts'
import {
  inProcess,
  type MemoryFigures,
  type OpenFigures,
  type Resident,
  type SnapshotsFigures,
} from './process-work.ts'
import { closeAndVerify, fileBytesOf, loadStore } from './runs.ts'
import type { Candidate } from './store.ts'
import { type Figures, settingsOf, tableOf, withDigits } from './tables.ts'

const MIB = 2 ** 20

function mebibytes(bytes: number): string {
  return `${withDigits(Math.round(bytes / MIB))} MiB`
}

interface Closed {
  readonly candidate: Candidate
  readonly folder: string
  readonly fileBytes: number
  readonly expected: StoredDocument
}

async function makeClosed(
  candidate: Candidate,
  folder: string,
  { documentsOpened, cacheBytes }: BenchOptions,
): Promise<Closed> {
  const loaded = await loadStore(candidate, folder, documentsOpened, { indexed: false, cacheBytes })
  await closeAndVerify(loaded, [])
  const ordinal = documentsOpened >> 1
  const expected = storedDocument(loaded.ids[ordinal]!, fieldsOf(ordinal, documentsOpened))
  return { candidate, folder, fileBytes: fileBytesOf(folder), expected }
}

export function openLarge(candidates: readonly Candidate[]): Benchmark {
  const entrants = candidates.filter(({ acknowledged }) => acknowledged === 'synced')
  const title = 'open a clean large database'
  return {
    title,
    settings: settingsOf(entrants),
    async run(options) {
      return await withFolder(options.folder, async (folder) => {
        const { cacheBytes, rounds, documentsOpened } = options
        const setup = { indexed: false, cacheBytes }
        const databases: Closed[] = []
        for (const [index, candidate] of entrants.entries()) {
          databases.push(await makeClosed(candidate, join(folder, `${index}`), options))
        }
        const all = await interleave(databases, rounds, async ({ candidate, folder, expected }) => {
          const { name } = candidate
          return await inProcess({ kind: 'open', candidate: name, folder, setup, expected })
        })
        const documents = `${withDigits(documentsOpened)} documents`
        const sizes = new Map(databases.map(({ candidate, fileBytes }) => [candidate, fileBytes]))
        const table = (name: string, valueOf: (figures: OpenFigures) => number): Table =>
          tableOf(name, 'ms', all, valueOf, (_, one) => `${mebibytes(sizes.get(one) ?? 0)} on disk`)
        return [
          table(`${title}, of ${documents}`, ({ openMs }) => openMs),
          table(`the same, and get one document`, ({ openAndGetMs }) => openAndGetMs),
        ]
      })
    },
  }
}

/** Less than the documents take, so that the cache is full. */
const CACHE_SHARE = 0.125

export function memory(candidates: readonly Candidate[]): Benchmark {
  const entrants = candidates.filter(({ acknowledged }) => acknowledged === 'synced')
  const title = 'resident memory'
  return {
    title,
    settings: settingsOf(entrants),
    async run(options) {
      const { documents, rounds, window } = options
      const cacheBytes = Math.floor(options.cacheBytes * CACHE_SHARE)
      const setup = { indexed: false, cacheBytes }
      const all = await interleave(
        entrants.map((candidate) => ({ candidate })),
        rounds,
        async ({ candidate: { name } }) =>
          await withFolder(
            options.folder,
            async (folder) =>
              await inProcess({
                kind: 'memory',
                candidate: name,
                folder,
                setup,
                documents,
                window,
              }),
          ),
      )
      return memoryTables(all, documents, cacheBytes)
    },
  }
}

function memoryTables(
  all: readonly Figures<MemoryFigures>[],
  documents: number,
  cacheBytes: number,
): Table[] {
  const table = (title: string, residentOf: (figures: MemoryFigures) => Resident): Table => ({
    ...tableOf(
      `resident memory ${title}, cache of ${mebibytes(cacheBytes)}`,
      'MiB',
      all,
      (figures) => residentOf(figures).all / MIB,
      (figures) => {
        const mapped = median(figures.map((figure) => residentOf(figure).mapped))
        const before = median(figures.map(({ beforeOpen }) => beforeOpen.all))
        const files = median(figures.map(({ fileBytes }) => fileBytes))
        return `of it mapped files ${mebibytes(mapped)}; ${mebibytes(before)} before it was open; ${mebibytes(files)} on disk`
      },
    ),
    base: undefined,
  })
  const loaded = `${withDigits(documents)} documents were loaded`
  return [
    table(`after ${loaded}`, (figures) => figures.loaded),
    table(`after ${loaded} and read`, (figures) => figures.read),
    table(`at most`, ({ peakBytes, read }) => ({ all: peakBytes, mapped: read.mapped })),
  ]
}

/** Ringbolt's alone: growth of what is there, by what is left of 100,000 snapshots. */
export function snapshots(ringbolt: Candidate): Benchmark {
  const title = 'snapshots opened and closed while 4 threads write'
  return {
    title,
    settings: settingsOf([ringbolt]),
    async run(options) {
      const { snapshots, rounds, cacheBytes } = options
      const figures: SnapshotsFigures[] = []
      for (let round = 0; round < rounds; round++) {
        figures.push(
          await withFolder(
            options.folder,
            async (folder) =>
              await inProcess({
                kind: 'snapshots',
                candidate: ringbolt.name,
                folder,
                setup: { indexed: false, cacheBytes: Math.floor(cacheBytes * CACHE_SHARE) },
                documents: Math.floor(options.documents * LOADED_SHARE),
                snapshots,
                warmUpMs: options.window.warmUpMs,
              }),
          ),
        )
      }
      return snapshotTables(`${withDigits(snapshots)} ${title}`, figures)
    },
  }
}

const LOADED_SHARE = 0.1

function snapshotTables(title: string, figures: readonly SnapshotsFigures[]): Table[] {
  const row = (name: string, remark: string, valueOf: (one: SnapshotsFigures) => number): Row => ({
    name,
    remark,
    values: figures.map(valueOf),
  })
  const sizes = [
    row('files, before', '', ({ before }) => before.fileBytes / MIB),
    row('files, halfway', '', ({ halfway }) => halfway.fileBytes / MIB),
    row('files, after', '', ({ after }) => after.fileBytes / MIB),
    row('resident, before', '', ({ before }) => before.residentBytes / MIB),
    row('resident, halfway', '', ({ halfway }) => halfway.residentBytes / MIB),
    row('resident, after', '', ({ after }) => after.residentBytes / MIB),
  ]
  const rates = [
    row('snapshots', 'one thread', ({ snapshotsPerSecond }) => snapshotsPerSecond),
    row('updates', '4 threads × 64 in flight', ({ writesPerSecond }) => writesPerSecond),
  ]
  return [
    { title, unit: 'MiB', base: undefined, rows: sizes },
    { title: `${title}: how fast`, unit: 'operations/s', base: undefined, rows: rates },
  ]
}
