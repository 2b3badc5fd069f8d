/** Small disks of a test's own: they fill up, and the kernel makes them read-only. Root may have them. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A tmpfs, gone when the test is over. @returns undefined: no right to mount one */
export function smallDisk(sizeMiB: number): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'ringbolt-disk-'))
  const isMounted = did('mount', '-t', 'tmpfs', '-o', `size=${sizeMiB}m`, 'tmpfs', folder)
  onTestFinished(() => {
    if (isMounted) umount(folder)
    rmSync(folder, { recursive: true, force: true })
  })
  return isMounted ? folder : undefined
}

export function enlarge(folder: string, sizeMiB: number): void {
  must('mount', '-o', `remount,size=${sizeMiB}m`, folder)
}

/** An ext4 in a file, which the kernel makes read-only at its first error: processes keep what they have open. */
export class FragileDisk {
  readonly folder: string
  readonly #image: string

  constructor(image: string, folder: string) {
    this.#image = image
    this.folder = folder
  }

  /** As after a bad sector in its own structures. */
  fail(): void {
    const { stdout } = spawnSync('findmnt', ['-n', '-o', 'SOURCE', this.folder], {
      encoding: 'utf8',
    })
    writeFileSync(`/sys/fs/ext4/${basename(stdout.trim())}/trigger_fs_error`, '1')
  }

  /** As an operator does it. Nobody has a file of it open. */
  repair(): void {
    umount(this.folder)
    // 1: errors were there, and are mended.
    const { status, stderr } = spawnSync('e2fsck', ['-f', '-y', this.#image], { encoding: 'utf8' })
    if (status !== 0 && status !== 1) throw new Error(`e2fsck: ${status} ${stderr}`)
    this.mount()
  }

  /** Folders of it take no new files and lose none; what is open is written to as before. */
  setFixed(folders: readonly string[], isFixed: boolean): void {
    must('chattr', isFixed ? '+i' : '-i', ...folders)
  }

  mount(): void {
    must('mount', '-o', 'loop,errors=remount-ro', this.#image, this.folder)
  }
}

/** Gone when the test is over. @returns undefined: no right to mount one, or no ext4 */
export function fragileDisk(sizeMiB: number): FragileDisk | undefined {
  const parent = mkdtempSync(join(tmpdir(), 'ringbolt-fragile-'))
  const image = join(parent, 'image')
  const folder = join(parent, 'disk')
  mkdirSync(folder)
  writeFileSync(image, '')
  truncateSync(image, sizeMiB * 1024 * 1024)
  const disk = new FragileDisk(image, folder)
  const isMade = did('mkfs.ext4', '-q', image)
  const isMounted = isMade && did('mount', '-o', 'loop,errors=remount-ro', image, folder)
  onTestFinished(() => {
    if (isMounted) umount(folder)
    rmSync(parent, { recursive: true, force: true })
  })
  return isMounted ? disk : undefined
}

/** Says EBUSY when a file of the database is still open, and leaves nothing mounted then either. */
function umount(folder: string): void {
  try {
    must('umount', folder)
  } catch (error) {
    did('umount', '--lazy', folder)
    throw error
  }
}

function must(command: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${status} ${stderr}`)
}

function did(command: string, ...args: string[]): boolean {
  return spawnSync(command, args).status === 0
}
