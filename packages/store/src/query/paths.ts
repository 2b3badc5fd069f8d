/**
 * Which values of a document a dotted path names, and so which entries of an index are the document's. The matcher and
 * the indexes must see the same values, or an index would lose a match; so whoever writes entries uses
 * `indexTuples`, and `valuesAt` walks as the matcher does:
 *
 * - a step into an array that is no index of it goes into each of its elements, however deep;
 * - an array at the end of the path is each of its elements, and itself.
 */
import { type IndexValue, isIndexValue } from '../document/keys.ts'
import { distinctValues } from './values.ts'

/** Every value that the path names in the document, in the matcher's order; undefined for what is missing. */
function valuesAt(document: unknown, steps: readonly string[]): unknown[] {
  const values: unknown[] = []
  collect(document, steps, 0, values)
  return values
}

function collect(value: unknown, steps: readonly string[], depth: number, values: unknown[]): void {
  if (Array.isArray(value) && !isArrayStep(value, steps[depth])) {
    for (const item of value) collect(item, steps, depth, values)
    if (depth < steps.length) return
  }
  if (depth === steps.length) values.push(value)
  else if (value === null || value === undefined) values.push(undefined)
  else collect(fieldOf(value, steps[depth]!), steps, depth + 1, values)
}

function isArrayStep(array: readonly unknown[], step: string | undefined): boolean {
  return step !== undefined && (!Number.isNaN(Number(step)) || Object.hasOwn(array, step))
}

/** The one value at the end of the path, as sorting sees it: arrays are not entered. */
export function valueAt(document: unknown, steps: readonly string[]): unknown {
  let value = document
  for (const step of steps) {
    if (value === null || value === undefined) return undefined
    value = fieldOf(value, step)
  }
  return value
}

/** A plain look-up as the matcher does it; what comes from a prototype is no index value and no plain value. */
function fieldOf(value: {}, step: string): unknown {
  return (value as Record<string, unknown>)[step]
}

/** What an index needs to be known of to make its entries. */
export interface IndexShape {
  readonly fields: readonly string[]
  readonly each: boolean
}

/** A path that may name several values. */
const SEVERAL = Symbol('several')

/** The tuple of a document that the index cannot hold properly and must not lose: `encodeIndexKey([], id)`. */
const UNPLACED: readonly IndexValue[] = []

/**
 * The tuples of values under which the document stands in the index, each once:
 *
 * - one when every field is a value (null is one);
 * - in an `each` index one per distinct element that is a value;
 * - none when a field is missing, or an object, Map, Set or NaN: no condition that uses an index matches these;
 * - the empty tuple when a field holds an array and the index is not `each`, or two fields of an `each` index
 *   hold several values: such a document can match conditions on its elements. Its entry has the document's id
 *   as its whole key, above those of all values; queries look at all of these.
 */
export function indexTuples(
  document: object,
  shape: IndexShape,
): readonly (readonly IndexValue[])[] {
  const fields = stepsOf(shape)
  const tuple: IndexValue[] = []
  for (const steps of fields) {
    const value = soleValue(document, steps)
    if (value === SEVERAL) return generalTuples(document, fields, shape.each)
    if (!isIndexValue(value)) return []
    tuple.push(value)
  }
  return [tuple]
}

const stepsOfShapes = new WeakMap<IndexShape, readonly (readonly string[])[]>()

function stepsOf(shape: IndexShape): readonly (readonly string[])[] {
  let steps = stepsOfShapes.get(shape)
  if (steps === undefined) {
    steps = shape.fields.map((field) => field.split('.'))
    stepsOfShapes.set(shape, steps)
  }
  return steps
}

/** What the path names when it meets no array: nearly always. */
function soleValue(document: unknown, steps: readonly string[]): unknown {
  let value = document
  for (const step of steps) {
    if (value === null || value === undefined) return undefined
    value = fieldOf(value, step)
    if (Array.isArray(value)) return SEVERAL
  }
  return value
}

function generalTuples(
  document: object,
  fields: readonly (readonly string[])[],
  each: boolean,
): readonly (readonly IndexValue[])[] {
  const columns: IndexValue[][] = []
  let severalIn = 0
  let missing = false
  for (const steps of fields) {
    const found = valuesAt(document, steps)
    const values = found.filter(isIndexValue)
    // One value within an array is no place in the order either: see `valueAt`.
    if (found.length > 1 || found[0] !== valueAt(document, steps)) severalIn++
    if (values.length === 0) missing = true
    columns.push(distinctValues(values))
  }
  if (missing) return []
  return severalIn > (each ? 1 : 0) ? [UNPLACED] : product(columns)
}

/** All combinations; every column but one has one value. */
function product(columns: readonly IndexValue[][]): IndexValue[][] {
  let tuples: IndexValue[][] = [[]]
  for (const column of columns) {
    tuples = tuples.flatMap((tuple) => column.map((value) => [...tuple, value]))
  }
  return tuples
}
