/**
 * A thread's end of the conversation with the host thread: one per thread, connected on first use.
 * It keeps the process alive exactly while an answer is awaited.
 */
import type { BroadcastChannel } from 'node:worker_threads'
import type { Claim, ClaimTarget, OpenClaim } from './claim.ts'
import { fromPlain, type LockError, unavailable } from './errors.ts'
import {
  COMMON_CHANNEL,
  type CommonMessage,
  channelOf,
  type HostedMethod,
  type HostMessage,
  isCommonMessage,
  isHostMessage,
  listen,
  type Request,
  type RequestMessage,
} from './host-protocol.ts'
import { isHostPromised } from './host-rendezvous.ts'
import { hexOf, type OsThread, type Platform } from './platform.ts'

// When the main thread is known to have the package, it may just be busy; otherwise it most likely
// will never answer.
const PROMISED_ANSWER_MS = 30_000
const UNPROMISED_ANSWER_MS = 1_000

interface Waiting {
  readonly resolve: (value: boolean) => void
  readonly reject: (error: LockError) => void
}

export class HostClient {
  readonly #platform: Platform
  readonly #name: string
  readonly #channel: BroadcastChannel
  readonly #common: BroadcastChannel
  readonly #waiting = new Map<number, Waiting>()
  readonly #lost = new Map<number, (reason: string) => void>()
  readonly #loaded = new Set<HostedMethod>()
  #connection: Promise<string | null> | undefined
  /** While the host's word is awaited: called with null for its welcome, else with why there is none. */
  #met: ((reason: string | null) => void) | undefined
  /** While the host's word is awaited: says hello, again when the host has just started. */
  #greet: (() => void) | undefined
  #gone: string | undefined
  #requestLast = 0
  #claimLast = 0

  constructor(platform: Platform) {
    this.#platform = platform
    this.#name = hexOf(platform.randomBytes(16))
    this.#channel = listen(channelOf(this.#name), isHostMessage, (message) => this.#hear(message))
    this.#common = listen(COMMON_CHANNEL, isCommonMessage, (message) => this.#hearCommon(message))
    this.#channel.unref()
    this.#common.unref()
  }

  /** Proves that the method loads there, or says why not. */
  async load(method: HostedMethod): Promise<OpenClaim> {
    if (this.#gone !== undefined) throw unavailable(method, this.#gone)
    if (!this.#loaded.has(method)) {
      await this.#connect(method)
      await this.#ask({ op: 'load', method })
      this.#loaded.add(method)
    }
    return (target, lost) => this.#openClaim(method, target, lost)
  }

  async #openClaim(
    method: HostedMethod,
    target: ClaimTarget,
    lost: (reason: string) => void,
  ): Promise<Claim> {
    const claim = ++this.#claimLast
    const { path, identity, lockName, staleMs } = target
    await this.#ask({ op: 'open', method, claim, path, identity, lockName, staleMs })
    this.#lost.set(claim, lost)
    return {
      tryLock: (record) => this.#ask({ op: 'try', claim, record }),
      probe: () => this.#ask({ op: 'probe', claim }),
      unlock: async () => {
        await this.#ask({ op: 'unlock', claim })
      },
      close: async () => {
        this.#lost.delete(claim)
        // With the host, its descriptors have gone.
        if (this.#gone === undefined) await this.#ask({ op: 'close', claim })
      },
    }
  }

  #ask(request: Request): Promise<boolean> {
    const { promise, resolve, reject } = deferred()
    if (this.#gone !== undefined) {
      reject(unavailable('flock and lockfile', this.#gone))
      return promise
    }
    const id = ++this.#requestLast
    this.#waiting.set(id, { resolve, reject })
    this.#channel.ref()
    const message: RequestMessage = { kind: 'request', id, request }
    this.#channel.postMessage(message)
    return promise
  }

  #hear(message: HostMessage): void {
    if (message.kind === 'welcome') {
      this.#met?.(null)
    } else if (message.kind === 'lost') {
      this.#lost.get(message.claim)?.(message.reason)
    } else {
      const waiting = this.#waiting.get(message.id)
      this.#waiting.delete(message.id)
      if (this.#waiting.size === 0) this.#channel.unref()
      if (message.kind === 'reply') waiting?.resolve(message.value)
      else waiting?.reject(fromPlain(message.error))
    }
  }

  #hearCommon(message: CommonMessage): void {
    if (message.kind === 'ready') this.#greet?.()
    if (message.kind !== 'gone') return
    this.#met?.(message.reason)
    if (message.forGood) this.#lose(message.reason)
  }

  /** With the host's end its descriptors are closed: whatever was held through it is lost. */
  #lose(reason: string): void {
    this.#gone = reason
    this.#channel.unref()
    for (const waiting of this.#waiting.values()) {
      waiting.reject(unavailable('flock and lockfile', reason))
    }
    this.#waiting.clear()
    for (const lost of this.#lost.values()) lost(reason)
    this.#lost.clear()
  }

  #sayHello(thread: OsThread | null): void {
    const { isMain } = this.#platform.threads
    const hello: CommonMessage = { kind: 'hello', client: this.#name, isMain, thread }
    this.#common.postMessage(hello)
  }

  /** One attempt at a time; a failed one may be repeated, unless the host is gone for good. */
  async #connect(method: HostedMethod): Promise<void> {
    const connection = this.#connection ?? this.#meet()
    this.#connection = connection
    let isMet = false
    try {
      const reason = await connection
      if (reason !== null) throw unavailable(method, reason)
      isMet = true
    } finally {
      if (!isMet) this.#connection = undefined
    }
  }

  /** Null when the host has said welcome, otherwise why it has not. */
  async #meet(): Promise<string | null> {
    const { threads, clock } = this.#platform
    if (this.#gone !== undefined) return this.#gone
    // Looked up once and here, where a failure reaches the asker and not a channel's listener.
    const thread = threads.osThread()
    if (!threads.isMain && thread === null) {
      return 'this system does not tell whether a worker thread has ended'
    }
    const answerMs = threads.isMain || isHostPromised() ? PROMISED_ANSWER_MS : UNPROMISED_ANSWER_MS
    const answered = new AbortController()
    let outcome: string | null =
      `the main thread did not answer within ${answerMs} ms; ` +
      'import @ringbolt/locks there, and let its event loop run'
    this.#met = (reason) => {
      outcome = reason
      answered.abort()
    }
    this.#greet = () => this.#sayHello(thread)
    this.#greet()
    await clock.sleep(answerMs, [answered.signal])
    this.#met = undefined
    this.#greet = undefined
    return outcome
  }
}

function deferred(): { promise: Promise<boolean> } & Waiting {
  let settle: Waiting | undefined
  const promise = new Promise<boolean>((resolve, reject) => {
    settle = { resolve, reject }
  })
  if (settle === undefined) throw new TypeError('a promise runs its executor at once')
  return { promise, ...settle }
}
