import { closeSync, mkdtempSync, openSync, readdirSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isRingboltError } from '@ringbolt/ring'
import { type Log, lsnOf, openLog } from '@ringbolt/wal'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Verifier } from './verifier.ts'
import { Workload, type WorkloadSpec } from './workload.ts'

const spec: WorkloadSpec = { seed: 21, recordBytesMin: 40, recordBytesMax: 400 }
const workload = new Workload(spec)
const RECORDS = 300

let folder: string
let log: Log
let verifier: Verifier

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ringbolt-verifier-'))
  log = await openLog(join(folder, 'log'), { segmentBytes: 16_384 })
  verifier = new Verifier({ logFolder: join(folder, 'log'), workload: spec, incarnations: 2 })
})

afterEach(async () => {
  await verifier.close()
  await log.close()
  rmSync(folder, { recursive: true })
})

/** Appends ordinals from `first` up to `end`, all in one go. */
async function append(first: number, end: number): Promise<void> {
  const appended = Array.from({ length: end - first }, (_, at) => {
    const buffer = Buffer.alloc(spec.recordBytesMax)
    return log.append(buffer.subarray(0, workload.encode(buffer, 0, first + at)))
  })
  await Promise.all(appended)
}

test('W5: reads a log in stretches while it grows and is let go of', async () => {
  for (let first = 0; first < RECORDS; first += 100) {
    await append(first, first + 100)
    const { lsn, records } = await verifier.readBeside(log.durableLsn)
    expect(records).toBe(first + 100)
    await log.truncateBefore(lsnOf(lsn))
  }
  expect((await log.stats()).firstLsn).toBeGreaterThan(0)
  const result = await verifier.finish([RECORDS, 0], 1)
  expect(result).toMatchObject({ records: RECORDS, acknowledged: RECORDS, findings: [] })
})

test('W3: bites when the log has less than was acknowledged', async () => {
  await append(0, RECORDS)
  await verifier.readClosed('strict')
  const { counts } = await verifier.finish([RECORDS + 2, 0], 1)
  expect(counts.lost).toBe(2)
})

test('W3: bites when the log cannot be read as far as it was durable', async () => {
  await append(0, 10)
  const beyond = verifier.readBeside(log.durableLsn + 8)
  await expect(beyond).rejects.toThrow(/durable up to \d+ and can be read up to \d+/)
})

test('W3: bites when a byte of a record on the disk is another', async () => {
  await append(0, RECORDS)
  await log.close()
  const [segment] = readdirSync(join(folder, 'log'))
    .filter((name) => name.endsWith('.seg'))
    .sort()
  flipByte(join(folder, 'log', segment!), 6000)
  const failure: unknown = await verifier.readClosed('strict').catch((error: unknown) => error)
  expect(isRingboltError(failure) ? failure.code : failure).toBe('RINGBOLT_CORRUPT')
})

function flipByte(path: string, position: number): void {
  const descriptor = openSync(path, 'r+')
  const byte = Buffer.alloc(1)
  readSync(descriptor, byte, 0, 1, position)
  writeSync(descriptor, Buffer.from([byte[0]! ^ 1]), 0, 1, position)
  closeSync(descriptor)
}
