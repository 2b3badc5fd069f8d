import type { LogStore } from '@ringbolt/wal'
import { type CrashOdds, Random, SimulatedDisk } from '@ringbolt/wal/simulation'
import { expect, test } from 'vitest'
import { LOG_FOLDER_NAME, LOG_PREFIX, SimulatedFolders } from './simulated-folders.ts'

const NOTHING_KEPT: CrashOdds = {
  kept: 0,
  torn: 0,
  entryKept: 0,
  entriesInOrder: false,
  unwritten: 'zeros',
}
const ALL_KEPT: CrashOdds = { ...NOTHING_KEPT, kept: 1, entryKept: 1 }

function newDisk(): SimulatedDisk {
  return new SimulatedDisk({ random: new Random(1) })
}

function write(store: LogStore, name: string): void {
  const file = store.create(name)
  file.writeAt(0, [new Uint8Array([1])])
  file.sync()
}

/** As after a power failure. */
function reopened(disk: SimulatedDisk, odds: CrashOdds): [SimulatedDisk, SimulatedFolders] {
  disk.crash('power')
  const next = disk.reopen(odds)
  return [next, new SimulatedFolders(next)]
}

test('each folder shows its own names', () => {
  const disk = newDisk()
  const folders = new SimulatedFolders(disk)
  expect(folders.openLogFolder()).toBeUndefined()
  const log = folders.makeLogFolder()
  write(log, 'one.seg')
  write(folders.main, 'app.db')
  expect(log.list()).toEqual(['one.seg'])
  expect(folders.main.list().toSorted()).toEqual(['app.db', LOG_FOLDER_NAME])
  expect(folders.openLogFolder()?.list()).toEqual(['one.seg'])
  log.rename('one.seg', 'two.seg')
  expect(disk.list()).toContain(`${LOG_PREFIX}two.seg`)
})

test("a folder's sync makes its own names certain and no others", () => {
  const disk = newDisk()
  const folders = new SimulatedFolders(disk)
  const log = folders.makeLogFolder()
  write(log, 'one.seg')
  write(folders.main, 'app.db')
  log.syncFolder()
  expect(reopened(disk, NOTHING_KEPT)[0].list().toSorted()).toEqual([
    LOG_FOLDER_NAME,
    `${LOG_PREFIX}one.seg`,
  ])
})

test('a folder whose entry was lost took its files along', () => {
  const disk = newDisk()
  const file = disk.create(LOG_FOLDER_NAME)
  file.close()
  write(disk, `${LOG_PREFIX}one.seg`)
  disk.syncFolder((name) => name.startsWith(LOG_PREFIX))
  const [next, folders] = reopened(disk, NOTHING_KEPT)
  expect(next.list()).toEqual([])
  expect(folders.openLogFolder()).toBeUndefined()
})

test('the folder can be removed once it is empty, and not before', () => {
  const disk = newDisk()
  const folders = new SimulatedFolders(disk)
  const log = folders.makeLogFolder()
  write(log, 'one.seg')
  expect(() => folders.removeLogFolder()).toThrow('one.seg')
  log.remove('one.seg')
  folders.removeLogFolder()
  expect(reopened(disk, ALL_KEPT)[0].list()).toEqual([])
})
