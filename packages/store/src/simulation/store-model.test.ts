import { expect, test } from 'vitest'
import { keyOfText, type ModelCommand, type ModelOperation, StoreModel } from './store-model.ts'

const a = keyOfText('a')
const b = keyOfText('b')
const c = keyOfText('c')
const value = new Uint8Array([1])

function command(operations: ModelOperation[], snapshotSequence = 0): ModelCommand {
  return { operations, snapshotSequence, garbage: false }
}

/** A model that has heard these, all accepted unless it must refuse them. */
function modelOf(...commands: ModelCommand[]): StoreModel {
  const model = new StoreModel()
  for (const [at, each] of commands.entries()) {
    model.announce({ command: each, lsn: at * 8, endLsn: at * 8 + 8, threadId: 1 })
  }
  expect(model.observe(commands.length * 8, () => undefined)).toBeUndefined()
  return model
}

const putA = command([{ kind: 'put', tree: 0, key: a, value }])
const putB = command([{ kind: 'put', tree: 0, key: b, value }])
const deleteA = command([{ kind: 'delete', tree: 0, key: a }])

test('expectations are about the state before the command', () => {
  const { state } = modelOf(putA)
  const absent = { kind: 'check', tree: 0, key: a, expect: 'absent' } as const
  expect(state.judge(command([absent]))).toEqual(['conflict at 0'])
  const put = { kind: 'put', tree: 0, key: b, value } as const
  expect(state.judge(command([put, { ...put, expect: 'absent' }]))).toEqual(['accepted'])
  expect(state.judge(command([{ ...put, key: a, expect: 1 }]))).toEqual(['accepted'])
  expect(state.judge(command([{ ...put, key: a, expect: 2 }]))).toEqual(['conflict at 0'])
})

test('a change in a range must be found, one beside it may be', () => {
  const { state } = modelOf(putA, putB, deleteA)
  const range = (from: Buffer, to: Buffer): ModelOperation => ({
    kind: 'checkRange',
    tree: 0,
    from,
    to,
  })
  expect(state.judge(command([range(a, b)], 2))).toEqual(['conflict at 0'])
  expect(state.judge(command([range(b, c)], 2))).toEqual(['conflict at 0', 'accepted'])
  expect(state.judge(command([range(a, c)], 3))).toEqual(['accepted'])
})

test('a tree is there from its creation to its end, within a command too', () => {
  const { state } = modelOf()
  const create = { kind: 'createTree', tree: 5, definition: 2 } as const
  const put = { kind: 'put', tree: 5, key: a, value } as const
  const drop = { kind: 'dropTree', tree: 5 } as const
  expect(state.judge(command([put]))).toEqual(['definition at 0'])
  expect(state.judge(command([create, put, drop]))).toEqual(['accepted'])
  expect(state.judge(command([create, drop, put]))).toEqual(['definition at 2'])
  expect(state.judge(command([create, create]))).toEqual(['definition at 1'])
})

test('an opening finds what was acknowledged, or more, up to what was announced', () => {
  const model = modelOf(putA)
  model.announce({ command: putB, lsn: 8, endLsn: 16, threadId: 1 })
  model.announce({ command: deleteA, lsn: 16, endLsn: 24, threadId: 1 })
  expect(model.statesAt(0)).toEqual([])
  expect(model.statesAt(4)).toEqual([])
  const keysAt = (sequence: number): string[][] =>
    model.statesAt(sequence).map(({ trees }) => [...(trees.get(0)?.entries.keys() ?? [])])
  expect(keysAt(1)).toEqual([['a']])
  expect(keysAt(2)).toEqual([['a', 'b']])
  expect(keysAt(3)).toEqual([['b']])
})

test('what was acknowledged and not synced may be lost with the machine', () => {
  const model = modelOf(putA, putB)
  model.durableUpTo(8)
  model.writesCertain = false
  expect(model.statesAt(0)).toEqual([])
  expect(model.statesAt(1)).toHaveLength(1)
  expect(model.statesAt(2)).toHaveLength(1)
})

test('a command that may have been refused leaves two states', () => {
  const model = modelOf(putA, putB)
  const uncertain = command(
    [
      { kind: 'checkRange', tree: 0, from: b, to: c },
      { kind: 'put', tree: 0, key: c, value },
    ],
    2,
  )
  model.announce({ command: putA, lsn: 16, endLsn: 24, threadId: 1 })
  model.announce({ command: uncertain, lsn: 24, endLsn: 32, threadId: 1 })
  model.announce({ command: deleteA, lsn: 32, endLsn: 40, threadId: 1 })
  const found = model.statesAt(4).map(({ trees }) => [...(trees.get(0)?.entries.keys() ?? [])])
  expect(found).toEqual([['a', 'b', 'c'], ['b']])
})
