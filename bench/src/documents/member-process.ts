/** A process that shares a store with others: opens it, has its threads do their jobs, is told when by its parent. */
import { PHASE_MEASURE, PHASE_STOP, Phases } from '../phases.ts'
import type { LoadMessage } from '../threads.ts'
import { candidateNamed } from './candidates.ts'
import type { Member, MemberOrder, MemberResult } from './member.ts'
import { startJobs } from './runs.ts'
import type { Store } from './store.ts'
import { TurnWaits } from './turn-waits.ts'

/** What lies between the two phases that bound it. */
class Measurement {
  readonly #store: Store
  #startedMs = 0
  #waits: TurnWaits | undefined

  constructor(store: Store) {
    this.#store = store
  }

  start(): void {
    this.#startedMs = performance.now()
    const { turns } = this.#store
    if (turns !== undefined) this.#waits = new TurnWaits(turns)
  }

  stop(): Omit<MemberResult, 'results'> {
    const elapsedMs = performance.now() - this.#startedMs
    return { elapsedMs, turnWaitsMs: this.#waits?.stop() }
  }
}

/** @returns what moves it through the phases */
async function start(member: Member): Promise<(phase: number) => Promise<void>> {
  const candidate = await candidateNamed(member.candidate)
  const store = await candidate.open(member.folder, member.setup)
  const phases = new Phases()
  const threads = startJobs(store.target, member.jobs, member.firstThread, phases)
  await Promise.all(threads.map(({ ready }) => ready))
  const measurement = new Measurement(store)
  return async (phase) => {
    phases.enter(phase)
    if (phase === PHASE_MEASURE) measurement.start()
    if (phase !== PHASE_STOP) return
    const measured = measurement.stop()
    const results = await Promise.all(threads.map(({ result }) => result))
    await Promise.all(threads.map(({ ended }) => ended))
    // A store that cannot be closed has failed the run.
    await store.close()
    await post({ kind: 'result', result: { results, ...measured } })
    process.disconnect()
  }
}

/** Resolves once it is on its way. */
function post(message: LoadMessage<MemberResult>): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(message, () => resolve())
  })
}

let enter: ((phase: number) => Promise<void>) | undefined

async function follow(order: MemberOrder): Promise<void> {
  if (order.kind === 'phase') {
    await enter?.(order.phase)
    return
  }
  enter = await start(order.member)
  await post({ kind: 'ready' })
}

process.on('message', (order: MemberOrder) => {
  follow(order).catch((error: unknown) => {
    console.error(error)
    process.exit(1)
  })
})
// Nobody is to outlive the run.
process.once('disconnect', () => process.exit())
