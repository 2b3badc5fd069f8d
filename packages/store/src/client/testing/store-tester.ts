import type { Database } from '../database.ts'
import type { CollectionDefinition } from '../define-collection.ts'
import { databaseOver, type MakeEngine, type TestEngine } from './make-store.ts'

/** Opens databases for one test after another, each over an engine of its own, and closes them. */
export class StoreTester {
  readonly #make: MakeEngine
  #engine: TestEngine | undefined

  constructor(make: MakeEngine) {
    this.#make = make
  }

  /** Over a new, empty engine. */
  async open(...definitions: readonly CollectionDefinition[]): Promise<Database> {
    await this.close()
    this.#engine = await this.#make()
    return this.another(...definitions)
  }

  /** Another handle to the same data, as another thread has it. */
  async another(...definitions: readonly CollectionDefinition[]): Promise<Database> {
    if (this.#engine === undefined) throw new Error('open comes first')
    return databaseOver(this.#engine.engine, ...definitions)
  }

  async close(): Promise<void> {
    await this.#engine?.close()
    this.#engine = undefined
  }
}
