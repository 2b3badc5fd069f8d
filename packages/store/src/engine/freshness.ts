/**
 * Before a read of the newest state begins: everything that any process had acknowledged by now is published here.
 *
 * Threads: belongs to the thread that made it. While it is this process's turn to write, nobody else can have
 * acknowledged anything: one atomic load. Otherwise a look at the lock file's board, one small read, and a wait
 * only when somebody has written since: for the sequencer, which applies that.
 */
import type { Board } from '@ringbolt/locks'
import type { Control } from './control.ts'
import { decodeSharedHead } from './shared-head.ts'

const WAIT_MS = 100
/** With a bound, it is looked so often within it. */
const LOOKS_PER_BOUND = 4

export class Freshness {
  readonly #control: Control
  readonly #board: Pick<Board, 'readNew' | 'close'>
  readonly #stalenessMs: number
  readonly #nowMs: () => number
  readonly #wakeSequencer: () => void
  /** @throws when nobody is going to follow any more */
  readonly #assertOpen: () => void
  #lookedAtMs = Number.NEGATIVE_INFINITY
  /** The newest that was said. */
  #epoch: number | undefined

  constructor(parts: {
    readonly control: Control
    readonly board: Pick<Board, 'readNew' | 'close'>
    /** How old what is read may be. */
    readonly stalenessMs: number
    readonly nowMs: () => number
    readonly wakeSequencer: () => void
    readonly assertOpen: () => void
  }) {
    this.#control = parts.control
    this.#board = parts.board
    this.#stalenessMs = parts.stalenessMs
    this.#nowMs = parts.nowMs
    this.#wakeSequencer = parts.wakeSequencer
    this.#assertOpen = parts.assertOpen
  }

  /** @throws StoreClosedError, and the failure that ended the sequencer */
  ensure(): void {
    if (this.#control.isTurn) return
    if (this.#stalenessMs > 0) this.#ensureWithinBound()
    else this.#waitFor(this.#look())
  }

  /**
   * What was said a look ago must be published by now: mostly it is, and nobody waits. What is said now is asked for.
   */
  #ensureWithinBound(): void {
    const nowMs = this.#nowMs()
    const agoMs = nowMs - this.#lookedAtMs
    const intervalMs = this.#stalenessMs / LOOKS_PER_BOUND
    if (agoMs < intervalMs) return
    this.#lookedAtMs = nowMs
    const before = this.#epoch
    const newest = this.#look()
    // Until the next look, what is read gets older by an interval.
    const isWithin = agoMs + intervalMs <= this.#stalenessMs
    this.#waitFor(isWithin ? before : newest)
    if (newest !== undefined && !this.#control.hasFollowed(newest)) this.#askFor()
  }

  /** The newest epoch that was said. */
  #look(): number | undefined {
    const said = this.#board.readNew()
    const head = said && decodeSharedHead(said)
    if (head !== undefined) this.#epoch = head.epoch
    return this.#epoch
  }

  #askFor(): void {
    this.#control.wantFresh()
    this.#wakeSequencer()
  }

  #waitFor(epoch: number | undefined): void {
    const control = this.#control
    if (epoch === undefined) return
    while (!control.isTurn && !control.hasFollowed(epoch)) {
      this.#assertOpen()
      this.#askFor()
      control.waitForFollowed(epoch, WAIT_MS)
    }
  }

  close(): void {
    this.#board.close()
  }
}
