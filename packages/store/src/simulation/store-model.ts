/**
 * What a database must hold: the oracle's own account, plain maps and arithmetic. It knows commands, trees
 * and commit sequences, and nothing of pages, files or shared memory.
 *
 * Commands are announced in the order of their place in the ring and judged when the engine has come past
 * them, or when a crash has left it somewhere between what was acknowledged and what was announced. The
 * engine may refuse a range for a change beside it, since it validates by page: there alone the model has
 * two possible states, and learns which one it is.
 */
import type { Expectation } from '../sequencer/command.ts'

export type ModelOperation =
  | {
      readonly kind: 'put'
      readonly tree: number
      readonly key: Uint8Array
      readonly value: Uint8Array
      readonly expect?: Expectation
    }
  | {
      readonly kind: 'delete'
      readonly tree: number
      readonly key: Uint8Array
      readonly expect?: Expectation
    }
  | {
      readonly kind: 'check'
      readonly tree: number
      readonly key: Uint8Array
      readonly expect: Expectation
    }
  | {
      readonly kind: 'checkRange'
      readonly tree: number
      readonly from: Uint8Array | undefined
      readonly to: Uint8Array | undefined
    }
  | {
      readonly kind: 'checkDefinition' | 'createTree' | 'setDefinition'
      readonly tree: number
      readonly definition: number
    }
  | { readonly kind: 'dropTree'; readonly tree: number }

export interface ModelCommand {
  readonly snapshotSequence: number
  readonly operations: readonly ModelOperation[]
  /** Bytes that are no command: always refused as malformed. */
  readonly garbage: boolean
}

interface ModelEntry {
  readonly sequence: number
  readonly value: Uint8Array
}

export interface ModelTree {
  readonly definition: number
  /** When it was created. */
  readonly sequence: number
  /** By `keyText`. */
  readonly entries: Map<string, ModelEntry>
  /** When each key that was ever there was last changed or deleted. */
  readonly changes: Map<string, number>
}

/**
 * What a command may come to: `accepted`, or a reason and the operation that it names. More than one where
 * both are right.
 */
export type Verdict = readonly string[]

const ACCEPTED = 'accepted'

export function refused(reason: string, operation: number): string {
  return `${reason} at ${operation}`
}

export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}

export function keyOfText(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

/** One state of all trees. */
export class ModelState {
  sequence = 0
  readonly trees = new Map<number, ModelTree>()

  clone(): ModelState {
    const copy = new ModelState()
    copy.sequence = this.sequence
    for (const [index, tree] of this.trees) {
      copy.trees.set(index, {
        ...tree,
        entries: new Map(tree.entries),
        changes: new Map(tree.changes),
      })
    }
    return copy
  }

  /**
   * All conditions are about the state before the command, whatever it changes itself; but a tree that it
   * has created or dropped is there, or not.
   */
  judge({ operations, snapshotSequence, garbage }: ModelCommand): Verdict {
    if (garbage) return [refused('malformed', 0)]
    const created = new Set<number>()
    const dropped = new Set<number>()
    const possible: string[] = []
    for (const [ordinal, operation] of operations.entries()) {
      const { kind, tree } = operation
      const isThere = (this.trees.has(tree) || created.has(tree)) && !dropped.has(tree)
      const misses = kind === 'createTree' ? isThere || dropped.has(tree) : !isThere
      if (misses) return [...possible, refused('definition', ordinal)]
      if (kind === 'createTree') created.add(tree)
      else if (kind === 'dropTree') dropped.add(tree)
      else if (!created.has(tree) || kind === 'put' || kind === 'delete' || kind === 'check') {
        const reason = this.#reasonAgainst(operation, snapshotSequence, created.has(tree))
        if (reason === 'perhaps') possible.push(refused('conflict', ordinal))
        else if (reason !== undefined) return [...possible, refused(reason, ordinal)]
      }
    }
    return [...possible, ACCEPTED]
  }

  #reasonAgainst(
    operation: ModelOperation,
    snapshotSequence: number,
    isNew: boolean,
  ): 'conflict' | 'definition' | 'perhaps' | undefined {
    const tree = this.trees.get(operation.tree)
    switch (operation.kind) {
      case 'checkDefinition':
        return tree?.definition === operation.definition ? undefined : 'definition'
      case 'checkRange':
        return tree === undefined ? undefined : rangeHas(tree, operation, snapshotSequence)
      case 'put':
      case 'delete':
      case 'check': {
        const { expect, key } = operation
        if (expect === undefined) return undefined
        const entry = isNew ? undefined : tree?.entries.get(keyText(key))
        const holds = expect === 'absent' ? entry === undefined : entry?.sequence === expect
        return holds ? undefined : 'conflict'
      }
      case 'createTree':
      case 'dropTree':
      case 'setDefinition':
        return undefined
    }
  }

  apply({ operations }: ModelCommand): void {
    this.sequence++
    const { sequence, trees } = this
    for (const operation of operations) {
      const tree = trees.get(operation.tree)
      switch (operation.kind) {
        case 'createTree': {
          const { definition } = operation
          const fresh = { definition, sequence, entries: new Map(), changes: new Map() }
          trees.set(operation.tree, fresh)
          break
        }
        case 'dropTree':
          trees.delete(operation.tree)
          break
        case 'setDefinition':
          if (tree === undefined) break
          trees.set(operation.tree, { ...tree, definition: operation.definition })
          break
        case 'put':
          tree?.entries.set(keyText(operation.key), { sequence, value: operation.value })
          tree?.changes.set(keyText(operation.key), sequence)
          break
        case 'delete':
          if (tree?.entries.delete(keyText(operation.key)) === true) {
            tree.changes.set(keyText(operation.key), sequence)
          }
          break
        case 'check':
        case 'checkDefinition':
        case 'checkRange':
          break
      }
    }
  }
}

/** Whether anything in the range changed after that; `perhaps`: something beside it did. */
function rangeHas(
  tree: ModelTree,
  { from, to }: { readonly from: Uint8Array | undefined; readonly to: Uint8Array | undefined },
  snapshotSequence: number,
): 'conflict' | 'perhaps' | undefined {
  const [low, high] = [from, to].map((key) => (key === undefined ? undefined : keyText(key)))
  let elsewhere = tree.sequence > snapshotSequence
  for (const [key, sequence] of tree.changes) {
    if (sequence <= snapshotSequence) continue
    if ((low === undefined || key >= low) && (high === undefined || key < high)) return 'conflict'
    elsewhere = true
  }
  return elsewhere ? 'perhaps' : undefined
}

/** A command that stands in the ring, whole. */
export interface Announced {
  readonly command: ModelCommand
  /** Where its last frame stands in the ring. */
  readonly lsn: number
  /** Just past it: acknowledged once the mark is there. */
  readonly endLsn: number
  /** Who appended it. */
  readonly threadId: number
}

interface Accepted {
  readonly command: ModelCommand
  readonly endLsn: number
}

/** The catalog is there from the beginning. */
function emptyDatabase(): ModelState {
  const state = new ModelState()
  state.trees.set(0, { definition: 1, sequence: 0, entries: new Map(), changes: new Map() })
  return state
}

export class StoreModel {
  /** After all commands that the engine is known to have come past. */
  state: ModelState = emptyDatabase()
  /** The state that the last opening found. */
  #base: ModelState = emptyDatabase()
  /** Accepted since then, in order of their commit sequences. */
  #accepted: Accepted[] = []
  #announced: Announced[] = []
  /** Commit sequence up to which nothing may be lost by whatever happens. */
  durableSequence = 0
  /** Commands may be refused for want of room. */
  mayBeFull = false
  /** Nothing has happened since opening that may lose what was acknowledged and not synced. */
  writesCertain = true

  get pendingCount(): number {
    return this.#announced.length
  }

  /** Those among the pending whose outcome may depend on how keys are spread over pages, or on room. */
  get uncertainCount(): number {
    if (this.mayBeFull) return this.#announced.length
    return this.#announced.filter(({ command }) =>
      command.operations.some(({ kind }) => kind === 'checkRange'),
    ).length
  }

  /** The commit sequence that the next opening must find at least. */
  get requiredSequence(): number {
    return this.writesCertain ? this.state.sequence : this.durableSequence
  }

  announce(announced: Announced): void {
    this.#announced.push(announced)
  }

  /**
   * The engine has come past the mark.
   * @param outcomeOf what it said of a command; undefined when nobody is left who could know
   * @returns what is wrong with it
   */
  observe(
    markLsn: number,
    outcomeOf: (announced: Announced) => string | undefined,
  ): string | undefined {
    for (;;) {
      const next = this.#announced[0]
      if (next === undefined || next.endLsn > markLsn) return undefined
      this.#announced.shift()
      const verdict = this.state.judge(next.command)
      const outcome = outcomeOf(next) ?? verdict[0] ?? ACCEPTED
      const isFull = this.mayBeFull && verdict.includes(ACCEPTED) && outcome.startsWith('full ')
      if (!verdict.includes(outcome) && !isFull) {
        const expected = verdict.join(' or ')
        return `the command at LSN ${next.lsn}: ${outcome}, expected ${expected}`
      }
      if (outcome === ACCEPTED) this.#accept(next)
    }
  }

  /** Everything before it is on stable storage. */
  durableUpTo(lsn: number): void {
    const count = this.#accepted.findLastIndex(({ endLsn }) => endLsn <= lsn) + 1
    this.durableSequence = Math.max(this.durableSequence, this.#base.sequence + count)
  }

  #accept({ command, endLsn }: Announced): void {
    this.state.apply(command)
    this.#accepted.push({ command, endLsn })
  }

  /**
   * The states that a database may be in which was opened at this commit sequence; none: it must not be
   * there at all.
   */
  statesAt(sequence: number): ModelState[] {
    if (sequence < this.requiredSequence) return []
    if (sequence > this.state.sequence) return this.#statesAhead(sequence)
    const state = this.#base.clone()
    for (const { command } of this.#accepted) {
      if (state.sequence === sequence) break
      state.apply(command)
    }
    return [state]
  }

  #statesAhead(sequence: number): ModelState[] {
    let states = [this.state.clone()]
    const found: ModelState[] = []
    for (const { command } of this.#announced) {
      const next: ModelState[] = []
      for (const state of states) {
        const verdict = state.judge(command)
        const accepts = verdict.includes(ACCEPTED)
        if (accepts && verdict.length > 1) next.push(state.clone())
        if (accepts) state.apply(command)
        if (state.sequence === sequence) found.push(state)
        else next.push(state)
      }
      states = next
    }
    return found
  }

  /** There is nothing, as when it was made. */
  reset(): void {
    this.adopt(emptyDatabase())
  }

  /** The database was opened and is in this state: that is all there is now. */
  adopt(state: ModelState): void {
    this.state = state
    this.#base = state.clone()
    this.#accepted = []
    this.#announced = []
    this.durableSequence = state.sequence
    this.writesCertain = true
  }
}
