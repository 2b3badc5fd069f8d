/**
 * The host thread: the only one of the process that loads fs-ext, and where proper-lockfile's timers
 * run. The main thread starts it, at most once (host-rendezvous.ts); it lives until the process ends.
 *
 * 1. fs-ext keeps state in static memory that belongs to the thread that loaded it: it is loaded here
 *    and nowhere else, and only `flockSync` with non-waiting flags is called.
 * 2. The host opens claims' descriptors itself, by path and identity: a descriptor number sent by a
 *    thread that dies meanwhile might stand for another file by the time it is used.
 * 3. A claim belongs to a client thread. When that thread has ended, however, its claims are closed,
 *    which frees their locks, at most `SWEEP_MS` later. Nothing tells a thread of another's end (a
 *    MessagePort would, but none can be handed to a thread one did not start), so it is looked up:
 *    the client names its operating system thread, and the system knows whether it is there.
 * 4. A claim's requests are carried out one after another.
 */
import type { BroadcastChannel } from 'node:worker_threads'
import { type Claim, descriptorOpener, type OpenClaim } from './claim.ts'
import { closed, toPlain, unavailable } from './errors.ts'
import {
  COMMON_CHANNEL,
  channelOf,
  type HostedMethod,
  type HostMessage,
  isCommonMessage,
  isRequestMessage,
  listen,
  type OpenRequest,
  type Request,
} from './host-protocol.ts'
import { loadFlock } from './native-locks.ts'
import { nodePlatform } from './node-platform.ts'
import type { OsThread } from './platform.ts'

const SWEEP_MS = 20

const { files, threads } = nodePlatform

const openers = new Map<HostedMethod, OpenClaim>()

async function openerOf(method: HostedMethod): Promise<OpenClaim> {
  const known = openers.get(method)
  if (known !== undefined) return known
  const opener = method === 'flock' ? flockOpener() : await lockfileOpener()
  openers.set(method, opener)
  return opener
}

function flockOpener(): OpenClaim {
  return descriptorOpener(files, loadFlock(nodePlatform))
}

async function lockfileOpener(): Promise<OpenClaim> {
  try {
    const { LockfileClaim } = await import('./lockfile-claim.ts')
    return async (target, lost) => new LockfileClaim(nodePlatform, target, lost)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw unavailable('lockfile', `proper-lockfile does not load: ${reason}`, error)
  }
}

class Client {
  readonly #thread: OsThread | null
  readonly #channel: BroadcastChannel
  readonly #claims = new Map<number, Promise<Claim>>()
  /** The tail of each claim's work. */
  readonly #work = new Map<number, Promise<void>>()
  #ended = false

  constructor(name: string, thread: OsThread | null) {
    this.#thread = thread
    this.#channel = listen(channelOf(name), isRequestMessage, ({ id, request }) => {
      // Sent by a thread that has ended since: what it opened now, nobody would close.
      if (this.#ended) return
      const claim = 'claim' in request ? request.claim : 0
      const before = this.#work.get(claim) ?? Promise.resolve()
      const after = before.then(() => this.#answer(id, request))
      this.#work.set(claim, after)
    })
  }

  get hasClaims(): boolean {
    return this.#claims.size > 0
  }

  /** The main thread ends with the process; every other is looked up. */
  get isAlive(): boolean {
    return this.#thread === null || threads.isThreadAlive(this.#thread)
  }

  say(message: HostMessage): void {
    // Nobody is left to be told; a closed channel would throw, and take the host and its locks with it.
    if (!this.#ended) this.#channel.postMessage(message)
  }

  async #answer(id: number, request: Request): Promise<void> {
    try {
      this.say({ kind: 'reply', id, value: await this.#carryOut(request) })
    } catch (error) {
      this.say({ kind: 'failure', id, error: toPlain(error) })
    }
  }

  async #carryOut(request: Request): Promise<boolean> {
    switch (request.op) {
      case 'load':
        await openerOf(request.method)
        return true
      case 'open':
        return await this.#open(request)
      case 'try':
        return await (await this.#claimOf(request.claim)).tryLock(request.record)
      case 'probe':
        return await (await this.#claimOf(request.claim)).probe()
      case 'unlock':
        await (await this.#claimOf(request.claim)).unlock()
        return true
      case 'close': {
        const claim = await this.#claimOf(request.claim)
        this.#claims.delete(request.claim)
        this.#work.delete(request.claim)
        await claim.close()
        return true
      }
    }
  }

  async #open(request: OpenRequest): Promise<boolean> {
    const { claim, method, path, identity, lockName, staleMs } = request
    const opener = await openerOf(method)
    const opening = opener({ path, identity, lockName, staleMs }, (reason) =>
      this.say({ kind: 'lost', claim, reason }),
    )
    await opening
    this.#claims.set(claim, opening)
    watch()
    return true
  }

  #claimOf(claim: number): Promise<Claim> {
    const opening = this.#claims.get(claim)
    if (opening === undefined) throw closed('claim', String(claim))
    return opening
  }

  /**
   * Frees everything, after what is under way: a lock just being had is given back too. Settled, not
   * all: a claim that is compromised or cannot clear its record closes its descriptor before it
   * complains, and the thread that would have to be told is dead.
   */
  async end(): Promise<void> {
    this.#ended = true
    this.#channel.close()
    await Promise.all(this.#work.values())
    await Promise.allSettled([...this.#claims.values()].map(async (claim) => (await claim).close()))
    this.#claims.clear()
  }
}

const clients = new Map<string, Client>()
let sweeper: NodeJS.Timeout | undefined

function watch(): void {
  sweeper ??= setInterval(sweep, SWEEP_MS)
}

function sweep(): void {
  for (const [name, client] of clients) {
    if (client.isAlive) continue
    clients.delete(name)
    void client.end()
  }
  if (![...clients.values()].some((client) => client.hasClaims)) {
    clearInterval(sweeper)
    sweeper = undefined
  }
}

const common = listen(COMMON_CHANNEL, isCommonMessage, (message) => {
  if (message.kind !== 'hello') return
  sweep()
  const { client: name, thread, isMain } = message
  // A thread whose end could not be noticed is not served: it waits in vain and says why.
  if (!isMain && thread === null) return
  const client = clients.get(name) ?? new Client(name, isMain ? null : thread)
  clients.set(name, client)
  client.say({ kind: 'welcome' })
})

common.postMessage({ kind: 'ready' })
