/** What needs a process of its own: its resident memory, or an open that finds nothing prepared. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Window } from '../threads.ts'
import type { StoredDocument } from './document.ts'
import type { Setup } from './store.ts'

interface Common {
  readonly candidate: string
  readonly folder: string
  readonly setup: Setup
}

export interface OpenWork extends Common {
  readonly kind: 'open'
  readonly expected: StoredDocument
}

export interface OpenFigures {
  readonly openMs: number
  readonly openAndGetMs: number
}

export interface MemoryWork extends Common {
  readonly kind: 'memory'
  readonly documents: number
  readonly window: Window
}

/** In bytes. */
export interface Resident {
  readonly all: number
  /** Pages of mapped files, which the system may take back. */
  readonly mapped: number
}

export interface MemoryFigures {
  readonly beforeOpen: Resident
  readonly loaded: Resident
  readonly read: Resident
  /** The most that was resident at any time. */
  readonly peakBytes: number
  readonly fileBytes: number
}

export interface SnapshotsWork extends Common {
  readonly kind: 'snapshots'
  readonly documents: number
  readonly snapshots: number
  readonly warmUpMs: number
}

export interface SnapshotsFigures {
  readonly before: FilesAndMemory
  readonly halfway: FilesAndMemory
  readonly after: FilesAndMemory
  readonly snapshotsPerSecond: number
  readonly writesPerSecond: number
}

export interface FilesAndMemory {
  readonly fileBytes: number
  readonly residentBytes: number
}

export type ProcessWork = OpenWork | MemoryWork | SnapshotsWork

/** Runs it in a process that ends with it. */
export async function inProcess(work: OpenWork): Promise<OpenFigures>
export async function inProcess(work: MemoryWork): Promise<MemoryFigures>
export async function inProcess(work: SnapshotsWork): Promise<SnapshotsFigures>
export async function inProcess(work: ProcessWork): Promise<unknown> {
  const file = fileURLToPath(new URL('./process.js', import.meta.url))
  return await new Promise((resolve, reject) => {
    const child = fork(file, { execArgv: [], serialization: 'advanced' })
    let figures: unknown
    child.on('message', (message) => {
      figures = message
    })
    child.on('error', reject)
    child.on('exit', (code) => {
      if (code === 0 && figures !== undefined) resolve(figures)
      else reject(new Error(`the process that measures ${work.kind} ended with ${code}`))
    })
    child.send(work)
  })
}
