import { levelClient } from './level.ts'
import { lmdbClient } from './lmdb.ts'
import { ringboltClient } from './ringbolt.ts'
import { sqliteClient } from './sqlite.ts'
import type { StoreClient, StoreTarget } from './store.ts'

/** @param threadIndex tells whose ids it gives; each writing thread of a database has another */
export async function openClient(target: StoreTarget, threadIndex: number): Promise<StoreClient> {
  switch (target.kind) {
    case 'ringbolt':
      return await ringboltClient(target)
    case 'lmdb':
      return lmdbClient(target, threadIndex)
    case 'sqlite':
      return sqliteClient(target, threadIndex)
    case 'level':
      return await levelClient(target, threadIndex)
  }
}
