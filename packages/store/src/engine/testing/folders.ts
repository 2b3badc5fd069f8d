/** Folders of a test file, all gone at its end. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

/** Call it once in a test file. @returns makes an empty folder */
export function testFolders(name: string): () => string {
  const folders: string[] = []
  afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  })
  return () => {
    const folder = mkdtempSync(join(tmpdir(), `ringbolt-${name}-`))
    folders.push(folder)
    return folder
  }
}
