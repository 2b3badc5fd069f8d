/** The Piscina task of a load on documents: one incarnation of a worker. Composition root of that thread. */
import type { RecordableHistogram } from 'node:perf_hooks'
import { threadId } from 'node:worker_threads'
import { attached } from '@ringbolt/workers'
import { ControlRegion } from '../control-region.ts'
import { SideFile } from '../side-file.ts'
import { itemsOf } from './collection.ts'
import { Contents, Lane } from './lane.ts'
import { LaneRegion } from './lane-region.ts'
import { LaneRunner } from './lane-runner.ts'

export interface DocumentTask {
  readonly incarnation: number
  readonly control: SharedArrayBuffer
  readonly seed: number
  readonly lanes: number
  readonly laneRegion: SharedArrayBuffer
  /** One operation at a time, blocking the thread; `lanes` is 1 then. */
  readonly blocking: boolean
  /** Where acknowledgements go besides the region, by place. */
  readonly sideFilePath: string | undefined
  /** In microseconds; the native histogram is shared with the driver, so it outlives this thread. */
  readonly latencyUs: RecordableHistogram
}

/** Kept alive, on purpose, until the thread's memory is used up. */
const hoard: object[] = []

/** Runs all lanes until told to stop. */
export default async function runDocumentTask(task: DocumentTask): Promise<void> {
  const { incarnation, latencyUs, seed } = task
  const control = new ControlRegion(task.control)
  const region = new LaneRegion(task.laneRegion, task.lanes)
  const sideFile = task.sideFilePath === undefined ? undefined : new SideFile(task.sideFilePath)
  const db = attached()
  const collection = itemsOf(db)
  const contents = new Contents(seed)
  control.setThread(incarnation, threadId)
  let acknowledged = 0
  const runners = Array.from({ length: task.lanes }, (_, lane) => {
    let acknowledgedOfLane = 0
    const onAcknowledged = (count: number): void => {
      acknowledged += count - acknowledgedOfLane
      acknowledgedOfLane = count
      region.set(incarnation, lane, count)
      sideFile?.setAcknowledged(region.placeOf(incarnation, lane), count)
      control.setAcknowledged(incarnation, acknowledged)
    }
    return new LaneRunner(new Lane({ seed, incarnation, lane }), {
      db,
      collection,
      contents,
      onAcknowledged,
    })
  })
  const timed = <T>(begunMs: number, value: T): T => {
    latencyUs.record(Math.max(1, Math.round((performance.now() - begunMs) * 1000)))
    return value
  }
  const goesOn = (): boolean => {
    if (control.exhaustionOrdered(incarnation)) useUpMemory()
    return !control.stopped
  }
  if (task.blocking) {
    for (const runner of runners) while (goesOn()) timed(performance.now(), runner.stepSync())
  } else {
    const runs = runners.map(async (runner) => {
      while (goesOn()) {
        const begunMs = performance.now()
        await runner.step()
        timed(begunMs, undefined)
      }
    })
    await Promise.all(runs)
  }
  for (const runner of runners) runner.close()
  sideFile?.close()
}

/** A step at a time, so that operations go on until the end. */
function useUpMemory(): void {
  for (let at = 0; at < 1000; at++) hoard.push({ at })
}
