/**
 * The types of filters and sorts over documents of type T. Dotted paths go into objects and into the elements of
 * arrays, four steps deep; beyond that, and for documents without a type, paths are any string.
 */

type Leaf = string | number | boolean | bigint | symbol | null | undefined | Date | Uint8Array
type Container = ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>
type Elements<V> = V extends readonly (infer E)[] ? E : never

/** The objects that a path can step into from V: itself, or what an array of it holds. */
type Inner<V> = V extends Leaf | Container
  ? never
  : V extends readonly (infer E)[]
    ? E extends Leaf | Container | readonly unknown[]
      ? never
      : E
    : V

type Steps = [unknown, unknown, unknown, unknown]
type Shorter<D extends unknown[]> = D extends [unknown, ...infer Rest] ? Rest : []

type PathsOf<V, D extends unknown[]> = D extends []
  ? never
  : V extends unknown
    ? string extends keyof V
      ? string
      : {
          [K in keyof V & string]: K | `${K}.${PathsOf<Inner<NonNullable<V[K]>>, Shorter<D>>}`
        }[keyof V & string]
    : never

/** Dotted paths into a document. */
export type Path<T> = PathsOf<T, Steps>

type FieldOf<V, K extends string> = V extends unknown
  ? K extends keyof V
    ? V[K]
    : string extends keyof V
      ? V[keyof V]
      : undefined
  : never

/** What stands at the end of a path. */
export type ValueAt<V, P extends string> = P extends `${infer Head}.${infer Rest}`
  ? P extends keyof V
    ? V[P]
    : ValueAt<Inner<NonNullable<FieldOf<V, Head>>>, Rest>
  : FieldOf<V, P>

/** A value to compare with: the field's own type or that of its elements; null is also what is missing. */
type Operand<V> = Exclude<V, undefined> | Exclude<Elements<V>, undefined> | null
type Bound<V> = Exclude<Operand<V>, readonly unknown[]>
type TextPattern<V> = string extends Operand<V> ? string | RegExp : never

interface Operators<V> {
  readonly $eq?: Operand<V>
  readonly $ne?: Operand<V>
  readonly $gt?: Bound<V>
  readonly $gte?: Bound<V>
  readonly $lt?: Bound<V>
  readonly $lte?: Bound<V>
  readonly $in?: readonly (Operand<V> | RegExp)[]
  readonly $nin?: readonly (Operand<V> | RegExp)[]
  readonly $all?: readonly Operand<V>[]
  readonly $exists?: boolean
  readonly $regex?: TextPattern<V>
  /** Flags for a $regex that is given as a string. */
  readonly $options?: string
  readonly $size?: number
  readonly $elemMatch?: ElementCondition<Elements<V>>
  readonly $not?: Operators<V> | RegExp
}

type ElementCondition<E> = Operators<E> | (Inner<E> extends never ? never : Filter<Inner<E>>)

type FieldCondition<V> = Operand<V> | RegExp | Operators<V>

/** A Mongo-style filter: all of its conditions hold. */
export type Filter<T> = { readonly [P in Path<T>]?: FieldCondition<ValueAt<T, P>> } & {
  readonly $and?: readonly Filter<T>[]
  readonly $or?: readonly Filter<T>[]
  readonly $nor?: readonly Filter<T>[]
}

/** Paths and directions, the first being the most significant. */
export type Sort<T> = { readonly [P in Path<T>]?: 1 | -1 }

export interface FindOptions<T> {
  readonly sort?: Sort<T>
  /** At most so many documents. */
  readonly limit?: number
  /** So many documents are passed over first. */
  readonly skip?: number
}
