/** What the benchmarks are told on the command line. */
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import type { Window } from './threads.ts'

export interface BenchOptions {
  /** On the disk that is measured. */
  readonly folder: string
  readonly rounds: number
  readonly window: Window
  /** Tiny runs that show that everything works, and nothing else. */
  readonly quick: boolean
  /** Only benchmarks whose title contains it, or one of the texts between its commas. */
  readonly only: string
  /** In the databases that are read from, or loaded. */
  readonly documents: number
  /** In the database that is opened. */
  readonly documentsOpened: number
  /** Of each store, where it can be told. */
  readonly cacheBytes: number
  readonly snapshots: number
  readonly jsonFile: string | undefined
  readonly markdown: boolean
}

export const USAGE = `  --folder PATH   where the databases are made: on the disk to be measured (default: the temporary folder)
  --rounds N      how often each candidate is measured (default 5)
  --seconds N     how long, each time (default 2)
  --only TEXT     only benchmarks whose title contains it, or one of several: get,range
  --documents N   in the databases that are read from, or loaded (default 1,000,000)
  --opened N      documents in the database that is opened (default 6,000,000: about 1 GB)
  --cache MIB     what each store may keep of its file (default 512)
  --json FILE     write all figures
  --markdown      print tables for a README
  --quick         tiny runs: shows that everything works, not how fast
  --help`

const WINDOW_QUICK: Window = { warmUpMs: 20, measureMs: 60 }
const WARM_UP_MS = 750

/** @returns undefined when only the usage is asked for */
export function parseOptions(args: readonly string[]): BenchOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      folder: { type: 'string', default: tmpdir() },
      rounds: { type: 'string' },
      seconds: { type: 'string', default: '2' },
      only: { type: 'string', default: '' },
      documents: { type: 'string' },
      opened: { type: 'string' },
      cache: { type: 'string' },
      json: { type: 'string' },
      markdown: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const { quick } = values
  return {
    folder: values.folder,
    rounds: positive('rounds', values.rounds ?? (quick ? '1' : '5')),
    window: quick
      ? WINDOW_QUICK
      : { warmUpMs: WARM_UP_MS, measureMs: positive('seconds', values.seconds) * 1000 },
    quick,
    only: values.only,
    documents: documentCount('documents', values.documents ?? (quick ? '2000' : '1000000')),
    documentsOpened: documentCount('opened', values.opened ?? (quick ? '3000' : '6000000')),
    cacheBytes: positive('cache', values.cache ?? (quick ? '16' : '512')) * 2 ** 20,
    snapshots: quick ? 200 : 100_000,
    jsonFile: values.json,
    markdown: values.markdown,
  }
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new RangeError(`--${name} is more than 0, not ${text}`)
  return value
}

/** Loads are in transactions of a thousand, and ranges of a hundred are drawn from what is there. */
const DOCUMENTS_STEP = 1000

function documentCount(name: string, text: string): number {
  const value = positive(name, text)
  if (value % DOCUMENTS_STEP === 0) return value
  throw new RangeError(`--${name} is a multiple of ${DOCUMENTS_STEP}, not ${text}`)
}
