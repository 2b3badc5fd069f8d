/**
 * Everything this package needs of the world, handed in: `node-platform.ts` is the one module that
 * touches files, clocks, randomness and other threads' liveness. Calls on files are synchronous and
 * throw `LockError`s that say what was being done and where.
 */
export interface FileIdentity {
  readonly device: bigint
  readonly inode: bigint
}

export interface OpenFile {
  readonly path: string
  readonly descriptor: number
  /** Stays this file's alone for as long as it is open: the inode cannot be given out again. */
  readonly identity: FileIdentity
  /** In bytes, now. */
  length(): number
  /** Reads up to `target.length` bytes; fewer only at the end of the file. */
  read(position: number, target: Uint8Array): number
  /** All of `bytes`, or it throws. */
  write(position: number, bytes: Uint8Array): void
  sync(): void
  close(): void
}

export interface Files {
  /** Absolute, with symbolic links among the folders resolved; the last part is left as it is. */
  locate(path: string): string
  /** Absolute, with all symbolic links resolved. */
  locateFolder(path: string): string
  /** What the name stands for now, links not followed; null when there is nothing. */
  identity(path: string): FileIdentity | null
  /** When its content last changed: wall clock, milliseconds since 1970. Null: nothing there. */
  modifiedMs(path: string): number | null
  /** Reading and writing, links not followed, plain files only. Null when there is nothing. */
  open(path: string): OpenFile | null
  /** Exclusive, mode 0600. Null when the name exists. */
  create(path: string): OpenFile | null
  /** A second name for the same file. False when `to` exists. */
  link(from: string, to: string): boolean
  /** False when there was nothing. */
  remove(path: string): boolean
  /** False when there was none, it is not empty, or it is something else. */
  removeFolder(path: string): boolean
  syncFolderOf(path: string): void
  list(folder: string): string[]
}

export interface Clock {
  /** Wall clock, milliseconds since 1970: for people to read, never to compare. */
  wallMs(): number
  /** Rises steadily and is one and the same for all processes of this machine. */
  monotonicMs(): number
  /** Keeps the process alive. Ends early, without an error, when one of the signals fires. */
  sleep(durationMs: number, signals?: readonly AbortSignal[]): Promise<void>
}

/** An operating system thread, told from a later one that got the same number. */
export interface OsThread {
  readonly taskId: number
  readonly startTicks: string
}

export interface Threads {
  readonly pid: number
  readonly threadId: number
  readonly isMain: boolean
  /** False only when that process certainly does not exist. */
  isProcessAlive(pid: number): boolean
  /** The calling thread; null where the system does not say. */
  osThread(): OsThread | null
  /** False only when that thread has certainly ended. */
  isThreadAlive(thread: OsThread): boolean
}

export type NativeModule = 'fs-ext' | 'fs-native-extensions' | 'koffi'

export interface Platform {
  readonly files: Files
  readonly clock: Clock
  readonly threads: Threads
  /** Of the processor, as Node names it. */
  readonly architecture: string
  randomBytes(count: number): Uint8Array
  /** Loads an optional native module; throws when it is missing or does not load. */
  loadNative(name: NativeModule): unknown
}

export function sameFile(one: FileIdentity | null, other: FileIdentity): boolean {
  return one !== null && one.device === other.device && one.inode === other.inode
}

export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
