/** The main file by itself, as a stranger would read it: see `../engine/file-structure.ts`. */
import type { LogStore } from '@ringbolt/wal'
import { KeptLog } from '../backup/archived-log.ts'
import { FileStructure } from '../engine/file-structure.ts'
import { Findings } from '../engine/integrity-report.ts'
import { MainFile } from '../space/main-file.ts'
import { PageUses } from '../space/page-uses.ts'
import type { StoreCoverage } from './coverage.ts'
import { MAIN_NAME, type SimulatedFolders } from './simulated-folders.ts'

const CACHE_BYTES = 256 * 1024
const TOLD_MAX = 10

/** How each page is used, and what is wrong. */
export function structureOf(folder: LogStore): { uses: PageUses; findings: readonly string[] } {
  const main = MainFile.open(folder, MAIN_NAME, { readOnly: true })
  try {
    const findings = new Findings(main.place)
    const structure = new FileStructure(main, findings, { cacheBytes: CACHE_BYTES })
    for (const _step of structure.steps()) if (findings.count >= TOLD_MAX) break
    const { uses = new PageUses(main) } = structure
    return { findings: findings.list.map(({ message }) => message), uses }
  } finally {
    main.close()
  }
}

/** @returns what is wrong, or undefined */
export function auditMainFile(folder: LogStore, coverage: StoreCoverage): string | undefined {
  const { findings } = structureOf(folder)
  coverage.add('audits of the main file')
  return findings.length === 0 ? undefined : `main file: ${findings.slice(0, TOLD_MAX).join('; ')}`
}

/**
 * The archive and the log together: every commit up to the newest, once, in order.
 * @returns what is wrong, or undefined
 */
export function auditArchive(
  folders: SimulatedFolders,
  sequence: number,
  coverage: StoreCoverage,
): string | undefined {
  const { archive } = folders
  if (archive === undefined) return undefined
  const main = MainFile.open(folders.main, MAIN_NAME, { readOnly: true })
  main.close()
  const kept = new KeptLog(main.meta.databaseId, archive.location)
  kept.addArchive(archive)
  coverage.add('archived segments looked at', archive.list().length)
  const live = folders.openLogFolder()
  if (live !== undefined) kept.addLive({ store: live, owner: main.meta })
  let next = 1
  for (const { firstCommit, lastCommit } of kept.groupsAfter(0)) {
    if (firstCommit !== next) return `commit ${firstCommit} is kept where ${next} is due`
    next = lastCommit + 1
  }
  return next === sequence + 1 ? undefined : `commits are kept up to ${next - 1}, of ${sequence}`
}
