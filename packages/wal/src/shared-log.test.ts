import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { AtomicsMemory } from '@ringbolt/ring'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FileStore } from './file-store.ts'
import { SegmentedLog } from './segmented-log.ts'
import { attachLog, type Log, type LogOptions, openLog } from './shared-log.ts'
import { type AppendReport, type AppendWork, appendedRecord } from './testing/append-thread.ts'

let parent: string
let folder: string

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'ringbolt-shared-'))
  folder = join(parent, 'log')
})

afterEach(() => {
  rmSync(parent, { recursive: true, force: true })
})

async function appendFromThreads(
  log: Log,
  threads: number,
  work: Omit<AppendWork, 'log' | 'threadNumber'>,
): Promise<AppendReport[]> {
  const workers = Array.from({ length: threads }, (_, threadNumber) => {
    const workerData: AppendWork = { ...work, log: log.share(), threadNumber }
    return new Worker(new URL('./testing/append-thread.js', import.meta.url), { workerData })
  })
  return await Promise.all(
    workers.map(async (worker) => {
      const [report]: AppendReport[] = await once(worker, 'message')
      return report!
    }),
  )
}

/** All records in the folder, opened by the core alone, as [lsn, record]. */
function readBack(): Map<number, Uint8Array> {
  const log = SegmentedLog.open(new FileStore(folder, { readOnly: true }), { readOnly: true })
  const records = new Map<number, Uint8Array>()
  for (const { lsn, record } of log.read()) records.set(lsn, Uint8Array.from(record))
  log.close()
  return records
}

function expectAll(reports: readonly AppendReport[], recordsEach: number): void {
  const records = readBack()
  expect(records.size).toBe(reports.length * recordsEach)
  for (const [threadNumber, { lsns, early }] of reports.entries()) {
    expect(early).toBe(0)
    expect(lsns.length).toBe(recordsEach)
    for (const [ordinal, lsn] of lsns.entries()) {
      const expected = appendedRecord(threadNumber, ordinal)
      if (Buffer.compare(records.get(lsn) ?? new Uint8Array(), expected) !== 0) {
        throw new Error(`thread ${threadNumber}: record ${ordinal} is not at LSN ${lsn}`)
      }
    }
  }
}

describe('appending from many threads', () => {
  test('W3: 16 threads that append and wait share syncs; none returns before its record is durable', async () => {
    const log = await openLog(folder)
    const reports = await appendFromThreads(log, 16, { records: 50, inFlight: 1, how: 'blocking' })
    const { syncs, records } = await log.stats()
    await log.close()
    expect(records).toBe(800)
    expect(syncs).toBeLessThan(800)
    expectAll(reports, 50)
  })

  test.each(['await', 'submit-and-wait'] as const)(
    'W3: thousands of records in flight, %s: each acknowledged once it is durable',
    async (how) => {
      const log = await openLog(folder)
      const reports = await appendFromThreads(log, 4, { records: 2000, inFlight: 64, how })
      const { syncs } = await log.stats()
      await log.close()
      expect(syncs).toBeLessThan(4000)
      expectAll(reports, 2000)
    },
  )

  test('R5: a log written through a ring of 256 bytes holds the same frames as one appended directly', async () => {
    const log = await openLog(folder, { ringBytes: 256, segmentBytes: 16_384 })
    const records = Array.from({ length: 500 }, (_, index) => appendedRecord(index % 9, index))
    for (const record of records) await log.append(record)
    await log.close()
    const directly = SegmentedLog.open(
      new FileStore(join(parent, 'direct'), { createFolder: true }),
      {
        create: true,
        logId: new Uint8Array(16),
      },
    )
    for (const record of records) directly.append(record)
    directly.flush()
    const framesOf = (source: SegmentedLog): Buffer => {
      const bodies: Buffer[] = []
      source.replay(({ body }) => bodies.push(Buffer.from(body)))
      return Buffer.concat(bodies)
    }
    const shared = SegmentedLog.open(new FileStore(folder, { readOnly: true }), { readOnly: true })
    expect(framesOf(shared).equals(framesOf(directly))).toBe(true)
    expect([...shared.read()].map(({ record }) => Buffer.from(record))).toEqual(
      records.map((record) => Buffer.from(record)),
    )
    shared.close()
    directly.close()
  })

  test('reopening goes on where the log ended', async () => {
    for (let round = 0; round < 3; round++) {
      const log = await openLog(folder)
      expect(log.recovery.records).toBe(round * 10)
      for (let index = 0; index < 10; index++) await log.append(appendedRecord(round, index))
      await log.close()
    }
    expect(readBack().size).toBe(30)
  })

  test('a thread that is terminated leaves nothing in the way', async () => {
    const log = await openLog(folder, { ringBytes: 4096 })
    for (let round = 0; round < 10; round++) {
      const workerData: AppendWork = {
        log: log.share(),
        threadNumber: round,
        records: 1e9,
        inFlight: 8,
        how: 'await',
      }
      const worker = new Worker(new URL('./testing/append-thread.js', import.meta.url), {
        workerData,
      })
      await once(worker, 'online')
      const before = await log.append(appendedRecord(99, round))
      while (log.durableLsn < before + 20_000) await log.append(appendedRecord(99, round))
      await worker.terminate()
      await log.append(appendedRecord(98, round))
    }
    const { threadsAttached, aborted } = await log.stats()
    expect(threadsAttached).toBe(1)
    expect(aborted).toBeLessThanOrEqual(10)
    await log.close()
  })
})

describe('policies', () => {
  test('W2: manual: nothing is synced until somebody asks', async () => {
    const log = await openLog(folder, { flush: 'manual' })
    const lsns = [1, 2, 3].map((ordinal) => log.submit(appendedRecord(0, ordinal)))
    const before = await log.stats()
    expect([before.syncs, before.durableLsn]).toEqual([0, 0])
    await log.waitFor(lsns[2]!)
    const after = await log.stats()
    expect([after.syncs, after.durableLsn]).toEqual([1, after.endLsn])
    await log.close()
  })

  test('W2: group: records wait for one another, and share a sync within the bound', async () => {
    const log = await openLog(folder, { maxWaitMs: 50 })
    const lsns = await Promise.all(
      Array.from({ length: 20 }, (_, ordinal) => log.append(appendedRecord(0, ordinal))),
    )
    expect(new Set(lsns).size).toBe(20)
    expect((await log.stats()).syncs).toBeLessThan(10)
    await log.close()
  })

  test('W2: normal and off acknowledge what is written; flush and close make it durable', async () => {
    for (const sync of ['normal', 'off'] as const) {
      const log = await openLog(join(parent, sync), { sync, maxWaitMs: 1e6 })
      const lsn = await log.append(appendedRecord(0, 1))
      expect(log.durableLsn).toBeLessThanOrEqual(lsn)
      await log.flush()
      expect(log.durableLsn).toBeGreaterThan(lsn)
      await log.close()
    }
  })

  test('W3: waits have a deadline and a signal; the record is not affected', async () => {
    const log = await openLog(folder, { syncDelayMs: 200 })
    const lsn = log.submit(appendedRecord(0, 1))
    await expect(log.waitFor(lsn, { timeoutMs: 5 })).rejects.toMatchObject({
      code: 'RINGBOLT_TIMEOUT',
    })
    await expect(log.waitFor(lsn, { signal: AbortSignal.timeout(5) })).rejects.toThrow(/timeout/)
    expect(() => log.waitForSync(lsn, 5)).toThrow(/within 5 ms/)
    await log.waitFor(lsn)
    expect(log.pendingCount).toBe(0)
    await log.close()
    expect(readBack().size).toBe(1)
  })

  test('W5: truncateBefore lets go of whole segments; the rest stays', async () => {
    const log = await openLog(folder, { segmentBytes: 16_384, ringBytes: 4096 })
    let lsn = log.submit(appendedRecord(0, 0))
    for (let ordinal = 1; ordinal < 2000; ordinal++) lsn = log.submit(appendedRecord(0, ordinal))
    await log.waitFor(lsn)
    const { segments } = await log.stats()
    expect(segments).toBeGreaterThan(3)
    await log.truncateBefore(lsn)
    expect((await log.stats()).segments).toBe(1)
    await log.close()
    expect(readBack().has(lsn)).toBe(true)
  })
})

describe('reading beside the writers', () => {
  test('W5: exactly what was appended, from any record, while appending goes on', async () => {
    const log = await openLog(folder, { segmentBytes: 16_384, ringBytes: 4096 })
    const lsns: number[] = []
    for (let ordinal = 0; ordinal < 1000; ordinal++) {
      lsns.push(await log.append(appendedRecord(1, ordinal)))
    }
    const from = log.submit(appendedRecord(1, 1000))
    await log.waitFor(from)
    let ordinal = 0
    for await (const { lsn, record, sequence } of log.read()) {
      log.submit(appendedRecord(2, ordinal))
      expect([lsn, sequence]).toEqual([lsns[ordinal] ?? from, ordinal + 1])
      expect(Buffer.compare(record, appendedRecord(1, ordinal))).toBe(0)
      ordinal++
    }
    expect(ordinal).toBe(1001)
    await log.flush()
    const rest: number[] = []
    for await (const { lsn } of log.read(from)) rest.push(lsn)
    expect([rest.length, rest[0]]).toEqual([1002, from])
    await log.close()
  })

  test('W5: a segment that is let go of meanwhile, and reused, is noticed', async () => {
    const log = await openLog(folder, { segmentBytes: 16_384, ringBytes: 4096 })
    const fill = async (): Promise<void> => {
      for (let ordinal = 0; ordinal < 800; ordinal++) log.submit(appendedRecord(1, ordinal))
      await log.flush()
    }
    await fill()
    const reader = log.read()
    let read = 0
    const finish = async (): Promise<void> => {
      for await (const _ of reader) {
        if (++read !== 10) continue
        await log.truncateBefore(log.durableLsn)
        await fill()
        await fill()
      }
    }
    await expect(finish()).rejects.toMatchObject({ code: 'RINGBOLT_TRUNCATED' })
    await log.close()
  })
})

describe('what goes wrong is said', () => {
  const refusals: { what: string; options: LogOptions; message: RegExp }[] = [
    { what: 'a ring too small', options: { ringBytes: 32 }, message: /power of two from 64/ },
    { what: 'no log, and none is to be made', options: { create: false }, message: /ENOENT/ },
    { what: 'a segment too small', options: { segmentBytes: 100 }, message: /segmentBytes/ },
  ]
  test.each(refusals)('$what: nothing is left behind', async ({ options, message }) => {
    await expect(openLog(folder, options)).rejects.toThrow(message)
    expect(readdirSync(parent)).toEqual([])
  })

  test('a file where the folder should be', async () => {
    writeFileSync(folder, 'mine')
    await expect(openLog(folder)).rejects.toMatchObject({ code: 'RINGBOLT_IO' })
    expect(statSync(folder).size).toBe(4)
  })

  // Once, on a busy machine, this never came back: the log's thread had posted its refusal and ended
  // before the opening thread looked, `message` and `exit` were emitted one after the other, and the
  // `exit` that the opener then waited for had been.
  test('a refusal reaches an opener that was busy meanwhile', async () => {
    writeFileSync(folder, 'mine')
    const opening = openLog(folder)
    const refused = expect(opening).rejects.toMatchObject({ code: 'RINGBOLT_IO' })
    await new Promise((resolve) => setImmediate(resolve))
    new AtomicsMemory(new SharedArrayBuffer(4)).wait(0, 0, 1000)
    await refused
  })

  test('records too large or empty are refused before anything is appended', async () => {
    const log = await openLog(folder, { ringBytes: 256 })
    await expect(log.append(new Uint8Array(253))).rejects.toMatchObject({
      code: 'RINGBOLT_TOO_LARGE',
    })
    await expect(log.append(new Uint8Array(0))).rejects.toThrow(/1 byte or more/)
    expect(() => log.appendSync(new Uint8Array(253))).toThrow(/253 bytes exceeds .* 252/)
    expect((await log.stats()).endLsn).toBe(0)
    await log.append(new Uint8Array(252))
    await log.close()
  })

  test('W4: when the log’s thread dies, waiting and later appends get the reason', async () => {
    let logThread: Worker | undefined
    process.once('worker', (worker) => {
      logThread = worker
    })
    const log = await openLog(folder, { flush: 'manual' })
    const client = attachLog(log.share())
    const waiting = client.append(appendedRecord(0, 1))
    await logThread?.terminate()
    await expect(waiting).rejects.toMatchObject({ code: 'RINGBOLT_POISONED' })
    await expect(log.append(appendedRecord(0, 2))).rejects.toThrow(/thread ended/)
    await expect(log.flush()).rejects.toThrow(/thread ended/)
  })

  test('after close every call says so', async () => {
    const log = await openLog(folder)
    await log.append(appendedRecord(0, 1))
    await log.close()
    await log.close()
    await expect(log.append(appendedRecord(0, 2))).rejects.toMatchObject({
      code: 'RINGBOLT_CLOSED',
    })
    await expect(log.stats()).rejects.toMatchObject({ code: 'RINGBOLT_CLOSED' })
  })

  test('the lock is taken before the log is touched, and given back whatever happens', async () => {
    const events: string[] = []
    const lock = {
      async acquire() {
        events.push(`acquired, folder ${readdirSync(parent).length}`)
        return {
          async release() {
            events.push('released')
          },
        }
      },
    }
    const log = await openLog(folder, { lock })
    await log.close()
    await expect(openLog(folder, { lock, ringBytes: 1 })).rejects.toThrow(RangeError)
    expect(events).toEqual(['acquired, folder 0', 'released', 'acquired, folder 1', 'released'])
  })
})
