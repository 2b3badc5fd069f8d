import { FaultStore, MemoryStore } from '@ringbolt/wal'
import { describe, expect, test } from 'vitest'
import { FIRST_PAGE } from '../page/page.ts'
import { Checkpoint } from './checkpoint.ts'
import { MainFile } from './main-file.ts'
import {
  BRANCHES,
  forEachReference,
  Graph,
  LEAVES,
  NAME,
  newGraph,
  targetOf,
  verify,
} from './testing/checkpoint-graph.ts'

describe('S8: checkpoint', () => {
  test('writes what is dirty, children first, in bounded steps', () => {
    const store = new MemoryStore()
    const graph = newGraph(store)
    for (let leaf = 0; leaf < LEAVES; leaf++) graph.put(leaf % BRANCHES, leaf, leaf + 1)
    const expected = graph.read()
    const checkpoint = new Checkpoint(
      graph.main,
      graph,
      forEachReference,
      targetOf(graph.publish()),
    )
    let steps = 0
    for (; checkpoint.state === 'writing'; steps++) {
      const before = checkpoint.pagesWritten
      checkpoint.step(2)
      expect(checkpoint.pagesWritten - before).toBeLessThanOrEqual(2)
    }
    expect(steps).toBeGreaterThan(8)
    expect(checkpoint.pagesWritten).toBe(1 + BRANCHES + LEAVES)
    expect(checkpoint.state).toBe('sync-data')
    expect(() => checkpoint.step(1)).toThrow('sync-data')
    expect(checkpoint.synced()).toBe('sync-meta')
    expect(graph.main.meta.checkpoint).toBe(1)
    expect(checkpoint.synced()).toBe('done')
    expect(graph.main.meta).toMatchObject({ checkpoint: 2, freeCount: 0 })
    expect(() => checkpoint.synced()).toThrow('done')

    // Only what changed is written the next time, and one page for the list of what it freed.
    graph.put(0, 0, 99)
    const next = new Checkpoint(
      graph.main,
      graph,
      forEachReference,
      targetOf(graph.publish(), true),
    )
    next.finish()
    expect(next.pagesWritten).toBe(3 + 1)
    graph.main.close()
    const again = new Graph(MainFile.open(store, NAME))
    expect(again.main.meta.clean).toBe(true)
    expect(verify(again)).toEqual(expected.with(0, 99))
  })

  test('an empty database needs neither pages nor a list', () => {
    const graph = newGraph()
    const faults = targetOf(graph.publish(), true)
    new Checkpoint(graph.main, graph, forEachReference, faults).finish()
    expect(graph.main.meta).toMatchObject({ pageCount: FIRST_PAGE, freeCount: 0 })
    expect(verify(new Graph(graph.main))).toEqual(Array(BRANCHES * LEAVES).fill(0))
  })

  test('one at a time', () => {
    const graph = newGraph()
    const begin = (): Checkpoint =>
      new Checkpoint(graph.main, graph, forEachReference, targetOf(graph.publish()))
    begin()
    expect(begin).toThrow('in progress')
  })

  test('S9: a failed write or sync throws, and the checkpoint before is still there', () => {
    for (const call of ['write', 'sync'] as const) {
      for (let nth = 1; nth <= 2; nth++) {
        const memory = new MemoryStore()
        const faults = new FaultStore(memory)
        const main = MainFile.create(faults, NAME, { databaseId: new Uint8Array(16) })
        const graph = new Graph(main)
        graph.put(1, 1, 5)
        const expected = graph.read()
        new Checkpoint(main, graph, forEachReference, targetOf(graph.publish())).finish()
        graph.put(1, 1, 6)
        const second = new Checkpoint(main, graph, forEachReference, targetOf(graph.publish()))
        faults.setFault({ call, nth })
        expect(() => second.finish()).toThrow(expect.objectContaining({ code: 'RINGBOLT_IO' }))
        const found = new Graph(MainFile.open(memory, NAME))
        expect(found.main.meta.sequence).toBe(0)
        const expectedNow = call === 'sync' && nth === 2 ? 6 : 5
        expect(verify(found)).toEqual(expected.with(LEAVES + 1, expectedNow))
      }
    }
  })
})
