/**
 * Ids for documents that come without one: positive integers out of blocks that this thread has leased. A lease is a
 * committed change of the collection's key in the catalog, so no two threads or processes have the same block, and what
 * was leased and not used is never given out: gaps mean nothing. Blocks grow with demand, and the next one is
 * leased before the last is used up, so an insert seldom waits for one.
 *
 * Uniqueness does not rest on it: each insert states that its id is free. Who finds it taken (ids may also be chosen
 * by the caller) says so by `taken`, and the next lease begins beyond the ids in the collection.
 */
import { decodeId, encodeId } from '../document/keys.ts'
import { StoreFullError } from '../errors.ts'
import { CommandBuilder } from '../sequencer/command.ts'
import { CATALOG_TREE, decodeLease, encodeLease, leaseKey } from './catalog-format.ts'
import { Attempts, commit, drive, settled, type Work, type WorkContext } from './work.ts'

const BLOCK_FIRST = 64
const BLOCK_MAX = 8192
const LEASE_RETRIES_MAX = 1000
/** Ids above this, chosen by a caller, do not lift what is leased: little would be left. */
const LIFTED_MAX = 2 ** 52
/** Where ids that are text begin in the primary tree. */
const TEXT_IDS: Uint8Array = Uint8Array.of(0xe0)

interface Block {
  readonly first: number
  readonly end: number
}

export class IdLease {
  readonly #collectionId: number
  readonly #context: WorkContext
  readonly #key: Uint8Array
  #next = 0
  #end = 0
  #blockSize = BLOCK_FIRST
  #spare: Block | undefined
  /** Settles when the lease that is under way has become the spare block. */
  #leasing: Promise<void> | undefined

  constructor(collectionId: number, context: WorkContext) {
    this.#collectionId = collectionId
    this.#context = context
    this.#key = leaseKey(collectionId)
  }

  /** The next id; undefined when `take` has to wait for a block. */
  next(): number | undefined {
    if (this.#next === this.#end) {
      if (this.#spare === undefined) return undefined
      this.#begin(this.#spare)
    }
    const id = this.#next++
    if (this.#end - this.#next < this.#blockSize / 4) this.#prefetch()
    return id
  }

  *take(): Work<number> {
    for (;;) {
      const id = this.next()
      if (id !== undefined) return id
      if (this.#context.blocking) this.#begin(yield* this.#lease(0))
      else yield* settled(this.#refill(), 'a lease of ids')
    }
  }

  /** The id was taken already: goes on beyond those that are in the primary tree. */
  *taken(id: number, primaryTree: number): Work<void> {
    const free = this.#freeFrom(id, primaryTree)
    if (free <= this.#next) return
    if (free < this.#end) this.#next = free
    else this.#begin(yield* this.#lease(free))
  }

  #begin(block: Block): void {
    this.#spare = undefined
    this.#next = block.first
    this.#end = block.end
  }

  #freeFrom(id: number, primaryTree: number): number {
    const { latest } = this.#context.engine
    for (const { key } of latest.entries(primaryTree, { to: TEXT_IDS, reverse: true })) {
      const highest = decodeId(key, 0, key.length)
      if (typeof highest === 'number' && highest < LIFTED_MAX) return highest + 1
      break
    }
    let free = id
    for (const { key } of latest.entries(primaryTree, { from: encodeId(id) })) {
      if (decodeId(key, 0, key.length) !== free) break
      free++
    }
    return free
  }

  #prefetch(): void {
    if (this.#spare !== undefined || this.#leasing !== undefined || this.#context.blocking) return
    // Whoever needs an id leases for himself then, and meets the same error where it can be reported.
    this.#refill().catch(() => undefined)
  }

  #refill(): Promise<void> {
    this.#leasing ??= drive(this.#leaseSpare(), this.#context).finally(() => {
      this.#leasing = undefined
    })
    return this.#leasing
  }

  *#leaseSpare(): Work<void> {
    this.#spare = yield* this.#lease(0)
  }

  /** @param from the first id of the block, at least */
  *#lease(from: number): Work<Block> {
    const { engine, environment } = this.#context
    const what = `leasing ids of collection ${this.#collectionId}`
    const attempts = new Attempts(what, LEASE_RETRIES_MAX, environment)
    for (;;) {
      const entry = engine.latest.get(CATALOG_TREE, this.#key)
      const first = Math.max(entry === undefined ? 1 : decodeLease(entry.value), from)
      const end = first + this.#blockSize
      if (end > Number.MAX_SAFE_INTEGER) throw new StoreFullError('there are no ids left')
      const command = new CommandBuilder()
      command.put(CATALOG_TREE, this.#key, encodeLease(end), entry?.sequence ?? 'absent')
      const refusal = yield* commit(command)
      if (refusal === undefined) {
        this.#blockSize = Math.min(this.#blockSize * 2, BLOCK_MAX)
        return { first, end }
      }
      yield* attempts.failed()
    }
  }
}
