/**
 * When a process is killed. Where it stands is looked at while it is stopped, so that what is said of its end is so:
 * stopped, looked at, and killed there or let go on.
 */
import { readdirSync, readFileSync } from 'node:fs'
import type { Lock } from '@ringbolt/locks'
import type { Random } from '@ringbolt/wal/simulation'
import { failureOf } from '../outcome.ts'
import type { RunningProcess } from './database-process.ts'
import { pause } from './waiting.ts'

/**
 * `turn`: it has the writer lock. `waiting`: another has it, while this one has something to write. `checkpoint`: it has the
 * lock, and a checkpoint that it was asked for is not done.
 */
export const KILL_MOMENTS = ['turn', 'waiting', 'checkpoint'] as const
export type KillMoment = (typeof KILL_MOMENTS)[number]

export interface Victim extends Pick<RunningProcess, 'pid' | 'ask' | 'kill'> {
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void
}

const LOOKS_MAX = 1000
const STOP_MAX_MS = 10_000
/** Between looks it goes on: a turn is of this order. */
const RUN_MAX_MS = 20
/** A thread that is no more, as far as this goes. */
const GONE = ') T'

/** @returns false: it did not come to that within many looks, and was killed where it stood */
export async function killAt(
  moment: KillMoment,
  victim: Victim,
  lock: Lock,
  random: Random,
): Promise<boolean> {
  // The first look loads what it needs: nobody is stopped for that.
  await lock.holder()
  const wished = makeWish(moment, victim)
  let isThere = false
  for (let looks = 0; !isThere && looks < LOOKS_MAX; looks++) {
    wished.begin()
    await pause(random.between(0, RUN_MAX_MS))
    victim.signal('SIGSTOP')
    await stopped(victim)
    const holder = await lock.holder()
    const holds = holder?.pid === victim.pid
    isThere = moment === 'waiting' ? isOther(holder?.pid, victim) : holds && wished.isOpen()
    if (!isThere) victim.signal('SIGCONT')
  }
  await victim.kill()
  return isThere
}

function isOther(pid: number | null | undefined, victim: Victim): boolean {
  return pid !== undefined && pid !== null && pid !== victim.pid
}

/** What it is asked for before a look, and whether that is still to be done. */
function makeWish(moment: KillMoment, victim: Victim): { begin(): void; isOpen(): boolean } {
  if (moment !== 'checkpoint') return { begin: () => undefined, isOpen: () => true }
  let isOpen = false
  const ask = async (): Promise<void> => {
    isOpen = true
    // One that is killed does not answer.
    await failureOf(victim.ask('checkpoint', {}))
    isOpen = false
  }
  return {
    begin: () => {
      if (!isOpen) void ask()
    },
    isOpen: () => isOpen,
  }
}

/** A signal is taken by each thread by itself. Without `/proc` nobody can tell. */
async function stopped({ pid }: Victim): Promise<void> {
  const untilMs = performance.now() + STOP_MAX_MS
  while (performance.now() < untilMs && !threadStates(pid).every((state) => state === 'T')) {
    await pause(1)
  }
}

function threadStates(pid: number | undefined): string[] {
  const folder = `/proc/${pid}/task`
  return whereThereIs(() => readdirSync(folder), []).map((thread) => {
    const text = whereThereIs(() => readFileSync(`${folder}/${thread}/stat`, 'latin1'), GONE)
    return text.slice(text.lastIndexOf(')') + 2)[0] ?? ''
  })
}

/** A thread may have just ended. */
function whereThereIs<T>(read: () => T, otherwise: T): T {
  try {
    return read()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ESRCH') return otherwise
    throw error
  }
}
