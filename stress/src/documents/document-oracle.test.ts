/** The oracle must find what is planted: it is the judge of every run. */
import { type Database, open } from 'ringbolt'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Items, items, itemsOf } from './collection.ts'
import { DocumentOracle, type DocumentOracleResult } from './document-oracle.ts'
import { Contents, type Lane, type LaneRules, laneAt } from './lane.ts'
import { LaneRunner } from './lane-runner.ts'

const seed = 11
const LANES = 2
const rules: LaneRules = { seed, lanes: LANES, liveMax: 1000 }
const OPERATIONS = 60

let db: Database
let collection: Items
/** By place: two incarnations of two lanes. */
let acknowledged: number[]
/** By place: the counts after each of its steps. */
let steps: number[][]

beforeEach(async () => {
  db = await open(':memory:', { collections: [items], cacheBytes: 4 * 1024 * 1024 })
  collection = itemsOf(db)
  acknowledged = [0, 0, 0, 0]
  steps = acknowledged.map(() => [0])
  for (const place of acknowledged.keys()) {
    const lane = laneAt(rules, place)
    const runner = new LaneRunner(lane, {
      db,
      collection,
      contents: new Contents(seed),
      onAcknowledged: (count) => {
        acknowledged[place] = count
        steps[place]!.push(count)
      },
      onRead: () => undefined,
    })
    while (lane.done < OPERATIONS) runner.stepSync()
  }
})

afterEach(() => db.close())

function prove(atMost: readonly number[] = acknowledged): Promise<DocumentOracleResult> {
  return new DocumentOracle(collection, rules).prove(acknowledged, atMost)
}

function totalOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0)
}

/** The first lane after its operations. */
function laneOf(place: number): Lane {
  const lane = laneAt(rules, place)
  while (lane.done < acknowledged[place]!) lane.advance()
  return lane
}

function stored(place: number): NonNullable<ReturnType<Items['get']>> {
  const lane = laneOf(place)
  const ahead = lane.fork()
  for (let left = lane.step; left > 0; left--) ahead.advance()
  const document = lane.live.find((live) => ahead.live.includes(live))
  return collection.findUnique('serial', lane.serialOf(document!))!
}

test('M6: what was acknowledged is there: nothing found', async () => {
  expect(await prove()).toMatchObject({
    lanes: 4,
    operations: totalOf(acknowledged),
    documents: collection.count(),
    unacknowledgedCommitted: 0,
    findingCount: 0,
  })
})

test('M6: a step under way may be there', async () => {
  const all = totalOf(acknowledged)
  acknowledged = steps.map((counts) => counts.at(-2)!)
  const more = all - totalOf(acknowledged)
  expect(await prove()).toMatchObject({ unacknowledgedCommitted: more, findingCount: 0 })
})

describe('M5: of a state between two counts', () => {
  test('every lane may be anywhere in between, each at its own step', async () => {
    const all = totalOf(acknowledged)
    const now = acknowledged
    acknowledged = steps.map((counts, place) => counts.at(-3 - 5 * place)!)
    const proved = await prove(now)
    expect(proved.findings).toEqual([])
    expect(proved.unacknowledgedCommitted).toBe(all - totalOf(acknowledged))
  })

  test('a step that is missing between others is found', async () => {
    const now = acknowledged
    acknowledged = steps.map((counts) => counts.at(-20)!)
    const lane = laneAt(rules, 2)
    while (lane.done < acknowledged[2]!) lane.advance()
    const ahead = lane.fork()
    while (ahead.done < now[2]!) ahead.advance()
    // Inserted in between, and never touched again.
    const inserted = ahead.live.find(
      ({ ordinal, version }) =>
        version === 0 && lane.live.every((document) => document.ordinal < ordinal),
    )!
    const { id } = collection.findUnique('serial', ahead.serialOf(inserted))!
    collection.sync.delete(id)
    expect((await prove(now)).findings).toEqual([
      expect.stringMatching(/^steps under way are there in part: versions of /),
    ])
  })
})

describe('M6: the oracle finds', () => {
  test('a document that was lost', async () => {
    const { id, serial } = stored(0)
    collection.sync.delete(id)
    const { findings } = await prove()
    expect(findings).toEqual([expect.stringContaining(`${serial}: not in version`)])
  })

  test('one that was altered', async () => {
    const { id, serial } = stored(1)
    collection.sync.update(id, (document) => ({ ...document, text: 'altered' }))
    const { findings } = await prove()
    expect(findings).toEqual([expect.stringMatching(`${serial}: .*altered`)])
  })

  test('another version of it', async () => {
    const { id, serial, version } = stored(2)
    const other = new Contents(seed).of(serial, version + 1)
    collection.sync.update(id, (document) => ({ ...document, ...other }))
    expect((await prove()).findings).toContain(`${serial}: not in version ${version}`)
  })

  test('one that nobody wrote', async () => {
    collection.sync.insert(new Contents(seed).of('0.0.9999', 0))
    const { findings, findingCount } = await prove()
    expect(findings).toEqual([expect.stringMatching(/counts \d+ documents, \d+ are accounted for/)])
    expect(findingCount).toBe(1)
  })

  test('one that was deleted, and is there', async () => {
    const lane = laneAt(rules, 3)
    while (lane.next().kind !== 'delete') lane.advance()
    const serial = lane.serialOf(lane.next().document)
    collection.sync.insert(new Contents(seed).of(serial, 0))
    expect((await prove()).findings).toContain(`${serial}: there although deleted`)
  })

  test('S2: a transaction that is there in part', async () => {
    // The end of a lane's acknowledgements is put before a transaction of which one insert is taken back.
    const lane = laneAt(rules, 0)
    while (lane.step === 1 || !insertsTwo(lane)) {
      for (let left = lane.step; left > 0; left--) lane.advance()
    }
    const transaction = lane.fork()
    const from = lane.done
    for (let left = lane.step; left > 0; left--) transaction.advance()
    acknowledged = [from, 0, 0, 0]
    for (const { id } of collection.all()) collection.sync.delete(id)
    for (const document of lane.live) {
      collection.sync.insert(new Contents(seed).of(lane.serialOf(document), document.version))
    }
    const fresh = transaction.live.findLast((document) => !lane.live.includes(document))!
    collection.sync.insert(new Contents(seed).of(lane.serialOf(fresh), fresh.version))
    expect((await prove()).findings).toEqual([
      expect.stringMatching(/^steps under way are there in part: versions of /),
    ])
  })

  test('more than one operation that was never acknowledged', async () => {
    acknowledged[3] = steps[3]!.at(-9)!
    expect((await prove()).findingCount).toBeGreaterThan(0)
  })
})

/** The lane's next step leaves two documents that were not there. */
function insertsTwo(lane: Lane): boolean {
  const ahead = lane.fork()
  for (let left = lane.step; left > 0; left--) ahead.advance()
  return ahead.live.length >= lane.live.length + 2
}

test('M6: a lane notices by itself that its document is another’s', () => {
  const { id } = stored(0)
  const lane = laneOf(0)
  const runner = new LaneRunner(lane, {
    db,
    collection,
    contents: new Contents(seed),
    onAcknowledged: () => undefined,
    onRead: () => undefined,
  })
  collection.sync.update(id, (document) => ({ ...document, version: 40 }))
  expect(() => {
    for (let at = 0; at < 400; at++) runner.stepSync()
  }).toThrow(/instead of|before its update/)
})
