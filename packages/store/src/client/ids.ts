/**
 * Ids for documents that come without one: positive integers out of blocks that this thread has leased. A lease is a
 * committed change of the collection's key in the catalog, so no two threads or processes have the same block, and what
 * was leased and not used is never given out: gaps mean nothing.
 *
 * Uniqueness does not rest on it: each insert states that its id is free. Who finds it taken (ids may also be chosen
 * by the caller) says so by `taken`, and the next lease begins beyond the highest id in the collection.
 */
import { decodeId } from '../document/keys.ts'
import { StoreFullError } from '../errors.ts'
import { CommandBuilder } from '../sequencer/command.ts'
import { CATALOG_TREE, decodeLease, encodeLease, leaseKey } from './catalog-format.ts'
import { Attempts, commit, drive, type Work, type WorkContext } from './work.ts'

const BLOCK_FIRST = 64
const BLOCK_MAX = 8192
const LEASE_RETRIES_MAX = 1000
/** Ids above this, chosen by a caller, do not lift what is leased: little would be left. */
const LIFTED_MAX = 2 ** 52
/** Where ids that are text begin in the primary tree. */
const TEXT_IDS: Uint8Array = Uint8Array.of(0xe0)

export class IdLease {
  readonly #collectionId: number
  readonly #context: WorkContext
  readonly #key: Uint8Array
  #next = 0
  #end = 0
  #blockSize = BLOCK_FIRST
  #prefetched: { first: number; end: number } | undefined
  #isFetching = false

  constructor(collectionId: number, context: WorkContext) {
    this.#collectionId = collectionId
    this.#context = context
    this.#key = leaseKey(collectionId)
  }

  /** The next id; waits only when a block has to be leased first. */
  *take(): Work<number> {
    while (this.#next === this.#end) {
      const block = this.#prefetched ?? (yield* this.#lease(0))
      // Others may have refilled it while this one waited; both blocks are good, one is given up.
      this.#prefetched = undefined
      this.#next = block.first
      this.#end = block.end
    }
    const id = this.#next++
    if (this.#end - this.#next < this.#blockSize / 4) this.#prefetch()
    return id
  }

  /** The id was taken already: goes on beyond all that are there in the primary tree. */
  *taken(id: number, primaryTree: number): Work<void> {
    const highest = this.#highest(primaryTree)
    if (highest < id || highest > LIFTED_MAX || highest < this.#next) return
    const block = yield* this.#lease(highest + 1)
    this.#prefetched = undefined
    this.#next = block.first
    this.#end = block.end
  }

  #highest(primaryTree: number): number {
    const { latest } = this.#context.engine
    for (const { key } of latest.entries(primaryTree, { to: TEXT_IDS, reverse: true })) {
      const id = decodeId(key, 0, key.length)
      return typeof id === 'number' ? id : 0
    }
    return 0
  }

  #prefetch(): void {
    if (this.#isFetching || this.#prefetched !== undefined || this.#context.blocking) return
    this.#isFetching = true
    void drive(this.#fetch(), this.#context)
  }

  *#fetch(): Work<void> {
    try {
      this.#prefetched = yield* this.#lease(0)
    } catch {
      // Whoever needs an id leases for himself then, and meets the same error where it can be reported.
      this.#prefetched = undefined
    } finally {
      this.#isFetching = false
    }
  }

  /** @param from the first id of the block, at least */
  *#lease(from: number): Work<{ first: number; end: number }> {
    const { engine, environment } = this.#context
    const attempts = new Attempts(
      `leasing ids of collection ${this.#collectionId}`,
      LEASE_RETRIES_MAX,
      environment,
    )
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
