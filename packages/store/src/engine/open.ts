/**
 * Opening a database, and attaching to one: composition root of the threads that use it.
 *
 *     const db = await open('app.db', { collections: [users] })     // one thread of the process
 *     const db = attach(handle)                                     // any other, with `db.share()` of the first
 */

import { AtomicsMemory } from '@ringbolt/ring'
import { Database as Documents } from '../client/database.ts'
import type { CollectionDefinition } from '../client/define-collection.ts'
import type { StoreEnvironment } from '../client/environment.ts'
import { StoreClosedError } from '../errors.ts'
import { Attachment, type StoreHandle } from './attachment.ts'
import { seed } from './check-file.ts'
import { closeFlagOf } from './control.ts'
import { fileFolders } from './file-folders.ts'
import { integrityCheck, type LiveIntegrityOptions } from './integrity-check.ts'
import type { IntegrityReport } from './integrity-report.ts'
import type { OpenOptions } from './options.ts'
import { StatsBoard, type StoreStats } from './stats.ts'
import { openOwner } from './store-owner.ts'

const neverWoken = new AtomicsMemory(new SharedArrayBuffer(4))

const environment: StoreEnvironment = {
  nowMs: () => performance.now(),
  random: () => Math.random(),
  after(delayMs, callBack) {
    const timer = setTimeout(callBack, delayMs)
    return () => clearTimeout(timer)
  },
  sleep(delayMs) {
    neverWoken.wait(0, 0, delayMs)
  },
}

/** An open database in one thread. */
export class Database extends Documents {
  readonly #attachment: Attachment
  readonly #stats: StatsBoard

  constructor(attachment: Attachment, close: () => Promise<void>) {
    const isClosedElsewhere = closeFlagOf(attachment.handle.control)
    super({ engine: attachment.engine, environment, close, isClosedElsewhere })
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
    const { filePages, freePages } = this.stats()
    const folders = mainPath === undefined ? undefined : fileFolders(mainPath, true)
    const pagesTotal = filePages - freePages
    const { reader } = this.#attachment
    const database = { reader, folders, pagesTotal, environment, seed: seed(), assertOpen }
    return integrityCheck(database, options)
  }

  /** What the sequencer counted lately; no question, no wait. */
  stats(): StoreStats {
    return this.#stats.read()
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
  const db = new Database(owner.attachment, () => owner.close())
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
