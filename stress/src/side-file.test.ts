import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createSideFile, readSideFile, SideFile } from './side-file.ts'

test('W3: what each incarnation noted last is what is read, by whoever reads', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ringbolt-side-'))
  const path = join(folder, 'acknowledged')
  createSideFile(path, 4)
  const [one, other] = [new SideFile(path), new SideFile(path)]
  one.setAcknowledged(1, 7)
  other.setAcknowledged(3, 2 ** 40)
  one.setAcknowledged(1, 8)
  expect(readSideFile(path)).toEqual([0, 8, 0, 2 ** 40])
  one.close()
  other.close()
  expect(() => createSideFile(path, 4)).toThrow('EEXIST')
  rmSync(folder, { recursive: true })
})
