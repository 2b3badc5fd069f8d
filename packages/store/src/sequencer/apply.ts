/**
 * What a command does to the trees: one pair of functions for commit, recovery and catching up. `validate` only
 * looks; `apply` only changes, and cannot fail for a command that `validate` let pass, but for want of room,
 * for which the sequencer asks before (`StoreSinkParts.admit`).
 *
 * All expectations of a command are about the state before it, whatever it changes itself: so a key may come
 * twice in one, and the last operation on it stays.
 */
import type { Refusal } from '../client/engine.ts'
import { Code, type CommandReader, Expect } from './command.ts'

/** Pages that one operation can make or read at the most: `PageSpace.makeRoom` is asked for them before it. */
export const PAGES_PER_OPERATION = 64

/** The catalog's tree, which is there as long as the database is. */
const CATALOG = 0
const MALFORMED_AT_ONCE: Refusal = { reason: 'malformed', operation: 0 }

/** What commands need of the trees; `Trees` is one. */
export interface CommandTrees {
  /** Commit sequence of the entry that the last `find` found. */
  readonly foundSequence: number
  exists(tree: number): boolean
  definition(tree: number): number
  /** How many entries there are. */
  count(tree: number): number
  find(tree: number, key: Uint8Array): boolean
  /** Whether an entry of [from, to) was changed or deleted after the sequence; may err towards true. */
  changedSince(
    tree: number,
    from: Uint8Array | undefined,
    to: Uint8Array | undefined,
    sequence: number,
  ): boolean
  put(tree: number, key: Uint8Array, value: Uint8Array, sequence: number): void
  delete(tree: number, key: Uint8Array, sequence: number): unknown
  create(tree: number, definition: number): void
  drop(tree: number): void
  setDefinition(tree: number, definition: number): void
}

/**
 * Undefined when the command holds.
 * @param command freshly opened
 * @param makeRoom called before each look at pages; may throw StoreFullError
 */
export function validate(
  command: CommandReader,
  trees: CommandTrees,
  makeRoom: () => void,
): Refusal | undefined {
  if (command.fault !== undefined) return MALFORMED_AT_ONCE
  let created: Set<number> | undefined
  let dropped: Set<number> | undefined
  while (command.next()) {
    const { tree, ordinal } = command
    makeRoom()
    const there = (trees.exists(tree) || created?.has(tree) === true) && dropped?.has(tree) !== true
    if (command.code === Code.createTree) {
      if (there || dropped?.has(tree) === true) return { reason: 'definition', operation: ordinal }
      created ??= new Set()
      created.add(tree)
      continue
    }
    if (!there) return { reason: 'definition', operation: ordinal }
    if (command.code === Code.dropTree) {
      if (tree === CATALOG) return { reason: 'malformed', operation: ordinal }
      dropped ??= new Set()
      dropped.add(tree)
      continue
    }
    const reason = reasonAgainst(command, trees, created?.has(tree) === true)
    if (reason !== undefined) return { reason, operation: ordinal }
  }
  if (command.fault === undefined) return undefined
  return { reason: 'malformed', operation: Math.max(0, command.ordinal) }
}

/** @param isNew made by this very command: empty, and not in the trees yet */
function reasonAgainst(
  command: CommandReader,
  trees: CommandTrees,
  isNew: boolean,
): Refusal['reason'] | undefined {
  const { tree } = command
  switch (command.code) {
    case Code.checkRange:
      if (isNew) return undefined
      return trees.changedSince(tree, command.from, command.to, command.snapshotSequence)
        ? 'conflict'
        : undefined
    case Code.checkDefinition:
      if (isNew) return undefined
      return trees.definition(tree) === command.number ? undefined : 'definition'
    case Code.checkMissing:
      if (isNew || !trees.exists(command.otherTree)) return 'definition'
      return trees.count(command.otherTree) - trees.count(tree) === command.number
        ? undefined
        : 'conflict'
    case Code.setDefinition:
      return undefined
    default:
  }
  if (command.expect === Expect.any) return undefined
  const found = !isNew && trees.find(tree, command.key)
  if (command.expect === Expect.absent) return found ? 'conflict' : undefined
  return found && trees.foundSequence === command.expectedSequence ? undefined : 'conflict'
}

/**
 * Carries out a command that holds.
 * @param makeRoom called before each operation; may throw StoreFullError
 */
export function apply(
  command: CommandReader,
  trees: CommandTrees,
  sequence: number,
  makeRoom: () => void,
): void {
  while (command.next()) {
    const { tree } = command
    makeRoom()
    switch (command.code) {
      case Code.put:
        trees.put(tree, command.key, command.value, sequence)
        break
      case Code.delete:
        trees.delete(tree, command.key, sequence)
        break
      case Code.createTree:
        trees.create(tree, command.number)
        break
      case Code.dropTree:
        trees.drop(tree)
        break
      case Code.setDefinition:
        trees.setDefinition(tree, command.number)
        break
      default:
    }
  }
}
