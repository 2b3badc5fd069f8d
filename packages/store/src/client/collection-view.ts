/**
 * A collection at one state of the database: finds entries and makes documents of them.
 *
 * Nothing here runs the user's code inside `ReadView.read`: migrations come after it.
 */

import type { DocumentCodec } from '../document/codec.ts'
import { EncodingCorruptError, UnknownShapeError } from '../document/errors.ts'
import type { Fields } from '../document/format.ts'
import { decodeId } from '../document/keys.ts'
import { kindOf } from '../document/refusals.ts'
import { MigrationError } from '../errors.ts'
import type { CollectionReader, IndexInfo } from '../query/reader.ts'
import type { CollectionState } from './collection-state.ts'
import type { CollectionDefinition } from './define-collection.ts'
import type { StoredDocument } from './definition-types.ts'
import type { ReadView } from './engine.ts'
import { asFields } from './validation.ts'

export class CollectionView<Doc extends StoredDocument> implements CollectionReader<Doc> {
  readonly name: string
  readonly view: ReadView
  readonly state: CollectionState
  readonly primaryTree: number
  readonly indexes: readonly IndexInfo[]
  /** Commit sequence of the document that was read last. */
  sequence = 0
  readonly #definition: CollectionDefinition
  readonly #codec: DocumentCodec

  constructor(view: ReadView, state: CollectionState, definition: CollectionDefinition) {
    this.name = definition.name
    this.view = view
    this.state = state
    this.primaryTree = state.tree
    this.indexes = state.indexes
    this.#definition = definition
    this.#codec = state.binding.codec
  }

  read(key: Uint8Array): Doc | undefined {
    const fields = this.#readFields(key)
    return fields === undefined ? undefined : this.#document(fields, key)
  }

  readAhead(keys: readonly Uint8Array[], count: number): (Doc | undefined)[] {
    const documents: (Doc | undefined)[] = new Array(count).fill(undefined)
    this.view.readEach?.(this.primaryTree, keys, count, (at, bytes, start, end) => {
      let fields: Fields
      try {
        fields = this.#codec.decode(bytes, start, end)
      } catch {
        // `read` says what is wrong with it, or learns its shape, when it is asked for.
        return
      }
      const isCurrent = this.#codec.schemaVersion === this.#definition.version
      if (isCurrent) documents[at] = this.typed(fields)
    })
    return documents
  }

  decode(value: Buffer, key: Uint8Array): Doc {
    let fields: Fields
    try {
      fields = this.#decodeEntry(value, 0, value.length, 0)
    } catch (error) {
      this.#learnShape(error)
      fields = this.#decodeEntry(value, 0, value.length, 0)
    }
    return this.#document(fields, key)
  }

  #readFields(key: Uint8Array): Fields | undefined {
    try {
      return this.view.read(this.primaryTree, key, this.#decodeEntry)
    } catch (error) {
      this.#learnShape(error)
      return this.view.read(this.primaryTree, key, this.#decodeEntry)
    }
  }

  readonly #decodeEntry = (bytes: Buffer, start: number, end: number, sequence: number): Fields => {
    this.sequence = sequence
    return this.#codec.decode(bytes, start, end)
  }

  /** Looks for the shape that was not known; who is not helped by that gets the error. */
  #learnShape(error: unknown): void {
    if (!(error instanceof UnknownShapeError)) throw error
    const { shapes } = this.state.binding
    shapes.refresh()
    if (shapes.shape(error.shapeId) === undefined) {
      throw new EncodingCorruptError(
        `a document of collection ${this.name}`,
        0,
        'a shape of the collection',
        error.shapeId,
      )
    }
  }

  #document(fields: Fields, key: Uint8Array): Doc {
    const { schemaVersion } = this.#codec
    const isCurrent = schemaVersion === this.#definition.version
    return this.typed(isCurrent ? fields : this.#migrated(fields, key, schemaVersion))
  }

  #migrated(fields: Fields, key: Uint8Array, storedVersion: number): Fields {
    const { name, version, migrate } = this.#definition
    const id = decodeId(key, 0, key.length)
    if (storedVersion > version) {
      throw new MigrationError(name, id, storedVersion, `is newer than the definition's ${version}`)
    }
    let document = fields
    for (let from = storedVersion; from < version; from++) {
      const step = migrate[from]
      if (step === undefined) continue
      let result: unknown
      try {
        result = step(document)
        document = { id, ...asFields(result, name) }
      } catch (error) {
        throw new MigrationError(name, id, from, `could not be migrated by migrate[${from}]`, error)
      }
      if (document['id'] !== id) {
        throw new MigrationError(
          name,
          id,
          from,
          `got another id by migrate[${from}]: ${kindOf(result)}`,
        )
      }
    }
    return document
  }

  /** Fields that a schema, or the compiler, has seen to be of the collection's type when they were written. */
  typed(fields: Fields): Doc {
    const document: object = fields
    // oxlint-disable-next-line no-unsafe-type-assertion
    return document as Doc
  }
}
