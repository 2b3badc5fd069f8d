/** The programs of docs/OPERATIONS.md, as they stand there. */
import { execFile } from 'node:child_process'
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { testFolders } from './testing/folders.ts'

const folderOf = testFolders('operations')
const run = promisify(execFile)
const text = readFileSync(new URL('../../../../docs/OPERATIONS.md', import.meta.url), 'utf8')
const programs = Array.from(text.matchAll(/```js\n(.*?)```/gs)).map(([, program = '']) => program)

const SERVICE = `
import { defineCollection, open } from "ringbolt"
import { backUp } from './backup.mjs'
const notes = defineCollection()({ name: 'notes' })
const db = await open('app.db', { collections: [notes], archive: 'archive', segmentBytes: 65536 })
const write = async () => {
  for (let at = 0; at < 200; at++) await db.collection(notes).insert({ text: 'x'.repeat(500) })
}
await write()
await backUp(db, 'backups', true)
await write()
await backUp(db, 'backups', false)
await write()
await db.checkpoint()
await write()
// Ends as a crash would: the rest of the log is beside the database only.
process.kill(process.pid, 'SIGKILL')
`

test('M8: schedule and drill, followed word for word', async () => {
  const folder = folderOf()
  mkdirSync(join(folder, 'node_modules'))
  const library = fileURLToPath(new URL('../../', import.meta.url))
  symlinkSync(library, join(folder, 'node_modules', 'ringbolt'))
  const node = async (program: string): Promise<string> => {
    const name = `program-${readdirSync(folder).length}.mjs`
    writeFileSync(join(folder, name), program)
    const { stdout } = await run(process.execPath, [name], { cwd: folder })
    return stdout
  }
  const [backUp = '', drill = '', live = '', , compact = ''] = programs
  writeFileSync(join(folder, 'backup.mjs'), backUp)
  await expect(node(SERVICE)).rejects.toMatchObject({ signal: 'SIGKILL' })
  const files = readdirSync(join(folder, 'backups')).toSorted()
  expect(files).toHaveLength(2)
  expect(await node(drill)).toMatch(/\[\]\n\[ 'notes' \] \d+\n$/)
  for (const suffix of ['', '-wal']) {
    renameSync(join(folder, `app.db${suffix}`), join(folder, `damaged.db${suffix}`))
  }
  renameSync(join(folder, 'backups', files[0] ?? ''), join(folder, 'backups', 'full.db'))
  await node(`import { restore } from "ringbolt"\n${live}`)
  const count = `
    import { defineCollection, open } from "ringbolt"
    const notes = defineCollection()({ name: 'notes' })
    const db = await open('app.db', { collections: [notes], archive: 'archive' })
    console.log(db.collection(notes).count())
    await db.close()`
  expect(await node(count)).toBe('800\n')
  expect(await node(compact)).toMatch(/bytesAfter/)
  expect(await node(count)).toBe('800\n')
}, 60_000)
