/** Full backups of a large database beside plain copies and writers, and checks of its integrity. Ringbolt's alone. */
import { mkdirSync, rmSync } from 'node:fs'
import { copyFile, open } from 'node:fs/promises'
import { join } from 'node:path'
import { checkFile, type IntegrityReport } from 'ringbolt'
import type { BenchOptions } from '../options.ts'
import type { Benchmark } from '../program.ts'
import type { Row, Table } from '../report.ts'
import { interleave, type Series } from '../rounds.ts'
import { type Large, MEGABYTE, withLarge } from './large.ts'
import { mainFileIn } from './ringbolt.ts'
import { perSecond, runDuring, runFor, verifyClosed } from './runs.ts'
import type { Candidate } from './store.ts'
import { settingsOf, withDigits } from './tables.ts'
import { INSERTS_ONLY, writeJobs } from './write-benchmarks.ts'

const WRITERS = { threads: 4, inFlight: 64, blocking: false }
const READ_BYTES = 2 ** 20

/** Read through, so that the next who reads it finds it in the system's page cache. @returns its bytes */
async function warm(path: string): Promise<number> {
  const file = await open(path)
  try {
    const buffer = Buffer.allocUnsafe(READ_BYTES)
    let bytes = 0
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, READ_BYTES, bytes)
      if (bytesRead === 0) return bytes
      bytes += bytesRead
    }
  } finally {
    await file.close()
  }
}

/** As `cp` does it, the system's own way; and synced, as a backup is. */
async function copySynced(from: string, to: string): Promise<void> {
  await copyFile(from, to)
  const file = await open(to, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

interface Figures {
  readonly megabytesPerSecond?: number
  readonly writesPerSecond?: number
}

interface Entrant {
  readonly name: string
  readonly remark: string
  readonly measure: (large: Large, folder: string, options: BenchOptions) => Promise<Figures>
}

function rate(bytes: number, elapsedMs: number): number {
  return bytes / MEGABYTE / (elapsedMs / 1000)
}

const backupAlone: Entrant = {
  name: 'backup',
  remark: 'nobody writes',
  async measure({ loaded, database, mainFile, written }, folder) {
    await warm(mainFile)
    const { bytes, durationMs } = await database.backup(mainFileIn(folder))
    await verifyClosed({ ...loaded, folder }, written)
    return { megabytesPerSecond: rate(bytes, durationMs) }
  },
}

const copyAlone: Entrant = {
  name: 'cp of the file, and fsync',
  remark: 'nobody writes',
  async measure({ mainFile }, folder) {
    const bytes = await warm(mainFile)
    const begunMs = performance.now()
    await copySynced(mainFile, join(folder, 'copy'))
    return { megabytesPerSecond: rate(bytes, performance.now() - begunMs) }
  },
}

/** Documents in it: at least those of its beginning, at most those of its end. */
function assertSound(path: string, from: number, to: number): void {
  const { documents, findings } = checkFile(path)
  if (findings.length > 0) throw new Error(findings[0]?.message)
  if (documents >= from && documents <= to) return
  throw new Error(`${documents} documents in a backup made between ${from} and ${to}`)
}

function writersOf({ loaded: { documents, ids } }: Large): ReturnType<typeof writeJobs> {
  return writeJobs({ documents: 0, ids }, WRITERS, INSERTS_ONLY, documents)
}

function documentsIn({ loaded, written }: Large): number {
  return written.reduce((count, { countChange }) => count + countChange, loaded.documents)
}

const writersAlone: Entrant = {
  name: '4 × 64 inserts, nothing beside them',
  remark: '',
  async measure(large, _folder, { window }) {
    const measured = await runFor(window, large.loaded.store, writersOf(large))
    large.written.push(...measured.results)
    return { writesPerSecond: perSecond(measured) }
  },
}

const backupBesideWriters: Entrant = {
  name: 'backup beside 4 × 64 inserts',
  remark: 'for as long as it takes',
  async measure(large, folder, { window: { warmUpMs } }) {
    const { database, mainFile, written, loaded } = large
    await warm(mainFile)
    const before = documentsIn(large)
    let megabytesPerSecond = 0
    const measured = await runDuring(loaded.store, writersOf(large), warmUpMs, async () => {
      const { bytes, durationMs } = await database.backup(mainFileIn(folder))
      megabytesPerSecond = rate(bytes, durationMs)
    })
    written.push(...measured.results)
    assertSound(mainFileIn(folder), before, documentsIn(large))
    return { megabytesPerSecond, writesPerSecond: perSecond(measured) }
  },
}

/** Those that have such a figure. */
function rowsOf(all: readonly Series<Entrant, Figures>[], figure: keyof Figures): readonly Row[] {
  return all.flatMap(({ candidate: { name, remark }, figures }) => {
    const values = figures.map((one) => one[figure]).filter((value) => value !== undefined)
    return values.length === 0 ? [] : [{ name, remark, values }]
  })
}

export function backups(ringbolt: Candidate): Benchmark {
  const title = 'backup of a large database'
  return {
    title,
    settings: settingsOf([ringbolt]),
    async run(options) {
      return await withLarge(ringbolt, options, async (large) => {
        const entrants = [backupAlone, copyAlone, backupBesideWriters, writersAlone]
        const all = await interleave(entrants, options.rounds, async ({ measure }) => {
          const folder = join(large.folder, 'backup')
          mkdirSync(folder)
          // What the one before has written is in the file.
          await large.database.checkpoint()
          const figures = await measure(large, folder, options)
          rmSync(folder, { recursive: true })
          return figures
        })
        const size = `${withDigits(options.documentsOpened)} documents, one index`
        return [
          {
            title: `${title} of ${size}`,
            unit: 'MB/s',
            base: backupAlone.name,
            rows: rowsOf(all, 'megabytesPerSecond'),
          },
          {
            title: `${title}: writers meanwhile`,
            unit: 'documents/s',
            base: backupBesideWriters.name,
            rows: rowsOf(all, 'writesPerSecond'),
          },
        ]
      })
    },
  }
}

/** All of it was looked at, and nothing was found. */
function assertWhole({ findings, documents, indexEntries }: IntegrityReport, expected: number) {
  if (findings.length > 0) throw new Error(findings[0]?.message)
  if (documents === expected && indexEntries === expected) return
  throw new Error(`${documents} documents, ${indexEntries} index entries of ${expected} each`)
}

interface Check {
  readonly name: string
  readonly run: (large: Large) => IntegrityReport | Promise<IntegrityReport>
}

const checks: readonly Check[] = [
  { name: 'integrityCheck()', run: async ({ database }) => await database.integrityCheck() },
  { name: 'checkFile()', run: ({ mainFile }) => checkFile(mainFile) },
]

export function integrity(ringbolt: Candidate): Benchmark {
  const title = 'integrity check of a large database'
  return {
    title,
    settings: settingsOf([ringbolt]),
    async run(options): Promise<readonly Table[]> {
      const { documentsOpened: documents, rounds } = options
      return await withLarge(ringbolt, options, async (large) => {
        const all = await interleave(checks, rounds, async ({ run }) => {
          await warm(large.mainFile)
          const report = await run(large)
          assertWhole(report, documents)
          return report
        })
        const rows = all.map(({ candidate: { name }, figures }) => ({
          name,
          remark: `${withDigits(documents)} documents, as many index entries, ${withDigits(figures[0]!.pages)} pages`,
          values: figures.map(({ bytes, durationMs }) => rate(bytes, durationMs)),
        }))
        return [{ title, unit: 'MB/s', base: undefined, rows }]
      })
    },
  }
}
