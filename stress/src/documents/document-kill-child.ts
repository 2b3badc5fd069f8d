/**
 * The process that is going to be killed: opens the database, runs a load on it, ends some of its own workers,
 * and says how far it is. Never ends by itself unless something fails.
 */
import { Random } from '@ringbolt/wal/simulation'
import { open } from 'ringbolt'
import type { KillChildMessage } from '../kill-child.ts'
import { KILL_KINDS } from '../load.ts'
import { startDocumentLoad } from './document-load.ts'
import { type DocumentSettings, openOptionsOf } from './document-settings.ts'
import { LaneRegion } from './lane-region.ts'

export interface DocumentKillWork {
  readonly settings: DocumentSettings
  readonly path: string
  readonly sideFilePath: string
  readonly incarnationFirst: number
  readonly incarnationEnd: number
  readonly seed: number
}

const TELL_MS = 20
const PAUSE_MAX_MS = 400

/** Nothing comes after this but death: whoever waits for it waits for that. */
async function run(work: DocumentKillWork): Promise<void> {
  const { settings, incarnationFirst, incarnationEnd } = work
  const db = await open(work.path, openOptionsOf(settings))
  tell({ kind: 'opened' })
  const load = startDocumentLoad(db, {
    settings,
    incarnationFirst,
    incarnationEnd,
    region: LaneRegion.create(incarnationEnd, settings.lanes),
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
if (argument === undefined) throw new TypeError('document-kill-child: its work is missing')
// An orphan must not go on: the parent is gone when the channel is.
process.on('disconnect', () => process.exit(1))
await run(JSON.parse(argument))
