/**
 * Committed changes as users see them: one item for each commit that changed documents, in commit order, each once.
 *
 * Threads: belongs to the thread that made it. Nothing is done while nobody asks for the next one.
 */
import { EncodingCorruptError, UnknownShapeError, ValidationError } from '../document/errors.ts'
import type { Fields } from '../document/format.ts'
import { decodeId, type Id } from '../document/keys.ts'
import { StoreCorruptError } from '../errors.ts'
import { Code, CommandReader, Expect } from '../sequencer/command.ts'
import { CATALOG_TREE, isLifeKey } from './catalog-format.ts'
import { CollectionHistory, type OwnedTree } from './collection-history.ts'
import type { CommitSource, CommittedCommand } from './commit-source.ts'
import type { Engine } from './engine.ts'

export interface ChangesOptions {
  /**
   * The sequence of the last commit that was seen: what comes after it is wanted. 0: from the database's first commit.
   * Default: the newest commit, so that only new ones come.
   */
  readonly from?: number
  /** Ends the wait for the next commit, and the iteration, with the signal's reason. */
  readonly signal?: AbortSignal
  /** Changes of these collections only, by their names or definitions. Default: of all. */
  readonly collections?: readonly (string | { readonly name: string })[]
}

interface ChangeOf<Kind extends string> {
  readonly kind: Kind
  readonly collection: string
  readonly id: Id
}

interface PutOf<Kind extends string> extends ChangeOf<Kind> {
  /** As it was written, `id` included: in the form of `version`, not migrated. */
  readonly document: Readonly<Record<string, unknown>>
  /** Of the collection's definition with which it was written. */
  readonly version: number
}

/**
 * `insert`: there was no such document; `update`: there was one. `put`: there may have been, as after an `upsert`
 * into a collection without indexes, which does not look. `delete`: there was one.
 */
export type Change = PutOf<'insert'> | PutOf<'update'> | PutOf<'put'> | ChangeOf<'delete'>

/** One commit: a write, or a whole transaction. */
export interface CommittedChanges {
  /** What to begin from to get what comes after it. */
  readonly sequence: number
  /** When it was written to the log: milliseconds since 1970, by that process's clock, which may jump. */
  readonly timeMs: number
  /** In no order that means anything: all of them happened at once. */
  readonly changes: readonly Change[]
}

/** @throws ValidationError for options that cannot be */
export function checkChangesOptions({ from, collections }: ChangesOptions): void {
  if (from !== undefined && !(Number.isSafeInteger(from) && from >= 0)) {
    throw new ValidationError(`from must be a commit sequence, whole and from 0, not ${from}`, {
      from: String(from),
    })
  }
  if (collections !== undefined && !Array.isArray(collections)) {
    throw new ValidationError('collections must be a list of names or definitions')
  }
}

export class Changes implements AsyncIterableIterator<CommittedChanges, undefined> {
  readonly #source: CommitSource
  readonly #translator: CommandTranslator
  readonly #signal: AbortSignal | undefined
  readonly #onEnd: () => void
  #last: Promise<unknown> = Promise.resolve()
  #isOver = false
  #isClosed = false

  /** @param onEnd called once, however it ends */
  constructor(source: CommitSource, engine: Engine, options: ChangesOptions, onEnd: () => void) {
    this.#source = source
    this.#translator = new CommandTranslator(engine, options.collections)
    this.#signal = options.signal
    this.#onEnd = onEnd
  }

  /**
   * Every commit up to it was given, or holds nothing that was asked for: to go on from later. While a commit is at
   * work on, its own; while the next one is waited for, perhaps more.
   */
  get sequence(): number {
    return this.#source.sequence
  }

  /**
   * The next commit, waited for when all were given. Done once the database is closed; what was committed by then and
   * not given comes when one begins again from `sequence`, as long as the log has it.
   * @throws ChangesGoneError; the signal's reason; what poisoned the database; errors of a damaged log
   */
  next(): Promise<IteratorResult<CommittedChanges, undefined>> {
    const result = this.#last.then(() => this.#next())
    // Told to whoever asked; the next one who asks finds it over.
    this.#last = result.catch(() => undefined)
    return result
  }

  /** Ends it, and a `next` that waits. */
  return(): Promise<IteratorResult<CommittedChanges, undefined>> {
    this.close()
    return Promise.resolve({ done: true, value: undefined })
  }

  /** The same. Idempotent. */
  close(): void {
    this.#isOver = true
    if (this.#isClosed) return
    this.#isClosed = true
    this.#source.close()
    this.#onEnd()
  }

  /** The database is being closed, which keeps the log of those that have not read it: this is one of them. */
  stop(): void {
    this.#isOver = true
    this.#source.stop()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close()
    return Promise.resolve()
  }

  async #next(): Promise<IteratorResult<CommittedChanges, undefined>> {
    try {
      while (!this.#isOver) {
        this.#signal?.throwIfAborted()
        const found = this.#read()
        if (found !== undefined) return { done: false, value: found }
        if (!(await this.#source.more(this.#signal))) this.#isOver = true
      }
      return { done: true, value: undefined }
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** Undefined when all that is there was given. */
  #read(): CommittedChanges | undefined {
    for (;;) {
      const command = this.#source.next()
      if (command === undefined) return undefined
      const changes = this.#translator.changesOf(command)
      const { sequence, timeMs } = command
      if (changes.length > 0) return { sequence, timeMs, changes }
    }
  }
}

/** What a command did, in terms of documents. */
class CommandTranslator {
  readonly #history: CollectionHistory
  /** Undefined: all. */
  readonly #wanted: ReadonlySet<string> | undefined
  readonly #reader = new CommandReader()

  constructor(engine: Engine, collections: ChangesOptions['collections']) {
    this.#history = new CollectionHistory(engine)
    this.#wanted =
      collections &&
      new Set(collections.map((wanted) => (typeof wanted === 'string' ? wanted : wanted.name)))
  }

  /** @throws StoreCorruptError; ChangesGoneError */
  changesOf(command: CommittedCommand): Change[] {
    const reader = this.#reader
    const changes: Change[] = []
    reader.open(command.bytes, command.start, command.end)
    while (reader.next()) {
      if (reader.code !== Code.put && reader.code !== Code.delete) continue
      if (reader.tree !== CATALOG_TREE) {
        const owner = this.#history.ownerOf(reader.tree, command.sequence)
        const isWanted = owner !== undefined && this.#wanted?.has(owner.name) !== false
        if (isWanted) changes.push(this.#changeOf(owner, command))
      } else if (isLifeKey(reader.key)) this.#history.forget()
    }
    if (reader.fault !== undefined) throw corrupt(command, 'a command', reader.fault)
    return changes
  }

  #changeOf(owner: OwnedTree, command: CommittedCommand): Change {
    const { key, value, code, expect } = this.#reader
    const collection = owner.name
    try {
      const id = decodeId(key, 0, key.length)
      if (code === Code.delete) return { kind: 'delete', collection, id }
      const { document, version } = this.#history.decode(owner, value)
      return { kind: kindOf(expect), collection, id, document: withId(document, id), version }
    } catch (error) {
      throw asCorrupt(error, command, `a document of collection ${collection}`)
    }
  }
}

function kindOf(expect: number): 'insert' | 'update' | 'put' {
  if (expect === Expect.any) return 'put'
  return expect === Expect.absent ? 'insert' : 'update'
}

function withId(document: Fields, id: Id): Fields {
  if (document['id'] === id) return document
  throw new EncodingCorruptError('its id', 0, String(id), String(document['id']))
}

/** What bytes out of the log are not. Others are passed on. */
function asCorrupt(error: unknown, command: CommittedCommand, what: string): unknown {
  const isCorrupt = error instanceof EncodingCorruptError || error instanceof UnknownShapeError
  return isCorrupt ? corrupt(command, what, error.message, error) : error
}

function corrupt(
  { file, offset, sequence }: CommittedCommand,
  what: string,
  actual: string,
  cause?: unknown,
): StoreCorruptError {
  return new StoreCorruptError({ file, offset }, `commit ${sequence}`, what, actual, cause)
}
