/** Threads that come and go (L6). */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { METHOD_NAMES, openLock } from './index.ts'
import { makeFolder, Peer } from './testing/peers.ts'

const seed = Number(process.env['RINGBOLT_SEED'] ?? 20_261_121)
const CHURN_PATH = fileURLToPath(new URL('./testing/churn.js', import.meta.url))
const THREAD_URL = new URL('./testing/peer-thread.js', import.meta.url)

describe('threads', () => {
  test.each([
    ['flock', 100],
    ['ofd', 60],
    ['lockfile', 40],
  ])(
    'L6: %s: %i workers load, acquire and are terminated at random moments; nothing crashes or stays locked',
    async (method, workers) => {
      console.log(`seed ${seed} (RINGBOLT_SEED)`)
      const folder = makeFolder()
      const child = fork(CHURN_PATH, [folder, method, String(workers), String(seed)], {
        execArgv: [],
      })
      const reports: unknown[] = []
      child.on('message', (report) => reports.push(report))
      const [code, signal] = await once(child, 'exit')
      expect({ code, signal }).toEqual({ code: 0, signal: null })
      expect(reports).toHaveLength(1)
      expect(reports[0]).toMatchObject({ started: workers, strange: [] })
      expect(reports[0]).toHaveProperty('acquisitions', expect.any(Number))
      expect(reports[0]).not.toHaveProperty('acquisitions', 0)
    },
  )

  test.each(METHOD_NAMES)('L6: a thread terminated while it holds: %s', async (method) => {
    const path = `${makeFolder()}/lock`
    const lock = await openLock(path, { method, staleMs: 60_000 })
    const worker = new Worker(THREAD_URL, { workerData: { path, method, does: 'hold' } })
    await once(worker, 'message')
    expect(await lock.tryAcquire()).toBeNull()
    await worker.terminate()
    const held = await lock.acquire({ timeoutMs: 10_000 })
    expect((await lock.holder())?.threadId).toBe(0)
    await held.release()
    await lock.close()
  })

  test('L6: a worker whose main thread lacks the package: told so, and ofd works', async () => {
    const folder = makeFolder()
    const peer = fork(fileURLToPath(new URL('./testing/bare-main.js', import.meta.url)), [], {
      execArgv: [],
      env: { ...process.env, FOLDER: folder },
    })
    const [answers] = await once(peer, 'message')
    expect(answers).toMatchObject([
      { code: 'RINGBOLT_LOCK_METHOD_UNAVAILABLE' },
      'ofd',
      { code: 'RINGBOLT_LOCK_METHOD_UNAVAILABLE' },
      'ofd',
    ])
    expect(JSON.stringify(answers)).toContain('import @ringbolt/locks there')
  })

  test.each(METHOD_NAMES)('an idle or holding process ends by itself: %s', async (method) => {
    const folder = makeFolder()
    const child = fork(fileURLToPath(new URL('./testing/idle-main.js', import.meta.url)), [], {
      execArgv: [],
      env: { ...process.env, LOCK: `${folder}/lock`, METHOD: method },
    })
    const said: unknown[] = []
    child.on('message', (message) => said.push(message))
    const [code, signal] = await once(child, 'exit')
    // A pending acquire kept it alive to its deadline; the lock that it still held did not.
    expect({ code, signal, said }).toEqual({ code: 0, signal: null, said: ['RINGBOLT_BUSY'] })
    const lock = await openLock(`${folder}/lock`, { staleMs: 2_000 })
    await (await lock.acquire({ timeoutMs: 10_000 })).release()
    await lock.close()
  })

  test('L6: the host thread ending tells the holder, frees the lock, and never starts again', async () => {
    const path = `${makeFolder()}/lock`
    const child = fork(fileURLToPath(new URL('./testing/host-loss.js', import.meta.url)), [], {
      execArgv: [],
      env: { ...process.env, LOCK: path },
    })
    const said: unknown[] = []
    child.on('message', (message) => said.push(message))
    const [code, signal] = await once(child, 'exit')
    expect({ code, signal, said }).toEqual({
      code: 0,
      signal: null,
      said: [
        'RINGBOLT_LOCK_COMPROMISED',
        'RINGBOLT_LOCK_COMPROMISED',
        'RINGBOLT_LOCK_METHOD_UNAVAILABLE',
        'RINGBOLT_LOCK_METHOD_UNAVAILABLE',
        'closed',
      ],
    })
    const lock = await openLock(path)
    await (await lock.acquire({ timeoutMs: 5_000 })).release()
    await lock.close()
  })

  test('a process that stood still loses a lockfile lock, is told, and its every use says so', async () => {
    const path = `${makeFolder()}/lock`
    const peer = new Peer()
    await peer.must({ does: 'open', path, method: 'lockfile' })
    await peer.must({ does: 'acquire' })
    const lock = await openLock(path, { staleMs: 2_000 })
    peer.signal('SIGSTOP')
    const held = await lock.acquire({ timeoutMs: 20_000 })
    peer.signal('SIGCONT')
    while ((await peer.must({ does: 'lost' })) !== true) {
      await new Promise((tick) => setTimeout(tick, 20))
    }
    expect((await peer.ask({ does: 'verify' })).code).toBe('RINGBOLT_LOCK_COMPROMISED')
    expect((await peer.ask({ does: 'release' })).code).toBe('RINGBOLT_LOCK_COMPROMISED')
    held.verify()
    expect(await peer.must({ does: 'try' })).toBe(false)
    await held.release()
    expect(await peer.must({ does: 'try' })).toBe(true)
    await lock.close()
  })
})
