/** A main thread that does not import the package, with workers that do. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

const answers: unknown[] = []
for (const [name, method] of [
  ['flock', 'flock'],
  ['ofd', 'ofd'],
  ['lockfile', 'lockfile'],
  ['any', undefined],
] as const) {
  const worker = new Worker(new URL('./peer-thread.js', import.meta.url), {
    workerData: { path: `${process.env['FOLDER']}/${name}`, method, does: 'open' },
  })
  const [answer] = await once(worker, 'message')
  answers.push(answer)
}
process.send?.(answers)
process.disconnect()
