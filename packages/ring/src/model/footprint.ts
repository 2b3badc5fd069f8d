/**
 * What an access touches, and the one question the reduction asks: may two accesses be swapped?
 *
 * A footprint is taken in the state in which the access is performed, so it can be precise: a
 * compareExchange that fails only reads, a notify that finds nobody commutes with another such.
 *
 * That is sound under one condition. Whatever made the footprint the narrower one (the write that made
 * the compareExchange fail) must itself be dependent with everything that the wider one would be
 * dependent with; otherwise taking that cause away brings about a dependence that nobody looked for.
 * A wait that finds another value is the trap: what made it so is a write to the word, which commutes
 * with a notify, yet without that write the wait would have parked, and its order with the notify would
 * have decided over a lost wake-up. So it depends on notifies although it never joined the list.
 */
export const NOT_WAITING = 0
/** A notify that found nobody. */
export const NOTIFIES_NOBODY = 1
export const NOTIFIES_SOME = 2
/** A wait that found its value and joined the list; its order in the list matters. */
export const PARKS = 3
/** Leaves the list by timeout, or would have. */
export const MAY_TIME_OUT = 4
/** A wait that did not park. */
export const FINDS_ANOTHER_VALUE = 5

export interface Footprint {
  start: number
  end: number
  writes: boolean
  /** It writes what the invariant `always` reads: its order among such writes is observed. */
  watched: boolean
  /** Byte offset of the word whose list of waiters it uses; -1: none. */
  listOffset: number
  listRole: number
}

export function newFootprint(): Footprint {
  return {
    start: 0,
    end: 0,
    writes: false,
    watched: false,
    listOffset: -1,
    listRole: NOT_WAITING,
  }
}

export function dependent(a: Footprint, b: Footprint): boolean {
  if ((a.writes || b.writes) && a.start < b.end && b.start < a.end) return true
  if (a.watched && b.watched) return true
  return a.listOffset >= 0 && a.listOffset === b.listOffset && listConflict(a.listRole, b.listRole)
}

// Two timeouts commute with each other, and one with a newcomer at the list's end.
function listConflict(a: number, b: number): boolean {
  if (a === NOTIFIES_NOBODY) return b !== NOTIFIES_NOBODY
  if (b === NOTIFIES_NOBODY) return true
  if (a === NOTIFIES_SOME || b === NOTIFIES_SOME) return true
  return a === PARKS && b === PARKS
}
