/** What can be wrong with making and using backups, archives and compact files. */
import { type ErrorFacts, RingboltError } from '@ringbolt/ring'

/** Where a file was to be made there is something already. `RINGBOLT_EXISTS` */
export class TargetExistsError extends RingboltError {
  constructor(path: string, what: 'a file' | 'a folder' | 'the database itself') {
    const text = `${path} is ${what} already: choose a name that nothing has yet`
    super('RINGBOLT_EXISTS', text, { path, what })
  }
}

/** The folder where a file was to be made is missing. `RINGBOLT_NOT_FOUND` */
export class TargetFolderError extends RingboltError {
  constructor(folder: string) {
    super('RINGBOLT_NOT_FOUND', `there is no folder ${folder} to make the file in`, { folder })
  }
}

/** A backup begins with a checkpoint, which cannot be made here. */
export class BackupRefusedError extends RingboltError {
  constructor(reason: 'memory' | 'readOnly') {
    const text =
      reason === 'memory'
        ? 'a database in memory has no file that a backup could be made of'
        : 'a backup begins with a checkpoint, which a database opened read-only cannot make: open it for writing'
    super(reason === 'memory' ? 'RINGBOLT_IN_MEMORY' : 'RINGBOLT_READ_ONLY', text, { reason })
  }
}

/** What was copied is not sound, so that no file was made of it. `RINGBOLT_CORRUPT` */
export class BackupUnsoundError extends RingboltError {
  constructor(path: string, findings: readonly string[]) {
    const [first = ''] = findings
    const more = findings.length > 1 ? ` and ${findings.length - 1} more` : ''
    super('RINGBOLT_CORRUPT', `what was to become ${path} is not sound: ${first}${more}`, {
      path,
      first,
      findings: findings.length,
    })
  }
}

/** A file is not what its part in a backup asks for: another database's, not closed, not the next. `RINGBOLT_BACKUP` */
export class BackupChainError extends RingboltError {
  constructor(file: string, problem: string, facts: ErrorFacts = {}) {
    super('RINGBOLT_BACKUP', `${file}: ${problem}`, { file, ...facts })
  }
}

/** The log could not be kept in the archive; it stays where it is until it can. `RINGBOLT_ARCHIVE` */
export class ArchiveError extends RingboltError {
  constructor(folder: string, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause)
    const text = `the archive ${folder} takes no log: ${why}; the log is kept beside the database until it does`
    super('RINGBOLT_ARCHIVE', text, { folder }, cause)
  }
}

/** Commits are missing between what is there. `RINGBOLT_ARCHIVE_GAP` */
export class ArchiveGapError extends RingboltError {
  /** @param first of the missing commits */
  constructor(folder: string, first: number, last: number) {
    super(
      'RINGBOLT_ARCHIVE_GAP',
      `${folder} lacks the log of commits ${first} to ${last}: what comes after them cannot be restored`,
      { folder, first, last },
    )
  }
}

/** The same commits stand in two logs: a copy of the database was written to on its own. `RINGBOLT_ARCHIVE_FORK` */
export class ArchiveForkError extends RingboltError {
  constructor(folder: string, sequence: number, logIds: readonly string[]) {
    super(
      'RINGBOLT_ARCHIVE_FORK',
      `${folder} has commit ${sequence} in ${logIds.length} logs, ${logIds.join(' and ')}: two databases with one id wrote there`,
      { folder, sequence, logIds: logIds.join(' ') },
    )
  }
}

/** The moment asked for is not between the backup and the end of the log, or cannot be told. `RINGBOLT_RESTORE_POINT` */
export class RestorePointError extends RingboltError {
  constructor(problem: string, facts: ErrorFacts) {
    super('RINGBOLT_RESTORE_POINT', `cannot restore to that moment: ${problem}`, facts)
  }
}

/** A thread for long work ended by itself. `RINGBOLT_THREAD` */
export class MaintenanceThreadError extends RingboltError {
  constructor(work: string, exitCode: number) {
    super('RINGBOLT_THREAD', `the thread of ${work} ended with exit code ${exitCode}`, {
      work,
      exitCode,
    })
  }
}
