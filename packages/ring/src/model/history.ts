/**
 * What a model thread does, as a tree of everything it has ever been told.
 *
 * A thread is a deterministic function of the results of its accesses, so a node of the tree (the
 * results so far) determines what comes next: one more access, or the end. A node is found out by
 * running the function from its start: accesses on the way are answered from the node's ancestors, the
 * first new one is noted and the run is unwound by throwing a sentinel. It is done once per node; all
 * executions that lead a thread through the same results share it, which is what makes them cheap.
 *
 * Invariants
 * 1. A node has either an operation or an end, once expanded.
 * 2. Every run compares every access with the one noted before: a difference is a program error.
 */
import type { SharedMemory, WaitResult } from '../shared-memory.ts'
import { ModelError, messageOf } from './model-error.ts'
import { describeOperation, type Operation, sameOperation, waitResultOf } from './operation.ts'
import type { ThreadContext } from './program.ts'

export type ThreadEnd =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'exception'; readonly error: unknown }
  | { readonly kind: 'discarded' }

export class HistoryNode {
  readonly parent: HistoryNode | null
  /** How many accesses led here. */
  readonly depth: number
  /** What the parent's operation gave. */
  readonly result: number
  readonly resultBytes: Uint8Array | null
  operation: Operation | null = null
  end: ThreadEnd | null = null
  readonly children = new Map<number | string, HistoryNode>()

  constructor(parent: HistoryNode | null, result: number, resultBytes: Uint8Array | null) {
    this.parent = parent
    this.depth = parent === null ? 0 : parent.depth + 1
    this.result = result
    this.resultBytes = resultBytes
  }
}

/** Nodes of one thread before the tree is cut back to the path in use. */
const NODES_MAX = 200_000

export class ThreadHistory {
  readonly name: string
  readonly root: HistoryNode
  readonly #replayer: Replayer
  readonly #body: (context: ThreadContext) => unknown
  #nodeCount = 1

  constructor(
    threadNames: readonly string[],
    threadIndex: number,
    body: (context: ThreadContext) => unknown,
    memoryBytes: number,
  ) {
    this.name = threadNames[threadIndex] ?? ''
    this.#body = body
    this.#replayer = new Replayer(this.name, threadNames, memoryBytes)
    this.root = new HistoryNode(null, 0, null)
    this.#expand(this.root)
  }

  /** Where the thread stands once its operation at `node` gave this result. `resultBytes` is kept. */
  advance(node: HistoryNode, result: number, resultBytes: Uint8Array | null): HistoryNode {
    const key = resultBytes === null ? result : latin1(resultBytes)
    const known = node.children.get(key)
    if (known !== undefined) return known
    if (this.#nodeCount >= NODES_MAX) this.#cutBack(node)
    const child = new HistoryNode(node, result, resultBytes)
    node.children.set(key, child)
    this.#nodeCount++
    this.#expand(child)
    return child
  }

  #cutBack(node: HistoryNode): void {
    for (let at: HistoryNode | null = node; at !== null; at = at.parent) at.children.clear()
    this.#nodeCount = node.depth + 1
  }

  #expand(node: HistoryNode): void {
    const replayer = this.#replayer
    replayer.begin(node)
    let end: ThreadEnd
    try {
      end = { kind: 'value', value: this.#body(replayer.context) }
    } catch (error) {
      end = { kind: 'exception', error }
    }
    replayer.finish(end)
  }
}

/** Thrown to leave a thread's function. One for all, made once: throwing it takes no stack trace. */
class Parked extends Error {}
const PARKED = new Parked('the model checker parks this thread: let this pass')

/** The memory as one thread sees it while it is run again. */
class Replayer implements SharedMemory {
  readonly byteLength: number
  readonly context: ThreadContext
  readonly #threadName: string
  readonly #threadNames: readonly string[]
  #path: HistoryNode[] = []
  #position = 0
  #leaving = false
  #programError: ModelError | null = null

  constructor(threadName: string, threadNames: readonly string[], memoryBytes: number) {
    this.byteLength = memoryBytes
    this.#threadName = threadName
    this.#threadNames = threadNames
    this.context = {
      name: threadName,
      memory: this,
      awaitDeath: (name) => this.#awaitDeath(name),
      assume: (condition) => this.#assume(condition),
    }
  }

  begin(node: HistoryNode): void {
    const path: HistoryNode[] = []
    for (let at: HistoryNode | null = node; at !== null; at = at.parent) path[at.depth] = at
    this.#path = path
    this.#position = 0
    this.#leaving = false
    this.#programError = null
  }

  finish(end: ThreadEnd): void {
    if (this.#programError !== null) throw this.#programError
    if (end.kind === 'value' && isThenable(end.value)) {
      // Its rejection is ours to drop: the error thrown here tells the same story.
      Promise.resolve(end.value).catch(() => undefined)
      throw new ModelError(
        'UNSUPPORTED',
        `thread ${this.#threadName} is asynchronous: a model thread must be a synchronous function`,
      )
    }
    if (this.#leaving) {
      if (end.kind === 'exception' && end.error === PARKED) return
      throw new ModelError(
        'SWALLOWED',
        `thread ${this.#threadName} caught what the checker threw to park it, and ${
          end.kind === 'exception' ? `threw ${messageOf(end.error)}` : 'went on'
        }: let unknown errors pass`,
        { thread: this.#threadName },
      )
    }
    const node = this.#last()
    if (this.#position < node.depth) {
      const expected = this.#path[this.#position]?.operation
      throw this.#differs(
        expected ?? null,
        end.kind === 'exception' ? `threw ${messageOf(end.error)}` : 'returned',
      )
    }
    node.end = end
  }

  #last(): HistoryNode {
    const node = this.#path.at(-1)
    if (node === undefined) throw new ModelError('PROGRAM', 'an access outside of a thread’s run')
    return node
  }

  /** The node after this access, which holds its result; or parks the thread before it. */
  #perform(
    kind: Operation['kind'],
    byteOffset: number,
    byteLength: number,
    expected: number,
    value: number,
    timeoutMs: number,
    bytes: Uint8Array | null,
  ): HistoryNode {
    // A `finally` that touches memory on the way out has no effect: the run is over already.
    if (this.#leaving) throw PARKED
    if (!(byteOffset >= 0 && byteLength >= 0 && byteOffset + byteLength <= this.byteLength)) {
      throw new RangeError(
        `${kind} of bytes ${byteOffset}..${byteOffset + byteLength} in a memory of ${this.byteLength}`,
      )
    }
    const asked = { kind, byteOffset, byteLength, expected, value, timeoutMs, bytes }
    const node = this.#path[this.#position]
    const after = this.#path[this.#position + 1]
    if (node === undefined) throw new ModelError('PROGRAM', 'an access outside of a thread’s run')
    if (after === undefined) {
      node.operation = bytes === null ? asked : { ...asked, bytes: bytes.slice() }
      this.#leaving = true
      throw PARKED
    }
    if (node.operation === null || !sameOperation(node.operation, asked)) {
      this.#programError = this.#differs(
        node.operation,
        `did ${describeOperation(asked, this.#threadNames)}`,
      )
      this.#leaving = true
      throw PARKED
    }
    this.#position++
    return after
  }

  #differs(logged: Operation | null, now: string): ModelError {
    const before =
      logged === null ? 'nothing more' : `did ${describeOperation(logged, this.#threadNames)}`
    return new ModelError(
      'NONDETERMINISTIC',
      `thread ${this.#threadName} is not deterministic: with the same results its access ${
        this.#position + 1
      } first ${before}, then ${now}`,
      { thread: this.#threadName, access: this.#position + 1 },
    )
  }

  #word(kind: Operation['kind'], word: number, expected: number, value: number, timeoutMs = 0) {
    return this.#perform(kind, word * 4, 4, expected, value, timeoutMs, null).result
  }

  load(word: number): number {
    return this.#word('load', word, 0, 0)
  }

  store(word: number, value: number): void {
    this.#word('store', word, 0, value | 0)
  }

  add(word: number, delta: number): number {
    return this.#word('add', word, 0, delta | 0)
  }

  exchange(word: number, value: number): number {
    return this.#word('exchange', word, 0, value | 0)
  }

  compareExchange(word: number, expected: number, replacement: number): number {
    return this.#word('compareExchange', word, expected | 0, replacement | 0)
  }

  wait(word: number, expected: number, timeoutMs: number): WaitResult {
    return waitResultOf(this.#word('wait', word, expected | 0, 0, timeoutMs))
  }

  waitAsync(): never {
    this.#programError ??= new ModelError(
      'UNSUPPORTED',
      `thread ${this.#threadName} called waitAsync: model threads are synchronous, check the blocking path`,
      { thread: this.#threadName },
    )
    this.#leaving = true
    throw PARKED
  }

  notify(word: number, count: number): number {
    return this.#word('notify', word, 0, Math.max(0, count))
  }

  bytesIn(byteOffset: number, source: Uint8Array): void {
    this.#perform('bytesIn', byteOffset, source.length, 0, 0, 0, source)
  }

  /** A copy: what the thread does with it later is not another access. */
  bytesOut(byteOffset: number, byteLength: number): Uint8Array {
    const { resultBytes } = this.#perform('bytesOut', byteOffset, byteLength, 0, 0, 0, null)
    return resultBytes === null ? new Uint8Array(0) : resultBytes.slice()
  }

  zero(byteOffset: number, byteLength: number): void {
    this.#perform('zero', byteOffset, byteLength, 0, 0, 0, null)
  }

  #awaitDeath(threadName: string): boolean {
    const index = this.#threadNames.indexOf(threadName)
    if (index < 0) throw new RangeError(`awaitDeath of ${threadName}: there is no such thread`)
    return this.#perform('awaitDeath', 0, 0, 0, index, 0, null).result === 1
  }

  #assume(condition: boolean): void {
    if (this.#leaving) throw PARKED
    if (condition) return
    if (this.#position < this.#last().depth) {
      this.#programError = this.#differs(
        this.#path[this.#position]?.operation ?? null,
        'gave up by assume',
      )
    } else {
      this.#last().end = { kind: 'discarded' }
    }
    this.#leaving = true
    throw PARKED
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  )
}
