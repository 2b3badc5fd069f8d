/** Databases for tests. */
import { AtomicsMemory, threadEnvironment } from '@ringbolt/ring'
import { Database } from '../database.ts'
import type { CollectionDefinition } from '../define-collection.ts'
import type { Engine } from '../engine.ts'
import type { StoreEnvironment } from '../environment.ts'

/** An engine for a test, empty; several databases may be made over it, as of several threads. */
export interface TestEngine {
  readonly engine: Engine
  close(): Promise<void>
}

export type MakeEngine = () => Promise<TestEngine>

/** This thread's clock; random numbers by a seed. */
export function testEnvironment(seed = 1): StoreEnvironment {
  const sleeping = new AtomicsMemory(new SharedArrayBuffer(4))
  let state = seed
  return {
    nowMs: () => threadEnvironment.nowMs(),
    random: () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return state / 2 ** 32
    },
    after: (delayMs, callBack) => threadEnvironment.after(delayMs, callBack),
    sleep: (delayMs) => sleeping.wait(0, 0, delayMs),
  }
}

export async function databaseOver(
  engine: Engine,
  ...definitions: readonly CollectionDefinition[]
): Promise<Database> {
  const database = new Database({ engine, environment: testEnvironment() })
  await database.define(definitions)
  return database
}
