/** The two native modules, behind one face. Both calls of each are synchronous and never wait. */
import type { DescriptorLocks } from './claim.ts'
import { errnoOf, unavailable } from './errors.ts'
import type { Platform } from './platform.ts'

interface FsExt {
  flockSync(descriptor: number, flags: 'exnb' | 'shnb' | 'un'): void
}

interface FsNativeExtensions {
  tryLock(
    descriptor: number,
    offset: number,
    length: number,
    options?: { shared: boolean },
  ): boolean
  unlock(descriptor: number, offset: number, length: number): void
}

function hasFunctions(value: unknown, names: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false
  const entries = new Map<string, unknown>(Object.entries(value))
  return names.every((name) => typeof entries.get(name) === 'function')
}

function isFsExt(value: unknown): value is FsExt {
  return hasFunctions(value, ['flockSync'])
}

function isFsNativeExtensions(value: unknown): value is FsNativeExtensions {
  return hasFunctions(value, ['tryLock', 'unlock'])
}

function load(
  platform: Platform,
  method: string,
  name: 'fs-ext' | 'fs-native-extensions',
): unknown {
  try {
    return platform.loadNative(name)
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error)
    throw unavailable(method, `${name} does not load: ${reason}`, error)
  }
}

/** Only ever called in the host thread: fs-ext must be loaded once a process. */
export function loadFlock(platform: Platform): DescriptorLocks {
  const module = load(platform, 'flock', 'fs-ext')
  if (!isFsExt(module)) throw unavailable('flock', 'fs-ext has no flockSync')
  const attempt = (descriptor: number, flags: 'exnb' | 'shnb'): boolean => {
    try {
      module.flockSync(descriptor, flags)
      return true
    } catch (error) {
      if (errnoOf(error) === 'EAGAIN' || errnoOf(error) === 'EWOULDBLOCK') return false
      throw error
    }
  }
  return {
    tryExclusive: (descriptor) => attempt(descriptor, 'exnb'),
    tryShared: (descriptor) => attempt(descriptor, 'shnb'),
    unlock: (descriptor) => module.flockSync(descriptor, 'un'),
  }
}

// One byte far beyond the content: where byte-range locks are mandatory, reading goes on.
const LOCKED_BYTE = 2 ** 40

/** In any thread: the module is context-aware, and a dead thread's descriptors close with it. */
export function loadOfd(platform: Platform): DescriptorLocks {
  const module = load(platform, 'ofd', 'fs-native-extensions')
  if (!isFsNativeExtensions(module)) {
    throw unavailable('ofd', 'fs-native-extensions has no tryLock and unlock')
  }
  return {
    tryExclusive: (descriptor) => module.tryLock(descriptor, LOCKED_BYTE, 1),
    tryShared: (descriptor) => module.tryLock(descriptor, LOCKED_BYTE, 1, { shared: true }),
    unlock: (descriptor) => module.unlock(descriptor, LOCKED_BYTE, 1),
  }
}
