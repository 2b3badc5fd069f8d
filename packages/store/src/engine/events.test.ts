/** Events: what happens in a database, heard on its channels. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import {
  type BusyEvent,
  type CheckpointEvent,
  type ConflictEvent,
  EVENT_CHANNELS,
  EventTeller,
  type FailedEvent,
  type GroupsEvent,
  type LockWaitEvent,
  type SlowSyncEvent,
  type SnapshotsRevokedEvent,
} from './events.ts'
import { open } from './open.ts'
import { STATS_BYTES, StatsBoard } from './stats.ts'
import { cells } from './testing/collections.ts'
import { testFolders } from './testing/folders.ts'

const folderOf = testFolders('events')
const MIB = 1024 * 1024

interface Events {
  groups: GroupsEvent
  checkpoint: CheckpointEvent
  slowSync: SlowSyncEvent
  snapshotsRevoked: SnapshotsRevokedEvent
  lockWait: LockWaitEvent
  busy: BusyEvent
  failed: FailedEvent
  conflict: ConflictEvent
}

const subscriptions: (() => void)[] = []

afterEach(() => {
  for (const end of subscriptions.splice(0)) end()
})

function hear<Name extends keyof Events>(name: Name): Events[Name][] {
  const heard: Events[Name][] = []
  const onMessage = (message: unknown): void => {
    // What the channel is documented to carry.
    // oxlint-disable-next-line no-unsafe-type-assertion
    heard.push(message as Events[Name])
  }
  subscribe(EVENT_CHANNELS[name], onMessage)
  subscriptions.push(() => unsubscribe(EVENT_CHANNELS[name], onMessage))
  return heard
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await setTimeout(5)
}

test('groups, checkpoints and slow syncs, told by the thread that opened the database', async () => {
  const groups = hear('groups')
  const checkpoints = hear('checkpoint')
  const slowSyncs = hear('slowSync')
  const path = join(folderOf(), 'app.db')
  const db = await open(path, { collections: [cells], cacheBytes: 8 * MIB, syncDelayMs: 110 })
  await setTimeout(50)
  const { commits } = db.stats()
  await Promise.all(
    Array.from({ length: 10 }, (_, at) =>
      db.collection(cells).insert({ id: at + 1, group: 1, value: at }),
    ),
  )
  await db.checkpoint()
  await until(() => checkpoints.length > 0 && slowSyncs.length > 0)
  expect(checkpoints[0]).toMatchObject({ database: path, count: 1 })
  expect(checkpoints[0]?.durationMs).toBeGreaterThan(0)
  expect(checkpoints[0]?.fileBytes).toBe(db.stats().file.bytes)
  expect(slowSyncs[0]).toMatchObject({ database: path, thresholdMs: 100 })
  expect(slowSyncs[0]?.durationMs).toBeGreaterThanOrEqual(110)
  await db.close()
  const sum = (name: 'commits' | 'groups' | 'syncs' | 'syncsMs'): number =>
    groups.reduce((total, event) => total + event[name], 0)
  // All of them, by the end.
  expect(sum('commits')).toBeGreaterThanOrEqual(db.stats().commits - commits - 1)
  expect(sum('commits')).toBeGreaterThanOrEqual(10)
  expect(sum('groups')).toBeLessThanOrEqual(sum('commits'))
  expect(sum('syncsMs')).toBeGreaterThanOrEqual(110 * sum('syncs'))
})

test('snapshots that were given up', async () => {
  const revoked = hear('snapshotsRevoked')
  await using db = await open(':memory:', { collections: [cells], snapshotAgeMaxMs: 50 })
  await setTimeout(20)
  const snapshot = db.snapshot()
  for (let round = 0; revoked.length === 0; round++) {
    await db.collection(cells).upsert({ id: 1, group: 1, value: round })
    await setTimeout(5)
  }
  expect(revoked).toEqual([{ database: ':memory:', count: 1 }])
  snapshot.close()
})

test('M3: turns that were waited for, and those that were not had in time, with who had them', async () => {
  const waits = hear('lockWait')
  const busy = hear('busy')
  const path = join(folderOf(), 'app.db')
  const options = { collections: [cells], cacheBytes: 8 * MIB }
  await using first = await open(path, options)
  await using second = await open(path, { ...options, busyTimeout: 500 })
  const held = await first.transaction(async (tx) => {
    await tx.collection(cells).insert({ id: 1, group: 1, value: 1 })
    const refused = second.collection(cells).insert({ id: 2, group: 1, value: 2 })
    return await refused.catch((error: unknown) => error)
  })
  await until(() => busy.length > 0)
  const { database, count, ...facts } = busy[0]!
  expect({ database, count }).toEqual({ database: path, count: 1 })
  expect(facts.holderPid).toBe(process.pid)
  expect(facts.waitedMs).toBeGreaterThanOrEqual(500)
  expect(held).toMatchObject({ code: 'RINGBOLT_BUSY', facts })

  for (let id = 2; id <= 6; id++) {
    const heard = waits.length
    const [mine, others] = id % 2 === 0 ? [second, first] : [first, second]
    await others.collection(cells).upsert({ id: 1, group: 1, value: id })
    await mine.collection(cells).insert({ id, group: 1, value: id })
    await until(() => waits.length > heard)
  }
  await first.close()
  await second.close()
  expect(new Set(waits.map(({ database }) => database))).toEqual(new Set([path]))
  const turns = [first, second].map((db) => db.stats().processes)
  const told = waits.reduce((sum, { count }) => sum + count, 0)
  const toldMs = waits.reduce((sum, { waitMs }) => sum + waitMs, 0)
  // Of all but those from before the first look.
  expect(told).toBeGreaterThanOrEqual(waits.length)
  expect(told).toBeLessThanOrEqual(turns[0]!.turns + turns[1]!.turns)
  expect(toldMs).toBeGreaterThan(0)
  expect(toldMs).toBeLessThanOrEqual(turns[0]!.turnWaitMs + turns[1]!.turnWaitMs + 0.001)
  expect(busy).toHaveLength(1)
})

test('conflicts, in the thread that meets them, at once', async () => {
  const conflicts = hear('conflict')
  await using db = await open(':memory:', { collections: [cells] })
  await db.collection(cells).insert({ id: 1, group: 1, value: 1 })
  const attempt = db.transaction(
    async (tx) => {
      const cell = tx.collection(cells).get(1)
      await db.collection(cells).update(1, (other) => void other.value++)
      await tx.collection(cells).upsert({ id: 2, group: 1, value: cell?.value ?? 0 })
    },
    { retries: 1 },
  )
  await expect(attempt).rejects.toMatchObject({ code: 'RINGBOLT_CONFLICT' })
  const database = ':memory:'
  const operation = 'the transaction'
  expect(conflicts).toEqual([
    { database, operation, attempt: 1, isLast: false },
    { database, operation, attempt: 2, isLast: true },
  ])
})

test('nobody listens: nothing is looked at; somebody does: ten times a second, and a failure once', () => {
  const board = new StatsBoard(new SharedArrayBuffer(STATS_BYTES))
  const due: { delayMs: number; callBack: () => void }[] = []
  let failures = 0
  const teller = new EventTeller({
    database: 'app.db',
    board,
    control: { busyCount: 0, busy: {} },
    failure() {
      failures++
      return failures > 1 ? new Error('no more room') : undefined
    },
    nowMs: () => 0,
    after(delayMs, callBack) {
      due.push({ delayMs, callBack })
      return () => undefined
    },
  })
  const turn = (): number => {
    due.shift()?.callBack()
    return due[0]?.delayMs ?? 0
  }
  expect([turn(), turn()]).toEqual([1000, 1000])
  expect(failures).toBe(0)
  const failed = hear('failed')
  expect([turn(), turn(), turn()]).toEqual([100, 100, 100])
  expect(failed.map(({ database, error }) => `${database}: ${error.message}`)).toEqual([
    'app.db: no more room',
  ])
  teller.end()
  expect(failed.length).toBe(1)
})
