/**
 * Opening a database, and attaching to one: composition root of the threads that use it.
 *
 *     const db = await open('app.db', { collections: [users] })     // one thread of the process
 *     const db = attach(handle)                                     // any other, with `db.share()` of the first
 */

import { AtomicsMemory } from '@ringbolt/ring'
import { BackupRefusedError } from '../backup/errors.ts'
import { Database as Documents } from '../client/database.ts'
import type { CollectionDefinition } from '../client/define-collection.ts'
import type { StoreEnvironment } from '../client/environment.ts'
import { StoreClosedError } from '../errors.ts'
import { Attachment, type StoreHandle } from './attachment.ts'
import { type BackupOptions, type BackupResult, makeBackup } from './backup.ts'
import { seed } from './check-file.ts'
import { closeFlagOf } from './control.ts'
import { conflictReporter, EventTeller } from './events.ts'
import { fileFolders } from './file-folders.ts'
import { integrityCheck, type LiveIntegrityOptions } from './integrity-check.ts'
import type { IntegrityReport } from './integrity-report.ts'
import type { OpenOptions } from './options.ts'
import { StatsBoard, type StoreStats } from './stats.ts'
import { machineMs, openOwner } from './store-owner.ts'

const neverWoken = new AtomicsMemory(new SharedArrayBuffer(4))

function environmentOf(database: string): StoreEnvironment {
  return {
    nowMs: () => performance.now(),
    random: () => Math.random(),
    after(delayMs, callBack) {
      const timer = setTimeout(callBack, delayMs)
      return () => clearTimeout(timer)
    },
    sleep(delayMs) {
      neverWoken.wait(0, 0, delayMs)
    },
    onConflict: conflictReporter(database),
  }
}

/** Told by the thread that opened the database, and by no other. */
function tellEvents(attachment: Attachment): EventTeller {
  return new EventTeller({
    database: nameOf(attachment),
    board: new StatsBoard(attachment.handle.stats),
    control: attachment.control,
    failure: () => attachment.failure,
    nowMs: () => performance.now(),
    after(delayMs, callBack) {
      const timer = setTimeout(callBack, delayMs).unref()
      return () => clearTimeout(timer)
    },
  })
}

function nameOf({ handle }: Attachment): string {
  return handle.mainPath ?? ':memory:'
}

/** The backups that a thread is making: those that are when it closes are given up first. */
class Backups {
  readonly #running = new Map<AbortController, Promise<unknown>>()

  async run<T>(
    signal: AbortSignal | undefined,
    make: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const closing = new AbortController()
    const made = make(
      signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal]),
    )
    this.#running.set(closing, made)
    try {
      return await made
    } finally {
      this.#running.delete(closing)
    }
  }

  async stop(): Promise<void> {
    const running = [...this.#running]
    for (const [closing] of running) closing.abort(new StoreClosedError('the database'))
    // Each one's caller is told how it ended.
    await Promise.allSettled(running.map(([, made]) => made))
  }
}

/** An open database in one thread. */
export class Database extends Documents {
  readonly #attachment: Attachment
  readonly #stats: StatsBoard
  readonly #backups: Backups

  constructor(attachment: Attachment, close: () => Promise<void>) {
    const isClosedElsewhere = closeFlagOf(attachment.handle.control)
    const backups = new Backups()
    const closeAll = async (): Promise<void> => {
      await backups.stop()
      await close()
    }
    const { engine, openCommits } = attachment
    const environment = environmentOf(nameOf(attachment))
    super({ engine, environment, openCommits, close: closeAll, isClosedElsewhere })
    this.#backups = backups
    this.#attachment = attachment
    this.#stats = new StatsBoard(attachment.handle.stats)
  }

  /** For `attach` in another thread of this process. */
  share(): StoreHandle {
    return this.#attachment.handle
  }

  /** Resolves once all that is acknowledged by now stands in the main file. */
  checkpoint(): Promise<void> {
    return this.#attachment.checkpoint()
  }

  /**
   * Copies the database as it is now into a new file, while everyone writes on; with `since`, what is newer than that
   * backup. The copy is a closed database, for `restore` and for looking at. When it is refused, fails or is aborted,
   * there is no file.
   * @throws TargetExistsError, TargetFolderError, BackupRefusedError, BackupChainError, BackupUnsoundError,
   * StoreCorruptError for a damaged page, StoreClosedError, LogIoError for what the disk says; the signal's reason
   */
  async backup(target: string, options: BackupOptions = {}): Promise<BackupResult> {
    const { mainPath, readOnly } = this.#attachment.handle
    if (this.isClosed) throw new StoreClosedError('the database')
    if (mainPath === undefined) throw new BackupRefusedError('memory')
    if (readOnly) throw new BackupRefusedError('readOnly')
    return this.#backups.run(options.signal, (signal) =>
      makeBackup(
        {
          mainPath,
          hold: (assertWanted) => this.#attachment.holdCheckpoint(assertWanted),
          nowMs: () => performance.now(),
          commits: () => this.#stats.counters().commits,
        },
        target,
        { ...options, signal },
      ),
    )
  }

  /**
   * Looks through the newest state, beside whoever writes: pages as they stand in the file, trees, documents and
   * indexes against each other, what is free, the log's chain. Changes nothing; this thread stays responsive. The
   * state is kept for as long as it takes, like a snapshot's.
   * @throws StoreClosedError; SnapshotExpiredError when it takes longer than `snapshotAgeMaxMs`; the signal's reason
   */
  async integrityCheck(options: LiveIntegrityOptions = {}): Promise<IntegrityReport> {
    const { mainPath, control } = this.#attachment.handle
    const isClosedElsewhere = closeFlagOf(control)
    const assertOpen = (): void => {
      if (this.isClosed || isClosedElsewhere()) throw new StoreClosedError('the database')
    }
    assertOpen()
    const { pages, freePages } = this.stats().file
    const folders = mainPath === undefined ? undefined : fileFolders(mainPath, true)
    const pagesTotal = pages - freePages
    const { reader } = this.#attachment
    const environment = environmentOf(nameOf(this.#attachment))
    const database = { reader, folders, pagesTotal, environment, seed: seed(), assertOpen }
    return integrityCheck(database, options)
  }

  /** What the sequencer counted, as of 10 ms ago, or a second while nothing is done; no question, no wait. */
  stats(): StoreStats {
    const { engine, handle } = this.#attachment
    const newest = this.isClosed ? 0 : engine.latest.sequence
    return this.#stats.read(machineMs() - handle.openedAtMs, newest)
  }
}

/**
 * Opens a database, recovering it if need be, or makes it. `:memory:` for one that ends with the process.
 * @throws BusyError while another process or handle has it open; StoreCorruptError and what
 * main-file-errors.ts says; RangeError and TypeError for options that cannot be
 */
export async function open(
  path: string,
  options: OpenOptions & { readonly collections?: readonly CollectionDefinition[] } = {},
): Promise<Database> {
  const owner = await openOwner(path, options)
  const events = tellEvents(owner.attachment)
  const db = new Database(owner.attachment, async () => {
    try {
      await owner.close()
    } finally {
      events.end()
    }
  })
  try {
    if (options.readOnly !== true) await db.define(options.collections ?? [])
    return db
  } catch (error) {
    await db.close()
    throw error
  }
}

/** Attaches this thread to a database that another thread of the process has open. */
export function attach(handle: StoreHandle): Database {
  const attachment = new Attachment(handle)
  return new Database(attachment, async () => attachment.detach())
}
