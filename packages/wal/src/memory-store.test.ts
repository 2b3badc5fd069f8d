import { expect, test } from 'vitest'
import { FaultStore } from './fault-store.ts'
import { logStoreContract } from './log-store-contract.ts'
import { MemoryStore } from './memory-store.ts'

logStoreContract('memory store', () => new MemoryStore())
logStoreContract('fault store without a fault', () => new FaultStore(new MemoryStore()))

test('W6: the fault store fails the nth call, once or for ever, and says so', () => {
  const store = new FaultStore(new MemoryStore(), { call: 'sync', nth: 2 })
  const file = store.create('a')
  file.sync()
  expect(() => file.sync()).toThrow(expect.objectContaining({ code: 'RINGBOLT_IO' }))
  file.sync()
  expect(store.count('sync')).toBe(3)
  store.setFault({ call: 'write', nth: 1, forever: true, errno: 'ENOSPC', arrivingBytes: 2 })
  expect(() => file.writeAt(0, [Buffer.from('abc')])).toThrow('ENOSPC')
  expect(() => file.writeAt(0, [Buffer.from('abc')])).toThrow('ENOSPC')
  expect(file.length()).toBe(2)
  store.setFault(undefined)
  file.writeAt(0, [Buffer.from('abc')])
  expect(file.length()).toBe(3)
})
