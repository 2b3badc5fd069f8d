/** A log store in memory: for tests, and for logs that need not outlive the process. */
import { LogIoError } from './errors.ts'
import type { LogFile, LogStore } from './log-store.ts'

/** A file's content, which outlives its name as long as it is open. */
class MemoryContent {
  bytes: Buffer = Buffer.alloc(0)
  lengthBytes = 0

  reserve(lengthBytes: number): void {
    if (lengthBytes <= this.bytes.length) return
    const grown = Buffer.alloc(Math.max(lengthBytes, 2 * this.bytes.length))
    grown.set(this.bytes)
    this.bytes = grown
  }
}

class MemoryFile implements LogFile {
  readonly name: string
  readonly #content: MemoryContent
  readonly #place: string
  #closed = false

  constructor(name: string, place: string, content: MemoryContent) {
    this.name = name
    this.#place = place
    this.#content = content
  }

  readAt(position: number, target: Uint8Array): number {
    this.#check('read')
    const { bytes, lengthBytes } = this.#content
    const end = Math.min(lengthBytes, position + target.length)
    if (end <= position) return 0
    target.set(bytes.subarray(position, end))
    return end - position
  }

  writeAt(position: number, parts: readonly Uint8Array[]): void {
    this.#check('write')
    const content = this.#content
    let end = position
    for (const part of parts) end += part.length
    content.reserve(end)
    let at = position
    for (const part of parts) {
      content.bytes.set(part, at)
      at += part.length
    }
    content.lengthBytes = Math.max(content.lengthBytes, end)
  }

  sync(): void {
    this.#check('sync')
  }

  length(): number {
    this.#check('length')
    return this.#content.lengthBytes
  }

  truncate(lengthBytes: number): void {
    this.#check('truncate')
    const content = this.#content
    content.reserve(lengthBytes)
    if (lengthBytes < content.lengthBytes) content.bytes.fill(0, lengthBytes, content.lengthBytes)
    content.lengthBytes = lengthBytes
  }

  close(): void {
    this.#closed = true
  }

  #check(operation: string): void {
    if (this.#closed) throw ioError(operation, this.#place, 'EBADF', 'the file is closed')
  }
}

export class MemoryStore implements LogStore {
  readonly location: string
  readonly #files = new Map<string, MemoryContent>()

  constructor(location = 'memory') {
    this.location = location
  }

  list(): string[] {
    return [...this.#files.keys()]
  }

  open(name: string): LogFile {
    return new MemoryFile(name, this.#place(name), this.#existing('open', name))
  }

  create(name: string): LogFile {
    if (this.#files.has(name)) throw ioError('create', this.#place(name), 'EEXIST', 'it exists')
    const content = new MemoryContent()
    this.#files.set(name, content)
    return new MemoryFile(name, this.#place(name), content)
  }

  rename(from: string, to: string): void {
    const content = this.#existing('rename', from)
    this.#files.delete(from)
    this.#files.set(to, content)
  }

  remove(name: string): void {
    this.#existing('remove', name)
    this.#files.delete(name)
  }

  syncFolder(): void {
    // Nothing here survives the process, so there is nothing to make certain.
  }

  #place(name: string): string {
    return `${this.location}/${name}`
  }

  #existing(operation: string, name: string): MemoryContent {
    const content = this.#files.get(name)
    if (content === undefined) throw ioError(operation, this.#place(name), 'ENOENT', 'no such file')
    return content
  }
}

function ioError(operation: string, place: string, code: string, text: string): LogIoError {
  return new LogIoError(operation, place, Object.assign(new Error(`${code}: ${text}`), { code }))
}
