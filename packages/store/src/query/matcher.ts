/**
 * The matcher is `sift`: paths, arrays and logic are its own. It is given functions for values, so that values compare
 * as index keys do, and only the operators below: its $where is not among them.
 */
import sift from 'sift'

export type Predicate = (document: unknown) => boolean
export type SiftQuery = Readonly<Record<string, unknown>>

const operations = {
  $and: sift.$and,
  $or: sift.$or,
  $nor: sift.$nor,
  $eq: sift.$eq,
  $exists: sift.$exists,
  $size: sift.$size,
  $elemMatch: sift.$elemMatch,
}

/** Names by which sift tells queries from values; as paths they are looked up here. */
const RESERVED = new Set(['constructor', 'toJSON', '__proto__'])

export function createPredicate(query: SiftQuery): Predicate {
  return sift.createQueryTester(query, { operations })
}

/** @param path undefined for an element of an array itself, as in { tags: { $elemMatch: { $gt: 3 } } } */
export function atPath(path: string | undefined, condition: SiftQuery): SiftQuery {
  if (path === undefined) return condition
  return RESERVED.has(path) ? atReserved(path, condition) : { [path]: condition }
}

function atReserved(name: string, condition: SiftQuery): SiftQuery {
  const matches = createPredicate({ field: condition })
  return {
    $eq: (document: unknown) => {
      const own = Object.getOwnPropertyDescriptor(Object(document), name)
      return matches(own === undefined ? {} : { field: own.value })
    },
  }
}
