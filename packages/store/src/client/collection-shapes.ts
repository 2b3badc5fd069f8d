/**
 * The shapes of one collection, as the catalog has them. A new one is committed before the first document that uses
 * it; until then documents are written with their keys. A shape is never changed or given up while the collection is.
 */
import { SHAPES_MAX, type ShapeStore } from '../document/shapes.ts'
import { CommandBuilder } from '../sequencer/command.ts'
import { CATALOG_TREE, decodeShape, encodeShape, shapeKey, shapeKeys } from './catalog-format.ts'
import { commit, drive, driveBlocking, type Work, type WorkContext } from './work.ts'

export class CollectionShapes implements ShapeStore {
  readonly #collectionId: number
  readonly #context: WorkContext
  readonly #keysById = new Map<number, readonly string[]>()
  readonly #idsByKeys = new Map<string, number>()
  readonly #registering = new Set<string>()

  constructor(collectionId: number, context: WorkContext) {
    this.#collectionId = collectionId
    this.#context = context
    this.refresh()
  }

  shape(id: number): readonly string[] | undefined {
    return this.#keysById.get(id)
  }

  idOf(keys: readonly string[]): number | undefined {
    const text = JSON.stringify(keys)
    const known = this.#idsByKeys.get(text)
    if (known !== undefined || this.#registering.has(text)) return known
    if (this.#keysById.size >= SHAPES_MAX) return undefined
    this.#registering.add(text)
    if (this.#context.blocking) {
      try {
        driveBlocking(this.#register(keys, text), this.#context)
      } finally {
        this.#registering.delete(text)
      }
      return this.#idsByKeys.get(text)
    }
    drive(this.#register(keys, text), this.#context)
      // Documents can do without; an error that matters meets the next commit too.
      .catch(() => undefined)
      .finally(() => this.#registering.delete(text))
    return undefined
  }

  /** Learns what others have registered. */
  refresh(): void {
    const { latest } = this.#context.engine
    for (const { key, value } of latest.entries(CATALOG_TREE, shapeKeys(this.#collectionId))) {
      const { id, keys } = decodeShape(key, value)
      this.#keysById.set(id, keys)
      this.#idsByKeys.set(JSON.stringify(keys), id)
    }
  }

  /** Under the lowest number that is free; others may be quicker, perhaps with the same keys. */
  *#register(keys: readonly string[], text: string): Work<void> {
    for (let id = 1; id <= SHAPES_MAX && !this.#idsByKeys.has(text); id++) {
      if (this.#keysById.has(id)) continue
      const command = new CommandBuilder()
      command.put(CATALOG_TREE, shapeKey(this.#collectionId, id), encodeShape(keys), 'absent')
      const refusal = yield* commit(command)
      this.refresh()
      if (refusal !== undefined) continue
      this.#keysById.set(id, [...keys])
      this.#idsByKeys.set(text, id)
    }
  }
}
