/** What a run of the harness was to prove, and whether it did. Pure: evidence in, verdicts out. */

import type { DocumentSettings } from '../documents/document-settings.ts'
import { thousands } from '../report.ts'
import {
  failuresVerdict,
  flatVerdict,
  RSS_GROWTH_MAX_BYTES,
  SCHEDULING_MAX_MS,
  type Verdict,
} from '../verdicts.ts'
import type { Proof } from './proof.ts'
import type { RunEvent } from './run-data.ts'

export interface Evidence {
  readonly settings: DocumentSettings
  /** Were they asked for at all. */
  readonly killed: boolean
  readonly backedUp: boolean
  readonly processes: number
  /** All, by the side file. */
  readonly acknowledged: number
  /** Undefined: the run did not get there. */
  readonly proof: Proof | undefined
  readonly failures: readonly string[]
  readonly staleReads: readonly string[]
  readonly freshnessChecks: number
  readonly events: readonly RunEvent[]
  /** Of the life that lasted longest. */
  readonly rssBytes: readonly number[]
}

export function verdictsOn(evidence: Evidence): Verdict[] {
  return [
    oracleVerdict(evidence),
    structureVerdict(evidence.proof),
    failuresVerdict(evidence.failures),
    freshnessVerdict(evidence),
    ...(evidence.killed ? [workersVerdict(evidence.events), processesVerdict(evidence)] : []),
    ...(evidence.backedUp ? [backupsVerdict(evidence.events)] : []),
    memoryVerdict(evidence),
  ]
}

export function eventsOf<K extends RunEvent['kind']>(
  events: readonly RunEvent[],
  kind: K,
): Extract<RunEvent, { kind: K }>[] {
  return events.filter((event): event is Extract<RunEvent, { kind: K }> => event.kind === kind)
}

export function oracleVerdict({
  proof,
  acknowledged,
}: Pick<Evidence, 'proof' | 'acknowledged'>): Verdict {
  const proved = proof?.result.operations ?? 0
  const found = proof?.result.findingCount ?? 0
  return {
    name: 'every acknowledged operation is there, whole, by id and by index, and nothing else',
    ok: proof !== undefined && found === 0 && proved === acknowledged && acknowledged > 0,
    detail:
      found > 0
        ? `${thousands(found)} findings`
        : `${thousands(proved)} of ${thousands(acknowledged)} operations, ${thousands(proof?.result.documents ?? 0)} documents compared`,
  }
}

function structureVerdict(proof: Proof | undefined): Verdict {
  return {
    name: 'the closed file is sound: order, checksums, reachability, indexes',
    ok: proof !== undefined && proof.structure.length === 0,
    detail:
      proof === undefined ? 'the run did not get there' : `${proof.structure.length} findings`,
  }
}

export function freshnessVerdict({
  processes,
  freshnessChecks,
  staleReads,
}: Pick<Evidence, 'processes' | 'freshnessChecks' | 'staleReads'>): Verdict {
  const who = processes === 1 ? 'thread' : 'process'
  return {
    name: `what is acknowledged to one ${who} is seen by the next read of another`,
    ok: freshnessChecks > 0 && staleReads.length === 0,
    detail: `${thousands(freshnessChecks)} reads, ${staleReads.length} of them behind`,
  }
}

/** A late one is later than the kernel took to end the thread, and a busy machine to give others their turn. */
function workersVerdict(events: readonly RunEvent[]): Verdict {
  const kills = eventsOf(events, 'worker-killed')
  const late = kills.filter(({ progressMs }) => progressMs > SCHEDULING_MAX_MS)
  const worst = Math.max(0, ...kills.map(({ progressMs }) => progressMs))
  return {
    name: 'killed workers hold nobody up',
    ok: late.length === 0,
    detail: `${kills.length} killed; the others went on at most ${worst.toFixed(1)} ms after the exit`,
  }
}

/** Each killed one but those killed once more while they started. */
function processesVerdict({ events }: Evidence): Verdict {
  const killed = eventsOf(events, 'process-killed')
  const back = eventsOf(events, 'process-back')
  const longest = Math.max(0, ...back.map(({ afterMs }) => afterMs))
  const last = new Map(killed.map(({ process, atS }) => [process, atS]))
  const missing = [...last].filter(
    ([process, atS]) => !back.some((one) => one.process === process && one.atS >= atS),
  )
  return {
    name: 'killed processes leave a database that others go on with, and come back',
    ok: missing.length === 0,
    detail:
      missing.length > 0
        ? `${missing.length} did not come back`
        : `${killed.length} killed; the next ones wrote at most ${(longest / 1000).toFixed(1)} s after their start`,
  }
}

function backupsVerdict(events: readonly RunEvent[]): Verdict {
  const all = eventsOf(events, 'backup')
  const sound = all.filter((backup) => backup.sound === true)
  const unsound = all.filter((backup) => backup.sound === false)
  const cut = all.length - sound.length - unsound.length
  const documents = sound.reduce((sum, backup) => sum + backup.documents, 0)
  return {
    name: 'each hot backup opens, is sound, and has what was acknowledged before it',
    ok: sound.length > 0 && unsound.length === 0,
    detail: `${sound.length} of ${all.length - cut} sound, ${thousands(documents)} documents compared${cut > 0 ? `; ${cut} ended with their process` : ''}`,
  }
}

/** The cache fills up while it runs, and so does what the reads of others' writes remember: no growth. */
function memoryVerdict({ rssBytes, settings }: Evidence): Verdict {
  const name = 'no process grows beyond its cache'
  if (rssBytes.length < 2) return { name, ok: true, detail: 'none lived long enough to tell' }
  return flatVerdict(name, rssBytes, RSS_GROWTH_MAX_BYTES + settings.cacheBytes)
}
