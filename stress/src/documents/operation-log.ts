/**
 * What was done in a run, kept when it is not proved. A lane's operations follow from the seed, its incarnation and its
 * number, so the counts say all of them: `new Lane(…)`, advanced as often, is what its worker did, operation
 * by operation, and `DocumentOracle` says what must stand in the database beside this file.
 */
import { writeFileSync } from 'node:fs'
import type { Kill } from '../load.ts'
import type { DocumentSettings } from './document-settings.ts'

export interface OperationLog {
  readonly settings: DocumentSettings
  readonly kills: readonly Pick<Kill, 'kind' | 'incarnation' | 'atMs'>[]
  /** From this incarnation on, workers of the process that was killed. */
  readonly killedFrom: number
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
