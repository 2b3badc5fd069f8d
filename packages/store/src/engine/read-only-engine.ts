/** The engine of a database that is only read: as any other, but there is nothing to commit with. */
import { SharedEngine } from '../client/shared-engine.ts'
import { StoreReadOnlyError } from '../errors.ts'

export class ReadOnlyEngine extends SharedEngine {
  override commit(): Promise<never> {
    return Promise.reject(new StoreReadOnlyError())
  }

  override commitSync(): never {
    throw new StoreReadOnlyError()
  }
}
