/** Load threads, and processes of them: started, ready before the clock, ended with a result each. */
import type { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type MessagePort, Worker } from 'node:worker_threads'
import { PHASE_MEASURE, PHASE_STOP, PHASE_WARM_UP, type Phases } from './phases.ts'

export type LoadMessage<Result> =
  | { readonly kind: 'ready' }
  | { readonly kind: 'result'; readonly result: Result }

export interface LoadThread<Result> {
  readonly ready: Promise<void>
  readonly result: Promise<Result>
  readonly ended: Promise<void>
}

interface Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (reason: unknown) => void
}

/** What `Promise.withResolvers` is from Node 22 on. */
function deferred<T>(): Deferred<T> {
  let settle: Omit<Deferred<T>, 'promise'> | undefined
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject }
  })
  if (settle === undefined) throw new Error('a promise runs its executor at once')
  return { promise, ...settle }
}

export function startThread<Result>(
  file: URL,
  workerData: unknown,
  transferList: readonly MessagePort[] = [],
): LoadThread<Result> {
  const worker = new Worker(file, { workerData, transferList: [...transferList] })
  return watchLoad<Result>(worker, 'a load thread')
}

/**
 * What a thread or a process tells; one that fails or ends early rejects whatever is still awaited of it.
 * @param source a `Worker` or a `ChildProcess`: their events have the same names
 */
export function watchLoad<Result>(source: EventEmitter, name: string): LoadThread<Result> {
  const ready = deferred<void>()
  const result = deferred<Result>()
  const ended = deferred<void>()
  const fail = (error: Error): void => {
    ready.reject(error)
    result.reject(error)
    ended.reject(error)
  }
  source.on('message', (message: LoadMessage<Result>) => {
    if (message.kind === 'ready') ready.resolve(undefined)
    else result.resolve(message.result)
  })
  source.on('error', fail)
  source.on('exit', (code: number | null) => {
    ended.resolve(undefined)
    fail(new Error(`${name} ended with ${code} before it gave its result`))
  })
  // The one that is awaited first tells; the others would tell again.
  for (const settled of [ready.promise, result.promise, ended.promise])
    settled.catch(() => undefined)
  return { ready: ready.promise, result: result.promise, ended: ended.promise }
}

export interface Window {
  readonly warmUpMs: number
  readonly measureMs: number
}

export interface MeasuredLoad<Result> {
  readonly results: readonly Result[]
  readonly elapsedMs: number
}

/** Runs threads that loop until they are told to stop; returns what they counted in the window. */
export async function measureLoad<Result>(
  threads: readonly LoadThread<Result>[],
  phases: Pick<Phases, 'enter'>,
  { warmUpMs, measureMs }: Window,
): Promise<MeasuredLoad<Result>> {
  return await measureLoadDuring(threads, phases, warmUpMs, async () => await sleep(measureMs))
}

/** The same, in a window that is as long as something takes. */
export async function measureLoadDuring<Result>(
  threads: readonly LoadThread<Result>[],
  phases: Pick<Phases, 'enter'>,
  warmUpMs: number,
  during: () => Promise<unknown>,
): Promise<MeasuredLoad<Result>> {
  const failed = Promise.all(threads.map(({ result }) => result))
  await Promise.all(threads.map(({ ready }) => ready))
  phases.enter(PHASE_WARM_UP)
  await Promise.race([sleep(warmUpMs), failed])
  const startedMs = performance.now()
  phases.enter(PHASE_MEASURE)
  await Promise.race([during(), failed])
  phases.enter(PHASE_STOP)
  const elapsedMs = performance.now() - startedMs
  const results = await failed
  await Promise.all(threads.map(({ ended }) => ended))
  return { results, elapsedMs }
}
