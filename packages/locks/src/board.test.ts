/** The board: what the holder says, as others read it. */
import { closeSync, openSync, writeSync } from 'node:fs'
import { expect, test } from 'vitest'
import { openBoard, openLock } from './index.ts'
import { BOARD_OFFSET } from './layout.ts'
import { makeFolder } from './testing/peers.ts'

test('L4: what is said is read by others, outlives its writer, and nothing is made up', async () => {
  const path = `${makeFolder()}/lock`
  expect(openBoard(path)).toBeNull()
  const lock = await openLock(path)
  const board = openBoard(path)
  expect(board?.read()).toBeUndefined()
  lock.board.write((said) => said.setFloat64(8, 42, true))
  expect(board?.read()?.getFloat64(8, true)).toBe(42)
  lock.board.write((said) => said.setUint32(56, 7, true))
  expect(board?.read()?.getFloat64(8, true)).toBe(42)
  expect(board?.read()?.getUint32(56, true)).toBe(7)
  await lock.close()
  expect(board?.read()?.getUint32(56, true)).toBe(7)
  board?.close()
})

test('L4: bytes that nobody wrote as a whole are not read', async () => {
  const path = `${makeFolder()}/lock`
  const lock = await openLock(path)
  lock.board.write((said) => said.setUint32(0, 1, true))
  const board = openBoard(path)
  const file = openSync(path, 'r+')
  writeSync(file, Buffer.from([9]), 0, 1, BOARD_OFFSET)
  closeSync(file)
  expect(board?.read()).toBeUndefined()
  board?.close()
  await lock.close()
})
