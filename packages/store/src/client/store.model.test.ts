import { expect, test } from 'vitest'
import { things } from './testing/collections.ts'
import { databaseOver } from './testing/make-store.ts'
import { ModelEngine } from './testing/model-engine.ts'
import { describeStore } from './testing/store-suite.ts'

describeStore('over the model', async () => ({
  engine: new ModelEngine(),
  close: async () => undefined,
}))

test('S5: no snapshot outlives what it was taken for', async () => {
  const engine = new ModelEngine()
  const db = await databaseOver(engine, things)
  const t = db.collection(things)
  await t.insertMany([{ id: 'a' }, { id: 'b' }])
  for (const _ of t.all()) break
  for (const _ of t.find({ id: { $gt: '' } })) break
  t.find().first()
  t.find().count()
  await db.transaction((tx) => tx.collection(things).get('a'))
  const failing = db.transaction(async (tx) => {
    await tx.collection(things).delete('a')
    throw new RangeError('mine')
  })
  await expect(failing).rejects.toThrow(RangeError)
  await expect(t.insertMany([{ id: 'a' }])).rejects.toThrow(/another document/)
  const stuck = db.transaction(() => new Promise(() => undefined), { timeoutMs: 1 })
  await expect(stuck).rejects.toThrow(/longer than/)
  expect(engine.snapshots).toBe(0)
  const forgotten = db.snapshot()
  expect(engine.snapshots).toBe(1)
  await db.close()
  forgotten.close()
  expect(engine.snapshots).toBe(0)
})

test('S5: a snapshot that is too old says so', async () => {
  const engine = new ModelEngine()
  const db = await databaseOver(engine, things)
  await db.collection(things).insert({ id: 'a' })
  using snapshot = db.snapshot()
  const inside = snapshot.collection(things)
  engine.expired = true
  expect(() => inside.get('a')).toThrow(
    expect.objectContaining({ code: 'RINGBOLT_SNAPSHOT_EXPIRED' }),
  )
})
