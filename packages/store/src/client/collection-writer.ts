/**
 * What can be written to a collection, as work that can be awaited or blocked for. In a transaction it is
 * kept back until the end; outside, each write is committed by itself.
 */
import { ValidationError } from '../document/errors.ts'
import type { Fields } from '../document/format.ts'
import type { Id } from '../document/keys.ts'
import type { CollectionDefinition } from './define-collection.ts'
import type { StoredDocument } from './definition-types.ts'
import { asFields, DocumentValidator } from './validation.ts'
import { settled, type Work } from './work.ts'

/** Changes the document in place, or returns the one to take its place; its id stays. */
export type Change<Doc> = (document: Doc) => Doc | void | Promise<Doc | void>

export interface CollectionWriter<Doc extends StoredDocument> {
  insert(input: unknown): Work<Id>
  insertMany(inputs: readonly unknown[]): Work<Id[]>
  update(id: Id, change: Change<Doc>): Work<Doc>
  upsert(input: unknown): Work<Id>
  delete(id: Id): Work<boolean>
}

/** Turns what users give into fields to be stored. */
export class DocumentPreparer<Doc extends StoredDocument> {
  readonly #name: string
  readonly #validator: DocumentValidator

  constructor(definition: CollectionDefinition) {
    this.#name = definition.name
    this.#validator = new DocumentValidator(definition)
  }

  /** @returns the fields and the id that was chosen, undefined without one */
  given(input: unknown): { fields: Fields; id: Id | undefined } {
    const fields = asFields(input, this.#name)
    const id: unknown = fields['id']
    if (id === undefined) return { fields, id }
    this.#validator.checkId(id)
    return { fields, id }
  }

  /** As it is to be stored; a promise when the schema is asynchronous. */
  accepted(fields: Fields, id: Id): Fields | Promise<Fields> {
    this.#validator.checkId(id)
    return this.#validator.accepted(fields, id)
  }

  /** @throws AsyncInSyncError in a blocking write */
  schemaSettled(accepted: Promise<Fields>): Work<Fields> {
    return settled(accepted, `the schema of collection ${this.#name}`)
  }

  /** What the closure makes of the document, and then the schema. */
  *changed(document: Doc, id: Id, change: Change<Doc>): Work<Fields> {
    const result = change(document)
    const returned = result instanceof Promise ? yield* settled(result, 'the closure') : result
    const fields = asFields(returned === undefined ? document : returned, this.#name)
    if (fields['id'] !== id) {
      throw new ValidationError(`collection ${this.#name}: the id of a document cannot change`, {
        collection: this.#name,
        field: 'id',
      })
    }
    const accepted = this.#validator.accepted(fields, id)
    return accepted instanceof Promise ? yield* this.schemaSettled(accepted) : accepted
  }
}
