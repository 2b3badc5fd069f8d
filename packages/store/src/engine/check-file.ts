/**
 * Looks through the main file of a database, and its log: is all of it sound, and does all of it agree? Changes
 * nothing, and asks nobody: a checkpoint's pages stay as they are until the next one is durable, so if somebody writes
 * meanwhile and a newer one has come, what was found is found again or forgotten. Memory is bounded by the cache
 * and a byte for each page of the file.
 *
 * Composition root: real files, the real clock, random numbers.
 */
import { randomBytes } from 'node:crypto'
import { isRingboltError } from '@ringbolt/ring'
import { StoreChangingError } from '../errors.ts'
import { PAGE_BYTES } from '../page/page.ts'
import type { ReadableMain } from '../space/file-pages.ts'
import { openMainFile, readMetas } from '../space/main-file.ts'
import type { MetaChoice } from '../space/meta.ts'

import { PageFile } from '../space/page-file.ts'
import { factsOf } from '../tree/verify.ts'
import { fileFolders, mainPathOf } from './file-folders.ts'
import { FileStructure } from './file-structure.ts'
import { checkLog } from './integrity-log.ts'
import { Findings, type IntegrityOptions, type IntegrityReport } from './integrity-report.ts'
import type { StoreFolders } from './store-folders.ts'

const CACHE_BYTES = 32 * 1024 * 1024
const ATTEMPTS_MAX = 5
const PROGRESS_INTERVAL_MS = 50

/**
 * The last checkpoint of a database, after a clean close all of it, and the chain of the log that goes on from it.
 * @throws MainFileNotFoundError, MainFileForeignError, MainFileVersionError; StoreChangingError while somebody writes
 * so much that no checkpoint lasts long enough: `db.integrityCheck()` is for that
 */
export function checkFile(path: string, options: IntegrityOptions = {}): IntegrityReport {
  const mainPath = mainPathOf(path)
  const folders = fileFolders(mainPath, true)
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const report = attemptCheck(folders, options)
    if (report !== undefined) return report
  }
  throw new StoreChangingError(mainPath, ATTEMPTS_MAX)
}

/** Undefined when something was found, and the file has changed meanwhile. */
function attemptCheck(
  folders: StoreFolders,
  options: IntegrityOptions,
): IntegrityReport | undefined {
  const { main, mainName } = folders
  const place = `${main.location}/${mainName}`
  const startedAtMs = performance.now()
  const findings = new Findings(place)
  const file = openMainFile(main, mainName)
  try {
    let choice: MetaChoice
    try {
      choice = readMetas(file, place)
    } catch (error) {
      if (!isRingboltError(error) || error.code !== 'RINGBOLT_CORRUPT') throw error
      // Nothing can be looked at.
      findings.add({ kind: 'meta', ...factsOf(error), problem: error.message })
      return { ...NOTHING_READ, durationMs: performance.now() - startedAtMs, ...resultOf(findings) }
    }
    const { meta } = choice
    const read = { pages: new PageFile(file, place), meta, place }
    tellOtherMeta(choice, findings)
    const structure = new FileStructure(read, findings, { cacheBytes: CACHE_BYTES, seed: seed() })
    follow(structure, read, findings, options)
    let logBytes = 0
    const log = checkLog(folders, () => readMetas(file, place).meta, findings)
    for (let step = log.next(); ; step = log.next()) {
      if (step.done !== true) continue
      logBytes = step.value
      break
    }
    const hasChanged = readMetas(file, place).meta.checkpoint !== meta.checkpoint
    if (findings.count > 0 && hasChanged) return undefined
    if (!meta.clean) {
      findings.note(
        `what the log holds after commit ${meta.sequence} was not applied, its chain alone was checked`,
      )
    }
    const { check } = structure
    const pages = check.walk.reached.size
    return {
      sequence: meta.sequence,
      pages,
      bytes: pages * PAGE_BYTES + logBytes,
      documents: check.documents,
      indexEntries: check.indexEntries,
      durationMs: performance.now() - startedAtMs,
      ...resultOf(findings),
    }
  } finally {
    file.close()
  }
}

/** No finding: a crash while a meta is written leaves this, and the one in use is whole. */
function tellOtherMeta({ other }: MetaChoice, findings: Findings): void {
  if (other === undefined) return
  const { offset, what, expected, actual } = other
  findings.note(
    `the meta that is not in use, at byte ${offset}: ${what} is ${actual}, expected ${expected}`,
  )
}

const NOTHING_READ = { sequence: 0, pages: 0, documents: 0, indexEntries: 0, bytes: 0 }

function resultOf(findings: Findings): Pick<IntegrityReport, 'findings' | 'notes'> {
  return { findings: findings.list, notes: findings.allNotes }
}

export function seed(): { first: number; second: number } {
  const bytes = randomBytes(8)
  return { first: bytes.readInt32LE(0), second: bytes.readInt32LE(4) }
}

function follow(
  structure: FileStructure,
  { meta }: ReadableMain,
  findings: Findings,
  { onProgress }: IntegrityOptions,
): void {
  const { reached } = structure.check.walk
  const pagesTotal = meta.pageCount - meta.freeCount
  const tell = (): void => {
    onProgress?.({ pages: reached.size, pagesTotal, findings: findings.count })
  }
  let toldAtMs = performance.now()
  for (const _step of structure.steps()) {
    if (onProgress === undefined || performance.now() - toldAtMs < PROGRESS_INTERVAL_MS) continue
    toldAtMs = performance.now()
    tell()
  }
  tell()
}
