/** A disk that is really full: a small tmpfs. Needs the right to mount; says so where it has none. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FileStore } from './file-store.ts'
import { SegmentedLog } from './segmented-log.ts'
import { openLog } from './shared-log.ts'

let disk: string
let mounted = false

beforeEach(() => {
  disk = mkdtempSync(join(tmpdir(), 'ringbolt-full-'))
})

afterEach(() => {
  if (mounted) spawnSync('umount', [disk])
  mounted = false
  rmSync(disk, { recursive: true, force: true })
})

function mount(sizeKiB: number): boolean {
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeKiB}k`, 'tmpfs', disk])
  mounted = status === 0
  return mounted
}

test('W4: the disk fills up under load: everybody is told, what was acknowledged is there', async ({
  skip,
}) => {
  skip(!mount(400), 'no right to mount a small file system')
  const folder = join(disk, 'log')
  const log = await openLog(folder, { segmentBytes: 65_536, ringBytes: 4096 })
  const record = new Uint8Array(1000).fill(5)
  let acknowledged = 0
  const fill = async (): Promise<void> => {
    for (;;) {
      await log.append(record)
      acknowledged++
    }
  }
  await expect(fill()).rejects.toMatchObject({ code: 'RINGBOLT_POISONED' })
  await expect(log.append(record)).rejects.toThrow(/ENOSPC/)
  await expect(log.close()).rejects.toThrow(/ENOSPC/)
  const again = SegmentedLog.open(new FileStore(folder, { readOnly: true }), { readOnly: true })
  const records = [...again.read()].length
  again.close()
  expect(acknowledged).toBeGreaterThan(100)
  expect(records).toBeGreaterThanOrEqual(acknowledged)
})

test('a log that does not fit is refused, and leaves nothing half made', async ({ skip }) => {
  skip(!mount(32), 'no right to mount a small file system')
  const folder = join(disk, 'log')
  await expect(openLog(folder, { segmentBytes: 65_536 })).rejects.toThrow(/ENOSPC/)
  expect(readdirSync(folder)).toEqual([])
})
