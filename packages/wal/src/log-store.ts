/**
 * The seam between the log and a disk. The log's core sees only this: a folder of flat names, files
 * with positions, and the two syncs. Implementations: the file store (`file-store.ts`, the only place
 * in this package that touches `node:fs`), the memory store, and the simulated disk.
 *
 * Contract:
 * 1. All calls are synchronous and are made by one thread.
 * 2. Bytes written are visible to `readAt` at once, and are certain to survive a crash only once
 *    `sync` of that file has returned. A file's existence and name survive only once `syncFolder`
 *    has returned after `create`, `rename` or `remove`.
 * 3. A failed `writeAt` or `sync` leaves unknown content; the log never retries it (a kernel may
 *    report a failed sync once and then call the pages clean).
 * 4. `create` is exclusive: it fails when the name exists, and never follows a symbolic link.
 */
export interface LogFile {
  readonly name: string
  /** Reads up to `target.length` bytes; fewer only at the end of the file. Returns how many. */
  readAt(position: number, target: Uint8Array): number
  /** Writes the parts one after another from `position`; all of them, or it throws. */
  writeAt(position: number, parts: readonly Uint8Array[]): void
  /** What `fdatasync` gives: content, and the length needed to read it. */
  sync(): void
  /** In bytes. */
  length(): number
  truncate(lengthBytes: number): void
  close(): void
}

export interface LogStore {
  /** Where this is, for error messages: a folder's path, or a made-up name. */
  readonly location: string
  /** All names in the folder, in no particular order. */
  list(): string[]
  open(name: string): LogFile
  create(name: string): LogFile
  /** Replaces `to` when it exists. */
  rename(from: string, to: string): void
  remove(name: string): void
  syncFolder(): void
}
