/**
 * When a process takes its turn at a shared database, and when it lets others have theirs.
 *
 * The turn is kept for as long as nobody else wants it: a process alone takes it once. Whoever waits is let in after
 * a tenure, or at once when there is nothing to do; the lock's queue sees to the order.
 *
 * Whatever fails, of the database or of the lock, poisons the ring with its cause, and gives the turn up for good:
 * whoever waits here hears why, and the others go on.
 */
import { BusyError } from '@ringbolt/locks'
import type { ProcessLink } from './process-link.ts'
import type { StoreCore } from './store-core.ts'

/** How long others wait while there is work: a hand-over costs three or four milliseconds, until clients write again. */
const TENURE_MS = 15
/** How soon somebody who comes is noticed in an idle process. */
const IDLE_MS = 20
/** How long others who wait are kept waiting for this process's own next commit. */
const ANSWERED_MS = 1.5
/** How long the turn is kept with nothing to do, when others are there. */
const LINGER_MS = 2
/** How soon it is noticed, without being asked, that others have written. */
const FOLLOW_MS = 20
/** The same while it waits for its turn: what is left then has to be caught up with when it comes. */
const FOLLOW_WAITING_MS = 3
/** A turn that was not had at once mostly lasts its tenure: until then, its holder's threads are left the processors. */
const QUICK_TRIES_MS = 1
const QUICK_AGAIN_MS: number = TENURE_MS * 0.8
/** How often it looks who is there. */
const LOOK_MS = 1000

export interface TurnClock {
  nowMs(): number
  /** Lets everything else that is due go first. */
  turn(): Promise<void>
}

export class TurnTaker {
  readonly #core: StoreCore
  readonly #link: ProcessLink
  readonly #clock: TurnClock
  #turnEndsMs: number
  #followedMs = Number.NEGATIVE_INFINITY
  /** Since when it waits. */
  #waitingMs = 0
  #lookMs: number

  /** The lock is held, and the database open. */
  constructor(core: StoreCore, link: ProcessLink, clock: TurnClock) {
    this.#core = core
    this.#link = link
    this.#clock = clock
    this.#turnEndsMs = clock.nowMs() + TENURE_MS
    this.#lookMs = clock.nowMs() + LOOK_MS
  }

  /** Until the owner asks for the end, which it reaches. @throws what closing throws */
  async run(): Promise<void> {
    const core = this.#core
    try {
      while (!core.control.closeWanted && !core.isFailed) await this.#next()
    } catch (error) {
      core.fail(error)
    }
    if (core.isFailed) await this.#giveUp()
    while (!core.control.closeWanted) core.idle()
    await this.#close()
  }

  async #next(): Promise<void> {
    const core = this.#core
    if (this.#link.isHeld) await this.#ownTurn()
    else if (core.wantsTurn) await this.#takeTurn()
    else {
      core.follow()
      if (!core.isTurn && this.#clock.nowMs() >= this.#lookMs) await this.#lookForOthers()
      core.idle(FOLLOW_MS)
    }
  }

  /** With nobody else there the turn is kept from then on, and readers need not look what others say. */
  async #lookForOthers(): Promise<void> {
    this.#lookMs = this.#clock.nowMs() + LOOK_MS
    if (await this.#link.tryAcquire()) await this.#beginTurn()
  }

  async #giveUp(): Promise<void> {
    this.#core.endTurn()
    try {
      await this.#link.release()
    } catch (error) {
      // The first cause stands.
      this.#core.fail(error)
    }
  }

  async #ownTurn(): Promise<void> {
    const core = this.#core
    const didSomething = core.step()
    const nowMs = this.#clock.nowMs()
    if (nowMs >= this.#lookMs) {
      this.#lookMs = nowMs + LOOK_MS
      await this.#link.look()
      core.noteOthers(this.#link.othersCount)
    }
    if (didSomething) {
      if (nowMs < this.#turnEndsMs) return
      this.#turnEndsMs = nowMs + 1
      await this.#endTurnIfWanted()
      return
    }
    if (this.#link.isContended) {
      // Who has just been answered is about to write again: a hand-over for each group would cost more than it gives.
      core.idle(ANSWERED_MS)
      if (!core.step()) await this.#endTurnIfWanted()
      return
    }
    core.stopDraining()
    if (this.#link.othersCount === 0) {
      core.idle(IDLE_MS)
      return
    }
    // Whoever comes next need not ask for it.
    core.idle(LINGER_MS)
    if (!core.step() && core.mayEndTurn) await this.#endTurn()
  }

  async #endTurnIfWanted(): Promise<void> {
    const core = this.#core
    if (!this.#link.isContended) core.stopDraining()
    else if (core.mayEndTurn) await this.#endTurn()
    else core.control.setDraining(true)
  }

  async #endTurn(): Promise<void> {
    if (this.#core.endTurn()) await this.#link.release()
  }

  async #takeTurn(): Promise<void> {
    const core = this.#core
    this.#waitingMs = this.#clock.nowMs()
    const busy = await this.#acquire((durationMs) => this.#whileWaiting(durationMs))
    if (busy !== undefined) {
      core.refuseAsBusy(busy.facts)
      return
    }
    core.noteTurn(this.#clock.nowMs() - this.#waitingMs)
    await this.#beginTurn()
  }

  async #beginTurn(): Promise<void> {
    this.#turnEndsMs = this.#clock.nowMs() + TENURE_MS
    this.#core.noteOthers(this.#link.othersCount)
    if (!this.#core.beginTurn()) await this.#link.release()
  }

  /** @throws what following failed with */
  async #whileWaiting(durationMs: number): Promise<void> {
    const core = this.#core
    const nowMs = this.#clock.nowMs()
    if (core.control.freshWanted || nowMs >= this.#followedMs + FOLLOW_WAITING_MS) {
      this.#followedMs = nowMs
      core.follow()
      core.assertSound()
    }
    const waitedMs = nowMs - this.#waitingMs
    const isQuick = waitedMs < QUICK_TRIES_MS || waitedMs >= QUICK_AGAIN_MS
    core.control.waitForFreshWanted(isQuick ? durationMs : Math.max(durationMs, FOLLOW_WAITING_MS))
    await this.#clock.turn()
  }

  /** Why not, when it could not be had in time. */
  async #acquire(pause?: (durationMs: number) => Promise<void>): Promise<BusyError | undefined> {
    try {
      await this.#link.acquire(pause)
      return undefined
    } catch (error) {
      if (error instanceof BusyError) return error
      throw error
    }
  }

  async #close(): Promise<void> {
    const core = this.#core
    const link = this.#link
    try {
      if (!core.isFailed) await this.#comeToTurn()
    } catch (error) {
      core.fail(error)
    }
    try {
      core.close(link.isHeld && link.othersCount === 0)
    } catch (error) {
      core.fail(error)
    }
    try {
      await link.close()
    } catch (error) {
      core.fail(error)
    }
    core.assertSound()
  }

  /** For the last time. */
  async #comeToTurn(): Promise<void> {
    const core = this.#core
    const link = this.#link
    const busy = link.isHeld ? undefined : await this.#acquire()
    if (busy !== undefined) core.refuseAsBusy(busy.facts)
    else if (!core.isTurn) core.beginTurn()
    if (link.isHeld) await link.look()
  }
}
