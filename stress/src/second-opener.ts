/** Another process that wants the same log: says how it fared, as one line of JSON, and ends. */
import { errorToPlain } from '@ringbolt/ring'
import { openLog } from '@ringbolt/wal'
import { runLock } from './lock.ts'

export interface OpenAttempt {
  readonly opened: boolean
  /** The error's, when it was refused. */
  readonly code: string | null
  readonly message: string
}

async function attempt(logFolder: string, lockPath: string): Promise<OpenAttempt> {
  try {
    const log = await openLog(logFolder, { create: false, lock: runLock(lockPath, 0) })
    await log.close()
    return { opened: true, code: null, message: 'it was given the log' }
  } catch (error) {
    const { code, message } = errorToPlain(error)
    return { opened: false, code, message }
  }
}

const [logFolder, lockPath] = process.argv.slice(2)
if (logFolder === undefined || lockPath === undefined) {
  throw new TypeError('second-opener: takes a log folder and a lock file')
}
process.stdout.write(JSON.stringify(await attempt(logFolder, lockPath)))
