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
  /** Schema version of the document that was read last. */
  #version = 0

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
    this.#version = this.#codec.schemaVersionOf(bytes, start, end)
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
    const document =
      this.#version === this.#definition.version ? fields : this.#migrated(fields, key)
    return this.typed(document)
  }

  #migrated(fields: Fields, key: Uint8Array): Fields {
    const { name, version, migrate } = this.#definition
    const id = decodeId(key, 0, key.length)
    if (this.#version > version) {
      throw new MigrationError(name, id, this.#version, `is newer than the definition's ${version}`)
    }
    let document = fields
    for (let from = this.#version; from < version; from++) {
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
