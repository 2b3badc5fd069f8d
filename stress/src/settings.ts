/** What all runs over a real log have in common. Plain data: it goes to child processes as JSON. */
import type { LogOptions } from '@ringbolt/wal'
import type { WorkloadSpec } from './workload.ts'

export interface Settings {
  readonly workload: WorkloadSpec
  readonly workers: number
  readonly inFlightMax: number
  readonly blocking: boolean
  readonly sync: 'full' | 'normal' | 'off'
  readonly ringBytes: number
  readonly segmentBytes: number
  /** Added to each sync: a slower disk. */
  readonly syncDelayMs: number
  /** How long nothing may be acknowledged before a run fails. */
  readonly silenceMaxMs: number
}

export const SETTINGS_DEFAULT: Omit<Settings, 'workload'> = {
  workers: 4,
  inFlightMax: 64,
  blocking: false,
  sync: 'full',
  ringBytes: 4 * 1024 * 1024,
  segmentBytes: 16 * 1024 * 1024,
  syncDelayMs: 0,
  silenceMaxMs: 5000,
}

export const RECORD_BYTES_DEFAULT: { readonly min: number; readonly max: number } = {
  min: 64,
  max: 256,
}

export function logOptionsOf(settings: Settings): LogOptions {
  const { sync, ringBytes, segmentBytes, syncDelayMs, workers } = settings
  // Twice: a dead one's place is free only once the log's thread has seen to it.
  return { sync, ringBytes, segmentBytes, syncDelayMs, threadsMax: 2 * workers + 8 }
}
