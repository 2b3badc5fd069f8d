/** Disks that fail: whoever waits is told the cause, nothing is accepted after it, and what was promised is there. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkFile } from './check-file.ts'
import { attach, open } from './open.ts'
import { blobs, notes, textOf } from './testing/collections.ts'
import { enlarge, smallDisk } from './testing/disks.ts'
import { testFolders } from './testing/folders.ts'
import { startThread } from './testing/threads.ts'

const folderOf = testFolders('disk')
const MIB = 1024 * 1024

describe('a disk that is full: a small tmpfs', () => {
  test('S9: it fills up while threads write: all are told, what was acknowledged is there on a larger one', async ({
    skip,
  }) => {
    const folder = smallDisk(6)
    if (folder === undefined) return skip('no right to mount a small file system')
    const path = join(folder, 'app.db')
    const db = await open(path, {
      collections: [notes],
      cacheBytes: 4 * MIB,
      segmentBytes: 256 * 1024,
      checkpointLogBytes: 512 * 1024,
    })
    const collection = db.collection(notes)
    const other = startThread(db.share(), 'insertForEver', { writer: 9, length: 100 })
    await other.hasTold()
    const acknowledged: number[] = []
    const fill = async (lane: number): Promise<void> => {
      for (;;) {
        const id = 1_000_000 * lane + acknowledged.length + 1
        await collection.insert({ id, writer: lane, text: textOf(id, 0, 800) })
        acknowledged.push(id)
      }
    }
    const poisoned = { code: 'RINGBOLT_POISONED' }
    const lanes = await Promise.allSettled([fill(1), fill(2), fill(3)])
    for (const lane of lanes) {
      expect(lane).toMatchObject({ status: 'rejected', reason: poisoned })
      expect(lane.status === 'rejected' && String(lane.reason)).toMatch(/ENOSPC/)
    }
    await expect(other.result).rejects.toMatchObject(poisoned)
    await expect(collection.insert({ writer: 1, text: 'late' })).rejects.toMatchObject(poisoned)
    expect(() => collection.sync.delete(acknowledged[0] ?? 0)).toThrow(/ENOSPC/)
    await expect(db.checkpoint()).rejects.toMatchObject(poisoned)
    // What was read before can still be read.
    expect(collection.get(acknowledged.at(-1) ?? 0)).toMatchObject({ writer: expect.any(Number) })
    expect(collection.count()).toBeGreaterThanOrEqual(acknowledged.length)
    await expect(db.close()).rejects.toThrow(/ENOSPC/)

    enlarge(folder, 64)
    const again = await open(path, { collections: [notes], cacheBytes: 4 * MIB })
    const found = again.collection(notes)
    for (const id of acknowledged) expect(found.get(id)?.text).toBe(textOf(id, 0, 800))
    await found.insert({ writer: 1, text: 'there is room again' })
    await again.close()
    expect(checkFile(path).findings).toEqual([])
    expect(acknowledged.length).toBeGreaterThan(100)
  })

  test('a database that does not fit is refused at open, and can be made later', async ({
    skip,
  }) => {
    const folder = smallDisk(1)
    if (folder === undefined) return skip('no right to mount a small file system')
    const path = join(folder, 'app.db')
    const options = { collections: [notes], cacheBytes: 2 * MIB }
    await expect(open(path, options)).rejects.toThrow(/ENOSPC/)
    enlarge(folder, 64)
    const db = await open(path, options)
    await db.collection(notes).insert({ writer: 1, text: 'x' })
    await db.close()
  })
})

/** Says what it did, line by line: what is printed was acknowledged before. */
const PROGRAM = `
import { writeSync } from 'node:fs'
import { open } from ${JSON.stringify(new URL('./open.js', import.meta.url).href)}
import { notes } from ${JSON.stringify(new URL('./testing/collections.js', import.meta.url).href)}
const say = (line) => writeSync(1, line + '\\n')
const MIB = 1024 * 1024
try {
  const db = await open(process.argv[2], {
    collections: [notes], cacheBytes: 2 * MIB, segmentBytes: 256 * 1024, checkpointLogBytes: 300 * 1024,
    crossProcessLock: false,
  })
  const collection = db.collection(notes)
  let id = 1
  const lane = async () => {
    while (id < 1500) {
      const own = id++
      await collection.insert({ id: own, writer: own % 5, text: 'x'.repeat(500) })
      say('acknowledged ' + own)
    }
  }
  const results = await Promise.allSettled([lane(), lane(), lane(), lane()])
  for (const { reason } of results) if (reason) say('failed ' + reason.code)
  try {
    await collection.insert({ writer: 1, text: 'late' })
    say('late accepted')
  } catch (error) { say('late ' + error.code) }
  try { say('read ' + (collection.get(1)?.writer === 1)) } catch (error) { say('read ' + error.code) }
  try { await db.close(); say('closed') } catch (error) { say('close ' + error.code) }
} catch (error) { say('failed open ' + error.code) }
`

const hasStrace = spawnSync('strace', ['-V']).status === 0

describe('a kernel that reports errors', () => {
  test.each([
    ['fdatasync', 'EIO', 40],
    ['fdatasync', 'EIO', 400],
    ['pwrite64,pwritev', 'EIO', 60],
    ['pwrite64,pwritev', 'ENOSPC', 700],
    ['fsync', 'EIO', 6],
  ])('S9: %s: %s at call %i', async (calls, errno, when) => {
    if (!hasStrace) {
      console.log('skipped: no strace on this machine')
      return
    }
    const folder = folderOf()
    const path = join(folder, 'app.db')
    const program = join(folder, 'program.mjs')
    writeFileSync(program, PROGRAM)
    const inject = `inject=${calls}:error=${errno}:when=${when}`
    const { stdout, error } = spawnSync(
      'strace',
      [
        '-f',
        '-qq',
        '-o',
        '/dev/null',
        '-e',
        `trace=${calls}`,
        '-e',
        inject,
        process.execPath,
        program,
        path,
      ],
      { encoding: 'utf8', timeout: 50_000 },
    )
    expect(error).toBeUndefined()
    const lines = stdout.trim().split('\n')
    const acknowledged = lines.flatMap((line) =>
      line.startsWith('acknowledged ') ? [Number(line.split(' ')[1])] : [],
    )
    const rest = lines.filter((line) => !line.startsWith('acknowledged '))
    console.log(
      `${calls} ${errno} at ${when}: ${acknowledged.length} acknowledged; ${rest.join('; ')}`,
    )
    expectOutcome(rest)
    const db = await open(path, { collections: [notes], cacheBytes: 2 * MIB })
    const collection = db.collection(notes)
    expect(acknowledged.filter((id) => collection.get(id) === undefined)).toEqual([])
    await collection.insert({ writer: 1, text: 'goes on' })
    await db.close()
    expect(checkFile(path).findings).toEqual([])
  })

  /** strace counts calls by thread: where the call was never reached, all went well. */
  function expectOutcome(rest: readonly string[]): void {
    const isWell = rest.includes('late accepted') && rest.includes('read true')
    if (isWell && rest.includes('closed')) return
    if (isWell) expect(rest.at(-1)).toMatch(/^close RINGBOLT_|^close E/)
    else if (rest[0]?.startsWith('failed open') !== true) {
      expect(rest.filter((line) => line === 'failed RINGBOLT_POISONED')).toHaveLength(4)
      expect(rest).toContain('late RINGBOLT_POISONED')
      expect(rest.find((line) => line.startsWith('read'))).toMatch(/^read (true|RINGBOLT_)/)
      expect(rest.at(-1)).toMatch(/^close /)
    }
  }
})

describe('checkpoints by themselves', () => {
  test('S8: by size of the log, and by time, while threads write; the log stays bounded', async () => {
    const path = join(folderOf(), 'app.db')
    const db = await open(path, {
      collections: [notes, blobs],
      cacheBytes: 4 * MIB,
      segmentBytes: 256 * 1024,
      checkpointLogBytes: MIB,
      sync: 'normal',
    })
    const threads = [1, 2, 3, 4].map((writer) =>
      startThread(db.share(), 'insertForEver', { writer, length: 4000 }),
    )
    await Promise.all(threads.map((thread) => thread.hasTold()))
    let logMax = 0
    const collection = db.collection(notes)
    while (db.stats().checkpoints.count < 8) {
      await collection.insert({ writer: 0, text: 'x'.repeat(2000) })
      logMax = Math.max(logMax, db.stats().log.bytes)
    }
    await Promise.all(threads.map((thread) => thread.terminate()))
    console.log(`at most ${(logMax / MIB).toFixed(1)} MiB of log, bound 1 MiB`)
    expect(logMax).toBeLessThan(6 * MIB)
    await db.close()
    expect(checkFile(path).findings).toEqual([])

    const timed = await open(path, { collections: [notes], checkpointIntervalMs: 50 })
    const one = attach(timed.share())
    while (timed.stats().checkpoints.count < 3)
      await one.collection(notes).insert({ writer: 1, text: 'x' })
    await one.close()
    await timed.close()
  })
})
