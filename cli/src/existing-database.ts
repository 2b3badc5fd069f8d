/** Whether a file is a database, asked before anything is made beside it. */
import { isRingboltError } from '@ringbolt/ring'
import { describeFile } from 'ringbolt'

const IS_ONE: ReadonlySet<string> = new Set(['RINGBOLT_BUSY', 'RINGBOLT_CORRUPT'])

/** @throws what `describeFile` says of a file that is none */
export function assertDatabase(file: string): void {
  try {
    describeFile(file)
  } catch (error) {
    // What is wrong with one is said by whoever opens it.
    if (!isRingboltError(error) || !IS_ONE.has(error.code)) throw error
  }
}
