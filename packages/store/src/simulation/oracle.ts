/** Holds what an open database shows against a state of the model. Every function returns what is wrong, or undefined. */
import type { Random } from '@ringbolt/wal/simulation'
import type { PageReader, Pin } from '../space/page-reader.ts'
import type { DirectoryReferences } from '../tree/directory.ts'
import { TreeCursor } from '../tree/tree-cursor.ts'
import { TreeReader } from '../tree/tree-reader.ts'
import { verifyTrees } from '../tree/verify.ts'
import { keyOfText, keyText, type ModelState, type ModelTree } from './store-model.ts'

/** Looks at the newest state, or at a pinned one. */
export class Look {
  readonly #reader: PageReader
  readonly #trees: TreeReader
  readonly #pin: Pin | undefined
  #isInside = false

  constructor(reader: PageReader, pin?: Pin) {
    this.#reader = reader
    this.#trees = new TreeReader(reader)
    this.#pin = pin
  }

  /** In the middle of a read that somebody else has begun, and will end. */
  static inside(reader: PageReader): Look {
    const look = new Look(reader)
    look.#isInside = true
    return look
  }

  /** Everything that `look` finds must be copied before it returns. @throws what reading throws */
  within<T>(look: (trees: TreeReader, directory: DirectoryReferences, sequence: number) => T): T {
    const reader = this.#reader
    if (!this.#isInside) this.#enter()
    try {
      return look(this.#trees, reader.directory, reader.sequence)
    } finally {
      if (!this.#isInside) reader.leave()
    }
  }

  #enter(): void {
    if (this.#pin === undefined) this.#reader.enter()
    else this.#reader.enterPinned(this.#pin)
  }

  walk(directory: DirectoryReferences): string | undefined {
    for (const { pageId, tree, problem } of verifyTrees(this.#reader, directory)) {
      return `page ${pageId} of tree ${tree} ${problem}`
    }
    return undefined
  }

  cursor(directory: DirectoryReferences, tree: number): TreeCursor {
    return new TreeCursor(this.#reader, directory, tree)
  }
}

export function differ<T extends number | string>(
  what: string,
  expected: T,
  actual: T,
): string | undefined {
  return expected === actual ? undefined : `${what}: expected ${expected}, found ${actual}`
}

/** Everything: all trees, forwards and backwards, and that no others are there. */
export function checkState(
  look: Look,
  state: ModelState,
  trees: readonly number[],
): string | undefined {
  return look.within((reader, directory, sequence) => {
    let wrong = differ('commit sequence', state.sequence, sequence)
    for (const tree of new Set([...trees, ...state.trees.keys()])) {
      const due = state.trees.get(tree)
      wrong ??=
        differ(
          `definition of tree ${tree}`,
          due?.definition ?? 0,
          reader.definition(directory, tree),
        ) ??
        differ(`entries of tree ${tree}`, due?.entries.size ?? 0, reader.count(directory, tree))
      if (due !== undefined) wrong ??= checkTree(look, directory, tree, due)
    }
    return wrong
  })
}

/**
 * Finds a value where it stands, and looks at those bytes later, inside the same read: no other page may have
 * been put there meanwhile.
 * @param bytes of all frames
 */
export function holdValue(
  look: Look,
  bytes: Uint8Array,
  state: ModelState,
  tree: number,
  key: Uint8Array,
): () => string | undefined {
  return look.within((reader, directory) => {
    const due = state.trees.get(tree)?.entries.get(keyText(key))?.value
    if (!reader.find(directory, tree, key) || !reader.foundInline) return () => undefined
    const start = reader.foundStart
    const end = start + reader.foundValueBytes
    return () =>
      due !== undefined && Buffer.compare(due, bytes.subarray(start, end)) === 0
        ? undefined
        : `tree ${tree}: the value of key ${shown(keyText(key))} changed while it was read`
  })
}

/** Through every page: what is wrong with the first that is not as its place says. */
export function checkPages(look: Look): string | undefined {
  return look.within((_trees, directory) => look.walk(directory))
}

function checkTree(
  look: Look,
  directory: DirectoryReferences,
  index: number,
  tree: ModelTree,
): string | undefined {
  const keys = [...tree.entries.keys()].toSorted(compareTexts)
  return (
    checkWalk(look.cursor(directory, index), index, tree, keys, false) ??
    checkWalk(look.cursor(directory, index), index, tree, keys.toReversed(), true)
  )
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : 1
}

function checkWalk(
  cursor: TreeCursor,
  index: number,
  tree: ModelTree,
  keys: readonly string[],
  reverse: boolean,
): string | undefined {
  let stands = cursor.seek(undefined, reverse)
  for (const due of keys) {
    if (!stands) return `tree ${index}: key ${shown(due)} is missing`
    const found = keyText(cursor.key())
    if (found !== due) return `tree ${index}: key ${shown(due)} expected, found ${shown(found)}`
    const entry = tree.entries.get(due)
    const wrong = checkEntry(
      index,
      due,
      entry,
      cursor.sequence,
      reverse ? undefined : cursor.value(),
    )
    if (wrong !== undefined) return wrong
    stands = cursor.step(reverse)
  }
  return stands
    ? `tree ${index}: key ${shown(keyText(cursor.key()))} should not be there`
    : undefined
}

function checkEntry(
  index: number,
  key: string,
  due: { readonly sequence: number; readonly value: Uint8Array } | undefined,
  sequence: number,
  value: Uint8Array | undefined,
): string | undefined {
  const name = `tree ${index}: key ${shown(key)}`
  if (due === undefined) return `${name} should not be there`
  if (due.sequence !== sequence)
    return `${name}: sequence ${due.sequence} expected, found ${sequence}`
  if (value === undefined || Buffer.compare(due.value, value) === 0) return undefined
  return `${name}: the value of ${due.value.length} bytes expected, found ${value.length} others`
}

/** Some keys: by chance, there and not there, and a step from them. */
export function checkKeys(
  look: Look,
  state: ModelState,
  tree: number,
  keys: readonly Uint8Array[],
): string | undefined {
  return look.within((reader, directory, sequence) => {
    let wrong = differ('commit sequence', state.sequence, sequence)
    const due = state.trees.get(tree)
    for (const key of keys) {
      const text = keyText(key)
      const entry = due?.entries.get(text)
      const found = reader.find(directory, tree, key)
      if (found) wrong ??= checkEntry(tree, text, entry, reader.foundSequence, reader.value())
      else if (entry !== undefined) wrong ??= `tree ${tree}: key ${shown(text)} is missing`
      if (due !== undefined) wrong ??= checkSeek(look, directory, tree, due, text)
    }
    return wrong
  })
}

/** The first entry from a key on, and the last before it. */
function checkSeek(
  look: Look,
  directory: DirectoryReferences,
  index: number,
  tree: ModelTree,
  text: string,
): string | undefined {
  for (const reverse of [false, true]) {
    const cursor = look.cursor(directory, index)
    const found = cursor.seek(keyOfText(text), reverse) ? keyText(cursor.key()) : undefined
    let due: string | undefined
    for (const key of tree.entries.keys()) {
      if (reverse ? key >= text : key < text) continue
      if (due === undefined || (reverse ? key > due : key < due)) due = key
    }
    if (due !== found) {
      const name = `tree ${index}: ${reverse ? 'before' : 'from'} ${shown(text)}`
      return `${name}: ${shown(due)} expected, found ${shown(found)}`
    }
  }
  return undefined
}

/** Keys of the workload and of the tree. */
export function drawKeys(random: Random, draw: (random: Random) => Buffer): Buffer[] {
  return Array.from({ length: random.between(1, 6) }, (_, at) => draw(random.fork(at)))
}

function shown(text: string | undefined): string {
  if (text === undefined) return 'none'
  const hex = Buffer.from(text, 'latin1').toString('hex')
  return hex.length <= 48 ? `0x${hex}` : `0x${hex.slice(0, 20)}…${hex.slice(-20)} (${text.length})`
}
