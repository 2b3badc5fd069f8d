/**
 * Definitions of collections: what a program says once about its documents, and the compiler then knows.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Fields } from '../document/format.ts'
import type {
  CheckIndexes,
  DocumentOf,
  IdKind,
  IndexSpecs,
  InsertOf,
  NewDocument,
  OwnId,
  StoredDocument,
} from './definition-types.ts'

/** One field, by name or dotted path, or several; `each` for the elements of an array. */
export interface IndexSpec {
  readonly on: string | readonly string[]
  readonly unique?: boolean
  readonly each?: boolean
}

/** From version n to n + 1. Pure: the same document gives the same result, or indexes fall out of step. */
export type Migration = (old: Fields) => object

export interface CollectionDefinition<
  Doc extends StoredDocument = StoredDocument,
  Insert = unknown,
  Indexes extends IndexSpecs = IndexSpecs,
> {
  readonly name: string
  readonly version: number
  readonly schema: StandardSchemaV1 | undefined
  readonly indexes: Indexes
  readonly migrate: Readonly<Record<number, Migration>>
  /** Undefined: either, as the documents have it. */
  readonly id: IdKind | undefined
  /** For the compiler only; never there. */
  readonly types?: { readonly document: Doc; readonly insert: Insert }
}

interface DefinitionOptions {
  /** 1 to 100 letters, digits, `_`, `-` and `.`, the first a letter or `_`. */
  readonly name: string
  /** Of the documents' form, from 1; default 1. */
  readonly version?: number
  /** `migrate[n]` makes a document of version n + 1 out of one of version n; lazily, on read. */
  readonly migrate?: Readonly<Record<number, Migration>>
}

/**
 * The document's type follows from the schema's output; what `insert` takes, from its input. A schema is applied to
 * each document that is written, updated ones included, so it must accept what it gave.
 * @throws TypeError for a definition that cannot be
 */
export function defineCollection<
  const Schema extends StandardSchemaV1,
  Kind extends IdKind = 'number',
  const Indexes extends IndexSpecs = {},
>(
  options: DefinitionOptions & {
    readonly schema: Schema
    /** Of documents whose schema has no `id`; default number. */
    readonly id?: OwnId<StandardSchemaV1.InferOutput<Schema>> extends never ? Kind : never
    readonly indexes?: Indexes &
      CheckIndexes<DocumentOf<StandardSchemaV1.InferOutput<Schema>, Kind>, Indexes>
  },
): CollectionDefinition<
  DocumentOf<StandardSchemaV1.InferOutput<Schema>, Kind>,
  InsertOf<
    StandardSchemaV1.InferInput<Schema>,
    DocumentOf<StandardSchemaV1.InferOutput<Schema>, Kind>
  >,
  Indexes
>
/** Without a schema: `defineCollection<User>()({ name: 'users' })`. */
export function defineCollection<Doc extends object = Fields>(): <
  Kind extends IdKind = 'number',
  const Indexes extends IndexSpecs = {},
>(
  options: DefinitionOptions & {
    readonly id?: Kind
    readonly indexes?: Indexes & CheckIndexes<DocumentOf<Doc, Kind>, Indexes>
  },
) => CollectionDefinition<DocumentOf<Doc, Kind>, NewDocument<Doc, Kind>, Indexes>
export function defineCollection(
  options?: UncheckedOptions,
): CollectionDefinition | ((options: UncheckedOptions) => CollectionDefinition) {
  return options === undefined ? define : define(options)
}

type UncheckedOptions = DefinitionOptions & {
  readonly schema?: StandardSchemaV1
  readonly id?: IdKind
  readonly indexes?: IndexSpecs
}

const NAME = /^[\p{L}_][\p{L}\p{N}_.-]{0,99}$/u
const VERSION_MAX = 0xffff_ffff
const INDEXES_MAX = 64
const INDEX_FIELDS_MAX = 16
const FIELD_LENGTH_MAX = 255

function define(options: UncheckedOptions): CollectionDefinition {
  const { name, version = 1, schema, id, indexes = {}, migrate = {} } = options
  checkName('collection', name)
  if (!Number.isInteger(version) || version < 1 || version > VERSION_MAX) {
    throw new TypeError(`collection ${name}: version must be an integer from 1, not ${version}`)
  }
  if (id !== undefined && id !== 'number' && id !== 'string') {
    throw new TypeError(`collection ${name}: id must be 'number' or 'string', not ${String(id)}`)
  }
  if (schema !== undefined && typeof schema['~standard']?.validate !== 'function') {
    throw new TypeError(`collection ${name}: schema is not a Standard Schema`)
  }
  checkMigrations(name, version, migrate)
  if (Object.keys(indexes).length > INDEXES_MAX) {
    throw new TypeError(`collection ${name}: more than ${INDEXES_MAX} indexes`)
  }
  for (const [index, spec] of Object.entries(indexes)) checkIndex(name, index, spec)
  return Object.freeze({ name, version, schema, id, indexes, migrate })
}

function checkName(what: string, name: unknown): void {
  if (typeof name === 'string' && NAME.test(name)) return
  throw new TypeError(
    `the name of a ${what} is 1 to 100 letters, digits, _ - and ., the first a letter or _; not ${JSON.stringify(name)}`,
  )
}

/** Each step up to the version has to be there: otherwise documents of an older version could not be read. */
function checkMigrations(
  name: string,
  version: number,
  migrate: Readonly<Record<number, Migration>>,
): void {
  for (const [from, step] of Object.entries(migrate)) {
    if (!(Number(from) >= 1 && Number(from) < version) || typeof step !== 'function') {
      throw new TypeError(
        `collection ${name}: migrate[${from}] is no function from a version below ${version}`,
      )
    }
  }
}

function checkIndex(collection: string, name: string, spec: IndexSpec): void {
  checkName('index', name)
  if (name === 'id') throw new TypeError(`collection ${collection}: id is indexed by itself`)
  const fields = typeof spec.on === 'string' ? [spec.on] : spec.on
  if (!Array.isArray(fields) || fields.length === 0 || fields.length > INDEX_FIELDS_MAX) {
    throw new TypeError(
      `index ${name} of collection ${collection} is on 1 to ${INDEX_FIELDS_MAX} fields`,
    )
  }
  for (const field of fields) {
    if (typeof field === 'string' && field.length <= FIELD_LENGTH_MAX && isPath(field)) continue
    throw new TypeError(
      `index ${name} of collection ${collection} is on ${JSON.stringify(field)}, which is no path`,
    )
  }
  if (new Set(fields).size < fields.length) {
    throw new TypeError(`index ${name} of collection ${collection} is on a field twice`)
  }
}

function isPath(field: string): boolean {
  return field.split('.').every((step) => step !== '')
}
