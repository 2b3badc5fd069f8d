/**
 * A model checker for structures in a SharedArrayBuffer: it runs a small concurrent program in every
 * order of its shared accesses that can make a difference, and shows the one that goes wrong.
 *
 * The code under test is the code that ships: ordinary synchronous JavaScript which does all its shared
 * accesses through a `SharedMemory` handed to it (`AtomicsMemory` in production).
 *
 *     import { assertHolds, check, type ThreadContext } from '@ringbolt/ring/model'
 *
 *     const LOCKED = 0
 *     const DATA_BYTE_OFFSET = 8
 *
 *     function increment({ memory }: ThreadContext): number {
 *       while (memory.exchange(LOCKED, 1) === 1) memory.wait(LOCKED, 1, Infinity)
 *       const [count = 0] = memory.bytesOut(DATA_BYTE_OFFSET, 1)
 *       memory.bytesIn(DATA_BYTE_OFFSET, Uint8Array.of(count + 1))
 *       memory.store(LOCKED, 0) //       take this away, and see the deadlock;
 *       memory.notify(LOCKED, 1) //      put it after this line, and see the lost wake-up
 *       return count
 *     }
 *
 *     const report = check({
 *       memoryBytes: 16,
 *       threads: { a: increment, b: increment },
 *       finish(memory, { a, b }) {
 *         if (a === b) throw new Error(`both found ${a}`)
 *       },
 *     })
 *     assertHolds(report) // throws with message, schedule and trace
 *     console.log(`${report.executions} executions`)
 *
 * What is explored: `load`, `store`, `add`, `exchange`, `compareExchange`, `wait`, `notify` are
 * sequentially consistent, as JavaScript's atomics are, so the interleavings are all there is, provided
 * that no plain access races. `bytesIn`, `bytesOut` and `zero` are plain: each is one step, and two that
 * conflict without an atomic order between them are a violation, byte by byte. `wait` compares and parks
 * in one step and wakes in a second; `notify` wakes first come, first woken, as V8 does; a finite timeout
 * fires never, or at any moment (`timeoutsMayFire`). `waitAsync` is refused: check the blocking path.
 *
 * What to know
 * - `bytesOut` gives a copy of the bytes at that moment, and only that moment counts as reading them.
 *   The shipped one gives a view: whatever is read from it later, when another thread may already write
 *   there, is not seen here. Copy out of the view before the store that gives the range away.
 * - Threads are run again and again: see `Program` for what that asks of them. To leave a thread between
 *   two accesses the checker throws through it; a `catch` must let unknown errors pass, and is reported
 *   when it does not. A `finally` is fine.
 * - A loop that polls until another thread acts is a livelock here: bound it, wait, or say `assume`.
 * - A dead thread (`checkDeaths`) leaves the memory as it is. Others learn of it by `awaitDeath`.
 * - `always` makes all writes to what it reads depend on each other: read little there.
 * - A violation comes with a schedule, a short string: `replay(program, schedule)` gives the trace again.
 */
export { assertHolds, check, checkDeaths } from './check.ts'
export { ModelError } from './model-error.ts'
export type { Death, Program, Report, ThreadContext, Violation, ViolationKind } from './program.ts'
export { type Replay, replay } from './replay.ts'
