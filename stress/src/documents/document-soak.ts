/**
 * The soak on documents (M6): workers insert, update, delete and read; some are killed and replaced; then a
 * process doing the same is killed as a whole, and its database recovered. An oracle that knows the seed and
 * what was acknowledged compares every document, and a walk of the closed file checks its structure.
 */
import { Random } from '@ringbolt/wal/simulation'
import { checkFile, open } from 'ringbolt'
import { killFigures } from '../figures.ts'
import { mix } from '../mix.ts'
import { outcomeOf } from '../outcome.ts'
import { KillChild, tryOpenElsewhere } from '../processes.ts'
import type { ProgressView } from '../progress.ts'
import { isProved, type Report, thousands } from '../report.ts'
import type { RunFolder } from '../run-folder.ts'
import { createSideFile, readSideFile } from '../side-file.ts'
import { SoakDriver } from '../soak-driver.ts'
import {
  failuresVerdict,
  flatVerdict,
  killsVerdict,
  RSS_GROWTH_MAX_BYTES,
  refusedVerdict,
  type Verdict,
} from '../verdicts.ts'
import { itemsOf } from './collection.ts'
import { documentFigures, recoveryFigures } from './document-figures.ts'
import type { DocumentKillWork } from './document-kill-child.ts'
import { DocumentOracle, type DocumentOracleResult } from './document-oracle.ts'
import { type DocumentPhaseResult, documentPhase } from './document-phase.ts'
import { type DocumentSettings, openOptionsOf } from './document-settings.ts'
import { LaneRegion } from './lane-region.ts'
import { byIncarnation, writeOperationLog } from './operation-log.ts'

export interface DocumentSoakOptions {
  readonly settings: DocumentSettings
  readonly seconds: number
  readonly kills: number
}

/** What was found when the killed process's database was opened again. */
export interface Recovered {
  readonly acknowledged: number
  readonly recoveryMs: number
}

/** Workers that the process which is killed as a whole ends before. */
const CHILD_KILLS = 2
const CHILD_MS_MAX = 5000

export async function documentSoak(
  options: DocumentSoakOptions,
  folder: RunFolder,
  progress: ProgressView,
): Promise<Omit<Report, 'replay' | 'folder'>> {
  const { settings, kills } = options
  const { lanes, workers, seed } = settings
  const liveEnd = workers + kills
  const incarnations = liveEnd + workers + CHILD_KILLS
  createSideFile(folder.sideFile, incarnations * lanes)
  const region = LaneRegion.create(incarnations, lanes)
  const driver = new SoakDriver({
    seed,
    seconds: options.seconds,
    kills,
    progress,
    tryElsewhere: () => tryOpenElsewhere('./documents/document-opener.js', [folder.database]),
  })
  const live = await documentPhase({
    settings,
    path: folder.database,
    incarnationEnd: liveEnd,
    region,
    progress,
    share: () => driver.share,
    drive: (load) => driver.drive(load),
  })
  const failures = [...live.failures]
  // A database that has failed stays as it is; what was acknowledged before must be there all the same.
  if (failures.length === 0) {
    progress.note('a process doing the same is killed, and its database recovered')
    const killed = await outcomeOf(killProcess(options, folder, liveEnd, incarnations))
    if (!killed.ok) failures.push(String(killed.error))
  }
  const byKilled = readSideFile(folder.sideFile)
  const acknowledged = region.all().map((count, place) => count + (byKilled[place] ?? 0))
  progress.note('every acknowledged document is compared, then the file is walked')
  const proof = await outcomeOf(prove(settings, folder, acknowledged))
  if (!proof.ok) failures.push(String(proof.error))
  const evidence: Evidence = {
    options,
    driver,
    live,
    failures,
    acknowledged,
    acknowledgedByKilled: totalOf(byKilled),
    proof: proof.ok ? proof.value : undefined,
  }
  const report = reportOf(evidence)
  if (!isProved({ ...report, replay: '', folder: null })) keepOperations(folder, evidence, report)
  return report
}

interface Evidence {
  readonly options: DocumentSoakOptions
  readonly driver: SoakDriver
  readonly live: DocumentPhaseResult
  readonly failures: readonly string[]
  /** By place: incarnation × lanes + lane. */
  readonly acknowledged: readonly number[]
  readonly acknowledgedByKilled: number
  /** Undefined: the run did not get there. */
  readonly proof: Proof | undefined
}

function reportOf(evidence: Evidence): Omit<Report, 'replay' | 'folder'> {
  const { options, driver, live, failures, acknowledged, acknowledgedByKilled, proof } = evidence
  const result = proof?.result
  const structure = proof?.structure ?? []
  const recovered = proof && {
    recoveryMs: proof.recoveryMs,
    acknowledged: acknowledgedByKilled,
  }
  return {
    run: describeRun(options),
    seed: options.settings.seed,
    figures: [
      ...documentFigures(live),
      ...killFigures(driver.kills),
      ...recoveryFigures(recovered, result),
    ],
    verdicts: [
      oracleVerdict(result, totalOf(acknowledged)),
      structureVerdict(proof !== undefined, structure),
      failuresVerdict(failures),
      killsVerdict(driver.kills, options.kills),
      processVerdict(recovered),
      refusedVerdict(driver.refusal),
      memoryVerdict(live, options.settings),
    ],
    findings: [...failures, ...(result?.findings ?? []), ...structure],
  }
}

function keepOperations(
  folder: RunFolder,
  { options, driver, acknowledged }: Evidence,
  { findings }: Pick<Report, 'findings'>,
): void {
  const { settings, kills } = options
  writeOperationLog(folder.operationLog, {
    settings,
    kills: driver.kills,
    killedFrom: settings.workers + kills,
    acknowledged: byIncarnation(acknowledged, settings.lanes),
    findings,
  })
}

function totalOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0)
}

async function killProcess(
  { settings, seconds }: DocumentSoakOptions,
  folder: RunFolder,
  incarnationFirst: number,
  incarnationEnd: number,
): Promise<void> {
  // Not the moments of the phase before.
  const random = new Random(mix(settings.seed, incarnationFirst, incarnationEnd))
  const work: DocumentKillWork = {
    settings,
    path: folder.database,
    sideFilePath: folder.sideFile,
    incarnationFirst,
    incarnationEnd,
    seed: random.uint32(),
  }
  const child = new KillChild('./documents/document-kill-child.js', work)
  await child.underWay()
  const delayMs = random.between(0, Math.min(CHILD_MS_MAX, seconds * 250))
  await new Promise((resolve) => setTimeout(resolve, delayMs))
  await child.kill()
}

interface Proof {
  readonly recoveryMs: number
  readonly result: DocumentOracleResult
  /** What the walk of the closed file found, one line each. */
  readonly structure: readonly string[]
}

async function prove(
  settings: DocumentSettings,
  folder: RunFolder,
  acknowledged: readonly number[],
): Promise<Proof> {
  const begunMs = performance.now()
  const db = await open(folder.database, openOptionsOf(settings))
  const recoveryMs = performance.now() - begunMs
  const oracle = new DocumentOracle(itemsOf(db), settings.seed)
  const result = await oracle.prove(acknowledged, settings.lanes)
  await db.close()
  return {
    recoveryMs,
    result,
    structure: checkFile(folder.database).findings.map(({ message }) => message),
  }
}

function oracleVerdict(result: DocumentOracleResult | undefined, total: number): Verdict {
  const proved = result?.operations ?? 0
  const found = result?.findingCount ?? 0
  return {
    name: 'every acknowledged operation is there, whole, by id and by index, and nothing else',
    ok: result !== undefined && found === 0 && proved === total && total > 0,
    detail:
      found > 0
        ? `${thousands(found)} findings`
        : `${thousands(proved)} of ${thousands(total)} operations, ${thousands(result?.documents ?? 0)} documents`,
  }
}

function structureVerdict(walked: boolean, findings: readonly string[]): Verdict {
  return {
    name: 'the closed file is sound: order, checksums, reachability, indexes',
    ok: walked && findings.length === 0,
    detail: walked ? `${findings.length} findings` : 'the run did not get there',
  }
}

function processVerdict(recovered: Recovered | undefined): Verdict {
  return {
    name: 'the killed process left a database that opens',
    ok: recovered !== undefined && recovered.acknowledged > 0,
    detail:
      recovered === undefined
        ? 'the run did not get there'
        : `opened in ${recovered.recoveryMs.toFixed(0)} ms, ${thousands(recovered.acknowledged)} operations acknowledged by it`,
  }
}

/** The cache fills up while it runs, and is no growth. */
function memoryVerdict(live: DocumentPhaseResult, settings: DocumentSettings): Verdict {
  const allowed = RSS_GROWTH_MAX_BYTES + settings.cacheBytes
  return flatVerdict('the process does not grow beyond its cache', live.rssBytes, allowed)
}

function describeRun({ settings, seconds, kills }: DocumentSoakOptions): string {
  const { workers, lanes, blocking, sync } = settings
  const each = blocking ? 'blocking' : `${lanes} in flight`
  return `60/25/15 on documents with four indexes: ${workers} workers, ${each}, sync ${sync}, ${seconds} s, ${kills} killed`
}
