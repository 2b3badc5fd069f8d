/**
 * What a run keeps on the disk:
 *
 *   <folder>/log/           the log itself, of a run on the log
 *   <folder>/app.db…        the database, of a run on documents
 *   <folder>/backup-0.db…   hot backups of it
 *   <folder>/lock           held by whoever has the log open
 *   <folder>/acknowledged   the side file: see side-file.ts
 *   <folder>/operations.json   of a run on documents that was not proved: see harness/operation-log.ts
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { FolderInUseError } from './errors.ts'

export class RunFolder {
  readonly path: string
  readonly #temporary: boolean

  /**
   * @param path must be empty or missing; undefined: a new one among the system's temporary files
   * @throws FolderInUseError, or what the file system says
   */
  constructor(path: string | undefined) {
    this.#temporary = path === undefined
    this.path = path === undefined ? mkdtempSync(join(tmpdir(), 'ringbolt-')) : resolve(path)
    mkdirSync(this.path, { recursive: true })
    const [entry] = readdirSync(this.path)
    if (entry !== undefined) throw new FolderInUseError(this.path, entry)
  }

  get log(): string {
    return join(this.path, 'log')
  }

  get database(): string {
    return join(this.path, 'app.db')
  }

  backup(ordinal: number): string {
    return join(this.path, `backup-${ordinal}.db`)
  }

  get lock(): string {
    return join(this.path, 'lock')
  }

  get sideFile(): string {
    return join(this.path, 'acknowledged')
  }

  get operationLog(): string {
    return join(this.path, 'operations.json')
  }

  /** Removes what the run has made, and the folder too if that was temporary. */
  remove(): void {
    if (this.#temporary) {
      rmSync(this.path, { recursive: true })
      return
    }
    // It was empty: all that is there now is the run's.
    for (const made of readdirSync(this.path)) rmSync(join(this.path, made), { recursive: true })
  }
}
