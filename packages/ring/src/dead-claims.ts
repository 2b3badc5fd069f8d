/**
 * Who holds a range that nobody published? Used by the consumer alone, at the end `at` of the folded
 * prefix, when the header there is zero although `at` is reserved.
 *
 * Candidates are the slots whose claim starts at `at`. By I4 the holder is one of them.
 *  - A living candidate: it will publish, or lost the compare-exchange and will move its claim. Wait.
 *  - All dead, one says won: it is the holder.
 *  - All dead, none says won, equal lengths: any of them will do.
 *  - All dead, none says won, lengths differ: one died right after its compare-exchange, the others
 *    right before theirs. None has written a payload byte (I5), so everything from `at` up to the
 *    holder's end is still zero. Take the ends e1 < e2 < …; the holder's end is the first eᵢ at which
 *    the next reservation starts, or which is the tail. Somebody reserved at eᵢ exactly when a claim
 *    starts at eᵢ or the header at eᵢ is not zero: claims are read first, and a producer clears its
 *    claim only after it has published, so a reservation cannot slip through between the two looks.
 *    Were the holder's end beyond eᵢ, the tail never was eᵢ, hence no claim starts there, and the
 *    word there is zero.
 */
import {
  CLAIM_IDLE,
  claimDistance,
  claimIsWon,
  OWNER_DEAD,
  OWNER_NONE,
  SLOT_CLAIM,
  SLOT_OWNER,
  SLOT_UNITS,
  slotWord,
  WORD_TAIL,
} from './layout.ts'
import type { Ring } from './ring.ts'

/** Length in units of the dead producer's range at `at`; 0 when a living one may hold it. */
export function deadRangeUnits(ring: Ring, at: number): number {
  const { memory } = ring
  const lengths: number[] = []
  for (let slot = 0; slot < ring.slotCount; slot++) {
    const word = slotWord(slot)
    const owner = memory.load(word + SLOT_OWNER)
    if (owner === OWNER_NONE) continue
    const claim = memory.load(word + SLOT_CLAIM)
    if (claim === CLAIM_IDLE || claimDistance(claim, at) !== 0) continue
    if (owner !== OWNER_DEAD) return 0
    const units = memory.load(word + SLOT_UNITS)
    if (claimIsWon(claim)) return units
    lengths.push(units)
  }
  lengths.sort((a, b) => a - b)
  const longest = lengths.pop()
  if (longest === undefined) return 0
  const shorter = lengths.find((units) => units < longest && startsAt(ring, (at + units) | 0))
  return shorter ?? longest
}

function startsAt(ring: Ring, unit: number): boolean {
  const { memory } = ring
  if (memory.load(WORD_TAIL) === unit) return true
  for (let slot = 0; slot < ring.slotCount; slot++) {
    const claim = memory.load(slotWord(slot) + SLOT_CLAIM)
    if (claim !== CLAIM_IDLE && claimDistance(claim, unit) === 0) return true
  }
  return memory.load(ring.headerWord(unit)) !== 0
}

/**
 * Frees the slots of the dead that hold nothing any more: no claim, a range that is folded, or a
 * claim whose reservation never took effect. Returns how many dead ones still hold something.
 */
export function freeDeadSlots(ring: Ring, committed: number): number {
  const { memory } = ring
  let holding = 0
  for (let slot = 0; slot < ring.slotCount; slot++) {
    const word = slotWord(slot)
    if (memory.load(word + SLOT_OWNER) !== OWNER_DEAD) continue
    const claim = memory.load(word + SLOT_CLAIM)
    const folded = claimDistance(claim, committed) < 0
    const inVain = claimDistance(claim, memory.load(WORD_TAIL)) === 0
    if (claim !== CLAIM_IDLE && !folded && !inVain) {
      holding++
      continue
    }
    memory.store(word + SLOT_CLAIM, CLAIM_IDLE)
    // Hands the slot to whoever attaches next; its claim is clear.
    memory.store(word + SLOT_OWNER, OWNER_NONE)
  }
  return holding
}
