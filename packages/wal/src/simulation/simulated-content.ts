/**
 * A file of the simulated disk: what reads give (`visible`), what is on the medium (`durable`), and for
 * each sector whether the two are bound to meet.
 *
 * Invariants
 *  S1 A clean sector has the same bytes in both. A lost one (a failed sync called it clean) does not,
 *     and no sync changes that; a dirty one is written by the next sync.
 *  S2 A power failure leaves each dirty sector with one of the versions it had since the last sync, or
 *     with a mixture of two of them. A mixture takes each byte from one of the two, so a byte that
 *     both have alike does not change: overwriting is assumed to be power-safe, as of disks that
 *     finish or don't begin the sector under the head, and never touch its neighbours.
 *  S3 Bytes below the durable length that were not written since are never changed.
 */
import type { CrashOdds, DiskEvent, EventCounts, SyncLoss } from './disk-plans.ts'
import type { Random } from './random.ts'

const CLEAN = 0
const DIRTY = 1
const LOST = 2

/** Of a sector that is written over and over between two syncs, this many older versions are kept. */
const VERSIONS_MAX = 4

export class SimulatedContent {
  readonly #sectorBytes: number
  readonly #events: EventCounts<DiskEvent>
  #visible: Uint8Array = new Uint8Array(0)
  #durable: Uint8Array = new Uint8Array(0)
  #states: Uint8Array = new Uint8Array(0)
  #visibleLength = 0
  #durableLength = 0
  /** Sectors that are dirty or lost, in the order in which they became so. */
  #touched: number[] = []
  /** Versions of dirty sectors between the durable and the visible one, oldest first. */
  readonly #versions = new Map<number, Uint8Array[]>()

  constructor(sectorBytes: number, events: EventCounts<DiskEvent>) {
    this.#sectorBytes = sectorBytes
    this.#events = events
  }

  get length(): number {
    return this.#visibleLength
  }

  get isDirty(): boolean {
    return this.#touched.length > 0 || this.#visibleLength !== this.#durableLength
  }

  read(position: number, target: Uint8Array): number {
    const end = Math.min(this.#visibleLength, position + target.length)
    if (end <= position) return 0
    target.set(this.#visible.subarray(position, end))
    return end - position
  }

  /** Takes the first `lengthBytes` of the parts. */
  write(position: number, parts: readonly Uint8Array[], lengthBytes: number): void {
    const end = position + lengthBytes
    if (end === position) return
    this.#reserve(end)
    this.#touch(position, end)
    let at = position
    for (const part of parts) {
      const taken = at + part.length <= end ? part : part.subarray(0, end - at)
      this.#visible.set(taken, at)
      at += taken.length
      if (at === end) break
    }
    this.#visibleLength = Math.max(this.#visibleLength, end)
  }

  truncate(lengthBytes: number): void {
    this.#reserve(lengthBytes)
    if (lengthBytes < this.#visibleLength) {
      this.#touch(lengthBytes, this.#visibleLength)
      this.#visible.fill(0, lengthBytes, this.#visibleLength)
    }
    this.#visibleLength = lengthBytes
  }

  sync(): void {
    const lost: number[] = []
    for (const sector of this.#touched) {
      if (this.#states[sector] === LOST) {
        lost.push(sector)
      } else {
        this.#copySector(sector, this.#visible, this.#durable)
        this.#states[sector] = CLEAN
      }
    }
    this.#touched = lost
    this.#versions.clear()
    this.#durableLength = this.#visibleLength
  }

  /** A sync that reports a failure: some sectors were written, of the others see `SyncLoss`. */
  failSync(loss: SyncLoss, random: Random): void {
    const written = random.pick([0, 0, 0, 0.5, 0.9])
    for (const sector of this.#touched) {
      if (this.#states[sector] !== DIRTY) continue
      const fate = random.chance(written)
        ? 'written'
        : loss === 'mixed'
          ? random.pick(['lost', 'reverted', 'kept'] as const)
          : loss
      this.#settle(sector, fate)
    }
    this.#touched = this.#touched.filter((sector) => this.#states[sector] !== CLEAN)
  }

  #settle(sector: number, fate: 'written' | Exclude<SyncLoss, 'mixed'>): void {
    if (fate === 'kept') {
      this.#events.add('sync failed, bytes kept')
      return
    }
    this.#versions.delete(sector)
    if (fate === 'written') {
      this.#copySector(sector, this.#visible, this.#durable)
      this.#states[sector] = CLEAN
    } else if (fate === 'lost') {
      this.#events.add('sync failed, bytes lost')
      this.#states[sector] = LOST
    } else {
      this.#events.add('sync failed, bytes reverted')
      this.#copySector(sector, this.#durable, this.#visible)
      this.#states[sector] = CLEAN
    }
  }

  /** Memory runs short: what counts as clean is read from the medium again. */
  evict(random: Random, chance: number): void {
    if (this.#touched.length === 0) return
    for (const sector of this.#touched) {
      if (this.#states[sector] !== LOST || !random.chance(chance)) continue
      this.#events.add('page evicted')
      this.#copySector(sector, this.#durable, this.#visible)
      this.#states[sector] = CLEAN
    }
    this.#touched = this.#touched.filter((sector) => this.#states[sector] !== CLEAN)
  }

  /** A power failure: afterwards all is durable and clean. `stale` is what old blocks may hold. */
  losePower(random: Random, odds: CrashOdds, stale: Uint8Array): void {
    if (!this.isDirty) return
    this.#reveal(random, odds, stale)
    for (const sector of this.#touched) {
      if (this.#states[sector] === DIRTY) this.#resolve(sector, random, odds)
    }
    const length = this.#resolveLength(random)
    this.#durable.fill(0, length)
    this.#visible.set(this.#durable)
    this.#visibleLength = length
    this.#durableLength = length
    this.#states.fill(CLEAN)
    this.#touched = []
    this.#versions.clear()
  }

  /** Changes one byte, for good: damage that no crash makes. */
  damage(position: number, xor: number): void {
    this.#visible[position] = (this.#visible[position] ?? 0) ^ xor
    this.#durable[position] = (this.#durable[position] ?? 0) ^ xor
  }

  /** The visible bytes themselves. */
  bytes(): Uint8Array {
    return this.#visible.subarray(0, this.#visibleLength)
  }

  #reserve(lengthBytes: number): void {
    if (lengthBytes <= this.#visible.length) return
    const sectors = Math.ceil(lengthBytes / this.#sectorBytes)
    const capacity = Math.max(sectors, 2 * this.#states.length) * this.#sectorBytes
    this.#visible = grown(this.#visible, capacity)
    this.#durable = grown(this.#durable, capacity)
    this.#states = grown(this.#states, capacity / this.#sectorBytes)
  }

  #touch(from: number, to: number): void {
    const last = Math.floor((to - 1) / this.#sectorBytes)
    for (let sector = Math.floor(from / this.#sectorBytes); sector <= last; sector++) {
      if (this.#states[sector] === DIRTY) {
        this.#keepVersion(sector)
        continue
      }
      if (this.#states[sector] === CLEAN) this.#touched.push(sector)
      this.#states[sector] = DIRTY
    }
  }

  #keepVersion(sector: number): void {
    const start = sector * this.#sectorBytes
    const version = this.#visible.slice(start, start + this.#sectorBytes)
    const versions = this.#versions.get(sector)
    if (versions === undefined) this.#versions.set(sector, [version])
    else if (versions.push(version) > VERSIONS_MAX) versions.shift()
  }

  #copySector(sector: number, from: Uint8Array, to: Uint8Array): void {
    const start = sector * this.#sectorBytes
    to.set(from.subarray(start, start + this.#sectorBytes), start)
  }

  /** Where the file got longer, the medium may hold what other files left there. */
  #reveal(random: Random, odds: CrashOdds, stale: Uint8Array): void {
    const from = this.#durableLength
    const grownBytes = this.#visibleLength - from
    if (grownBytes <= 0 || odds.unwritten === 'zeros') return
    const target = this.#durable.subarray(from, this.#visibleLength)
    if (odds.unwritten === 'garbage' || stale.length === 0) random.bytes(target)
    else target.set(stale.subarray(0, Math.min(stale.length, grownBytes)))
  }

  #resolve(sector: number, random: Random, odds: CrashOdds): void {
    const start = sector * this.#sectorBytes
    const end = start + this.#sectorBytes
    const medium = this.#durable.subarray(start, end)
    const newest = this.#visible.subarray(start, end)
    const versions = this.#versions.get(sector) ?? []
    if (random.chance(odds.torn)) {
      this.#events.add('sector torn')
      if (versions.length > 0 && random.chance(0.5)) medium.set(random.pick(versions))
      tear(medium, newest, random)
    } else if (random.chance(odds.kept)) {
      this.#events.add('sector kept')
      medium.set(newest)
    } else if (versions.length > 0 && random.chance(0.5)) {
      this.#events.add('sector of an older version')
      medium.set(random.pick(versions))
    } else {
      this.#events.add('sector dropped')
    }
  }

  #resolveLength(random: Random): number {
    const low = Math.min(this.#visibleLength, this.#durableLength)
    const high = Math.max(this.#visibleLength, this.#durableLength)
    if (low === high) return low
    const length = random.pick([low, high, random.between(low, high)])
    this.#events.add(length === this.#visibleLength ? 'length kept' : 'length lost')
    return length
  }
}

function grown(bytes: Uint8Array, length: number): Uint8Array {
  const larger = new Uint8Array(length)
  larger.set(bytes)
  return larger
}

/** Puts a part of the new bytes over the old ones: a prefix, a suffix, or bytes here and there. */
function tear(old: Uint8Array, fresh: Uint8Array, random: Random): void {
  const at = random.below(old.length + 1)
  switch (random.below(3)) {
    case 0:
      old.set(fresh.subarray(0, at))
      return
    case 1:
      old.set(fresh.subarray(at), at)
      return
    default: {
      const mask = random.uint32()
      for (let byte = 0; byte < old.length; byte++) {
        if (((mask >>> (byte & 31)) ^ (byte >>> 5)) & 1) old[byte] = fresh[byte] ?? 0
      }
    }
  }
}
