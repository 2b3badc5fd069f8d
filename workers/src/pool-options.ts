import type { Piscina } from 'piscina'

type PiscinaOptions = NonNullable<ConstructorParameters<typeof Piscina>[0]>

/** Piscina's, but that the task module has to be given. */
export type PoolOptions = Omit<PiscinaOptions, 'workerData' | 'filename'> & {
  /** The task module: a path or a `file:` URL. */
  readonly filename: string
  /** Handed to each worker beside the handle; tasks find it in Piscina's `workerData`. */
  readonly workerData?: Readonly<Record<string, unknown>>
}
