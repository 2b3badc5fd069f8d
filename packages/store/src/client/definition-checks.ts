/** Whether definitions and what the database has of them go together. */
import { DefinitionError } from '../errors.ts'
import type { IndexInfo } from '../query/reader.ts'
import type { CollectionEntry } from './catalog-format.ts'
import type { CollectionDefinition, IndexSpec } from './define-collection.ts'

export type IndexForm = Omit<IndexInfo, 'tree' | 'state'>

export function formOf(name: string, { on, unique = false, each = false }: IndexSpec): IndexForm {
  return { name, fields: typeof on === 'string' ? [on] : [...on], unique, each }
}

export function isSameIndex(a: IndexForm, b: IndexForm): boolean {
  return (
    a.name === b.name &&
    a.unique === b.unique &&
    a.each === b.each &&
    a.fields.length === b.fields.length &&
    a.fields.every((field, ordinal) => field === b.fields[ordinal])
  )
}

/**
 * A thread whose definition is of another version than the database must not read or write its documents.
 * @throws DefinitionError
 */
export function assertVersion(
  entry: CollectionEntry,
  { name, version }: CollectionDefinition,
): void {
  if (entry.version === version) return
  throw new DefinitionError(
    name,
    `the database has version ${entry.version}, the definition is of version ${version}`,
    { stored: entry.version, defined: version },
  )
}

/** @throws DefinitionError when an index of the definition is not in the database */
export function assertIndexes(
  entry: CollectionEntry,
  { name, indexes }: CollectionDefinition,
): void {
  for (const [index, spec] of Object.entries(indexes)) {
    const form = formOf(index, spec)
    if (entry.indexes.some((one) => isSameIndex(one, form))) continue
    throw new DefinitionError(
      name,
      `the database does not have index ${index} as it is defined: open it with this definition`,
      { index },
    )
  }
}
