/** `ringbolt top`: a database as it works. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from 'commander'
import { EXIT_HELP } from '../exit-codes.ts'
import { interruptible } from '../interrupt.ts'
import { seconds } from '../option-values.ts'
import { print } from '../text.ts'
import { figuresOf, type TopFigures } from '../top/figures.ts'
import { Observer } from '../top/observer.ts'
import { Screen } from '../top/screen.ts'
import { lineOf, pageOf } from '../top/text.ts'

interface TopFlags {
  readonly interval: number
  readonly once?: true
  readonly json?: true
}

export function addTop(program: Command): void {
  program
    .command('top')
    .description('Shows a database as it works: commits, log, who writes, how far each process is.')
    .argument('<file>', 'the database, closed or in use')
    .option('--interval <s>', 'seconds between two looks', seconds, 1)
    .option('--once', 'one look, at one interval, and no more')
    .option('--json', 'an object a line and interval')
    .addHelpText(
      'after',
      `
On a terminal a page that is refreshed in place; elsewhere a line for each interval. Ctrl-C ends it.

It only reads, and takes no part: files, the writer lock and its board, what processes state. Asking whether the lock is
free may hold a writer up for about a millisecond. lag is log that a process has not read, or keeps for its
readers of changes; oldest state goes back to the oldest one that it may be reading. "-" is what cannot be told.

It cannot see reads, snapshots and conflicts, caches, workers and threads of a process, how long syncs and waits take, nor
whether a commit in the log is synced yet: db.stats() in the process itself says that. Of a database that is
opened with crossProcessLock: false it sees no process and no writer; of one in memory, nothing.
${EXIT_HELP}

Examples:
  $ ringbolt top app.db
  $ ringbolt top app.db --interval 10 >> app.log
  $ ringbolt top app.db --once --json | jq '{commitsPerS, writer, processes}'`,
    )
    .action(top)
}

async function top(file: string, flags: TopFlags): Promise<void> {
  const clock = { wallMs: () => Date.now(), monotonicMs: () => performance.now() }
  const observer = new Observer(file, clock)
  const isPage = flags.json !== true && flags.once !== true && process.stdout.isTTY
  const show = isPage ? onScreen() : shownBy(flags)
  await interruptible(async (signal) => {
    let before = await observer.observe()
    // Rates follow; an empty terminal would look as if nothing was going on.
    if (isPage) show(figuresOf(before, undefined))
    while (await hasPassed(flags.interval, signal)) {
      const now = await observer.observe()
      show(figuresOf(now, before))
      if (flags.once === true) return
      before = now
    }
  })
}

type Show = (figures: TopFigures) => void

function onScreen(): Show {
  const screen = new Screen(process.stdout)
  return (figures) => screen.show(pageOf(figures))
}

function shownBy({ json, once }: TopFlags): Show {
  if (json === true) return (figures) => print(JSON.stringify(figures))
  return (figures) => print(once === true ? pageOf(figures).join('\n') : lineOf(figures))
}

/** False: it was interrupted. */
async function hasPassed(intervalS: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(intervalS * 1000, undefined, { signal })
    return true
  } catch (error) {
    if (signal.aborted) return false
    throw error
  }
}
