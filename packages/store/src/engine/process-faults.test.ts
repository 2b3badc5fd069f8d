/** What the system does to one of several processes, or to the disk under all of them: S9, M3, M4. */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { checkFile } from './check-file.ts'
import { type Database, open } from './open.ts'
import { cells, notes, textOf } from './testing/collections.ts'
import { enlarge, fragileDisk, smallDisk } from './testing/disks.ts'
import { type Elsewhere, elsewhere } from './testing/elsewhere.ts'
import { testFolders } from './testing/folders.ts'

const makeFolder = testFolders('faults')
const KIB = 1024
const SMALL = {
  cacheBytes: 2 * 1024 * KIB,
  ringBytes: 256 * KIB,
  segmentBytes: 64 * KIB,
  checkpointLogBytes: 256 * KIB,
}
async function opened(
  path: string,
  options: { readonly busyTimeout?: number } = {},
): Promise<Database> {
  const db = await open(path, { ...SMALL, collections: [cells, notes], ...options })
  onTestFinished(() => db.close())
  return db
}

const LANES = 4

/** Inserts notes of its own, says each number after its acknowledgement, and what ends it. */
const WRITER = (writer: number): string => `
  const collection = db.collection(notes)
  let next = ${writer} * 1_000_000
  const write = async () => {
    for (;;) {
      const id = next++
      await collection.insert({ id, writer: ${writer}, text: (id + '/0;').repeat(100).slice(0, 400) })
      say(id)
    }
  }
  const lanes = Array.from({ length: ${LANES} }, () => failure(write()))
  const [ended] = await Promise.all(lanes)
  say('ended ' + ended)
  say('late ' + (await failure(collection.insert({ writer: ${writer}, text: 'late' }))))
  await told()
  say('close ' + (await failure(db.close())))
  process.exit()`

interface Ended {
  readonly acknowledged: readonly number[]
  readonly ended: string
}

/** What a writer says until it fails. */
async function untilItEnds(process: Elsewhere, acknowledged: number[] = []): Promise<Ended> {
  for (;;) {
    const line = await process.next()
    if (!/^\d+$/.test(line)) return { acknowledged, ended: line }
    acknowledged.push(Number(line))
  }
}

/** Two that write, each having had some acknowledged. */
async function writers(path: string): Promise<[readonly Elsewhere[], number[]]> {
  const processes = [1, 2].map((writer) => elsewhere(path, WRITER(writer), { options: SMALL }))
  const acknowledged: number[] = []
  for (const process of processes) {
    for (let count = 0; count < 50; count++) acknowledged.push(Number(await process.next()))
  }
  return [processes, acknowledged]
}

/** Each ends by that error, and says it again to who comes late. */
async function expectEnds(
  processes: readonly Elsewhere[],
  acknowledged: number[],
  errno: string,
): Promise<void> {
  const ends = await Promise.all(processes.map((process) => untilItEnds(process, acknowledged)))
  for (const [at, process] of processes.entries()) {
    const { ended } = ends[at]!
    // The whole of it is worth reading when it is another.
    expect(ended, ended).toMatch(new RegExp(`^ended RINGBOLT_POISONED .*${errno}`))
    expect(await process.next()).toMatch(new RegExp(`^late RINGBOLT_POISONED .*${errno}`))
  }
}

async function expectAll(db: Database, acknowledged: readonly number[]): Promise<void> {
  const collection = db.collection(notes)
  const missing = acknowledged.filter((id) => collection.get(id)?.text !== textOf(id, 0, 400))
  expect(missing).toEqual([])
}

describe('a disk that fails under two processes', () => {
  test('S9 M4: it is full: each is told so, nothing acknowledged is lost, and who opens anew goes on', async ({
    skip,
  }) => {
    const folder = smallDisk(3)
    if (folder === undefined) return skip('no right to mount a small file system')
    const path = join(folder, 'app.db')
    const processes = [1, 2].map((writer) => elsewhere(path, WRITER(writer), { options: SMALL }))
    const ends = await Promise.all(processes.map((process) => untilItEnds(process)))
    for (const [at, process] of processes.entries()) {
      expect(ends[at]?.ended).toMatch(/^ended RINGBOLT_POISONED .*ENOSPC/)
      expect(await process.next()).toMatch(/^late RINGBOLT_POISONED .*ENOSPC/)
    }
    enlarge(folder, 64)
    const db = await opened(path)
    const acknowledged = ends.flatMap((end) => end.acknowledged)
    expect(acknowledged.length).toBeGreaterThan(100)
    await expectAll(db, acknowledged)
    await db.collection(notes).insert({ id: 1, writer: 9, text: textOf(1, 0, 400) })
    for (const process of processes) {
      process.tell()
      expect(await process.next()).toMatch(/^close RINGBOLT_.*ENOSPC/)
      await process.ended()
    }
    await db.collection(notes).insert({ id: 2, writer: 9, text: textOf(2, 0, 400) })
    await expectAll(db, [1, 2, ...acknowledged])
    await db.close()
    expect(checkFile(path).findings).toEqual([])
  })

  test('S9 M4: the kernel makes it read-only: each is told so, and after its repair all is there', async ({
    skip,
  }) => {
    const disk = fragileDisk(32)
    if (disk === undefined) return skip('no right to mount an ext4')
    const path = join(disk.folder, 'app.db')
    const [processes, acknowledged] = await writers(path)
    disk.fail()
    // A sync that is under way when it happens gets EIO from the kernel, every later call EROFS.
    await expectEnds(processes, acknowledged, '(EROFS|EIO)')
    await expect(open(path, { ...SMALL, busyTimeout: 1000 })).rejects.toThrow(/EROFS/)
    for (const process of processes) {
      process.tell()
      expect(await process.next()).toMatch(/^close RINGBOLT_.*(EROFS|EIO)/)
      await process.ended()
    }
    disk.repair()
    const db = await opened(path)
    await expectAll(db, acknowledged)
    await db.collection(notes).insert({ writer: 9, text: 'writable again' })
    await db.close()
    expect(checkFile(path).findings).toEqual([])
  })

  test('S9 M4: its folders take no new files: each is told so, and afterwards all is there', async ({
    skip,
  }) => {
    const disk = fragileDisk(32)
    if (disk === undefined) return skip('no right to mount an ext4')
    const path = join(disk.folder, 'app.db')
    const [processes, acknowledged] = await writers(path)
    const folders = [disk.folder, `${path}-wal`, `${path}-processes`]
    disk.setFixed(folders, true)
    await expectEnds(processes, acknowledged, 'EPERM')
    await expect(open(path, { ...SMALL, busyTimeout: 1000 })).rejects.toThrow(/EPERM/)
    disk.setFixed(folders, false)
    const db = await opened(path)
    await expectAll(db, acknowledged)
    for (const process of processes) {
      process.tell()
      expect(await process.next()).toMatch(/^close RINGBOLT_.*EPERM/)
      await process.ended()
    }
    await db.collection(notes).insert({ writer: 9, text: 'writable again' })
    await db.close()
    expect(checkFile(path).findings).toEqual([])
  })
})

const canTrace = spawnSync('strace', ['-qq', '-o', '/dev/null', 'true']).status === 0

const FAILING = ['strace', '-f', '-qq', '--seccomp-bpf', '-o', '/dev/null']
const ANY = 'any file'

describe('calls of one process that fail, beside another that writes', () => {
  test.each([
    ['fdatasync', 'EIO', 12, ANY],
    ['fdatasync', 'EIO', 90, ANY],
    ['pwritev', 'EIO', 12, ANY],
    ['pwritev', 'ENOSPC', 90, ANY],
    ['pwrite64', 'EIO', 30, ANY],
    ['fdatasync', 'EIO', 2, 'app.db'],
  ])(
    'S9 M4: %s: %s from call %i of %s on: it is told so, the other goes on with everything',
    async (call, errno, when, file) => {
      if (!canTrace) {
        console.log('not run: there is no strace that may trace here')
        return
      }
      const path = join(makeFolder(), 'app.db')
      const db = await opened(path)
      const under = [...FAILING, '-e', `trace=${call}`]
      under.push('-e', `inject=${call}:error=${errno}:when=${when}+`)
      if (file !== ANY) under.push('-P', join(dirname(path), file))
      const other = elsewhere(path, WRITER(1), { options: SMALL, under })
      const own: number[] = []
      let isOver = false
      onTestFinished(() => {
        isOver = true
      })
      const ownWrites = (async (): Promise<void> => {
        for (let id = 1; !isOver; id++) {
          await db.collection(notes).insert({ id, writer: 9, text: textOf(id, 0, 400) })
          own.push(id)
        }
      })()
      const { acknowledged, ended } = await untilItEnds(other)
      expect(ended).toMatch(new RegExp(`^ended RINGBOLT_POISONED .*${errno}`))
      expect(await other.next()).toMatch(/^late RINGBOLT_POISONED/)
      expect(acknowledged.length).toBeGreaterThan(0)
      const ownBefore = own.length
      await expect.poll(() => own.length, { timeout: 30_000 }).toBeGreaterThan(ownBefore + 10)
      isOver = true
      await ownWrites
      await expectAll(db, [...own, ...acknowledged])
      // One of each lane may have been under way.
      const ownedByOther = db.collection(notes).find({ writer: 1 }).count()
      expect(ownedByOther).toBeLessThanOrEqual(acknowledged.length + LANES)
      other.tell()
      expect(await other.next()).toMatch(/^close RINGBOLT_/)
      await other.ended()
      await db.close()
      expect(checkFile(path).findings).toEqual([])
    },
  )
})

describe('a process that is stopped while it has the lock', () => {
  const STOPPED = `
    await db.transaction(async (tx) => {
      await tx.collection(cells).insert({ id: 1, group: 1, value: 1 })
      say('writing')
      await told()
    })
    say('committed')
    await told()`

  test('M3 L3: who opens is told who has it; who closes is let go; afterwards all go on', async () => {
    const path = join(makeFolder(), 'app.db')
    const db = await opened(path, { busyTimeout: 300 })
    await db.collection(cells).insert({ id: 2, group: 1, value: 2 })
    const other = elsewhere(path, STOPPED, { options: SMALL })
    expect(await other.next()).toBe('writing')
    other.child.kill('SIGSTOP')
    const busy = { code: 'RINGBOLT_BUSY', facts: { holderPid: other.child.pid, timeoutMs: 300 } }
    await expect(open(path, { ...SMALL, busyTimeout: 300 })).rejects.toMatchObject({
      code: 'RINGBOLT_BUSY',
      holder: { pid: other.child.pid },
    })
    const late = expect(
      db.collection(cells).insert({ id: 3, group: 1, value: 3 }),
    ).rejects.toMatchObject(busy)
    await Promise.all([late, db.close()])
    // It has left nothing behind: the one that is stopped is the only one there.
    expect(readdirSync(`${path}-processes`)).toHaveLength(1)
    other.child.kill('SIGCONT')
    other.tell()
    expect(await other.next()).toBe('committed')
    const again = await opened(path)
    expect(Array.from(again.collection(cells).all(), ({ id }) => id)).toEqual([1, 2])
    await again.collection(cells).insert({ id: 3, group: 1, value: 3 })
    other.tell()
    expect(await other.next()).toBe('closed')
    await other.ended()
    await again.close()
    expect(readdirSync(dirname(path)).toSorted()).toEqual(['app.db', 'app.db-lock'])
    expect(checkFile(path).findings).toEqual([])
  })
})
