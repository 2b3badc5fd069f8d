/** What a store must do, whatever engine is below it: run over the model and over the real one. */
import { afterEach, describe } from 'vitest'
import type { MakeEngine } from './make-store.ts'
import { StoreTester } from './store-tester.ts'
import { describeCollections } from './suite-collections.ts'
import { describeIndexes } from './suite-indexes.ts'
import { describeProperties } from './suite-properties.ts'
import { describeTransactions } from './suite-transactions.ts'

export function describeStore(name: string, makeEngine: MakeEngine): void {
  describe(name, () => {
    const store = new StoreTester(makeEngine)
    afterEach(() => store.close())
    describe('collections', () => describeCollections(store))
    describe('transactions', () => describeTransactions(store))
    describe('indexes', () => describeIndexes(store))
    describe('properties', () => describeProperties(store))
  })
}
