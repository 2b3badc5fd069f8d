/** Ctrl-C, and what else asks a process to end, as a signal for the work that is going on. */

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/** The first one asks the work to stop and clean up; a second one ends the process at once. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const interruption = new AbortController()
  const interrupt = (): void => {
    stopListening()
    interruption.abort(new Error('interrupted: what was begun is undone'))
  }
  const stopListening = (): void => {
    for (const name of SIGNALS) process.off(name, interrupt)
  }
  for (const name of SIGNALS) process.on(name, interrupt)
  try {
    return await work(interruption.signal)
  } finally {
    stopListening()
  }
}
