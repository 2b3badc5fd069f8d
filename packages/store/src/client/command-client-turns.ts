/** Those who wait for their turn, in order; who gives up is passed over. */
import type { RingEnvironment, WaitOptions } from '@ringbolt/ring'
import { CommitTimeoutError } from './command-client-errors.ts'

interface Waiting {
  resolve: (() => void) | undefined
}

/** Served places that stand before the queue closes up. */
const SERVED_PLACES_MAX = 256

export class Turns {
  readonly #environment: RingEnvironment
  #waiting: Waiting[] = []
  #head = 0

  constructor(environment: RingEnvironment) {
    this.#environment = environment
  }

  /** Resolves when `next` has come to it. */
  wait({ timeoutMs, signal }: WaitOptions = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { resolve: undefined }
      const leave = (reason: unknown): void => {
        release()
        waiting.resolve = undefined
        reject(reason)
      }
      const onAbort = (): void => leave(signal?.reason)
      const cancelTimer =
        timeoutMs === undefined || timeoutMs === Number.POSITIVE_INFINITY
          ? undefined
          : this.#environment.after(timeoutMs, () =>
              leave(new CommitTimeoutError(timeoutMs, 'nothing of it was appended')),
            )
      const release = (): void => {
        cancelTimer?.()
        signal?.removeEventListener('abort', onAbort)
      }
      waiting.resolve = () => {
        release()
        resolve()
      }
      signal?.addEventListener('abort', onAbort)
      this.#waiting.push(waiting)
    })
  }

  /** Gives a turn to the first who still waits. @returns false when there is nobody */
  next(): boolean {
    while (this.#head < this.#waiting.length) {
      const { resolve } = this.#waiting[this.#head]!
      this.#head++
      this.#closeUp()
      if (resolve === undefined) continue
      resolve()
      return true
    }
    return false
  }

  #closeUp(): void {
    if (this.#head < SERVED_PLACES_MAX || this.#head * 2 < this.#waiting.length) return
    this.#waiting = this.#waiting.slice(this.#head)
    this.#head = 0
  }
}
