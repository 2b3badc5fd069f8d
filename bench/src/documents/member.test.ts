/** Processes that share a store: what is told when one of them fails, and of its waits. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Member, measureMembers } from './member.ts'
import { TurnWaits } from './turn-waits.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringbolt-bench-test-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('a process that cannot open the store fails the run, and the others end', async () => {
  const setup = { indexed: false, cacheBytes: 2 ** 20 }
  const member: Member = { candidate: 'ringbolt', folder, setup, jobs: [], firstThread: 1 }
  const missing: Member = { ...member, folder: join(folder, 'missing', 'folder') }
  const window = { warmUpMs: 10, measureMs: 10 }
  await expect(measureMembers([member, missing], window)).rejects.toThrow(
    'a process that shares a store ended with 1 before it gave its result',
  )
  const [result] = await measureMembers([member], window)
  expect(result?.results).toEqual([])
})

test('waits that came between two looks have their mean', () => {
  let turns = { count: 3, waitMs: 100 }
  const waits = new TurnWaits(() => turns)
  turns = { count: 5, waitMs: 130 }
  expect([...waits.stop()]).toEqual([15, 15])
})
