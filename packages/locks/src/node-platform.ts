/**
 * The composition root: the one module that touches node:fs, the clocks, randomness, native modules
 * and /proc.
 */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  realpathSync,
  rmdirSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join, resolve } from 'node:path'
import { isMainThread, threadId } from 'node:worker_threads'
import { errnoOf, fromErrno, LockError } from './errors.ts'
import type {
  Clock,
  FileIdentity,
  Files,
  NativeModule,
  OpenFile,
  OsThread,
  Platform,
  Threads,
} from './platform.ts'

const require = createRequire(import.meta.url)

function attempt<Result>(doing: string, path: string, action: () => Result): Result {
  try {
    return action()
  } catch (error) {
    throw fromErrno(error, doing, path)
  }
}

/** Undefined instead of an error with this one errno, which the caller takes for an answer. */
function unless<Result>(errno: string, action: () => Result): Result | undefined {
  try {
    return action()
  } catch (error) {
    if (errnoOf(error) === errno) return undefined
    throw error
  }
}

class NodeFile implements OpenFile {
  readonly path: string
  readonly descriptor: number
  readonly identity: FileIdentity

  constructor(path: string, descriptor: number, identity: FileIdentity) {
    this.path = path
    this.descriptor = descriptor
    this.identity = identity
  }

  length(): number {
    return attempt('measuring', this.path, () => fstatSync(this.descriptor).size)
  }

  read(position: number, target: Uint8Array): number {
    return attempt('reading', this.path, () => {
      let done = 0
      while (done < target.length) {
        const count = readSync(this.descriptor, target, done, target.length - done, position + done)
        if (count === 0) break
        done += count
      }
      return done
    })
  }

  write(position: number, bytes: Uint8Array): void {
    attempt('writing', this.path, () => {
      let done = 0
      while (done < bytes.length) {
        done += writeSync(this.descriptor, bytes, done, bytes.length - done, position + done)
      }
    })
  }

  sync(): void {
    attempt('syncing', this.path, () => fsyncSync(this.descriptor))
  }

  close(): void {
    attempt('closing', this.path, () => closeSync(this.descriptor))
  }
}

// O_NONBLOCK: opening a FIFO must not wait for its other end before we can see that it is one.
const OPEN_FLAGS = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK
const CREATE_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

function adopt(path: string, descriptor: number): OpenFile {
  try {
    const status = fstatSync(descriptor, { bigint: true })
    if (!status.isFile()) {
      const found = status.isFIFO() ? 'a FIFO' : status.isDirectory() ? 'a folder' : 'a device'
      throw new LockError(
        'RINGBOLT_LOCK_NOT_A_FILE',
        `opening ${path}: expected a plain file, found ${found}`,
        { path, expected: 'a plain file', found },
      )
    }
    return new NodeFile(path, descriptor, { device: status.dev, inode: status.ino })
  } catch (error) {
    closeSync(descriptor)
    throw error
  }
}

const files: Files = {
  locate: (path) =>
    attempt('finding the folder of', path, () => {
      const absolute = resolve(path)
      return join(realpathSync(dirname(absolute)), basename(absolute))
    }),

  locateFolder: (path) => attempt('finding', path, () => realpathSync(resolve(path))),

  identity: (path) =>
    attempt('looking at', path, () => {
      const status = lstatSync(path, { bigint: true, throwIfNoEntry: false })
      return status === undefined ? null : { device: status.dev, inode: status.ino }
    }),

  modifiedMs: (path) =>
    attempt('looking at', path, () => lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? null),

  open: (path) =>
    attempt('opening', path, () => {
      const descriptor = unless('ENOENT', () => openSync(path, OPEN_FLAGS))
      return descriptor === undefined ? null : adopt(path, descriptor)
    }),

  create: (path) =>
    attempt('creating', path, () => {
      const descriptor = unless('EEXIST', () => openSync(path, CREATE_FLAGS, 0o600))
      return descriptor === undefined ? null : adopt(path, descriptor)
    }),

  link: (from, to) =>
    attempt('naming', to, () => unless('EEXIST', () => (linkSync(from, to), true)) ?? false),

  remove: (path) =>
    attempt('removing', path, () => unless('ENOENT', () => (unlinkSync(path), true)) ?? false),

  removeFolder: (path) =>
    attempt('removing', path, () => {
      try {
        rmdirSync(path)
        return true
      } catch (error) {
        if (['ENOENT', 'ENOTDIR', 'ENOTEMPTY'].includes(errnoOf(error) ?? '')) return false
        throw error
      }
    }),

  syncFolderOf: (path) => {
    const folder = dirname(path)
    attempt('syncing', folder, () => {
      const descriptor = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
      try {
        fsyncSync(descriptor)
      } finally {
        closeSync(descriptor)
      }
    })
  },

  list: (folder) => attempt('listing', folder, () => readdirSync(folder)),
}

const clock: Clock = {
  wallMs: () => Date.now(),

  monotonicMs: () => {
    const [seconds, nanoseconds] = process.hrtime()
    return seconds * 1e3 + nanoseconds / 1e6
  },

  sleep: (durationMs, signals = []) =>
    new Promise((done) => {
      const finish = (): void => {
        clearTimeout(timer)
        for (const signal of signals) signal.removeEventListener('abort', finish)
        done()
      }
      const timer = setTimeout(finish, durationMs)
      for (const signal of signals) signal.addEventListener('abort', finish)
      if (signals.some((signal) => signal.aborted)) finish()
    }),
}

/** Field 22 of /proc/…/stat; the name before it may contain blanks and brackets. */
function startTicksOf(taskId: number): string | null {
  const text = unless('ENOENT', () => readFileSync(`/proc/self/task/${taskId}/stat`, 'latin1'))
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? null
}

const threads: Threads = {
  pid: process.pid,
  threadId,
  isMain: isMainThread,

  isProcessAlive: (pid) => {
    try {
      process.kill(pid, 0)
      return true
    } catch (error) {
      return errnoOf(error) !== 'ESRCH'
    }
  },

  osThread: (): OsThread | null =>
    attempt('identifying this thread in', '/proc/thread-self', () => {
      const link = unless('ENOENT', () => readlinkSync('/proc/thread-self'))
      const taskId = Number(link?.split('/').at(-1))
      if (!Number.isSafeInteger(taskId)) return null
      const startTicks = startTicksOf(taskId)
      return startTicks === null ? null : { taskId, startTicks }
    }),

  isThreadAlive: ({ taskId, startTicks }) => {
    try {
      return startTicksOf(taskId) === startTicks
    } catch (error) {
      // A thread that ends between the opening and the reading of its file gives ESRCH. Anything else
      // (no descriptor left to look with) says nothing about the thread: it is looked up again.
      return errnoOf(error) !== 'ESRCH'
    }
  },
}

const nativeModules: Readonly<Record<NativeModule, () => unknown>> = {
  'fs-ext': () => require('fs-ext'),
  'fs-native-extensions': () => require('fs-native-extensions'),
  koffi: () => require('koffi'),
}

export const nodePlatform: Platform = {
  files,
  clock,
  threads,
  randomBytes: (count) => randomBytes(count),
  architecture: process.arch,
  loadNative: (name): unknown => nativeModules[name](),
}
