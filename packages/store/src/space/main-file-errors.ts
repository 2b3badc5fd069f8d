/** What can be wrong with a main file as a whole. Pages are `StoreCorruptError`s. */
import { RingboltError } from '@ringbolt/ring'

/** A check that failed, and where. Numbers of bits stand as hexadecimal text. */
export interface MainFileFinding {
  readonly offset: number
  readonly what: string
  readonly expected: string | number
  readonly actual: string | number
}

function textOf(file: string, { offset, what, expected, actual }: MainFileFinding): string {
  return `${file} at byte ${offset}: ${what} is ${actual}, expected ${expected}`
}

/** There is no such file, and none was to be made. `RINGBOLT_NOT_FOUND` */
export class MainFileNotFoundError extends RingboltError {
  constructor(file: string) {
    super('RINGBOLT_NOT_FOUND', `there is no database ${file}`, { file })
  }
}

/** A database was to be made where a file is already. `RINGBOLT_EXISTS` */
export class MainFileExistsError extends RingboltError {
  constructor(file: string) {
    super('RINGBOLT_EXISTS', `${file} exists already`, { file })
  }
}

/** The file has no byte at all: no crash leaves that, another program does. `RINGBOLT_FOREIGN` */
export class MainFileEmptyError extends RingboltError {
  constructor(file: string, expectedBytes: number) {
    const finding = { offset: 0, what: 'file length', expected: expectedBytes, actual: 0 }
    const text = `${file} is empty, which no Ringbolt database is: it has ${expectedBytes} bytes at least`
    super('RINGBOLT_FOREIGN', text, { file, ...finding })
  }
}

/** The file is another program's. `RINGBOLT_FOREIGN` */
export class MainFileForeignError extends RingboltError {
  constructor(file: string, finding: MainFileFinding) {
    const text = `${file} is not a Ringbolt database: ${textOf(file, finding)}`
    super('RINGBOLT_FOREIGN', text, { file, ...finding })
  }
}

/** A newer release has written the file, or flags that this one does not know. `RINGBOLT_VERSION` */
export class MainFileVersionError extends RingboltError {
  constructor(file: string, finding: MainFileFinding) {
    const text = `${file} was written by a newer release: ${textOf(file, finding)}`
    super('RINGBOLT_VERSION', text, { file, ...finding })
  }
}

/** Pages of another size than this release's. `RINGBOLT_VERSION` */
export class MainFilePageSizeError extends RingboltError {
  constructor(file: string, finding: MainFileFinding) {
    super('RINGBOLT_VERSION', textOf(file, finding), { file, ...finding })
  }
}

/** Something has cut the file off. `RINGBOLT_CORRUPT` */
export class MainFileTruncatedError extends RingboltError {
  constructor(file: string, expectedBytes: number, actualBytes: number) {
    const finding = {
      offset: actualBytes,
      what: 'file length',
      expected: expectedBytes,
      actual: actualBytes,
    }
    super('RINGBOLT_CORRUPT', `${file} is cut off: ${textOf(file, finding)}`, { file, ...finding })
  }
}

/** Neither meta is usable, which no crash leaves. The facts are those of the first. `RINGBOLT_CORRUPT` */
export class MainFileMetasError extends RingboltError {
  constructor(file: string, findings: readonly [MainFileFinding, MainFileFinding]) {
    const text = findings.map((finding) => textOf(file, finding)).join('; ')
    super('RINGBOLT_CORRUPT', `both metas are damaged: ${text}`, { file, ...findings[0] })
  }
}
