/**
 * The first bytes of a file as memory that changes as the file does, for who looks so often that a system call
 * each time is too dear: `mmap(2)`, called through koffi.
 *
 * Who cuts the file off before these bytes kills the process that looks at them (SIGBUS), as with every mapped file.
 */
import type { NativeModule, OpenFile, Platform } from './platform.ts'

export interface FileMap {
  /** Fills the target with the file's words from there on, as they are now, torn perhaps. */
  read(firstWord: number, target: Int32Array): void
  /** Nobody reads any more. */
  close(): void
}

interface Koffi {
  /** null: the process's own symbols. */
  load(library: null): { func(declaration: string): (...parameters: unknown[]) => unknown }
  view(address: bigint, lengthBytes: number): ArrayBuffer
}

const MODULE: NativeModule = 'koffi'
/** Where `off_t` has 64 bits. */
const ARCHITECTURES: ReadonlySet<string> = new Set(['x64', 'arm64'])
const PROT_READ = 1
const MAP_SHARED = 1
const MAP_FAILED = 2n ** 64n - 1n

/** Null where that cannot be had, for whatever reason: the file can be read instead. */
export function mapFile(platform: Platform, file: OpenFile, lengthBytes: number): FileMap | null {
  if (!ARCHITECTURES.has(platform.architecture)) return null
  try {
    const koffi = platform.loadNative(MODULE)
    if (!isKoffi(koffi)) return null
    const library = koffi.load(null)
    const map = library.func(
      'void *mmap(void *address, size_t length, int protection, int flags, int descriptor, int64_t offset)',
    )
    const unmap = library.func('int munmap(void *address, size_t length)')
    const address = map(null, lengthBytes, PROT_READ, MAP_SHARED, file.descriptor, 0)
    if (typeof address !== 'bigint' || address === MAP_FAILED) return null
    const words = new Int32Array(koffi.view(address, lengthBytes))
    return {
      read: (firstWord, target) => readWords(words, firstWord, target),
      close: () => void unmap(address, lengthBytes),
    }
  } catch {
    // No koffi, no mmap, or a runtime that shows no memory but its own.
    return null
  }
}

function readWords(words: Int32Array, firstWord: number, target: Int32Array): void {
  // Another process changes them: this one keeps the others from being read earlier, or taken for unchanged.
  target[0] = Atomics.load(words, firstWord)
  for (let at = 1; at < target.length; at++) target[at] = words[firstWord + at] ?? 0
}

function isKoffi(value: unknown): value is Koffi {
  return (
    typeof value === 'object' &&
    value !== null &&
    'load' in value &&
    typeof value.load === 'function' &&
    'view' in value &&
    typeof value.view === 'function'
  )
}
