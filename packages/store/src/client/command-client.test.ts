/** The client that commits, over the sequencer's sink in one thread. */
import type { RingEnvironment } from '@ringbolt/ring'
import { expect, test } from 'vitest'
import { CommandBuilder } from '../sequencer/command.ts'
import { SinkRig } from '../sequencer/testing/sink-rig.ts'

function put(key: string, value: string): CommandBuilder {
  const builder = new CommandBuilder()
  builder.put(0, Buffer.from(key), Buffer.from(value))
  return builder
}

/** Time stands still until it is moved; timers go off then. */
class ManualEnvironment implements RingEnvironment {
  #nowMs = 0
  readonly #timers = new Map<() => void, number>()

  nowMs(): number {
    return this.#nowMs
  }

  alive<T>(wakeUp: Promise<T>): Promise<T> {
    return wakeUp
  }

  after(delayMs: number, callBack: () => void): () => void {
    this.#timers.set(callBack, this.#nowMs + delayMs)
    return () => this.#timers.delete(callBack)
  }

  get timers(): number {
    return this.#timers.size
  }

  pass(durationMs: number): void {
    this.#nowMs += durationMs
    for (const [callBack, dueMs] of this.#timers) {
      if (dueMs > this.#nowMs) continue
      this.#timers.delete(callBack)
      callBack()
    }
  }
}

const IN_FLIGHT = 1023

test('S2: at most 1,023 are in flight, the others follow in order, and each gets its own answer', async () => {
  const rig = new SinkRig({ ringBytes: 2 ** 18 })
  const { commands } = rig.client()
  const results: Promise<unknown>[] = []
  for (let at = 0; at < 3000; at++) {
    const builder = new CommandBuilder()
    const expected = at % 3 === 0 ? 1e9 : 'absent'
    builder.put(0, Buffer.from(`${at}`), Buffer.from('v'), expected)
    results.push(commands.commit(builder))
  }
  rig.drain()
  expect(rig.sink.commits + rig.sink.refusals.conflict).toBe(IN_FLIGHT)
  for (const [at, result] of (await rig.settle(Promise.all(results))).entries()) {
    expect(result).toEqual(at % 3 === 0 ? { reason: 'conflict', operation: 0 } : undefined)
  }
  const order = Array.from({ length: 3000 }, (_, at) => rig.trees.get(0, Buffer.from(`${at}`)))
  const sequences = order.flatMap((entry) => (entry === undefined ? [] : [entry.sequence]))
  expect(sequences).toEqual(Array.from({ length: 2000 }, (_, at) => at + 1))
})

test('who waits for a turn leaves when its signal or its time says so; nothing of it is appended', async () => {
  const environment = new ManualEnvironment()
  const rig = new SinkRig({ ringBytes: 2 ** 18, environment })
  const { commands } = rig.client()
  const sent = Array.from({ length: IN_FLIGHT }, (_, at) => commands.commit(put(`${at}`, 'v')))
  const abort = new AbortController()
  const aborted = commands.commit(put('aborted', 'v'), { signal: abort.signal })
  const late = commands.commit(put('late', 'v'), { timeoutMs: 50 })
  const patient = commands.commit(put('patient', 'v'), { timeoutMs: 5000 })
  abort.abort(new Error('no longer wanted'))
  await expect(aborted).rejects.toThrow('no longer wanted')
  environment.pass(50)
  await expect(late).rejects.toMatchObject({
    code: 'RINGBOLT_TIMEOUT',
    facts: { outcome: 'nothing of it was appended' },
  })
  await rig.settle(Promise.all([...sent, patient]))
  expect(environment.timers).toBe(0)
  expect(rig.trees.get(0, Buffer.from('patient'))).toBeDefined()
  expect(rig.trees.get(0, Buffer.from('aborted'))).toBeUndefined()
  expect(rig.trees.get(0, Buffer.from('late'))).toBeUndefined()
})

test('a signal that is aborted already appends nothing', async () => {
  const rig = new SinkRig()
  const signal = AbortSignal.abort(new Error('before it began'))
  await expect(rig.client().commands.commit(put('a', 'v'), { signal })).rejects.toThrow('before')
  rig.drain()
  expect(rig.sink.commits).toBe(0)
})

test('a long command that is aborted between its parts is not committed, and the next one is', async () => {
  const rig = new SinkRig()
  const { commands } = rig.client()
  const abort = new AbortController()
  const aborted = commands.commit(put('a', 'x'.repeat(20_000)), { signal: abort.signal })
  const next = commands.commit(put('b', 'y'.repeat(20_000)))
  rig.drain()
  abort.abort(new Error('enough'))
  await expect(rig.settle(aborted)).rejects.toThrow('enough')
  expect(await rig.settle(next)).toBeUndefined()
  expect(rig.trees.get(0, Buffer.from('a'))).toBeUndefined()
  expect(rig.trees.get(0, Buffer.from('b'))?.value.length).toBe(20_000)
})

test('a blocking commit that is not acknowledged in time says that it will be decided', () => {
  const rig = new SinkRig()
  const { commands } = rig.client()
  expect(() => commands.commitSync(put('a', 'v'), 0)).toThrow(
    'it is in the ring, and will be committed or refused',
  )
  rig.drain()
  expect(rig.trees.get(0, Buffer.from('a'))).toBeDefined()
})

test('a long blocking commit that ends before its last part commits nothing', () => {
  const rig = new SinkRig()
  const { commands } = rig.client()
  expect(() => commands.commitSync(put('a', 'x'.repeat(20_000)), 0)).toThrow(
    'nothing of it was committed',
  )
  rig.drain()
  expect(rig.sink.commits).toBe(0)
})
