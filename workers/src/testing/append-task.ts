/** Task module of `pool.test.ts`. */
import { threadId, workerData } from 'node:worker_threads'
import { attachedLog } from '../index.ts'

export interface AppendTask {
  readonly text: string
  readonly count: number
  readonly blocking: boolean
}

/** Appends `<text> 0`, `<text> 1`, …; returns their LSNs. */
export default async function append({ text, count, blocking }: AppendTask): Promise<number[]> {
  const log = attachedLog()
  const lsns: number[] = []
  for (let at = 0; at < count; at++) {
    const record = Buffer.from(`${text} ${at}`)
    lsns.push(blocking ? log.appendSync(record) : await log.append(record))
  }
  return lsns
}

/** Appends without an end; tells by `running` when it has begun. */
export async function appendForever(running: Int32Array): Promise<never> {
  const log = attachedLog()
  for (;;) {
    await log.append(Buffer.from(`thread ${threadId}`))
    Atomics.store(running, 0, 1)
    Atomics.notify(running, 0)
  }
}

/** Leaves an append behind; `settled` tells of its acknowledgement, which comes to an idle worker. */
export function appendAndLeave(settled: Int32Array): void {
  void attachedLog()
    .append(Buffer.from('left behind'))
    .then(() => {
      Atomics.store(settled, 0, 1)
      return Atomics.notify(settled, 0)
    })
}

export function isSameClient(): boolean {
  return attachedLog() === attachedLog()
}

export function ownData(): unknown {
  return workerData.own
}
