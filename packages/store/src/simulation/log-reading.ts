/**
 * The log read as readers of changes do, beside an engine that goes on: each commit once and in order, and the last change of
 * every key is what the state holds.
 */
import { CommitReader } from '../engine/commit-reader.ts'
import { LiveHistory } from '../engine/log-history.ts'
import type { StoreMemory } from '../engine/store-core.ts'
import type { StoreFolders } from '../engine/store-folders.ts'
import { Code, CommandReader } from '../sequencer/command.ts'
import type { StoreCoverage } from './coverage.ts'
import { differ } from './oracle.ts'
import { keyText, type ModelState } from './store-model.ts'

interface LastChange {
  readonly sequence: number
  /** Undefined: deleted. */
  readonly value: Buffer | undefined
}

/** By tree and key; a tree that was made or dropped has only what came after that. */
type LastChanges = Map<number, Map<string, LastChange>>

/** @returns what is wrong */
export function checkLog(
  folders: StoreFolders,
  { log }: StoreMemory,
  state: ModelState,
  coverage: StoreCoverage,
): string | undefined {
  if (log === undefined) return undefined
  const history = new LiveHistory(() => folders.openLogFolder(), log)
  const first = history.beginAfter(-1)
  if (first === undefined) return 'the log of an open database has no segment'
  const changes: LastChanges = new Map()
  const reader = new CommitReader([history], first - 1)
  try {
    for (let due = first; ; due++) {
      const command = reader.next(state.sequence)
      if (command === undefined) {
        coverage.add('commits read from the log', due - first)
        return (
          differ('commits in the log', state.sequence, due - 1) ?? compare(changes, state, first)
        )
      }
      const wrong = differ('commit sequence in the log', due, command.sequence)
      if (wrong !== undefined) return wrong
      note(changes, command.bytes, command.start, command.end, command.sequence)
    }
  } finally {
    reader.close()
  }
}

function note(
  changes: LastChanges,
  bytes: Buffer,
  start: number,
  end: number,
  sequence: number,
): void {
  const command = new CommandReader()
  command.open(bytes, start, end)
  while (command.next()) {
    const { code, tree } = command
    if (code === Code.createTree || code === Code.dropTree) changes.delete(tree)
    if (code !== Code.put && code !== Code.delete) continue
    const ofTree = changes.get(tree) ?? new Map<string, LastChange>()
    changes.set(tree, ofTree)
    const value = code === Code.put ? Buffer.from(command.value) : undefined
    ofTree.set(keyText(command.key), { sequence, value })
  }
}

function compare(changes: LastChanges, state: ModelState, first: number): string | undefined {
  for (const [tree, { entries }] of state.trees) {
    const ofTree = changes.get(tree)
    for (const [key, { sequence, value }] of entries) {
      const found = ofTree?.get(key)
      if (found === undefined && sequence < first) continue
      const isSame = found?.value !== undefined && Buffer.compare(found.value, value) === 0
      if (isSame && found.sequence === sequence) continue
      return `the log's last change of a key of tree ${tree} is ${found?.sequence}, the state's ${sequence}`
    }
    for (const [key, { sequence, value }] of ofTree ?? []) {
      if (value === undefined || entries.has(key)) continue
      return `the log's commit ${sequence} put a key of tree ${tree} that is not there`
    }
  }
  return undefined
}
