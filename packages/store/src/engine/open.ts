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
import { Attachment, type StoreHandle } from './attachment.ts'
import { closeFlagOf } from './control.ts'
import { conflictReporter, EventTeller } from './events.ts'
import type { OpenOptions } from './options.ts'
import { StatsBoard, type StoreStats } from './stats.ts'
import { openOwner } from './store-owner.ts'

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

/** An open database in one thread. */
export class Database extends Documents {
  readonly #attachment: Attachment
  readonly #stats: StatsBoard

  constructor(attachment: Attachment, close: () => Promise<void>) {
    const isClosedElsewhere = closeFlagOf(attachment.handle.control)
    const { engine, openCommits } = attachment
    const environment = environmentOf(nameOf(attachment))
    super({ engine, environment, openCommits, close, isClosedElsewhere })
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

  /** What the sequencer counted, as of 10 ms ago, or a second while nothing is done; no question, no wait. */
  stats(): StoreStats {
    const { engine, handle } = this.#attachment
    const newest = this.isClosed ? 0 : engine.latest.sequence
    return this.#stats.read(Date.now() - handle.openedAtMs, newest)
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
