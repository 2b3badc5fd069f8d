/** The README's example, run as printed. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'

test('the README’s example does what it says', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const example = /```js\n(.*?)```/s.exec(readme)?.[1] ?? ''
  // Inside the package, so that the import resolves to it as it does for a user.
  const folder = mkdtempSync(fileURLToPath(new URL('readme-', import.meta.url)))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(`${folder}/example.mjs`, example)
  const output = execFileSync(process.execPath, ['example.mjs'], { cwd: folder, encoding: 'utf8' })
  expect(output).toMatch(/^working on 1\nworking on 2\nworking on 3\n\{ pid: \d+, threadId: 0, /)
  expect(output).toMatch(/oldestNeeded: 18n/)
})
