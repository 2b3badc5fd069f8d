/** What was to be proved, and whether it was. Pure: figures in, a verdict out. */
import type { Kill } from './load.ts'
import { FINDING_KINDS, type OracleResult } from './oracle.ts'
import { thousands } from './report.ts'

export interface Verdict {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
}

const MIB = 1024 * 1024

/** What the process may grow by while it runs: allocators and collectors keep what they once had. */
export const RSS_GROWTH_MAX_BYTES: number = 96 * MIB
export const LOG_HEAP_GROWTH_MAX_BYTES: number = 16 * MIB

/** What a busy machine may take to give a runnable thread its turn. */
export const SCHEDULING_MAX_MS = 1000

export function oracleVerdict(result: OracleResult, acknowledgedTotal: number): Verdict {
  const found = FINDING_KINDS.filter((kind) => result.counts[kind] > 0)
  const whole = result.acknowledged === acknowledgedTotal && acknowledgedTotal > 0
  return {
    name: 'every acknowledged record is there, once, whole, in order',
    ok: whole && found.length === 0,
    detail:
      found.length === 0
        ? `${thousands(result.acknowledged)} of ${thousands(acknowledgedTotal)} acknowledged, ${thousands(result.records)} in the log`
        : found.map((kind) => `${thousands(result.counts[kind])} ${kind}`).join(', '),
  }
}

export function failuresVerdict(failures: readonly string[]): Verdict {
  return {
    name: 'the load ran to its end',
    ok: failures.length === 0,
    detail: failures.length === 0 ? 'nothing failed by itself' : `${failures.length} failures`,
  }
}

export function abortedVerdict(aborted: number, kills: number): Verdict {
  return {
    name: 'aborted frames, at most one for each killed worker',
    ok: aborted <= kills,
    detail: `${aborted} aborted, ${kills} killed`,
  }
}

export function killsVerdict(kills: readonly Kill[], planned: number): Verdict {
  const late = kills.filter(
    ({ silenceMs, detectedMs }) => silenceMs > detectedMs + SCHEDULING_MAX_MS,
  )
  const worst = Math.max(0, ...kills.map(({ progressMs }) => progressMs))
  return {
    name: 'killed workers hold nobody up for longer than their death takes to be noticed',
    ok: kills.length === planned && late.length === 0,
    detail: `${kills.length} of ${planned} killed; the ring moved on at most ${worst.toFixed(1)} ms after the exit${late.length > 0 ? `; ${late.length} too late` : ''}`,
  }
}

export function slotsVerdict(attached: number): Verdict {
  return {
    name: "the dead ones' places in the ring are free again",
    ok: attached === 1,
    detail: `${attached} attached at the end, the opener alone is due`,
  }
}

/**
 * Compares the lowest figure of the second quarter, when all is warm, with that of the last: what a
 * collector has yet to take is no growth.
 */
export function flatVerdict(
  name: string,
  bytes: readonly number[],
  growthMaxBytes: number,
): Verdict {
  if (bytes.length === 0) return { name, ok: false, detail: 'the run did not get there' }
  const quarter = Math.floor(bytes.length / 4)
  const warm = Math.min(...bytes.slice(quarter, Math.max(quarter + 1, 2 * quarter)))
  const end = Math.min(...bytes.slice(-Math.max(1, quarter)))
  return {
    name,
    ok: end - warm <= growthMaxBytes,
    detail: `${mib(warm)} MiB when warm, ${mib(end)} at the end, may grow by ${mib(growthMaxBytes)}`,
  }
}

export function refusedVerdict(
  attempt: { readonly code: string | null; readonly message: string } | undefined,
): Verdict {
  return {
    name: 'another process is refused meanwhile',
    ok: attempt?.code === 'RINGBOLT_BUSY',
    detail:
      attempt === undefined
        ? 'the run did not get there'
        : `${attempt.code ?? 'no error'}: ${attempt.message}`,
  }
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(0)
}
