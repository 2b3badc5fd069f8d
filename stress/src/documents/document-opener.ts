/** Another process that wants the same database: says how it fared, as one line of JSON, and ends. */
import { errorToPlain } from '@ringbolt/ring'
import { open } from 'ringbolt'
import type { OpenAttempt } from '../second-opener.ts'

async function attempt(path: string): Promise<OpenAttempt> {
  try {
    const db = await open(path, { create: false, busyTimeout: 0 })
    await db.close()
    return { opened: true, code: null, message: 'it was given the database' }
  } catch (error) {
    const { code, message } = errorToPlain(error)
    return { opened: false, code, message }
  }
}

const [path] = process.argv.slice(2)
if (path === undefined) throw new TypeError('document-opener: takes the path of a database')
process.stdout.write(JSON.stringify(await attempt(path)))
