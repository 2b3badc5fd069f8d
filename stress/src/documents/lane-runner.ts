/**
 * Carries out a lane's operations on a collection, and reads after each: what the lane itself has written must
 * be there as acknowledged, and whatever else is met must be what its serial and version say. A worker's first lane
 * holds a snapshot from one look around to the next: it must show the same then as in the beginning.
 */

import type { Database, DocOf, Snapshot } from 'ringbolt'
import { DocumentFaultError } from '../errors.ts'
import { type Items, items } from './collection.ts'
import type { Content, Contents, Lane, Live, Operation } from './lane.ts'

/** Far above the ids that the database gives out by itself. */
const OWN_IDS_FROM = 2 ** 45
const OWN_IDS_PER_LANE = 2 ** 24
const LANES_MAX = 1024
/** Every so many steps the lane looks at others' documents. */
const LOOK_AROUND = 16
const LOOK_AROUND_DOCUMENTS = 4

export interface LaneRunnerOptions {
  readonly db: Database
  readonly collection: Items
  readonly contents: Contents
  readonly onAcknowledged: (operations: number) => void
  /** A document was read and verified. */
  readonly onRead: () => void
}

interface HeldSnapshot {
  readonly snapshot: Snapshot
  readonly shown: string
}

export class LaneRunner {
  readonly #lane: Lane
  readonly #options: LaneRunnerOptions
  /** Ids that the database gave, by ordinal. Every other lane names its own. */
  readonly #ids = new Map<number, number>()
  #steps = 0
  #held: HeldSnapshot | undefined

  constructor(lane: Lane, options: LaneRunnerOptions) {
    this.#lane = lane
    this.#options = options
  }

  /** One operation, or several in a transaction. */
  async step(): Promise<void> {
    const lane = this.#lane
    if (lane.step === 1) {
      await this.#carryOut(this.#options.collection, lane.next())
    } else {
      await this.#options.db.transaction(async (tx) => {
        const collection = tx.collection(items)
        // From the beginning again, when the closure is run again.
        for (const operation of operationsOf(lane)) await this.#carryOut(collection, operation)
      })
    }
    this.#acknowledged()
  }

  stepSync(): void {
    const lane = this.#lane
    if (lane.step === 1) {
      this.#carryOutSync(this.#options.collection, lane.next())
    } else {
      this.#options.db.transactionSync((tx) => {
        const collection = tx.collection(items)
        for (const operation of operationsOf(lane)) this.#carryOutSync(collection, operation)
      })
    }
    this.#acknowledged()
  }

  async #carryOut(collection: Items, { kind, document }: Operation): Promise<void> {
    switch (kind) {
      case 'insert':
        this.#ids.set(document.ordinal, await collection.insert(this.#fresh(document)))
        break
      case 'update':
        await collection.update(this.#idOf(document), this.#change(document))
        break
      case 'delete':
        this.#deleted(document, await collection.delete(this.#idOf(document)))
        break
    }
  }

  #carryOutSync({ sync }: Items, { kind, document }: Operation): void {
    switch (kind) {
      case 'insert':
        this.#ids.set(document.ordinal, sync.insert(this.#fresh(document)))
        break
      case 'update':
        sync.update(this.#idOf(document), this.#change(document))
        break
      case 'delete':
        this.#deleted(document, sync.delete(this.#idOf(document)))
        break
    }
  }

  #acknowledged(): void {
    const lane = this.#lane
    /** By document: its version now; undefined: it is gone. */
    const touched = new Map<number, number | undefined>()
    for (let left = lane.step; left > 0; left--) {
      const { kind, document } = lane.next()
      const version = kind === 'update' ? document.version + 1 : document.version
      touched.set(document.ordinal, kind === 'delete' ? undefined : version)
      lane.advance()
    }
    this.#options.onAcknowledged(lane.done)
    for (const [ordinal, version] of touched) {
      this.#verify({ ordinal, version: version ?? 0 }, version)
      if (version === undefined) this.#ids.delete(ordinal)
    }
    this.#steps++
    if (this.#steps % LOOK_AROUND === 0) this.#lookAround()
  }

  /** A read after an acknowledgement shows it: id echo, and every field. */
  #verify(document: Live, version: number | undefined): void {
    const id = this.#idOf(document)
    const found = this.#options.collection.get(id)
    this.#options.onRead()
    const serial = this.#lane.serialOf(document)
    if (found === undefined && version === undefined) return
    if (found === undefined || version === undefined) {
      const detail = found === undefined ? 'absent' : 'there although deleted'
      throw new DocumentFaultError(serial, detail)
    }
    if (found.id !== id) throw new DocumentFaultError(serial, `id ${found.id} instead of ${id}`)
    if (found.serial !== serial || found.version !== version) {
      const detail = `${found.serial} version ${found.version} instead of version ${version}`
      throw new DocumentFaultError(serial, detail)
    }
    this.#assertWhole(found)
  }

  /** Lets go of what it holds. */
  close(): void {
    this.#held?.snapshot.close()
    this.#held = undefined
  }

  /** Others write at the same time: a document may be any version of itself, and never a mixture. */
  #lookAround(): void {
    const { collection, contents } = this.#options
    const { group } = contents.of(`look ${this.#lane.spec.lane}`, this.#lane.done)
    let last = group
    for (const document of collection.range('group', {
      gte: group,
      limit: LOOK_AROUND_DOCUMENTS,
    })) {
      this.#options.onRead()
      this.#assertWhole(document)
      if (document.group < last) {
        throw new DocumentFaultError(document.serial, `group ${document.group} after ${last}`)
      }
      last = document.group
    }
    if (this.#lane.spec.lane === 0) this.#lookBack()
  }

  /** S5: repeatable reads. */
  #lookBack(): void {
    const shown = this.#held && shownBy(this.#held.snapshot)
    if (this.#held !== undefined && shown !== this.#held.shown) {
      const fault = `shows ${shown}, at first it was ${this.#held.shown}`
      throw new DocumentFaultError(`snapshot ${this.#held.snapshot.sequence}`, fault)
    }
    this.close()
    const snapshot = this.#options.db.snapshot()
    this.#held = { snapshot, shown: shownBy(snapshot) }
  }

  #assertWhole(document: Content): void {
    const fault = this.#options.contents.fault(document)
    if (fault !== undefined) throw new DocumentFaultError(document.serial, fault)
  }

  #fresh(document: Live): Content & { id?: number } {
    const content = this.#options.contents.of(this.#lane.serialOf(document), 0)
    return this.#namesOwnIds ? { id: this.#ownId(document), ...content } : content
  }

  #change(document: Live): (found: DocOf<typeof items>) => DocOf<typeof items> {
    const content = this.#options.contents.of(this.#lane.serialOf(document), document.version + 1)
    return (found) => {
      if (found.version !== document.version) {
        throw new DocumentFaultError(content.serial, `version ${found.version} before its update`)
      }
      return { ...found, ...content }
    }
  }

  #deleted(document: Live, existed: boolean): void {
    if (!existed)
      throw new DocumentFaultError(this.#lane.serialOf(document), 'absent at its delete')
  }

  get #namesOwnIds(): boolean {
    return this.#lane.spec.lane % 2 === 0
  }

  #idOf(document: Live): number {
    return this.#ids.get(document.ordinal) ?? this.#ownId(document)
  }

  #ownId({ ordinal }: Live): number {
    const { incarnation, lane } = this.#lane.spec
    return OWN_IDS_FROM + (incarnation * LANES_MAX + lane) * OWN_IDS_PER_LANE + ordinal
  }
}

/** How many documents there are, and some of them by an index. */
function shownBy(snapshot: Snapshot): string {
  const collection = snapshot.collection(items)
  const last = collection.range('cityGroup', { reverse: true, limit: LOOK_AROUND_DOCUMENTS })
  return JSON.stringify([collection.count(), ...last])
}

/** Those of the lane's next step, which stays where it is. */
function operationsOf(lane: Lane): Operation[] {
  const ahead = lane.fork()
  return Array.from({ length: lane.step }, () => {
    const operation = ahead.next()
    ahead.advance()
    return operation
  })
}
