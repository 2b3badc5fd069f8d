/**
 * What was done in a run, kept when it is not proved. A lane's operations follow from the seed, its incarnation and its
 * number, so the counts say all of them: `laneAt(…)`, advanced as often, is what its worker did, operation
 * by operation, and `DocumentOracle` says what must stand in the database beside this file.
 */
import { writeFileSync } from 'node:fs'
import type { DocumentSettings } from '../documents/document-settings.ts'
import type { RunEvent } from './run-data.ts'

export interface OperationLog {
  readonly settings: DocumentSettings
  readonly processes: number
  /** Kills and backups among them. */
  readonly events: readonly RunEvent[]
  /** By incarnation, then by lane: operations acknowledged. */
  readonly acknowledged: readonly (readonly number[])[]
  /** What failed and what was found, one line each. */
  readonly findings: readonly string[]
}

/** @param acknowledged by place (incarnation × lanes + lane) */
export function byIncarnation(acknowledged: readonly number[], lanes: number): number[][] {
  const incarnations = Math.ceil(acknowledged.length / lanes)
  return Array.from({ length: incarnations }, (_, at) =>
    acknowledged.slice(at * lanes, (at + 1) * lanes),
  )
}

export function writeOperationLog(path: string, log: OperationLog): void {
  writeFileSync(path, `${JSON.stringify(log, undefined, 1)}\n`)
}
