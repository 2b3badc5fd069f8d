/**
 * The queue of those who wait for a lock: a courtesy table in the lock file (L3).
 *
 * Kernel locks cannot be awaited without a blocked thread, so waiters poll, and with polling alone a
 * holder that releases and takes again at once wins every time. Hence: who waits says so in a slot,
 * and whoever wants the lock first looks for waiters who came earlier, and waits behind them.
 *
 * 1. The table decides who may try; the kernel alone decides who holds. Nothing written here, torn,
 *    foreign or malicious, can make two hold the lock; it can only cost time, and that is bounded.
 * 2. Order is by arrival on the machine-wide monotonic clock, ties by random token. A waiter keeps its
 *    arrival for as long as it waits.
 * 3. A waiter renews its slot while it polls. A slot not renewed for `PATIENCE_MS` is passed over: a
 *    waiter that was killed, stopped, or blocks its event loop delays the others once, by that much.
 *    A stopped one that runs on renews it and has its old place again.
 * 4. So a waiter is served after those who came before it and nobody else: under a holder that takes
 *    the lock again and again, after at most one more of its turns per waiter before it.
 * 5. Slots are claimed without a lock. Two that choose one slot at the same time: the later write
 *    stands, the other sees it at its next poll and takes another. With more waiters than slots, the
 *    rest wait behind all who have one, in no order among themselves.
 * 6. A crash leaves a slot that expires. The monotonic clock starts anew at boot, so a slot from before
 *    lies in the future or the past of any reader, or expires like every other.
 */
import {
  checksumOf,
  SLOT_ARRIVAL_FIELD,
  SLOT_BYTES,
  SLOT_CHECKSUM_FIELD,
  SLOT_COUNT,
  SLOT_PID_FIELD,
  SLOT_RENEWED_FIELD,
  SLOT_TOKEN_FIELD,
  SLOTS_BYTES,
  SLOTS_OFFSET,
  viewOf,
} from './layout.ts'
import { type OpenFile, type Platform } from './platform.ts'

export const PATIENCE_MS = 250
const RENEWAL_MS: number = PATIENCE_MS / 8

/** A waiter's place: `slotIndex` is null while all slots are taken. */
export interface Place {
  readonly arrivalMs: number
  readonly token: bigint
  readonly slotIndex: number | null
  readonly renewedMs: number
}

const EMPTY_SLOT = new Uint8Array(SLOT_BYTES)

export class WaitQueue {
  readonly #file: OpenFile
  readonly #platform: Platform
  readonly #table = new Uint8Array(SLOTS_BYTES)
  readonly #view: DataView = viewOf(this.#table)

  constructor(file: OpenFile, platform: Platform) {
    this.#file = file
    this.#platform = platform
  }

  /** How many wait now. One `pread` of a kilobyte and a scan. */
  count(): number {
    return this.ahead(null)
  }

  /** How many wait who came before this place; without a place, or a slot, all who wait. */
  ahead(place: Place | null): number {
    const nowMs = this.#look()
    let count = 0
    for (let slotIndex = 0; slotIndex < SLOT_COUNT; slotIndex++) {
      if (this.#isLive(slotIndex, nowMs) && this.#isBefore(slotIndex, place)) count++
    }
    return count
  }

  join(): Place {
    const token = viewOf(this.#platform.randomBytes(8)).getBigUint64(0, true)
    const arrivalMs = this.#look()
    return this.#settle({ arrivalMs, token, slotIndex: null, renewedMs: arrivalMs }, arrivalMs)
  }

  /** Renews a place when it is due, and finds another slot when its own was overwritten. */
  keep(place: Place): Place {
    const nowMs = this.#look()
    if (!this.#isMine(place)) return this.#settle(place, nowMs)
    return nowMs - place.renewedMs < RENEWAL_MS ? place : this.#write(place, nowMs)
  }

  leave(place: Place): void {
    this.#look()
    if (place.slotIndex === null || !this.#isMine(place)) return
    this.#file.write(SLOTS_OFFSET + place.slotIndex * SLOT_BYTES, EMPTY_SLOT)
  }

  /** Reads the table; returns the time at which it was true. */
  #look(): number {
    const readBytes = this.#file.read(SLOTS_OFFSET, this.#table)
    // Cut short by somebody else's hand: what is missing is nobody's slot.
    if (readBytes < SLOTS_BYTES) this.#table.fill(0, readBytes)
    return this.#platform.clock.monotonicMs()
  }

  #isLive(slotIndex: number, nowMs: number): boolean {
    const start = slotIndex * SLOT_BYTES
    const ageMs = nowMs - this.#view.getFloat64(start + SLOT_RENEWED_FIELD, true)
    if (!(ageMs >= 0 && ageMs <= PATIENCE_MS)) return false
    const checksum = this.#view.getUint32(start + SLOT_CHECKSUM_FIELD, true)
    return checksum === checksumOf(this.#table, start, start + SLOT_CHECKSUM_FIELD)
  }

  #isBefore(slotIndex: number, place: Place | null): boolean {
    if (place === null || place.slotIndex === null) return true
    const start = slotIndex * SLOT_BYTES
    const arrivalMs = this.#view.getFloat64(start + SLOT_ARRIVAL_FIELD, true)
    if (arrivalMs !== place.arrivalMs) return arrivalMs < place.arrivalMs
    return this.#view.getBigUint64(start + SLOT_TOKEN_FIELD, true) < place.token
  }

  #isMine({ slotIndex, token }: Place): boolean {
    if (slotIndex === null) return false
    return this.#view.getBigUint64(slotIndex * SLOT_BYTES + SLOT_TOKEN_FIELD, true) === token
  }

  /** Starting at a random slot, so that two who come at once rarely choose the same. */
  #settle(place: Place, nowMs: number): Place {
    const first = Number(place.token % BigInt(SLOT_COUNT))
    for (let step = 0; step < SLOT_COUNT; step++) {
      const slotIndex = (first + step) % SLOT_COUNT
      if (!this.#isLive(slotIndex, nowMs)) return this.#write({ ...place, slotIndex }, nowMs)
    }
    return { ...place, slotIndex: null }
  }

  /** Tells everybody that this waiter is there, and since when. */
  #write(place: Place, nowMs: number): Place {
    const slot = new Uint8Array(SLOT_BYTES)
    const view = viewOf(slot)
    view.setFloat64(SLOT_ARRIVAL_FIELD, place.arrivalMs, true)
    view.setFloat64(SLOT_RENEWED_FIELD, nowMs, true)
    view.setBigUint64(SLOT_TOKEN_FIELD, place.token, true)
    view.setUint32(SLOT_PID_FIELD, this.#platform.threads.pid, true)
    view.setUint32(SLOT_CHECKSUM_FIELD, checksumOf(slot, 0, SLOT_CHECKSUM_FIELD), true)
    this.#file.write(SLOTS_OFFSET + (place.slotIndex ?? 0) * SLOT_BYTES, slot)
    return { ...place, renewedMs: nowMs }
  }
}
