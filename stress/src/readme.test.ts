/** The examples of the READMEs, run as printed. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
// Inside this package, so that the examples' imports resolve as a user's would.
const parent = fileURLToPath(new URL('./', import.meta.url))
let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(parent, 'readme-'))
})

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

function examplesOf(readme: string): string[] {
  const text = readFileSync(join(root, readme), 'utf8')
  return [...text.matchAll(/```js\n(.*?)```/gs)].map((match) => match[1]!)
}

function run(name: string, source: string): string {
  const file = join(folder, `${name}.mjs`)
  writeFileSync(file, source)
  return execFileSync(process.execPath, [file], { cwd: folder, encoding: 'utf8', timeout: 30_000 })
}

describe('the READMEs’ examples run as printed', () => {
  test('the first page', () => {
    const [log] = examplesOf('README.md')
    expect(run('first', log!)).toBe('400 records, all of them on stable storage\n')
  })

  test('packages/ring', () => {
    const [ring, model] = examplesOf('packages/ring/README.md')
    expect(run('ring', ring!)).toMatch(/^(\d+ bytes\n)+$/)
    expect(run('model', model!)).toMatch(/^\d+ executions\n$/)
  })

  test('packages/wal', () => {
    const [log] = examplesOf('packages/wal/README.md')
    const output = run('wal', log!)
    expect(output).toMatch(/awaited 2/)
    expect(output).toMatch(/records: 6/)
  })
})
