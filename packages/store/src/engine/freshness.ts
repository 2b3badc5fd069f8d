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

export class Freshness {
  readonly #control: Control
  readonly #board: Board
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
    readonly board: Board
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
    if (this.#stalenessMs > 0) {
      const nowMs = this.#nowMs()
      if (nowMs - this.#lookedAtMs < this.#stalenessMs) return
      this.#lookedAtMs = nowMs
    }
    const said = this.#board.readNew()
    const head = said && decodeSharedHead(said)
    if (head !== undefined) this.#epoch = head.epoch
    if (this.#epoch !== undefined && !this.#control.hasFollowed(this.#epoch))
      this.#wait(this.#epoch)
  }

  #wait(epoch: number): void {
    const control = this.#control
    while (!control.isTurn && !control.hasFollowed(epoch)) {
      this.#assertOpen()
      control.wantFresh()
      this.#wakeSequencer()
      control.waitForFollowed(epoch, WAIT_MS)
    }
  }

  close(): void {
    this.#board.close()
  }
}
