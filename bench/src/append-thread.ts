/** A load thread of the comparisons: appends in a closed loop until it is told to stop. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { attachLog, type LogHandle } from '@ringbolt/wal'
import type { AppendTarget, AppendWork } from './append-work.ts'
import { loadLmdb, loadSqlite } from './peer-modules.ts'
import { LoadMeter, type LoadResult, Phases } from './phases.ts'
import type { LoadMessage } from './threads.ts'

/** How one target is appended to: resolved, or returned, once it is acknowledged. */
interface Appender {
  readonly append: ((record: Uint8Array) => Promise<unknown>) | undefined
  readonly appendSync: ((record: Uint8Array) => unknown) | undefined
  readonly recordsPerOperation: number
  close(): unknown
}

function ringboltAppender(handle: LogHandle): Appender {
  const client = attachLog(handle)
  return {
    append: (record) => client.append(record),
    appendSync: (record) => client.appendSync(record),
    recordsPerOperation: 1,
    close: () => client.detach(),
  }
}

/** So many keys to a thread, ascending: each thread has a place of its own to insert at. */
const KEYS_PER_THREAD = 2 ** 28

function lmdbAppender(
  { options, form }: Extract<AppendTarget, { kind: 'lmdb' }>,
  threadIndex: number,
): Appender {
  const database = loadLmdb().open(options)
  let key = threadIndex * KEYS_PER_THREAD
  const putSync = form === 'put-sync'
  return {
    append: putSync ? undefined : (record) => database.put(key++, record),
    appendSync: putSync ? (record) => database.putSync(key++, record) : undefined,
    recordsPerOperation: 1,
    close: async () => await database.close(),
  }
}

function sqliteAppender({
  path,
  rowsPerTransaction,
}: Extract<AppendTarget, { kind: 'sqlite' }>): Appender {
  const database = openSqlite(path)
  const insert = database.prepare('INSERT INTO record (body) VALUES (?)')
  const begin = database.prepare('BEGIN IMMEDIATE')
  const commit = database.prepare('COMMIT')
  const appendBatch = (record: Uint8Array): void => {
    begin.run()
    for (let row = 0; row < rowsPerTransaction; row++) insert.run(record)
    commit.run()
  }
  return {
    append: undefined,
    appendSync: rowsPerTransaction === 1 ? (record) => insert.run(record) : appendBatch,
    recordsPerOperation: rowsPerTransaction,
    close: () => database.close(),
  }
}

function openSqlite(path: string): ReturnType<typeof openDatabase> {
  const database = openDatabase(path)
  database.pragma('busy_timeout = 60000')
  database.pragma('synchronous = FULL')
  return database
}

function openDatabase(path: string): InstanceType<ReturnType<typeof loadSqlite>> {
  const Database = loadSqlite()
  return new Database(path)
}

function appenderOf({ target, threadIndex }: AppendWork): Appender {
  switch (target.kind) {
    case 'ringbolt':
      return ringboltAppender(target.handle)
    case 'lmdb':
      return lmdbAppender(target, threadIndex)
    case 'sqlite':
      return sqliteAppender(target)
  }
}

function recordOf(lengthBytes: number, threadIndex: number): Buffer {
  return Buffer.alloc(lengthBytes, threadIndex + 1)
}

/** A target that has only the other form is loaded in that: SQLite has no awaited one. */
async function load(appender: Appender, work: AppendWork, meter: LoadMeter): Promise<void> {
  const { shape, timed } = work
  const { append, appendSync, recordsPerOperation } = appender
  const record = recordOf(work.recordBytes, work.threadIndex)
  if (appendSync !== undefined && (shape.blocking || append === undefined)) {
    loadBlocking(() => appendSync(record), recordsPerOperation, timed, meter)
  } else if (append !== undefined) {
    const lanes = Array.from({ length: shape.inFlight }, async () => {
      await lane(() => append(record), recordsPerOperation, timed, meter)
    })
    await Promise.all(lanes)
  }
}

function loadBlocking(
  operation: () => unknown,
  records: number,
  timed: boolean,
  meter: LoadMeter,
): void {
  while (meter.goesOn) {
    const begunMs = timed ? performance.now() : 0
    operation()
    meter.finished(records, timed ? performance.now() - begunMs : undefined)
  }
}

/** One of so many in flight. */
async function lane(
  operation: () => Promise<unknown>,
  records: number,
  timed: boolean,
  meter: LoadMeter,
): Promise<void> {
  while (meter.goesOn) {
    const begunMs = timed ? performance.now() : 0
    await operation()
    meter.finished(records, timed ? performance.now() - begunMs : undefined)
  }
}

async function main(port: MessagePort, work: AppendWork): Promise<void> {
  const phases = new Phases(work.phases)
  const meter = new LoadMeter(phases)
  const appender = appenderOf(work)
  const post = (message: LoadMessage<LoadResult>): void => port.postMessage(message)
  post({ kind: 'ready' })
  phases.waitForStart()
  await load(appender, work, meter)
  await appender.close()
  post({ kind: 'result', result: meter.result() })
}

if (parentPort === null) throw new Error('append-thread.js is started by a benchmark, as a worker')
await main(parentPort, workerData)
