/**
 * Walking a plan: entries, then documents. The one place where entries are stepped over.
 */
import type { ReadView } from '../client/engine.ts'
import type { Id } from '../document/keys.ts'
import { Follower, idOfEntry, type KeyedValue } from './follower.ts'
import type { Predicate } from './matcher.ts'
import type { Part, Plan } from './plan.ts'
import type { CollectionReader, IndexInfo } from './reader.ts'

/** What a run has looked at. */
export interface Figures {
  entriesExamined: number
  documentsExamined: number
  documentsReturned: number
}

/** The documents that match, as the plan comes upon them, each once. */
export function matching<T>(
  reader: CollectionReader<T>,
  plan: Plan,
  matches: Predicate,
  figures: Figures,
): Generator<T, void, undefined> {
  return plan.index === undefined
    ? throughPrimary(reader, plan, matches, figures)
    : throughIndex(reader, plan, plan.index, matches, figures)
}

function* throughPrimary<T>(
  reader: CollectionReader<T>,
  plan: Plan,
  matches: Predicate,
  figures: Figures,
): Generator<T, void, undefined> {
  for (const part of plan.parts) {
    if (part.key !== undefined) {
      const document = reader.read(part.key)
      if (document === undefined) continue
      figures.entriesExamined++
      figures.documentsExamined++
      if (part.exact || matches(document)) yield document
      continue
    }
    const range = { ...part.range, reverse: plan.reverse }
    for (const entry of reader.view.entries(reader.primaryTree, range)) {
      figures.entriesExamined++
      figures.documentsExamined++
      const document = reader.decode(entry.value, entry.key)
      if (part.exact || matches(document)) yield document
    }
  }
}

function* throughIndex<T>(
  reader: CollectionReader<T>,
  plan: Plan,
  index: IndexInfo,
  matches: Predicate,
  figures: Figures,
): Generator<T, void, undefined> {
  const seen = plan.repeats ? new Set<Id>() : undefined
  for (const part of plan.parts) {
    const entries = entriesOf(reader.view, index, part, plan.reverse)
    const documents = new Follower(reader, index, entries, seen)
    const examinedBefore = figures.entriesExamined
    try {
      for (;;) {
        const document = documents.next()
        figures.entriesExamined = examinedBefore + documents.entriesExamined
        if (document === undefined) break
        figures.documentsExamined++
        if (part.exact || matches(document)) yield document
      }
    } finally {
      documents.close()
    }
  }
}

/** How many documents match, of at most `limit`; documents are read only where the entries do not decide. */
export function countMatching<T>(
  reader: CollectionReader<T>,
  plan: Plan,
  matches: Predicate,
  limit: number,
): number {
  const figures = { entriesExamined: 0, documentsExamined: 0, documentsReturned: 0 }
  if (plan.kind === 'scan' && plan.parts[0]!.exact) {
    return Math.min(limit, reader.view.count(reader.primaryTree))
  }
  const exact = { ...plan, parts: plan.parts.filter((part) => part.exact) }
  const other = { ...plan, parts: plan.parts.filter((part) => !part.exact) }
  let count = 0
  for (const _ of entriesOnce(reader, exact)) if (++count >= limit) return limit
  for (const _ of matching(reader, other, matches, figures)) if (++count >= limit) return limit
  return count
}

/** An entry for each document, unread. */
function* entriesOnce<T>(reader: CollectionReader<T>, plan: Plan): Generator<undefined> {
  const { index } = plan
  const seen = plan.repeats ? new Set<Id>() : undefined
  for (const part of plan.parts) {
    const entries =
      index === undefined
        ? primaryEntriesOf(reader, part)
        : entriesOf(reader.view, index, part, plan.reverse)
    for (const entry of entries) {
      if (seen === undefined || isFirst(seen, idOfEntry(index!, entry))) yield undefined
    }
  }
}

function primaryEntriesOf<T>(
  { view, primaryTree }: CollectionReader<T>,
  part: Part,
): Iterable<KeyedValue> {
  return part.key === undefined
    ? view.entries(primaryTree, part.range)
    : lookUp(view, primaryTree, part.key)
}

function entriesOf(
  view: ReadView,
  index: IndexInfo,
  part: Part,
  reverse: boolean,
): Iterable<KeyedValue> {
  return part.key === undefined
    ? view.entries(index.tree, reverse ? { ...part.range, reverse } : part.range)
    : lookUp(view, index.tree, part.key)
}

function lookUp(view: ReadView, tree: number, key: Uint8Array): readonly KeyedValue[] {
  const value = view.read(tree, key, copyOf)
  return value === undefined ? [] : [{ key, value }]
}

/** For `ReadView.read`. */
export function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  return Buffer.copyBytesFrom(bytes, start, end - start)
}

function isFirst(seen: Set<Id>, id: Id): boolean {
  if (seen.has(id)) return false
  seen.add(id)
  return true
}
