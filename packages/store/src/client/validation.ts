/**
 * What has to be so of a document before it is written: a plain object, that the collection's schema accepts.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { ValidationError } from '../document/errors.ts'
import type { Fields } from '../document/format.ts'
import type { Id } from '../document/keys.ts'
import { kindOf } from '../document/refusals.ts'
import type { CollectionDefinition } from './define-collection.ts'

const ISSUES_TOLD_MAX = 5

export class DocumentValidator {
  readonly #definition: CollectionDefinition
  /** The schema has asked for `id`: it is among its fields. */
  #idInside = false

  constructor(definition: CollectionDefinition) {
    this.#definition = definition
  }

  /** Of the right type; what else an id must be is checked where it is encoded. @throws ValidationError */
  checkId(id: unknown): asserts id is Id {
    const { name, id: kind } = this.#definition
    if (typeof id === (kind ?? 'number') || (kind === undefined && typeof id === 'string')) return
    const wanted = kind ?? 'number or a string'
    throw new ValidationError(`collection ${name}: an id must be a ${wanted}, not ${kindOf(id)}`, {
      collection: name,
      field: 'id',
    })
  }

  /**
   * The document as it is to be stored: what the schema made of it, its id first. A promise when the schema is
   * asynchronous.
   * @throws ValidationError
   */
  accepted(document: Fields, id: Id): Fields | Promise<Fields> {
    const { schema } = this.#definition
    if (schema === undefined) return withId(id, document)
    const result = schema['~standard'].validate(this.#input(document, id))
    return result instanceof Promise
      ? result.then((settled) => this.#judged(settled, document, id))
      : this.#judged(result, document, id)
  }

  /** A schema sees the id only once it has asked for it: others may refuse fields that they do not know. */
  #input(document: Fields, id: Id): Fields {
    if (this.#idInside) return withId(id, document)
    const { id: _, ...fields } = document
    return fields
  }

  #judged(
    result: StandardSchemaV1.Result<unknown>,
    document: Fields,
    id: Id,
  ): Fields | Promise<Fields> {
    const { name } = this.#definition
    if (result.issues === undefined) return this.#stored(asFields(result.value, name), id)
    if (this.#idInside || !result.issues.some(isAboutId)) throw refused(name, result.issues)
    this.#idInside = true
    return this.accepted(document, id)
  }

  #stored(output: Fields, id: Id): Fields {
    const { name } = this.#definition
    if (!Object.hasOwn(output, 'id') || output['id'] === id) return withId(id, output)
    throw new ValidationError(`collection ${name}: the schema must not change the id`, {
      collection: name,
      field: 'id',
    })
  }
}

/** A copy whose first field is the id: so all documents of a kind have one shape. */
function withId(id: Id, fields: Fields): Fields {
  const document: Fields = { id, ...fields }
  document['id'] = id
  return document
}

/** @throws ValidationError unless it is a plain object */
export function asFields(value: unknown, collection: string): Fields {
  if (isPlain(value)) return value
  throw new ValidationError(
    `collection ${collection}: a document must be a plain object, not ${kindOf(value)}`,
    { collection },
  )
}

/** An object literal's or none as prototype, of whatever realm. */
function isPlain(value: unknown): value is Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function pathOf(issue: StandardSchemaV1.Issue): string {
  const steps = issue.path ?? []
  return steps.map((step) => String(typeof step === 'object' ? step.key : step)).join('.')
}

function isAboutId(issue: StandardSchemaV1.Issue): boolean {
  return pathOf(issue) === 'id'
}

function refused(collection: string, issues: readonly StandardSchemaV1.Issue[]): ValidationError {
  const told = issues.slice(0, ISSUES_TOLD_MAX).map((issue) => {
    const path = pathOf(issue)
    return path === '' ? issue.message : `${path}: ${issue.message}`
  })
  const more = issues.length > told.length ? ` and ${issues.length - told.length} more` : ''
  return new ValidationError(
    `collection ${collection}: the schema refuses the document: ${told.join('; ')}${more}`,
    { collection, path: issues[0] === undefined ? '' : pathOf(issues[0]), issues: issues.length },
  )
}
