import { inspect } from 'node:util'

/** What became of a promise, as a value: for runs in which a failure is a finding. */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: Error }

export async function outcomeOf<T>(promise: Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: true, value: await promise }
  } catch (error) {
    return {
      ok: false,
      error: error instanceof Error ? error : new Error(`thrown: ${inspect(error)}`),
    }
  }
}

/** What a promise fails with; undefined when it does not. */
export async function failureOf(promise: Promise<unknown>): Promise<Error | undefined> {
  const outcome = await outcomeOf(promise)
  return outcome.ok ? undefined : outcome.error
}
