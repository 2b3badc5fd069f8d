/** Keys, values and commands of a workload: drawn from chance and from what the model says is there. */
import { Random } from '@ringbolt/wal/simulation'
import { type Expectation, KEY_BYTES_MAX } from '../sequencer/command.ts'
import type { ModelCommand, ModelOperation, ModelState } from './store-model.ts'
import type { Geometry, KeyStyle } from './store-plan.ts'

/** Values are cut out of one block of chance bytes: drawing each byte anew would take most of the time. */
const POOL: Uint8Array = new Random(0x5eed).bytes(new Uint8Array(256 * 1024))
const STAMP_BYTES = 8
const DEFINITIONS = 3
const CATALOG_TREE = 0

export class Workload {
  readonly #geometry: Geometry
  readonly #keys = new Map<number, Buffer>()

  constructor(geometry: Geometry) {
    this.#geometry = geometry
  }

  /** The same number always gives the same key. */
  keyOf(number: number): Buffer {
    let key = this.#keys.get(number)
    if (key === undefined) {
      key = makeKey(number, this.#geometry.keyStyle)
      this.#keys.set(number, key)
    }
    return key
  }

  drawKey(random: Random): Buffer {
    return this.keyOf(random.below(this.#geometry.keySpace))
  }

  drawTree(random: Random): number {
    return random.pick(this.#geometry.trees)
  }

  /** @param state what the client believes is there */
  drawCommand(random: Random, state: ModelState): ModelCommand {
    if (random.chance(0.02)) return garbage()
    const drawn = this.drawTree(random)
    const makes = !state.trees.has(drawn) && random.chance(0.5)
    if (makes) return this.#creation(random, state, drawn)
    // What is not there is made now and then, and seldom taken for being there.
    const tree = random.chance(0.05) ? drawn : random.pick([...state.trees.keys()])
    const operations: ModelOperation[] = []
    if (random.chance(0.3)) operations.push(this.#definitionCheck(random, state, tree))
    const kind = random.weighted([
      ['writes', 30],
      ['rising', 6],
      ['conditional', 8],
      ['ranged', 6],
      ['deletes', 5],
      ['definition', 2],
      ['drop', 1],
    ])
    const snapshotSequence = kind === 'ranged' ? drawSnapshot(random, state) : state.sequence
    this.#addOperations(operations, kind, random, state, tree)
    return { snapshotSequence, operations, garbage: false }
  }

  #addOperations(
    operations: ModelOperation[],
    kind: string,
    random: Random,
    state: ModelState,
    tree: number,
  ): void {
    const count = random.between(1, random.between(1, this.#geometry.operationsMax))
    switch (kind) {
      case 'definition':
        operations.push({ kind: 'setDefinition', tree, definition: drawDefinition(random) })
        return
      case 'drop':
        // Nobody drops the catalog: it is made anew by the next opening.
        if (tree !== CATALOG_TREE) operations.push({ kind: 'dropTree', tree })
        else operations.push({ kind: 'checkDefinition', tree, definition: drawDefinition(random) })
        return
      case 'ranged':
        operations.push(this.#range(random, tree))
        break
      default:
    }
    const first = random.below(this.#geometry.keySpace)
    for (let at = 0; at < count; at++) {
      const drawn = random.fork(at)
      const key = kind === 'rising' ? this.keyOf(first + at) : this.drawKey(drawn)
      operations.push(this.#change(drawn, kind, state, tree, key))
    }
  }

  #change(
    random: Random,
    kind: string,
    state: ModelState,
    tree: number,
    key: Uint8Array,
  ): ModelOperation {
    const expects = random.chance(kind === 'conditional' ? 0.9 : 0.05)
    const expectation = expects ? { expect: this.#expectation(random, state, tree, key) } : {}
    if (random.chance(kind === 'deletes' ? 0.8 : 0.15)) {
      return { kind: 'delete', tree, key, ...expectation }
    }
    if (kind === 'conditional' && random.chance(0.3)) {
      const expect = this.#expectation(random, state, tree, key)
      return { kind: 'check', tree, key, expect }
    }
    return { kind: 'put', tree, key, value: this.#value(random), ...expectation }
  }

  /** Mostly one that holds. */
  #expectation(random: Random, state: ModelState, tree: number, key: Uint8Array): Expectation {
    const entry = state.trees.get(tree)?.entries.get(Buffer.from(key).toString('latin1'))
    if (random.chance(0.85)) return entry?.sequence ?? 'absent'
    return random.chance(0.5) ? 'absent' : random.between(1, state.sequence + 1)
  }

  #definitionCheck(random: Random, state: ModelState, tree: number): ModelOperation {
    const known = state.trees.get(tree)?.definition ?? 1
    const definition = random.chance(0.9) ? known : drawDefinition(random)
    return { kind: 'checkDefinition', tree, definition }
  }

  #range(random: Random, tree: number): ModelOperation {
    const [low, high] = [this.drawKey(random), this.drawKey(random)].toSorted((a, b) =>
      a.compare(b),
    )
    const from = random.chance(0.2) ? undefined : low
    const to = random.chance(0.2) ? undefined : high
    return { kind: 'checkRange', tree, from, to }
  }

  #creation(random: Random, state: ModelState, tree: number): ModelCommand {
    const operations: ModelOperation[] = [
      { kind: 'createTree', tree, definition: drawDefinition(random) },
    ]
    const count = random.below(this.#geometry.operationsMax + 1)
    for (let at = 0; at < count; at++) {
      const drawn = random.fork(at)
      operations.push({ kind: 'put', tree, key: this.drawKey(drawn), value: this.#value(drawn) })
    }
    return { snapshotSequence: state.sequence, operations, garbage: false }
  }

  #value(random: Random): Uint8Array {
    const { overflowEvery, overflowBytesMax, valueBytesMax } = this.#geometry
    const overflows = overflowEvery > 0 && random.below(overflowEvery) === 0
    const lengthBytes = overflows
      ? random.between(1_500, random.between(1_501, overflowBytesMax))
      : random.between(0, random.between(0, valueBytesMax))
    const start = random.below(POOL.length - lengthBytes)
    const value = POOL.slice(start, start + lengthBytes)
    random.bytes(value.subarray(0, STAMP_BYTES))
    return value
  }
}

function garbage(): ModelCommand {
  return { snapshotSequence: 0, operations: [], garbage: true }
}

function drawDefinition(random: Random): number {
  return random.between(1, DEFINITIONS)
}

/** The newest sequence as a rule, an older one now and then. */
function drawSnapshot(random: Random, { sequence }: ModelState): number {
  return random.chance(0.5) ? sequence : random.below(sequence + 1)
}

function makeKey(number: number, style: KeyStyle): Buffer {
  const random = new Random(number)
  const chosen =
    style === 'mixed' ? random.pick(['short', 'long', 'wide', 'prefixed'] as const) : style
  const ordinal = Buffer.alloc(4)
  ordinal.writeUInt32BE(number)
  switch (chosen) {
    case 'short':
      // Also one that is another's beginning.
      return number % 7 === 0 ? ordinal.subarray(3) : ordinal.subarray(random.below(3))
    case 'prefixed': {
      const prefix = Buffer.alloc(60, random.pick([0x70, 0x70, 0x71]))
      return Buffer.concat([prefix, ordinal, Buffer.alloc(random.below(20), 0xff)])
    }
    case 'wide': {
      const key = random.bytes(Buffer.alloc(random.pick([500, KEY_BYTES_MAX])))
      // The number makes it one of its own.
      ordinal.copy(key, key.length - ordinal.length)
      return key
    }
    case 'long': {
      const lengthBytes = random.pick([300, 900, KEY_BYTES_MAX])
      return Buffer.concat([Buffer.alloc(lengthBytes - 4, number & 3), ordinal])
    }
  }
}
