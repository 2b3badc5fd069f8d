/**
 * What the compiler knows of a collection: the types of its documents, ids, indexes and their values.
 */
import type { Id, IndexValue } from '../document/keys.ts'
import type { Path, ValueAt } from '../query/filter-types.ts'
import type { CollectionDefinition, IndexSpec } from './define-collection.ts'

export interface StoredDocument {
  readonly id: Id
}

export type IdKind = 'number' | 'string'

export type IndexSpecs = Readonly<Record<string, IndexSpec>>

type IdOfKind<Kind extends IdKind> = Kind extends 'string' ? string : number

/** The type of `id` in the fields themselves; never when they have none. */
export type OwnId<T> = T extends { readonly id: infer I } ? Extract<I, Id> : never

type Flat<T> = { [K in keyof T]: T[K] }

/** Fields with their id. */
export type DocumentOf<T, Kind extends IdKind> = T extends { readonly id: Id }
  ? T
  : Flat<T & { readonly id: IdOfKind<Kind> }>

type WithoutId<T> = T extends unknown
  ? string extends keyof T
    ? T
    : { [K in keyof T as K extends 'id' ? never : K]: T[K] }
  : never

/** What `insert` takes: numbers are given out where there is none; other ids are the caller's to choose. */
export type InsertOf<Input, Doc extends StoredDocument> = number extends Doc['id']
  ? Flat<WithoutId<Input> & { readonly id?: Doc['id'] }>
  : Flat<WithoutId<Input> & { readonly id: Doc['id'] }>

export type NewDocument<T, Kind extends IdKind> = InsertOf<T, DocumentOf<T, Kind>>

type Element<V> = V extends readonly (infer E)[] ? Element<E> : V
type Elements<V> = V extends readonly (infer E)[] ? Element<E> : never
type Indexable<V> = unknown extends V ? IndexValue : Extract<V, IndexValue>

type FieldsOf<Spec extends IndexSpec> = Spec['on'] extends readonly string[]
  ? Spec['on']
  : Spec['on'] extends string
    ? readonly [Spec['on']]
    : readonly []

/** The values that an index can hold of a field. */
type FieldValue<Doc, P extends string, Spec extends IndexSpec> = Indexable<
  Spec extends { readonly each: true } ? Element<ValueAt<Doc, P>> : ValueAt<Doc, P>
>

type ValuesOf<Doc, Names extends readonly string[], Spec extends IndexSpec> = {
  readonly [K in keyof Names]: Names[K] extends string ? FieldValue<Doc, Names[K], Spec> : never
}

/** What is asked for in an index: the value, or a tuple of values when it is on several fields. */
export type IndexKeyOf<Doc, Spec extends IndexSpec> =
  FieldsOf<Spec> extends readonly [infer Only extends string]
    ? FieldValue<Doc, Only, Spec>
    : ValuesOf<Doc, FieldsOf<Spec>, Spec>

/** A tuple of the first values. */
type Leading<T extends readonly unknown[]> = T extends readonly [...infer Head, unknown]
  ? T | (Head extends readonly [] ? never : Leading<Head>)
  : never

/** What bounds a range: the value, or the first values when the index is on several fields. */
export type IndexBoundOf<Doc, Spec extends IndexSpec> =
  FieldsOf<Spec> extends readonly [string]
    ? IndexKeyOf<Doc, Spec>
    : ValuesOf<Doc, FieldsOf<Spec>, Spec> extends infer Values extends readonly unknown[]
      ? Leading<Values>
      : never

type NotPath<Doc, Names extends readonly string[]> =
  string extends Path<Doc> ? never : Exclude<Names[number], Path<Doc>>

type Empty<Doc, Names extends readonly string[], Spec extends IndexSpec> = {
  [K in keyof Names]: Names[K] extends string
    ? [FieldValue<Doc, Names[K], Spec>] extends [never]
      ? Names[K]
      : never
    : never
}[number]

type HasElements<Doc, Names extends readonly string[]> = true extends {
  [K in keyof Names]: Names[K] extends string
    ? unknown extends ValueAt<Doc, Names[K]>
      ? true
      : [Elements<ValueAt<Doc, Names[K]>>] extends [never]
        ? Names[K] extends `${string}.${string}`
          ? true
          : false
        : true
    : false
}[number]
  ? true
  : false

/** `unknown` for an index that can be; otherwise what is wrong, where the compiler shows it. */
type CheckIndex<Doc, Spec extends IndexSpec> = [NotPath<Doc, FieldsOf<Spec>>] extends [never]
  ? [Empty<Doc, FieldsOf<Spec>, Spec>] extends [never]
    ? Spec extends { readonly each: true }
      ? HasElements<Doc, FieldsOf<Spec>> extends true
        ? unknown
        : { readonly each: 'none of the fields is an array' }
      : unknown
    : { readonly on: `${Empty<Doc, FieldsOf<Spec>, Spec> & string} holds nothing to index` }
  : { readonly on: `${NotPath<Doc, FieldsOf<Spec>> & string} is no field` }

export type CheckIndexes<Doc, Indexes extends IndexSpecs> = {
  readonly [K in keyof Indexes]: CheckIndex<Doc, Indexes[K]>
}

export type DocOf<Def> =
  Def extends CollectionDefinition<infer Doc, infer _Insert, infer _Indexes> ? Doc : never
export type InsertTypeOf<Def> =
  Def extends CollectionDefinition<infer _Doc, infer Insert, infer _Indexes> ? Insert : never

/** Names of the indexes that hold a value once only. */
export type UniqueNames<Indexes extends IndexSpecs> = {
  [K in keyof Indexes & string]: Indexes[K] extends { readonly unique: true } ? K : never
}[keyof Indexes & string]
