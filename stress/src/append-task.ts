/** The Piscina task of a load: one incarnation of a worker. Composition root of that thread. */
import type { RecordableHistogram } from 'node:perf_hooks'
import { threadId } from 'node:worker_threads'
import { attachedLog } from '@ringbolt/workers'
import { appendBlockingUntilStopped, appendUntilStopped } from './append-loop.ts'
import { ControlRegion } from './control-region.ts'
import { SideFile } from './side-file.ts'
import { Workload, type WorkloadSpec } from './workload.ts'

export interface AppendTask {
  readonly incarnation: number
  readonly control: SharedArrayBuffer
  readonly workload: WorkloadSpec
  readonly inFlightMax: number
  /** One record at a time, blocking the thread; `inFlightMax` is 1 then. */
  readonly blocking: boolean
  /** Where acknowledgements go besides the control region. */
  readonly sideFilePath: string | undefined
  /** In microseconds; the native histogram is shared with the driver, so it outlives this thread. */
  readonly latencyUs: RecordableHistogram
}

/** Kept alive, on purpose, until the thread's memory is used up. */
const hoard: object[] = []

/** Appends until told to stop. */
export default async function runAppendTask(task: AppendTask): Promise<void> {
  const { incarnation, latencyUs } = task
  const control = new ControlRegion(task.control)
  const sideFile = task.sideFilePath === undefined ? undefined : new SideFile(task.sideFilePath)
  const log = attachedLog()
  control.setThread(incarnation, threadId)
  const common = {
    workload: new Workload(task.workload),
    incarnation,
    nowMs: () => performance.now(),
    stopped: () => {
      if (control.exhaustionOrdered(incarnation)) useUpMemory()
      return control.stopped
    },
    onAcknowledged: (count: number) => {
      control.setAcknowledged(incarnation, count)
      sideFile?.setAcknowledged(incarnation, count)
    },
    onLatency: (ms: number) => latencyUs.record(Math.max(1, Math.round(ms * 1000))),
  }
  if (task.blocking) {
    appendBlockingUntilStopped({ ...common, appendSync: (record) => log.appendSync(record) })
  } else {
    await appendUntilStopped({ ...common, appender: log, inFlightMax: task.inFlightMax })
  }
  sideFile?.close()
}

/** A step at a time, so that appends go on until the end. */
function useUpMemory(): void {
  for (let at = 0; at < 1000; at++) hoard.push({ at })
}
