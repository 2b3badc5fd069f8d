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
import { open } from './open.ts'
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
  const [backUp = '', drill = '', live = '', before = '', compact = ''] = programs
  writeFileSync(join(folder, 'backup.mjs'), backUp)
  await expect(node(SERVICE)).rejects.toMatchObject({ signal: 'SIGKILL' })
  const files = readdirSync(join(folder, 'backups')).toSorted()
  expect(files).toHaveLength(2)
  expect(await node(drill)).toMatch(/\[\]\n\[ 'notes' \] \d+\n$/)
  for (const suffix of ['', '-wal']) {
    renameSync(join(folder, `app.db${suffix}`), join(folder, `damaged.db${suffix}`))
  }
  const named = (program: string): string => program.replace(/20[\dTZ.-]*-full\.db/, files[0]!)
  await node(named(live))
  const count = `
    import { defineCollection, open } from "ringbolt"
    const notes = defineCollection()({ name: 'notes' })
    const db = await open('app.db', { collections: [notes], archive: 'archive' })
    console.log(db.collection(notes).count())
    await db.close()`
  expect(await node(count)).toBe('800\n')
  expect(await node(named(before).replace('48_210', '250'))).toMatch(/sequence: 250,/)
  expect(await node(compact)).toMatch(/bytesAfter/)
  expect(await node(count)).toBe('800\n')
}, 60_000)

test('every figure and every error of the page is there', async () => {
  const db = await open(':memory:')
  const stats: unknown = db.stats()
  await db.close()
  const table = text.slice(text.indexOf('## Monitoring'), text.indexOf('## What to do'))
  const cells = Array.from(table.matchAll(/^\| (`.*?) \|/gm), ([, cell = '']) => cell).slice(1)
  const figures = cells.flatMap((cell) =>
    Array.from(cell.matchAll(/`([\w.]+)`/g), ([, at = '']) => at),
  )
  expect(figures.length).toBeGreaterThan(6)
  for (const figure of figures) expect(stats).toHaveProperty(figure, expect.any(Number))
  const sources = new URL('../../src/', import.meta.url)
  const files = [sources, new URL('../../wal/src/', sources), new URL('../../locks/src/', sources)]
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' }).map(
        (name) => new URL(name, folder),
      ),
    )
    .filter(({ pathname }) => pathname.endsWith('.ts') && !pathname.endsWith('.test.ts'))
    .map((file) => readFileSync(file, 'utf8'))
    .join('')
  const codes = Array.from(text.matchAll(/RINGBOLT_\w+/g), ([code]) => code)
  expect(codes.length).toBeGreaterThan(20)
  expect(codes.filter((code) => !files.includes(`'${code}'`))).toEqual([])
})
