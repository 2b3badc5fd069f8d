/** The Piscina task of a load: one incarnation of a worker. Composition root of that thread. */
import { threadId } from 'node:worker_threads'
import { attachedLog } from '@ringbolt/workers'
import { appendBlockingUntilStopped, appendUntilStopped } from './append-loop.ts'
import { ControlRegion } from './control-region.ts'
import { Latencies } from './latencies.ts'
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
  /** Of a `Latencies`. */
  readonly latencies: SharedArrayBuffer
}

/** Kept alive, on purpose, until the thread's memory is used up. */
const hoard: object[] = []

/** Appends until told to stop. */
export default async function runAppendTask(task: AppendTask): Promise<void> {
  const { incarnation } = task
  const latencies = new Latencies(task.latencies)
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
    onLatency: (ms: number) => latencies.record(ms),
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
