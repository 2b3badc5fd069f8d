/**
 * Reads the output of `strace -f` and makes a trace for sync-order.ts of what concerns one folder. Pure.
 *
 * Descriptors are told apart by the calls that opened them; a number that is opened again is another
 * file. A line `write(1, "acknowledge …` is the program's acknowledgement, one `write(1, "start …` its
 * opening of the log.
 */
import { basename, dirname } from 'node:path'
import { isSegment, type TraceEvent } from './sync-order.ts'

/** What strace has to record: all calls by which Node changes files. */
export const STRACE_CALLS = [
  'openat',
  'write',
  'writev',
  'pwrite64',
  'pwritev',
  'pwritev2',
  'ftruncate',
  'fdatasync',
  'fsync',
  'rename',
  'renameat',
  'renameat2',
  'linkat',
  'unlink',
  'unlinkat',
] as const

interface Call {
  readonly name: string
  readonly args: string
  readonly result: number
}

const WHOLE = /^(?:\[pid +)?(\d+)?\]? *(\w+)\((.*)\) += (-?\d+)/
const UNFINISHED = /^(?:\[pid +)?(\d+)?\]? *(\w+)\((.*) <unfinished \.\.\.>/
const RESUMED = /^(?:\[pid +)?(\d+)?\]? *<\.\.\. (\w+) resumed>(.*)\) += (-?\d+)/

/** @param folder the log's folder, as the program names it */
export function traceOfStrace(output: string, folder: string): TraceEvent[] {
  const reader = new StraceReader(folder)
  for (const call of callsOf(output)) reader.take(call)
  return reader.events
}

/** Puts calls together that strace shows in two parts; a call counts from when it returns. */
function* callsOf(output: string): Generator<Call, void, undefined> {
  const unfinished = new Map<string, string>()
  for (const line of output.split('\n')) {
    const begun = UNFINISHED.exec(line)
    if (begun !== null) {
      unfinished.set(`${begun[1] ?? ''} ${begun[2] ?? ''}`, begun[3] ?? '')
      continue
    }
    const resumed = RESUMED.exec(line)
    if (resumed !== null) {
      const [, pid = '', name = '', rest = '', result = ''] = resumed
      const args = unfinished.get(`${pid} ${name}`) ?? ''
      yield { name, args: `${args}${rest}`, result: Number(result) }
      continue
    }
    const whole = WHOLE.exec(line)
    if (whole === null) continue
    const [, , name = '', args = '', result = ''] = whole
    yield { name, args, result: Number(result) }
  }
}

class StraceReader {
  readonly events: TraceEvent[] = []
  readonly #folder: string
  /** Files by the descriptor that leads to them; the folder itself is `FOLDER`. */
  readonly #descriptors = new Map<number, number>()
  readonly #names = new Map<string, number>()
  #nextFile = 1

  constructor(folder: string) {
    this.#folder = folder
  }

  take(call: Call): void {
    switch (call.name) {
      case 'openat':
        this.#open(call)
        return
      case 'write':
      case 'writev':
      case 'pwrite64':
      case 'pwritev':
      case 'pwritev2':
      case 'ftruncate':
        this.#write(call)
        return
      case 'fsync':
      case 'fdatasync':
        this.#sync(call)
        return
      case 'rename':
      case 'renameat':
      case 'renameat2':
      case 'linkat':
        this.#rename(call)
        return
      case 'unlink':
      case 'unlinkat':
        this.#remove(call)
        return
      default:
    }
  }

  #open({ args, result }: Call): void {
    if (result < 0) return
    this.#descriptors.delete(result)
    const [path = ''] = quoted(args)
    if (path === this.#folder) {
      this.#descriptors.set(result, FOLDER)
      return
    }
    const name = this.#nameIn(path)
    if (name === undefined) return
    const made = args.includes('O_CREAT')
    const known = made ? undefined : this.#names.get(name)
    const file = known ?? this.#nextFile++
    this.#names.set(name, file)
    this.#descriptors.set(result, file)
    this.events.push({ kind: made ? 'create' : 'open', file, name })
  }

  #write({ args, result }: Call): void {
    const descriptor = Number.parseInt(args, 10)
    if (descriptor === 1 && args.startsWith('1, "start')) this.events.push({ kind: 'start' })
    if (descriptor === 1 && args.startsWith('1, "acknowledge')) {
      this.events.push({ kind: 'acknowledge' })
    }
    const file = this.#descriptors.get(descriptor)
    if (file === undefined || file === FOLDER) return
    this.events.push(result < 0 ? { kind: 'failed', call: 'write', file } : { kind: 'write', file })
  }

  #sync({ args, result }: Call): void {
    const file = this.#descriptors.get(Number.parseInt(args, 10))
    if (file === undefined) return
    if (file === FOLDER) {
      this.events.push(result < 0 ? { kind: 'failed', call: 'syncFolder' } : { kind: 'syncFolder' })
    } else {
      this.events.push(result < 0 ? { kind: 'failed', call: 'sync', file } : { kind: 'sync', file })
    }
  }

  #rename({ args, result }: Call): void {
    const [from, to] = quoted(args).map((path) => this.#nameIn(path))
    if (from === undefined || to === undefined) return
    if (result < 0) {
      this.events.push({ kind: 'failed', call: 'rename', name: isSegment(from) ? from : to })
      return
    }
    const file = this.#names.get(from)
    this.#names.delete(from)
    if (file === undefined) this.#names.delete(to)
    else this.#names.set(to, file)
    this.events.push({ kind: 'rename', from, to })
  }

  #remove({ args, result }: Call): void {
    const [path = ''] = quoted(args)
    const name = this.#nameIn(path)
    if (name === undefined) return
    if (result < 0) {
      this.events.push({ kind: 'failed', call: 'remove', name })
      return
    }
    this.#names.delete(name)
    this.events.push({ kind: 'remove', name })
  }

  #nameIn(path: string): string | undefined {
    return dirname(path) === this.#folder ? basename(path) : undefined
  }
}

const FOLDER = 0

/** The strings among a call's arguments. */
function quoted(args: string): string[] {
  return [...args.matchAll(/"([^"]*)"/g)].map((match) => match[1] ?? '')
}
