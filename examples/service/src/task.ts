/**
 * The tasks of the pool. Each runs in a worker, reads shared memory, and writes through the shared ring.
 *
 * Errors lose their code on the way from one thread to another; as data they keep it.
 */
import { attached } from '@ringbolt/workers'
import { type DocOf, errorToPlain, type InsertTypeOf, type PlainError } from 'ringbolt'
import { accounts } from './accounts.ts'

export type Account = DocOf<typeof accounts>
export type NewAccount = InsertTypeOf<typeof accounts>
export type Outcome<T> = { readonly value: T } | { readonly error: PlainError }

export interface Transfer {
  readonly from: number
  readonly to: number
  readonly cents: number
}

async function outcomeOf<T>(work: () => T | Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await work() }
  } catch (error) {
    return { error: errorToPlain(error) }
  }
}

export function create(account: NewAccount): Promise<Outcome<number>> {
  return outcomeOf(() => attached().collection(accounts).insert(account))
}

export function read(id: number): Promise<Outcome<Account | undefined>> {
  return outcomeOf(() => attached().collection(accounts).get(id))
}

export interface Richest {
  readonly city: string
  readonly limit: number
}

/** By the index on city and balance, from its end. */
export function richest({ city, limit }: Richest): Promise<Outcome<Account[]>> {
  return outcomeOf(() =>
    attached()
      .collection(accounts)
      .find({ city }, { sort: { balanceCents: -1 }, limit })
      .toArray(),
  )
}

/** Moves money, or nothing: who else moves some of the same at the same time makes it run again. */
export function transfer({ from, to, cents }: Transfer): Promise<Outcome<boolean>> {
  return outcomeOf(() =>
    attached().transaction(async (tx) => {
      const collection = tx.collection(accounts)
      const payer = collection.get(from)
      const payee = collection.get(to)
      if (payer === undefined || payee === undefined || from === to) return false
      if (payer.balanceCents < cents) return false
      await collection.update(from, (account) => {
        account.balanceCents -= cents
      })
      await collection.update(to, (account) => {
        account.balanceCents += cents
      })
      return true
    }),
  )
}
