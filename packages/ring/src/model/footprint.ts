/**
 * What an access touches, and the one question the reduction asks: may two accesses be swapped?
 *
 * A footprint is taken in the state in which the access is performed, so it can be precise: a
 * compareExchange that fails only reads, a notify that finds nobody commutes with another such.
 * Precision is sound because what it depends on (the word's value, the list of waiters) is itself
 * changed only by accesses that are dependent with this one.
 */
export const NOT_WAITING = 0
/** A notify that found nobody. */
export const NOTIFIES_NOBODY = 1
export const NOTIFIES_SOME = 2
/** A wait that found its value and joined the list; its order in the list matters. */
export const PARKS = 3
/** Leaves the list by timeout, or would have. */
export const MAY_TIME_OUT = 4

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
