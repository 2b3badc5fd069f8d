/** The examples of the READMEs, run as printed. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
// Inside a package, so that the examples' imports resolve as a user's would: this one has log and locks, the
// example service store and schemas.
const parents = {
  stress: fileURLToPath(new URL('./', import.meta.url)),
  service: join(root, 'examples/service/dist/'),
}
const folders: string[] = []

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

function examplesOf(readme: string): string[] {
  const text = readFileSync(join(root, readme), 'utf8')
  return [...text.matchAll(/```js\n(.*?)```/gs)].map((match) => match[1]!)
}

function run(name: string, source: string, parent: string = parents.stress): string {
  const folder = mkdtempSync(join(parent, 'readme-'))
  folders.push(folder)
  const file = join(folder, `${name}.mjs`)
  writeFileSync(file, source)
  return execFileSync(process.execPath, [file], { cwd: folder, encoding: 'utf8', timeout: 30_000 })
}

describe('the READMEs’ examples run as printed', () => {
  test('the first page', () => {
    const [store, log] = examplesOf('README.md')
    expect(run('store', store!, parents.service)).toBe('ada@example.org was here 100 times\n')
    expect(run('log', log!)).toBe('400 records, all of them on stable storage\n')
  })

  test('packages/ring', () => {
    const [ring, model] = examplesOf('packages/ring/README.md')
    expect(run('ring', ring!)).toMatch(/^(\d+ bytes\n)+$/)
    expect(run('model', model!)).toMatch(/^\d+ executions\n$/)
  })

  test('packages/store', () => {
    const [tour] = examplesOf('packages/store/README.md')
    expect(run('tour', tour!, parents.service)).toBe('done\n')
  })

  test('packages/wal', () => {
    const [log] = examplesOf('packages/wal/README.md')
    const output = run('wal', log!)
    expect(output).toMatch(/awaited 2/)
    expect(output).toMatch(/records: 6/)
  })
})
