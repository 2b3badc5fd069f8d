/** A database as a crash leaves it: its files, copied while it is open. */
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs'

/** Nobody writes meanwhile; spare segments come and go all the same, and are not needed. */
export function copyAsCrashed(source: string, target: string): void {
  copyFileSync(source, target)
  mkdirSync(`${target}-wal`)
  for (const name of readdirSync(`${source}-wal`)) {
    if (name.endsWith('.seg')) copyFileSync(`${source}-wal/${name}`, `${target}-wal/${name}`)
  }
}
