/** Histories of concurrent transactions, explained by their commit order. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Catalog } from '../client/catalog.ts'
import type { Engine } from '../client/engine.ts'
import { databaseOver, testEnvironment } from '../client/testing/make-store.ts'
import { decodeId } from '../document/keys.ts'
import { openOwner } from '../engine/store-owner.ts'
import { cells, journal } from '../engine/testing/collections.ts'
import { testFolders } from '../engine/testing/folders.ts'
import { inThreads } from '../engine/testing/threads.ts'
import { type Cell, mismatchesOf, type Recorded } from './history.ts'

const folderOf = testFolders('history')
const SEED = Number(process.env['RINGBOLT_SEED'] ?? 1)
const THREADS = [1, 2, 3, 4]
const MIB = 1024 * 1024

/** Commit sequences, by the transactions' ids in the journal. */
function journalOf(engine: Engine): Map<number, number> {
  const catalog = new Catalog({
    engine,
    environment: testEnvironment(),
    blocking: false,
    assertOpen: () => undefined,
  })
  const view = engine.snapshot()
  const entry = catalog.collections(view).find(({ name }) => name === 'journal')
  const sequences = new Map<number, number>()
  for (const { key, sequence } of view.entries(entry?.tree ?? -1, {})) {
    sequences.set(Number(decodeId(key, 0, key.length)), sequence)
  }
  view.close()
  return sequences
}

async function historyOf(count: number): Promise<{ all: Recorded[]; end: Cell[] }> {
  const owner = await openOwner(join(folderOf(), 'app.db'), {
    cacheBytes: 8 * MIB,
    segmentBytes: MIB,
  })
  try {
    const { engine, handle } = owner.attachment
    const db = await databaseOver(engine, cells, journal)
    const inputs = THREADS.map((writer) => ({ writer, seed: SEED * 100 + writer, count }))
    const recorded = (await inThreads(handle, 'recordHistory', inputs)).flat()
    const sequences = journalOf(engine)
    expect(sequences.size).toBe(recorded.filter(({ journalId }) => journalId > 0).length)
    const placeOf = ({ journalId, sequence }: Recorded): number =>
      journalId === 0 ? sequence + 0.5 : (sequences.get(journalId) ?? Number.NaN)
    const all = recorded.toSorted((one, other) => placeOf(one) - placeOf(other))
    return { all, end: [...db.collection(cells).all()] }
  } finally {
    await owner.close()
  }
}

test(`S2: transactions of four threads over few documents, a range and an index: their commit order explains every read (seed ${SEED})`, async () => {
  const { all, end } = await historyOf(250)
  expect(mismatchesOf(all)).toEqual([])
  expect(
    mismatchesOf([...all, { journalId: 0, sequence: 0, events: [{ kind: 'all', result: end }] }]),
  ).toEqual([])
  expect(all.length).toBe(1000)
})

test('the replay tells a history that no order explains', () => {
  const cell = { id: 1, group: 1, value: 1 }
  const read = {
    journalId: 0,
    sequence: 1,
    events: [{ kind: 'get', id: 1, result: cell }],
  } as const
  const write = { journalId: 1, sequence: 0, events: [{ kind: 'upsert', cell }] } as const
  expect(mismatchesOf([write, read])).toEqual([])
  expect(mismatchesOf([read, write])).toHaveLength(1)
  expect(mismatchesOf([{ ...write, events: [{ kind: 'count', result: 1 }] }])).toHaveLength(1)
})
