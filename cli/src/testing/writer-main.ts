/**
 * A process that has a database open, and does what it is told, line by line: `insert <n>` documents one after another,
 * `flow` until the next line, `close`. It answers each line once that is done.
 */
import { createInterface } from 'node:readline'
import { open } from 'ringbolt'
import { notes } from './notes.ts'

const [path = '', archive] = process.argv.slice(2)
const db = await open(path, {
  collections: [notes],
  segmentBytes: 64 * 1024,
  ...(archive !== undefined && { archive }),
})
const all = db.collection(notes)
let next = process.pid * 1_000_000
let isFlowing = false
let flowing: Promise<void> = Promise.resolve()

async function insert(count: number): Promise<void> {
  for (let left = count; left > 0; left--) {
    await all.insert({ id: next++, text: 'x'.repeat(200) })
  }
}

async function flow(): Promise<void> {
  while (isFlowing) await insert(10)
}

process.stdout.write('open\n')
for await (const line of createInterface({ input: process.stdin })) {
  isFlowing = false
  await flowing
  const [order = '', count = '1'] = line.split(' ')
  if (order === 'close') break
  isFlowing = order === 'flow'
  if (isFlowing) flowing = flow()
  else await insert(Number(count))
  process.stdout.write(`${line}\n`)
}
isFlowing = false
await flowing
await db.close()
