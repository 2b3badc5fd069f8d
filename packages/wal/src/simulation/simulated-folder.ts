/**
 * The folder of the simulated disk: the names that calls see, the names on the medium, and the changes
 * between the two.
 *
 * Invariants
 *  F1 A file has one name at most. A rename that survives moves it from whatever name it has on the
 *     medium; one that does not survive leaves it there. A rename that replaces is one step.
 *  F2 After a power failure each change that was not synced is there or not, on its own or, where the
 *     odds say so, as a journal would have it: up to some point and not after it.
 */
import type { CrashOdds, DiskEvent, EventCounts } from './disk-plans.ts'
import type { Random } from './random.ts'
import type { SimulatedContent } from './simulated-content.ts'

type Names = Map<string, SimulatedContent>

type Change =
  | { readonly kind: 'create' | 'remove'; readonly name: string; readonly file: SimulatedContent }
  | {
      readonly kind: 'rename'
      readonly name: string
      readonly file: SimulatedContent
      readonly replaced: SimulatedContent | undefined
    }

export class SimulatedFolder {
  readonly #events: EventCounts<DiskEvent>
  #visible: Names = new Map()
  #durable: Names = new Map()
  #changes: Change[] = []

  constructor(events: EventCounts<DiskEvent>) {
    this.#events = events
  }

  names(): string[] {
    return [...this.#visible.keys()]
  }

  file(name: string): SimulatedContent | undefined {
    return this.#visible.get(name)
  }

  /** All files that a name or the medium still leads to. */
  files(): Set<SimulatedContent> {
    return new Set([...this.#visible.values(), ...this.#durable.values()])
  }

  lengthBytes(): number {
    let sum = 0
    for (const file of this.#visible.values()) sum += file.length
    return sum
  }

  create(name: string, file: SimulatedContent): void {
    this.#visible.set(name, file)
    this.#changes.push({ kind: 'create', name, file })
  }

  rename(from: string, to: string, file: SimulatedContent): void {
    const replaced = this.#visible.get(to)
    this.#visible.delete(from)
    this.#visible.set(to, file)
    this.#changes.push({ kind: 'rename', name: to, file, replaced })
  }

  remove(name: string, file: SimulatedContent): void {
    this.#visible.delete(name)
    this.#changes.push({ kind: 'remove', name, file })
  }

  /** @param isIn which names are in the folder that is synced; no change is in two */
  sync(isIn: (name: string) => boolean): void {
    const others = [...this.#durable].filter(([name]) => !isIn(name))
    const synced = [...this.#visible].filter(([name]) => isIn(name))
    this.#durable = new Map([...others, ...synced])
    this.#changes = this.#changes.filter(({ name }) => !isIn(name))
  }

  losePower(random: Random, odds: CrashOdds): void {
    const keptUpTo = odds.entriesInOrder ? random.below(this.#changes.length + 1) : 0
    for (const [index, change] of this.#changes.entries()) {
      const wanted = odds.entriesInOrder ? index < keptUpTo : random.chance(odds.entryKept)
      const kept = wanted && applyChange(this.#durable, change)
      this.#events.add(kept ? 'entry kept' : `${change.kind} lost`)
    }
    this.#visible = new Map(this.#durable)
    this.#changes = []
  }
}

/**
 * @returns false for a change that would do away with a file which the change did not know: it took a
 * name that an earlier change had set free, and that one is lost
 */
function applyChange(names: Names, change: Change): boolean {
  const { kind, name, file } = change
  const holder = names.get(name)
  if (kind === 'remove') {
    if (holder === file) names.delete(name)
    return true
  }
  const replaced = kind === 'rename' ? change.replaced : undefined
  if (holder !== undefined && holder !== file && holder !== replaced) return false
  for (const [other, content] of names) if (content === file) names.delete(other)
  names.set(name, file)
  return true
}
