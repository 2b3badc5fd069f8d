/** A process that measures one store: its resident memory, or how soon it is open. */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { PHASE_MEASURE, PHASE_STOP, PHASE_WARM_UP, Phases } from '../phases.ts'
import { candidateNamed } from './candidates.ts'
import { isSame } from './document.ts'
import type {
  FilesAndMemory,
  MemoryFigures,
  MemoryWork,
  OpenFigures,
  OpenWork,
  ProcessWork,
  Resident,
  SnapshotsFigures,
  SnapshotsWork,
} from './process-work.ts'
import { closeAndVerify, fileBytesOf, loadStore, runFor, startJobs } from './runs.ts'
import type { StoreClient } from './store.ts'
import { writeJobs } from './write-benchmarks.ts'

/** A line of the system's, where it has them. */
function statusBytes(name: string): number | undefined {
  if (process.platform !== 'linux') return undefined
  const text = readFileSync('/proc/self/status', 'latin1')
  const kibibytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024
}

function resident(): Resident {
  return { all: process.memoryUsage.rss(), mapped: statusBytes('RssFile') ?? 0 }
}

async function measureOpen({ candidate, folder, setup, expected }: OpenWork): Promise<OpenFigures> {
  const entrant = await candidateNamed(candidate)
  const startedMs = performance.now()
  const store = await entrant.open(folder, setup)
  const client = await store.client()
  const openedMs = performance.now()
  const found = client.get(expected.id)
  const gotMs = performance.now()
  if (found === undefined || !isSame(found, expected)) throw new Error('the document is another')
  await client.close()
  await store.close()
  return { openMs: openedMs - startedMs, openAndGetMs: gotMs - startedMs }
}

async function measureMemory(work: MemoryWork): Promise<MemoryFigures> {
  const candidate = await candidateNamed(work.candidate)
  const beforeOpen = resident()
  const load = await loadStore(candidate, work.folder, work.documents, work.setup)
  const loaded = resident()
  const { documents, ids, store } = load
  await runFor(work.window, store, [{ kind: 'get', documents, ids, seed: 1 }])
  const read = resident()
  const peakBytes = statusBytes('VmHWM') ?? read.all
  await closeAndVerify(load, [])
  return { beforeOpen, loaded, read, peakBytes, fileBytes: fileBytesOf(work.folder) }
}

const WRITERS = { threads: 4, inFlight: 64, blocking: false }
const UPDATES_ONLY = { inserts: 0, updates: 100 }
const SNAPSHOTS_PER_TURN = 50

/** Opens and closes them one after another, so that two are open at a time. */
async function openSnapshots(client: StoreClient, snapshots: number, id: number): Promise<void> {
  const { snapshot } = client
  if (snapshot === undefined) throw new Error('this store has no snapshots here')
  let previous = snapshot.call(client)
  for (let opened = 1; opened < snapshots; opened++) {
    const next = snapshot.call(client)
    if (previous.get(id)?.id !== id) throw new Error(`document ${id} is not in a snapshot`)
    previous.close()
    previous = next
    if (opened % SNAPSHOTS_PER_TURN === 0) await turn()
  }
  previous.close()
}

async function measureSnapshots(work: SnapshotsWork): Promise<SnapshotsFigures> {
  const candidate = await candidateNamed(work.candidate)
  const loaded = await loadStore(candidate, work.folder, work.documents, work.setup)
  const look = (): FilesAndMemory => ({
    fileBytes: fileBytesOf(work.folder),
    residentBytes: process.memoryUsage.rss(),
  })
  const phases = new Phases()
  const jobs = writeJobs(loaded, WRITERS, UPDATES_ONLY, work.documents)
  const threads = startJobs(loaded.store.target, jobs, 1, phases)
  await Promise.all(threads.map(({ ready }) => ready))
  phases.enter(PHASE_WARM_UP)
  await sleep(work.warmUpMs)
  const client = await loaded.store.client()
  const before = look()
  phases.enter(PHASE_MEASURE)
  const startedMs = performance.now()
  await openSnapshots(client, work.snapshots / 2, loaded.ids[0]!)
  const halfway = look()
  await openSnapshots(client, work.snapshots / 2, loaded.ids[0]!)
  const after = look()
  phases.enter(PHASE_STOP)
  const seconds = (performance.now() - startedMs) / 1000
  const results = await Promise.all(threads.map(({ result }) => result))
  await Promise.all(threads.map(({ ended }) => ended))
  await client.close()
  await closeAndVerify(loaded, results)
  const writes = results.reduce((sum, { operations }) => sum + operations, 0)
  return {
    before,
    halfway,
    after,
    snapshotsPerSecond: work.snapshots / seconds,
    writesPerSecond: writes / seconds,
  }
}

async function measure(work: ProcessWork): Promise<unknown> {
  switch (work.kind) {
    case 'open':
      return await measureOpen(work)
    case 'memory':
      return await measureMemory(work)
    case 'snapshots':
      return await measureSnapshots(work)
  }
}

async function main(work: ProcessWork): Promise<void> {
  const figures = await measure(work)
  process.send?.(figures, () => process.disconnect())
}

process.once('message', (work: ProcessWork) => {
  main(work).catch((error: unknown) => {
    console.error(error)
    process.exit(1)
  })
})
