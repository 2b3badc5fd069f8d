/**
 * The process that is going to be killed: opens the log, runs a load on it, ends one of its own
 * workers after the other, and says how far it is. Never ends by itself unless something fails.
 */
import { openLog } from '@ringbolt/wal'
import { Random } from '@ringbolt/wal/simulation'
import { KILL_KINDS } from './load.ts'
import { runLock } from './lock.ts'
import { startLogLoad } from './log-load.ts'
import { logOptionsOf, type Settings } from './settings.ts'

export interface KillChildWork {
  readonly settings: Settings
  readonly logFolder: string
  readonly lockPath: string
  readonly sideFilePath: string
  readonly incarnationFirst: number
  readonly incarnationEnd: number
  readonly seed: number
}

export type KillChildMessage =
  | { readonly kind: 'opened' }
  | { readonly kind: 'progress'; readonly acknowledged: number }

const TELL_MS = 20
const PAUSE_MAX_MS = 400

/** Nothing comes after this but death: whoever waits for it waits for that. */
async function run(work: KillChildWork): Promise<void> {
  const { settings, incarnationFirst, incarnationEnd } = work
  const lock = runLock(work.lockPath)
  const log = await openLog(work.logFolder, { ...logOptionsOf(settings), lock })
  tell({ kind: 'opened' })
  const load = startLogLoad(log, {
    settings,
    incarnationFirst,
    incarnationEnd,
    sideFilePath: work.sideFilePath,
  })
  setInterval(() => {
    const [failure] = load.failures
    if (failure !== undefined) throw failure
    tell({ kind: 'progress', acknowledged: load.acknowledged })
  }, TELL_MS)
  const random = new Random(work.seed)
  const kills = incarnationEnd - incarnationFirst - settings.workers
  for (let kill = 0; kill < kills; kill++) {
    await new Promise((resolve) => setTimeout(resolve, random.between(0, PAUSE_MAX_MS)))
    await load.kill(random.pick(KILL_KINDS), random)
  }
}

function tell(message: KillChildMessage): void {
  process.send?.(message)
}

const [argument] = process.argv.slice(2)
if (argument === undefined) throw new TypeError('kill-child: its work is missing')
// An orphan must not go on: the parent is gone when the channel is.
process.on('disconnect', () => process.exit(1))
await run(JSON.parse(argument))
