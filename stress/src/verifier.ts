/**
 * The oracle over a log's folder, in a thread of its own, so that reading a long stretch does not
 * keep the driver from noticing deaths. One call at a time.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { errorFromPlain } from '@ringbolt/ring'
import type { OracleResult } from './oracle.ts'
import type {
  ClosedPolicy,
  Verified,
  VerifierReply,
  VerifierRequest,
  VerifierWork,
} from './verifier-thread.ts'

export class Verifier {
  readonly #worker: Worker

  constructor(work: VerifierWork) {
    this.#worker = new Worker(new URL('./verifier-thread.js', import.meta.url), {
      workerData: work,
      name: 'ringbolt-oracle',
    })
  }

  /**
   * Hands the oracle what the log holds beyond what it has read, while somebody appends.
   * @param atLeastLsn what is durable now: it must get there
   */
  readBeside(atLeastLsn: number): Promise<Verified> {
    return this.#read({ op: 'readBeside', atLeastLsn })
  }

  /** The same when nobody appends. */
  readClosed(recovery: ClosedPolicy): Promise<Verified> {
    return this.#read({ op: 'readClosed', recovery })
  }

  /** The verdict; nothing more can be read after it. */
  async finish(acknowledged: readonly number[], inFlightMax: number): Promise<OracleResult> {
    const reply = await this.#ask({ op: 'finish', acknowledged, inFlightMax })
    if (reply.kind !== 'finished') throw new Error(`oracle: asked to finish, said ${reply.kind}`)
    return reply.result
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }

  async #read(request: VerifierRequest): Promise<Verified> {
    const reply = await this.#ask(request)
    if (reply.kind !== 'read') throw new Error(`oracle: asked to read, answered ${reply.kind}`)
    return reply.verified
  }

  async #ask(request: VerifierRequest): Promise<VerifierReply> {
    this.#worker.postMessage(request)
    const [reply]: VerifierReply[] = await once(this.#worker, 'message')
    if (reply === undefined) throw new Error('oracle: an empty message')
    if (reply.kind === 'failed') throw errorFromPlain(reply.error)
    return reply
  }
}
