/** What a reader of the figures must know of the machine, and nothing that names it. */
import { availableParallelism } from 'node:os'

export interface Machine {
  readonly cores: number
  readonly node: string
  readonly platform: string
  readonly fdatasyncMedianMs: number
}

export function machineFacts(fdatasyncMedianMs: number): Machine {
  return {
    cores: availableParallelism(),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    fdatasyncMedianMs,
  }
}
