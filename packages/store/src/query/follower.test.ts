import { describe, expect, test } from 'vitest'
import type { ReadView } from '../client/engine.ts'
import { decodeId, encodeId, encodeIndexKey, type Id } from '../document/keys.ts'
import { DanglingEntryError, Follower } from './follower.ts'
import type { CollectionReader, IndexInfo } from './reader.ts'
import { MemoryView } from './testing/memory-reader.ts'

const index: IndexInfo = {
  name: 'age',
  tree: 2,
  fields: ['age'],
  unique: false,
  each: false,
  state: 'ready',
}

/** Documents are their ids; every third cannot be had ahead, 50 cannot be read, 60 is not there. */
class Reader implements CollectionReader<{ id: Id }> {
  readonly name = 'things'
  readonly primaryTree = 1
  readonly indexes: readonly IndexInfo[] = [index]
  readonly view: ReadView
  readonly batches: number[] = []
  readonly asked: Id[] = []

  constructor(readsAhead: boolean) {
    const view = new MemoryView()
    this.view = readsAhead ? Object.assign(view, { readEach: () => undefined }) : view
  }

  decode(): never {
    throw new Error('not called')
  }

  readAhead(keys: readonly Uint8Array[], count: number): ({ id: Id } | undefined)[] {
    this.batches.push(count)
    const ids = keys.slice(0, count).map((key) => decodeId(key, 0, key.length))
    return ids.map((id) => (Number(id) % 3 === 0 || id === 50 || id === 60 ? undefined : { id }))
  }

  read(key: Uint8Array): { id: Id } | undefined {
    const id = decodeId(key, 0, key.length)
    this.asked.push(id)
    if (id === 50) throw new Error('damaged')
    return id === 60 ? undefined : { id }
  }
}

const noValue = Buffer.alloc(0)
let stepped = 0

function* entriesOf(ids: Iterable<Id>): Generator<{ key: Uint8Array; value: Uint8Array }> {
  for (const id of ids) {
    stepped++
    yield { key: encodeIndexKey([7], id), value: noValue }
  }
}

function rising(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at + 1)
}

function take(documents: Follower<{ id: Id }>, count: number): Id[] {
  const ids: Id[] = []
  while (ids.length < count) {
    const document = documents.next()
    if (document === undefined) break
    ids.push(document.id)
  }
  return ids
}

describe('documents of entries', () => {
  test('S4: in order, read ahead in growing batches, the rest one by one', () => {
    const reader = new Reader(true)
    const ids = [...rising(49), ...rising(200).map((id) => id + 100), 2 ** 40, 'text']
    const documents = new Follower(reader, index, entriesOf(ids), undefined)
    expect(take(documents, 1000)).toEqual(ids)
    expect(documents.entriesExamined).toBe(ids.length)
    expect(reader.batches).toEqual([8, 16, 32, 64, 64, 64, 3])
    expect(reader.asked).toContain(48)
    expect(reader.asked).not.toContain(49)
  })

  test('S4: what cannot be read is an error at its place; what stands before it has been given', () => {
    const documents = new Follower(new Reader(true), index, entriesOf(rising(70)), undefined)
    expect(take(documents, 49)).toEqual(rising(49))
    expect(() => documents.next()).toThrow('damaged')
    expect(take(documents, 9)).toEqual(rising(9).map((id) => id + 50))
    expect(() => documents.next()).toThrow(DanglingEntryError)
  })

  test('S2: where reads are noted, nothing is read that was not asked for', () => {
    stepped = 0
    const reader = new Reader(false)
    const documents = new Follower(reader, index, entriesOf(rising(70)), undefined)
    expect(take(documents, 3)).toEqual([1, 2, 3])
    expect(stepped).toBe(3)
    expect(reader.batches).toEqual([])
    expect(reader.asked).toEqual([1, 2, 3])
  })

  test('S4: a document of several entries comes once; entries are counted as they are passed', () => {
    const seen = new Set<Id>([2])
    const documents = new Follower(new Reader(true), index, entriesOf([1, 2, 1, 4, 4]), seen)
    expect(take(documents, 1)).toEqual([1])
    expect(documents.entriesExamined).toBe(1)
    expect(take(documents, 9)).toEqual([4])
    expect(documents.entriesExamined).toBe(5)
  })

  test('closing lets go of the entries', () => {
    stepped = 0
    const entries = entriesOf(rising(100))
    const documents = new Follower(new Reader(true), index, entries, undefined)
    expect(take(documents, 2)).toEqual([1, 2])
    documents.close()
    expect(entries.next().done).toBe(true)
    expect(stepped).toBe(8)
  })

  test('keys are whole while others are made', () => {
    const [one, other] = [new Reader(true), new Reader(true)].map(
      (reader) => new Follower(reader, index, entriesOf(rising(20)), undefined),
    )
    for (const id of rising(20)) {
      expect(take(one!, 1)).toEqual([id])
      expect(take(other!, 1)).toEqual([id])
    }
    expect(encodeId(20)).toHaveLength(4)
  })
})
