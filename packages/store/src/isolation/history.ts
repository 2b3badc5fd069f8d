/**
 * What concurrent transactions saw, and whether any order explains it: each is replayed, in commit order, against a
 * plain map, and every one of its reads compared.
 */
import type { Random } from '@ringbolt/wal/simulation'
import type { DocOf } from '../client/definition-types.ts'
import type { Transaction } from '../client/transaction.ts'
import { cells } from '../engine/testing/collections.ts'
import { UniqueError } from '../errors.ts'

export type Cell = DocOf<typeof cells>

/** An operation and what came of it. */
export type Event =
  | { readonly kind: 'get'; readonly id: number; readonly result: Cell | undefined }
  | { readonly kind: 'range'; readonly group: number; readonly result: readonly Cell[] }
  | { readonly kind: 'find'; readonly below: number; readonly result: readonly number[] }
  | { readonly kind: 'all'; readonly result: readonly Cell[] }
  | { readonly kind: 'count'; readonly result: number }
  | { readonly kind: 'insert'; readonly cell: Cell; readonly result: 'there' | 'inserted' }
  | { readonly kind: 'upsert'; readonly cell: Cell }
  | { readonly kind: 'delete'; readonly id: number; readonly result: boolean }

/** A transaction that was acknowledged. */
export interface Recorded {
  /** Of its document in the journal; 0 when it wrote nothing. */
  readonly journalId: number
  /** Of the state that it read. */
  readonly sequence: number
  readonly events: readonly Event[]
}

const IDS = 14
const GROUPS = 4

/** One operation in a transaction, by chance. */
export async function act(tx: Transaction, random: Random, value: number): Promise<Event> {
  const collection = tx.collection(cells)
  const id = random.between(1, IDS)
  const group = random.below(GROUPS)
  const cell = { id, group, value }
  switch (random.below(10)) {
    case 0:
      return {
        kind: 'range',
        group,
        result: [...collection.range('group', { gte: group, lte: group })],
      }
    case 1: {
      const below = value - random.below(40)
      const found = collection.find({ value: { $lt: below } }, { sort: { id: 1 } })
      return { kind: 'find', below, result: [...found].map((one) => one.id) }
    }
    case 2:
      return random.chance(0.3)
        ? { kind: 'all', result: [...collection.all()] }
        : { kind: 'count', result: collection.count() }
    case 3:
      return { kind: 'delete', id, result: await collection.delete(id) }
    case 4:
      try {
        await collection.insert(cell)
        return { kind: 'insert', cell, result: 'inserted' }
      } catch (error) {
        if (!(error instanceof UniqueError)) throw error
        return { kind: 'insert', cell, result: 'there' }
      }
    case 5:
    case 6:
      await collection.upsert(cell)
      return { kind: 'upsert', cell }
    default:
      return { kind: 'get', id, result: collection.get(id) }
  }
}

/** The same operation on a plain map: what it has to come to. */
function replay(state: Map<number, Cell>, event: Event): Event {
  switch (event.kind) {
    case 'get':
      return { ...event, result: state.get(event.id) }
    case 'range':
      return { ...event, result: inOrder(state).filter(({ group }) => group === event.group) }
    case 'find':
      return {
        ...event,
        result: inOrder(state)
          .filter(({ value }) => value < event.below)
          .map(({ id }) => id),
      }
    case 'all':
      return { ...event, result: inOrder(state) }
    case 'count':
      return { ...event, result: state.size }
    case 'insert': {
      if (state.has(event.cell.id)) return { ...event, result: 'there' }
      state.set(event.cell.id, event.cell)
      return { ...event, result: 'inserted' }
    }
    case 'upsert':
      state.set(event.cell.id, event.cell)
      return event
    case 'delete':
      return { ...event, result: state.delete(event.id) }
    default:
      return event
  }
}

function inOrder(state: Map<number, Cell>): Cell[] {
  return [...state.values()].sort((one, other) => one.id - other.id)
}

export interface Mismatch {
  readonly transaction: Recorded
  readonly saw: Event
  readonly hadToSee: Event
}

/**
 * @param history in commit order; those that wrote nothing, behind what they read
 * @returns the reads that this order does not explain
 */
export function mismatchesOf(history: readonly Recorded[]): Mismatch[] {
  const state = new Map<number, Cell>()
  return history.flatMap((transaction) =>
    transaction.events.flatMap((saw) => {
      const hadToSee = replay(state, saw)
      return isSame(saw, hadToSee) ? [] : [{ transaction, saw, hadToSee }]
    }),
  )
}

function isSame(one: Event, other: Event): boolean {
  return textOf(one) === textOf(other)
}

function textOf(event: Event): string {
  return JSON.stringify(event, (_, value: unknown) =>
    isObject(value) ? Object.fromEntries(Object.entries(value).toSorted(byName)) : value,
  )
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function byName([one]: [string, unknown], [other]: [string, unknown]): number {
  return one < other ? -1 : 1
}
