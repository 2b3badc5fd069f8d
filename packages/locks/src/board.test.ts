/** The board: what the holder says, as others read it. */
import { closeSync, copyFileSync, openSync, renameSync, writeSync } from 'node:fs'
import { expect, test } from 'vitest'
import { createLocks, nodePlatform, openBoard, openLock } from './index.ts'
import { BOARD_OFFSET, LOCK_FILE_BYTES } from './layout.ts'
import { mapFile } from './mapping.ts'
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

test.each([
  ['mapped', openBoard],
  ['without koffi, read', createLocks({ ...nodePlatform, loadNative: failToLoad }).openBoard],
])('L4: what is new is told once: %s', async (_way, openIt) => {
  const path = `${makeFolder()}/lock`
  const lock = await openLock(path)
  const board = openIt(path)
  expect(board?.readNew()).toBeUndefined()
  for (let value = 1; value <= 3; value++) {
    lock.board.write((said) => said.setUint32(56, value, true))
    expect(board?.readNew()?.getUint32(56, true)).toBe(value)
    expect(board?.readNew()).toBeUndefined()
  }
  const file = openSync(path, 'r+')
  writeSync(file, Buffer.from([9]), 0, 1, BOARD_OFFSET)
  expect(board?.readNew()).toBeUndefined()
  writeSync(file, Buffer.from([0]), 0, 1, BOARD_OFFSET)
  expect(board?.readNew()?.getUint32(56, true)).toBe(3)
  closeSync(file)
  board?.close()
  await lock.close()
})

test.skipIf(process.platform === 'win32')('L4: mapped bytes change as the file does', async () => {
  const path = `${makeFolder()}/lock`
  const lock = await openLock(path)
  const file = nodePlatform.files.open(path)!
  const map = mapFile(nodePlatform, file, LOCK_FILE_BYTES)!
  const words = new Int32Array(1)
  for (let value = 1; value <= 3; value++) {
    lock.board.write((said) => said.setUint32(56, value, true))
    map.read((BOARD_OFFSET + 56) / 4, words)
    expect(words[0]).toBe(value)
  }
  map.close()
  file.close()
  expect(mapFile({ ...nodePlatform, architecture: 'arm' }, file, LOCK_FILE_BYTES)).toBeNull()
  expect(mapFile(nodePlatform, { ...file, descriptor: -1 }, LOCK_FILE_BYTES)).toBeNull()
  await lock.close()
})

function failToLoad(name: string): never {
  throw new Error(`no ${name} today`)
}

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

test('L4: a copy of the file says nothing, wherever it stands', async () => {
  const path = `${makeFolder()}/lock`
  const lock = await openLock(path)
  lock.board.write((said) => said.setUint32(0, 1, true))
  await lock.close()
  renameSync(path, `${path}-moved`)
  const moved = openBoard(`${path}-moved`)
  expect(moved?.read()?.getUint32(0, true)).toBe(1)
  moved?.close()
  copyFileSync(`${path}-moved`, path)
  const copied = openBoard(path)
  expect(copied?.read()).toBeUndefined()
  copied?.close()
})
