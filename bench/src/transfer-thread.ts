/** A thread of the transfers: sends so many records, or receives them all. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { attachConsumer, attachProducer, frameBytes } from '@ringbolt/ring'
import { Phases } from './phases.ts'
import type { LoadMessage } from './threads.ts'
import type { TransferResult, TransferWork } from './transfer-work.ts'

function produceInRing(ring: SharedArrayBuffer, record: Uint8Array, records: number): void {
  const producer = attachProducer(ring)
  for (let sent = 0; sent < records; sent++) producer.append(record)
  producer.detach()
}

function produceMessages(
  port: MessagePort,
  record: Uint8Array,
  records: number,
  recordsPerMessage: number,
): void {
  // Each a copy of its own: a clone would send the same object once.
  const message =
    recordsPerMessage === 1
      ? record
      : Array.from({ length: recordsPerMessage }, () => new Uint8Array(record))
  for (let sent = 0; sent < records; sent += recordsPerMessage) port.postMessage(message)
}

/** A pause in which producers fill the ring: draining each record as it comes costs a cache miss. */
const BATCH_PAUSE_MS = 0.1
const BATCH_BYTES_MIN = 64 * 1024
const SLEEP_MS = 1000

/** Returns the bytes of all records. */
function consumeRing(ring: SharedArrayBuffer, recordBytes: number, records: number): number {
  const consumer = attachConsumer(ring)
  const pause = new Int32Array(new SharedArrayBuffer(4))
  let bytes = 0
  while (consumer.committedRecords < records) {
    if (consumer.fold() < BATCH_BYTES_MIN) {
      Atomics.wait(pause, 0, 0, BATCH_PAUSE_MS)
      if (consumer.fold() === 0) {
        consumer.waitForRecords(SLEEP_MS)
        continue
      }
    }
    consumer.readCommitted((run) => {
      bytes += run.length
    })
    consumer.free()
  }
  return (bytes / frameBytes(recordBytes)) * recordBytes
}

function consumeMessages(ports: readonly MessagePort[], records: number): Promise<number> {
  return new Promise((resolve) => {
    let bytes = 0
    let received = 0
    const count = (message: Uint8Array | readonly Uint8Array[]): void => {
      if (message instanceof Uint8Array) {
        bytes += message.length
        received++
      } else {
        for (const record of message) bytes += record.length
        received += message.length
      }
      if (received < records) return
      for (const port of ports) port.close()
      resolve(bytes)
    }
    for (const port of ports) port.on('message', count)
  })
}

async function transfer(work: TransferWork): Promise<number> {
  const { channel, recordBytes, records } = work
  if (work.role === 'consumer') {
    return channel.kind === 'ring'
      ? consumeRing(channel.ring, recordBytes, records)
      : await consumeMessages(channel.ports, records)
  }
  const record = new Uint8Array(recordBytes).fill(7)
  if (channel.kind === 'ring') produceInRing(channel.ring, record, records)
  else produceMessages(channel.ports[0]!, record, records, channel.recordsPerMessage)
  return records * recordBytes
}

async function main(port: MessagePort, work: TransferWork): Promise<void> {
  const post = (message: LoadMessage<TransferResult>): void => port.postMessage(message)
  const phases = new Phases(work.phases)
  post({ kind: 'ready' })
  phases.waitForStart()
  const bytes = await transfer(work)
  const finishedAtMs = performance.timeOrigin + performance.now()
  post({ kind: 'result', result: { records: work.records, bytes, finishedAtMs } })
}

if (parentPort === null)
  throw new Error('transfer-thread.js is started by a benchmark, as a worker')
await main(parentPort, workerData)
