/**
 * What one lane of a worker does to the documents, and what must stand in the database afterwards: both follow
 * from the seed. A lane carries out its operations one after another, each on documents of its own, so that
 * after `n` acknowledged operations the state of its documents is known, whatever happened to its worker.
 *
 * The mix: 60 % insert, 25 % update, 15 % delete; an insert where there is nothing to update or delete, a delete where
 * there may be no more documents. Now and then several operations are one transaction: acknowledged together, and there together or not at all.
 */
import { mix } from '../mix.ts'

export interface LaneSpec {
  readonly seed: number
  readonly incarnation: number
  readonly lane: number
  /** Default: any number. */
  readonly liveMax?: number
}

/** What all lanes of a run have in common. */
export interface LaneRules {
  readonly seed: number
  /** Of each worker. */
  readonly lanes: number
  /** Live documents of a lane at most: what would be one more insert is a delete. */
  readonly liveMax: number
}

/** A document without its id. Every field follows from the serial and the version. */
export interface Content {
  /** `incarnation.lane.ordinal`: unique in the run. */
  readonly serial: string
  readonly version: number
  readonly group: number
  readonly tags: readonly string[]
  readonly city: string
  readonly text: string
}

export interface Live {
  readonly ordinal: number
  readonly version: number
}

export interface Operation {
  readonly kind: 'insert' | 'update' | 'delete'
  /** The document as it was before; of an insert, as it will be. */
  readonly document: Live
  /** Its place in `live`. */
  readonly at: number
}

const INSERT_SHARE = 60
const UPDATE_SHARE = 25
/** One in so many steps is a transaction, of so many operations. */
const TRANSACTIONS = 12
const TRANSACTION_OPERATIONS_MIN = 2
const TRANSACTION_OPERATIONS_MAX = 4
const GROUPS = 1000
const CITIES = ['Aarhus', 'Bilbao', 'Cork', 'Delft', 'Espoo', 'Faro', 'Ghent', 'Haarlem']
const LETTERS = 'abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ'
const TEXT_POOL_CHARACTERS = 65_536
/** One document in so many is too long for a leaf. */
const LONG_TEXTS = 61
const LONG_CHARACTERS_MIN = 2000
const LONG_CHARACTERS_MAX = 30_000

export class Lane {
  readonly spec: LaneSpec
  readonly live: Live[] = []
  /** How many operations are behind it. */
  done = 0
  #inserted = 0

  constructor(spec: LaneSpec) {
    this.spec = spec
  }

  /** Goes on from here by itself. */
  fork(): Lane {
    const lane = new Lane(this.spec)
    lane.live.push(...this.live)
    lane.done = this.done
    lane.#inserted = this.#inserted
    return lane
  }

  /** How many operations from here on are committed together. */
  get step(): number {
    if (this.#draw(3) % TRANSACTIONS !== 0) return 1
    const span = TRANSACTION_OPERATIONS_MAX - TRANSACTION_OPERATIONS_MIN + 1
    return TRANSACTION_OPERATIONS_MIN + (this.#draw(4) % span)
  }

  /** The next operation; the same until `advance`. */
  next(): Operation {
    const chance = this.#draw(1) % 100
    const { liveMax = Number.POSITIVE_INFINITY } = this.spec
    const inserts = chance < INSERT_SHARE && this.live.length < liveMax
    if (this.live.length === 0 || inserts) {
      return {
        kind: 'insert',
        document: { ordinal: this.#inserted, version: 0 },
        at: this.live.length,
      }
    }
    const at = this.#draw(2) % this.live.length
    const updates = chance >= INSERT_SHARE && chance < INSERT_SHARE + UPDATE_SHARE
    const kind = updates ? 'update' : 'delete'
    return { kind, document: this.live[at]!, at }
  }

  /** The next operation is carried out. */
  advance(): void {
    const { kind, document, at } = this.next()
    if (kind === 'insert') {
      this.live.push(document)
      this.#inserted++
    } else if (kind === 'update') {
      this.live[at] = { ordinal: document.ordinal, version: document.version + 1 }
    } else {
      const last = this.live.pop()!
      if (at < this.live.length) this.live[at] = last
    }
    this.done++
  }

  /** The next step is carried out. */
  advanceStep(): void {
    for (let left = this.step; left > 0; left--) this.advance()
  }

  serialOf({ ordinal }: Pick<Live, 'ordinal'>): string {
    return `${this.spec.incarnation}.${this.spec.lane}.${ordinal}`
  }

  #draw(what: number): number {
    const { seed, incarnation, lane } = this.spec
    return mix(mix(seed, incarnation, lane), this.done, what)
  }
}

/** @param place incarnation × lanes + lane */
export function laneAt({ seed, lanes, liveMax }: LaneRules, place: number): Lane {
  return new Lane({ seed, incarnation: Math.floor(place / lanes), lane: place % lanes, liveMax })
}

/** Makes and checks documents; one for each thread, since it holds the pool that texts are cut from. */
export class Contents {
  readonly #seed: number
  readonly #pool: string

  constructor(seed: number) {
    this.#seed = seed
    const letters: string[] = []
    for (let at = 0; at < TEXT_POOL_CHARACTERS; at++) {
      letters.push(LETTERS[mix(seed, at, 0x7e87) % LETTERS.length]!)
    }
    this.#pool = letters.join('')
  }

  of(serial: string, version: number): Content {
    const check = this.#check(serial, version)
    const length = textCharacters(check)
    const from = check % (TEXT_POOL_CHARACTERS - length)
    return {
      serial,
      version,
      group: check % GROUPS,
      tags: [`t${check % 7}`, `u${check % 11}`],
      city: CITIES[check % CITIES.length]!,
      text: this.#pool.slice(from, from + length),
    }
  }

  /** What is wrong with a document that was read; undefined when it is what its serial and version say. */
  fault(document: Content): string | undefined {
    const due = this.of(document.serial, document.version)
    const found = JSON.stringify({
      serial: document.serial,
      version: document.version,
      group: document.group,
      tags: document.tags,
      city: document.city,
      text: document.text,
    })
    return found === JSON.stringify(due) ? undefined : `${found} instead of ${JSON.stringify(due)}`
  }

  #check(serial: string, version: number): number {
    let hash = mix(this.#seed, version, serial.length)
    for (let at = 0; at < serial.length; at++) hash = mix(hash, serial.charCodeAt(at), at)
    return hash
  }
}

function textCharacters(check: number): number {
  if (check % LONG_TEXTS !== 0) return 20 + (check % 100)
  return LONG_CHARACTERS_MIN + ((check >>> 8) % (LONG_CHARACTERS_MAX - LONG_CHARACTERS_MIN))
}
