import { Random } from '@ringbolt/wal/simulation'
import { type Database, open } from 'ringbolt'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Items, items, itemsOf } from './collection.ts'
import { FreshnessWatch } from './freshness.ts'
import { Contents, type Lane, type LaneRules, laneAt } from './lane.ts'
import { LaneRunner } from './lane-runner.ts'

const rules: LaneRules = { seed: 5, lanes: 1, liveMax: 1000 }

let db: Database
let collection: Items
let lane: Lane
let runner: LaneRunner
let acknowledged: number

beforeEach(async () => {
  db = await open(':memory:', { collections: [items], cacheBytes: 4 * 1024 * 1024 })
  collection = itemsOf(db)
  lane = laneAt(rules, 0)
  acknowledged = 0
  runner = new LaneRunner(lane, {
    db,
    collection,
    contents: new Contents(rules.seed),
    onAcknowledged: (count) => {
      acknowledged = count
    },
    onRead: () => undefined,
  })
})

afterEach(() => db.close())

function watchOf(acknowledgedOf: () => number): FreshnessWatch {
  const watch = new FreshnessWatch(collection, rules, { acknowledgedOf }, new Random(1))
  watch.watch([0])
  return watch
}

test('M4: what was acknowledged is what is read', () => {
  const watch = watchOf(() => acknowledged)
  for (let at = 0; at < 200; at++) {
    runner.stepSync()
    watch.look()
  }
  expect(watch.findings).toEqual([])
  expect(watch.checks).toBeGreaterThan(400)
})

test('M4: steps that are acknowledged during the look, and one more, may be seen already', () => {
  for (let at = 0; at < 50; at++) runner.stepSync()
  const counts = [lane.done]
  for (let at = 0; at < 5; at++) runner.stepSync()
  counts.push(lane.done)
  // The one that nobody was told of.
  runner.stepSync()
  let asked = 0
  const watch = watchOf(() => counts[asked++]!)
  watch.look()
  expect(watch.findings).toEqual([])
  expect(watch.checks).toBe(3)
})

test('M4: a read that is behind is found: of each kind of operation', () => {
  const kinds = new Set<string>()
  for (let at = 0; at < 300 && kinds.size < 3; at++) {
    const { kind } = lane.next()
    const behind = lane.done
    if (lane.step === 1 && behind > 0) {
      kinds.add(kind)
      // Acknowledged, says the side file; the database does not have it.
      const watch = watchOf(() => behind + 1)
      watch.look()
      expect(watch.findings, `${kind} at ${behind}`).toEqual([
        expect.stringMatching(/was acknowledged as .*, a read after that found/),
      ])
    }
    runner.stepSync()
  }
  expect([...kinds].toSorted()).toEqual(['delete', 'insert', 'update'])
})

test('M4: an altered document is found', () => {
  runner.stepSync()
  const [document] = collection.all()
  collection.sync.update(document!.id, (found) => ({ ...found, text: 'altered' }))
  const watch = watchOf(() => acknowledged)
  watch.look()
  expect(watch.findings).toEqual([expect.stringContaining('altered')])
})

test('a lane that is far ahead is followed in steps, one that is no longer watched is let go of', () => {
  const watch = watchOf(() => 5000)
  watch.look()
  watch.look()
  expect(watch.checks).toBe(0)
  watch.watch([])
  watch.look()
  expect(watch.checks).toBe(0)
})
