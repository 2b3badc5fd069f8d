/**
 * The one contract that all methods pass (L5), with real processes and threads. `lockfile` frees a
 * dead process's lock after `staleMs`, which is 2,000 here; the others at once.
 */

import { once } from 'node:events'
import {
  appendFileSync,
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { Worker } from 'node:worker_threads'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  BusyError,
  isLockError,
  type Lock,
  METHOD_NAMES,
  type MethodName,
  openLock,
} from '../index.ts'
import { makeFolder, Peer } from './peers.ts'

const STALE_MS = 2_000

async function opened(path: string, method: MethodName): Promise<Lock> {
  const lock = await openLock(path, { method, staleMs: STALE_MS })
  onTestFinished(() => lock.close())
  return lock
}

async function openedPeer(path: string, method: MethodName): Promise<Peer> {
  const peer = new Peer()
  await peer.must({ does: 'open', path, method })
  return peer
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length
}

/** Registers the contract's tests for one method. */
export function describeContract(method: MethodName): void {
  describe(method, () => {
    test('L1: two handles on one path in one process exclude each other', async () => {
      const path = `${makeFolder()}/lock`
      const one = await opened(path, method)
      const other = await opened(path, method)
      const held = await one.acquire()
      expect(await other.tryAcquire()).toBeNull()
      await held.release()
      const next = await other.tryAcquire()
      expect(next).not.toBeNull()
      expect(await one.tryAcquire()).toBeNull()
    })

    test('L1: one handle asked twice excludes itself', async () => {
      const lock = await opened(`${makeFolder()}/lock`, method)
      const first = await lock.acquire()
      expect(await lock.tryAcquire()).toBeNull()
      const second = lock.acquire({ timeoutMs: 5_000 })
      await first.release()
      await (await second).release()
    })

    test('L1: two threads exclude each other', async () => {
      const path = `${makeFolder()}/lock`
      const lock = await opened(path, method)
      const worker = new Worker(new URL('./peer-thread.js', import.meta.url), {
        workerData: { path, method, does: 'hold' },
      })
      await once(worker, 'message')
      expect(await lock.tryAcquire()).toBeNull()
      expect((await lock.holder())?.threadId).toBe(worker.threadId)
      worker.postMessage('release')
      await once(worker, 'message')
      const held = await lock.acquire({ timeoutMs: 5_000 })
      await held.release()
      await worker.terminate()
    })

    test('L1: two processes exclude each other, and L3: each sees who holds the lock', async () => {
      const path = `${makeFolder()}/lock`
      const lock = await opened(path, method)
      const peer = await openedPeer(path, method)
      expect(await peer.must({ does: 'holder' })).toBeNull()
      const held = await lock.acquire()
      expect(await peer.must({ does: 'try' })).toBe(false)
      expect(await peer.must({ does: 'holder' })).toEqual({
        pid: process.pid,
        threadId: 0,
        sinceMs: held.sinceMs,
      })
      await held.release()
      const sinceMs = await peer.must({ does: 'acquire' })
      expect(await lock.holder()).toEqual({ pid: peer.pid, threadId: 0, sinceMs })
      expect(await lock.tryAcquire()).toBeNull()
      await peer.must({ does: 'release' })
      expect(await lock.holder()).toBeNull()
      expect(await peer.end()).toBe(0)
    })

    test('L2: another descriptor closed does not free the lock; closing the handle does', async () => {
      const path = `${makeFolder()}/lock`
      const one = await opened(path, method)
      const peer = await openedPeer(path, method)
      await one.acquire()
      const other = await openLock(path, { staleMs: STALE_MS })
      expect(await other.tryAcquire()).toBeNull()
      await other.close()
      closeSync(openSync(path, 'r+'))
      expect(await peer.must({ does: 'try' })).toBe(false)
      await one.close()
      expect(await peer.must({ does: 'try' })).toBe(true)
    })

    test('L2: SIGKILL of the holder frees the lock, and L3: nobody is said to hold it', async () => {
      const path = `${makeFolder()}/lock`
      const lock = await opened(path, method)
      const peer = await openedPeer(path, method)
      await peer.must({ does: 'acquire' })
      await peer.kill('SIGKILL')
      if (method !== 'lockfile') {
        expect(await lock.holder()).toBeNull()
      }
      const held = await lock.acquire({ timeoutMs: 10_000 })
      expect((await lock.holder())?.pid).toBe(process.pid)
      await held.release()
      expect(await lock.holder()).toBeNull()
    })

    test('L3: a deadline gives BusyError with facts, changes nothing and leaks nothing', async () => {
      const path = `${makeFolder()}/lock`
      const lock = await opened(path, method)
      const peer = await openedPeer(path, method)
      const sinceMs = await peer.must({ does: 'acquire' })
      const before = readFileSync(path)
      expect(await lock.tryAcquire()).toBeNull()
      const openBefore = descriptors()
      for (const timeoutMs of [0, 1, 30]) {
        const error: unknown = await lock.acquire({ timeoutMs }).catch((reason: unknown) => reason)
        if (!(error instanceof BusyError)) throw new TypeError('expected a BusyError')
        expect(error.code).toBe('RINGBOLT_BUSY')
        expect(error.facts).toMatchObject({
          path,
          holderPid: peer.pid,
          holderSinceMs: sinceMs,
          timeoutMs,
        })
        expect(error.waitedMs).toBeGreaterThanOrEqual(timeoutMs)
        expect(error.message).toContain(`process ${peer.pid}`)
      }
      expect(descriptors()).toBe(openBefore)
      expect(readFileSync(path)).toEqual(before)
    })

    test('L3: who waits in a way of its own is asked to between two tries, has the lock in its turn, or a BusyError', async () => {
      const path = `${makeFolder()}/lock`
      const holder = await opened(path, method)
      const waiter = await opened(path, method)
      const held = await holder.acquire()
      const asked: number[] = []
      const pause = async (durationMs: number): Promise<void> => {
        asked.push(durationMs)
        await new Promise((resolve) => setTimeout(resolve, durationMs))
      }
      await expect(waiter.acquire({ timeoutMs: 40, pause })).rejects.toBeInstanceOf(BusyError)
      expect(asked.length).toBeGreaterThan(1)
      expect(Math.min(...asked)).toBeGreaterThan(0)
      expect(Math.max(...asked)).toBeLessThanOrEqual(10)
      const waiting = waiter.acquire({ pause })
      expect(await Promise.race([waiting, pause(20).then(() => 'waits')])).toBe('waits')
      await held.release()
      await (await waiting).release()
      const failing = async (): Promise<void> => {
        throw new TypeError('not now')
      }
      const again = await holder.acquire()
      await expect(waiter.acquire({ pause: failing })).rejects.toThrow('not now')
      await again.release()
      // Its place in the queue was given up.
      expect(holder.waiters()).toBe(0)
    })

    test('L3: an abort rejects with its reason, changes nothing and leaks nothing', async () => {
      const path = `${makeFolder()}/lock`
      const lock = await opened(path, method)
      const holding = await opened(path, method)
      const held = await holding.acquire()
      expect(await lock.tryAcquire()).toBeNull()
      const before = readFileSync(path)
      const openBefore = descriptors()
      const abort = new AbortController()
      const waits = Array.from({ length: 5 }, () => lock.acquire({ signal: abort.signal }))
      const outcomes = Promise.allSettled(waits)
      while (held.waiters() < 5) await new Promise((tick) => setTimeout(tick, 1))
      abort.abort(new RangeError('enough'))
      for (const outcome of await outcomes) {
        expect(outcome).toMatchObject({ status: 'rejected', reason: { message: 'enough' } })
      }
      await expect(lock.acquire({ signal: abort.signal })).rejects.toThrow('enough')
      expect(held.waiters()).toBe(0)
      expect(descriptors()).toBe(openBefore)
      expect(readFileSync(path)).toEqual(before)
    })

    test('L3: closing a handle ends its pending acquires with RINGBOLT_CLOSED', async () => {
      const path = `${makeFolder()}/lock`
      const lock = await openLock(path, { method })
      const holding = await opened(path, method)
      const held = await holding.acquire()
      const wait = Promise.allSettled([lock.acquire()])
      while (!held.contended()) await new Promise((tick) => setTimeout(tick, 1))
      await lock.close()
      const [outcome] = await wait
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'RINGBOLT_CLOSED' } })
      expect(() => lock.waiters()).toThrow(/closed/)
      await lock.close()
      await held.release()
      await held.release()
      expect(() => held.waiters()).toThrow(/closed/)
    })

    test('L3: waiters on a stopped holder get BusyError, and a stopped waiter stops nobody', async () => {
      const path = `${makeFolder()}/lock`
      const lock = await opened(path, method)
      const peer = await openedPeer(path, method)
      await peer.must({ does: 'acquire' })
      peer.signal('SIGSTOP')
      await expect(lock.acquire({ timeoutMs: 60 })).rejects.toMatchObject({
        code: 'RINGBOLT_BUSY',
        facts: { holderPid: peer.pid },
      })
      peer.signal('SIGCONT')
      await peer.must({ does: 'release' })

      const held = await lock.acquire()
      const waiting = peer.ask({ does: 'acquire', timeoutMs: 20_000 })
      while (!held.contended()) await new Promise((tick) => setTimeout(tick, 1))
      peer.signal('SIGSTOP')
      await held.release()
      // The stopped one was first; it is passed over, and served when it runs on.
      const next = await lock.acquire({ timeoutMs: 5_000 })
      await next.release()
      peer.signal('SIGCONT')
      expect((await waiting).code).toBeUndefined()
    })

    test('L3: SIGKILL of a waiter leaves nothing that stops the next one', async () => {
      const path = `${makeFolder()}/lock`
      const lock = await opened(path, method)
      const peer = await openedPeer(path, method)
      const held = await lock.acquire()
      const waiting = Promise.allSettled([peer.ask({ does: 'acquire' })])
      while (!held.contended()) await new Promise((tick) => setTimeout(tick, 1))
      await peer.kill('SIGKILL')
      await waiting
      await held.release()
      await (await lock.acquire({ timeoutMs: 5_000 })).release()
      expect(await lock.holder()).toBeNull()
    })

    test('L3: a busy holder serves each waiter within a turn or two, in other processes', async () => {
      const folder = makeFolder()
      const path = `${folder}/lock`
      const log = `${folder}/log`
      appendFileSync(log, '')
      const peers = await Promise.all([1, 2, 3].map(() => openedPeer(path, method)))
      const [busy, ...visitors] = peers
      await busy?.must({ does: 'turns', path: log })
      const visits = 15
      // On a busy machine all visits may be over before the holder has a turn with somebody waiting.
      let rounds = 0
      let lines: readonly string[] = []
      const isContended = (line: string): boolean => line.startsWith('turn') && line !== 'turn 0'
      while (rounds < 20 && !lines.some(isContended)) {
        rounds++
        await Promise.all(
          visitors.map((peer, index) =>
            peer.must({ does: 'visits', path: log, name: String(index), times: visits }),
          ),
        )
        lines = readFileSync(log, 'utf8').trimEnd().split('\n')
      }
      await busy?.end()
      lines = readFileSync(log, 'utf8').trimEnd().split('\n')
      expect(lines.filter((line) => line.startsWith('visit'))).toHaveLength(
        rounds * visits * visitors.length,
      )
      // Turns that ended with somebody waiting, one after another without a visit between them.
      let runMax = 0
      let run = 0
      for (const line of lines) {
        run = line.startsWith('visit') || line === 'turn 0' ? 0 : run + 1
        runMax = Math.max(runMax, run)
      }
      expect(lines.some(isContended)).toBe(true)
      expect(runMax).toBeLessThanOrEqual(2)
    })

    test('L5: four processes counting in a file lose nothing', async () => {
      const folder = makeFolder()
      const path = `${folder}/lock`
      const counter = `${folder}/counter`
      writeFileSync(counter, '0')
      const peers = await Promise.all([1, 2, 3, 4].map(() => openedPeer(path, method)))
      await Promise.all(
        peers.map((peer) => peer.must({ does: 'count', path: counter, times: 100 })),
      )
      expect(readFileSync(counter, 'utf8')).toBe('400')
      expect(await Promise.all(peers.map((peer) => peer.end()))).toEqual([0, 0, 0, 0])
    })

    test('L5: the recorded method is enforced and used by whoever does not ask', async () => {
      const path = `${makeFolder()}/lock`
      const lock = await opened(path, method)
      expect((await opened(path, method)).id).toBe(lock.id)
      const unasked = await openLock(path)
      expect(unasked.method).toBe(method)
      await unasked.close()
      const other = METHOD_NAMES.find((name) => name !== method)
      if (other === undefined) throw new TypeError('there are three methods')
      const error: unknown = await openLock(path, { method: other }).catch(
        (reason: unknown) => reason,
      )
      expect(isLockError(error, 'RINGBOLT_LOCK_METHOD_MISMATCH')).toBe(true)
      expect(error).toMatchObject({ facts: { path, expected: method, found: other } })
    })
  })
}
