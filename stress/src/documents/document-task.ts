/** The Piscina task of a load on documents: one incarnation of a worker. Composition root of that thread. */
import { threadId } from 'node:worker_threads'
import { attached } from '@ringbolt/workers'
import { ControlRegion } from '../control-region.ts'
import { Latencies } from '../latencies.ts'
import { SideFile } from '../side-file.ts'
import { itemsOf } from './collection.ts'
import { Contents, type LaneRules, laneAt } from './lane.ts'
import { LaneRunner } from './lane-runner.ts'

export interface DocumentTask {
  readonly incarnation: number
  readonly control: SharedArrayBuffer
  readonly rules: LaneRules
  /** One operation at a time, blocking the thread; there is one lane then. */
  readonly blocking: boolean
  /** Where acknowledgements go, by place: incarnation × lanes + lane. */
  readonly sideFilePath: string
  /** Of a `Latencies`. */
  readonly latencies: SharedArrayBuffer
}

/** Kept alive, on purpose, until the thread's memory is used up. */
const hoard: object[] = []

/** Runs all lanes until told to stop. */
export default async function runDocumentTask(task: DocumentTask): Promise<void> {
  const { incarnation, rules } = task
  const control = new ControlRegion(task.control)
  const latencies = new Latencies(task.latencies)
  const sideFile = new SideFile(task.sideFilePath)
  const db = attached()
  const collection = itemsOf(db)
  const contents = new Contents(rules.seed)
  control.setThread(incarnation, threadId)
  let acknowledged = 0
  let reads = 0
  const onRead = (): void => control.setReads(incarnation, ++reads)
  const timedLanes = Array.from({ length: rules.lanes }, (_, at) => {
    const place = incarnation * rules.lanes + at
    let acknowledgedOfLane = 0
    let begunMs = 0
    const onAcknowledged = (count: number): void => {
      latencies.record(performance.now() - begunMs)
      acknowledged += count - acknowledgedOfLane
      acknowledgedOfLane = count
      sideFile.setAcknowledged(place, count)
      control.setAcknowledged(incarnation, acknowledged)
    }
    const lane = laneAt(rules, place)
    const runner = new LaneRunner(lane, { db, collection, contents, onAcknowledged, onRead })
    const begin = (): LaneRunner => {
      begunMs = performance.now()
      return runner
    }
    return { runner, begin }
  })
  const goesOn = (): boolean => {
    if (control.exhaustionOrdered(incarnation)) useUpMemory()
    return !control.stopped
  }
  if (task.blocking) {
    for (const { begin } of timedLanes) while (goesOn()) begin().stepSync()
  } else {
    const runs = timedLanes.map(async ({ begin }) => {
      while (goesOn()) await begin().step()
    })
    await Promise.all(runs)
  }
  for (const { runner } of timedLanes) runner.close()
  sideFile.close()
}

/** A step at a time, so that operations go on until the end. */
function useUpMemory(): void {
  for (let at = 0; at < 1000; at++) hoard.push({ at })
}
