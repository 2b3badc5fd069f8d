/**
 * What the stores are filled with: documents of about 160 B as JSON, each known by its ordinal alone, so
 * that whatever a store gives back can be compared with what it was given.
 */

/** A document before it has an id. */
export interface Fields {
  email: string
  name: string
  /** The one that is indexed: ten documents have the same. */
  age: number
  city: string
  tags: string[]
  note: string
}

export interface StoredDocument extends Fields {
  id: number
}

export const DOCUMENTS_PER_AGE = 10
/** A prime, so that neighbours by age stand far from each other by id. */
const AGE_STRIDE = 700_001
const CITIES = ['Amsterdam', 'Barcelona', 'Copenhagen', 'Dresden', 'Edinburgh']
const COLOURS = ['amber', 'black', 'coral', 'denim']

/** Strings are made once: what is measured is the store, not the making of documents. */
const templates: readonly Fields[] = Array.from({ length: 1000 }, (_, index) => ({
  email: `user${100_000 + index}@example.com`,
  name: `Surname${100_000 + index}, Name`,
  age: 0,
  city: CITIES[index % CITIES.length]!,
  tags: [COLOURS[index % 4]!, COLOURS[(index >> 2) % 4]!],
  note: 'brown foxes jump',
}))

/** @param documents that share the ages from 0 to a tenth of it */
export function ageOf(ordinal: number, documents: number): number {
  return Math.floor(((ordinal * AGE_STRIDE) % documents) / DOCUMENTS_PER_AGE)
}

/** A fresh object, the caller's. */
export function fieldsOf(ordinal: number, documents: number): Fields {
  const { email, name, city, tags, note } = templates[ordinal % templates.length]!
  return { email, name, age: ageOf(ordinal, documents), city, tags, note }
}

export function storedDocument(id: number, fields: Fields): StoredDocument {
  const { email, name, age, city, tags, note } = fields
  return { id, email, name, age, city, tags, note }
}

export function isSame(one: StoredDocument, other: StoredDocument): boolean {
  return (
    one.id === other.id &&
    one.email === other.email &&
    one.name === other.name &&
    one.age === other.age &&
    one.city === other.city &&
    one.note === other.note &&
    one.tags.length === other.tags.length &&
    one.tags.every((tag, index) => tag === other.tags[index])
  )
}
