/**
 * A schedule as text: which thread takes each step, as letters in the order in which the program
 * names its threads, runs shortened by a count; before it, where a thread dies, which and when.
 *
 *     a3b2ac            three steps of the first thread, two of the second, one each of first and third
 *     producer2@4 a3b2  the same kind of thing, and producer2 dies after four accesses
 */
import { ModelError } from './model-error.ts'
import type { Death } from './program.ts'

const FIRST_LETTER = 'a'.charCodeAt(0)

export function formatSchedule(threadOfStep: readonly number[], death: Death | null): string {
  let text = death === null ? '' : `${death.thread}@${death.accesses} `
  for (let step = 0; step < threadOfStep.length; ) {
    const thread = threadOfStep[step] ?? 0
    let end = step + 1
    while (threadOfStep[end] === thread) end++
    text += String.fromCharCode(FIRST_LETTER + thread)
    if (end - step > 1) text += String(end - step)
    step = end
  }
  return text
}

export function parseSchedule(
  text: string,
  threadCount: number,
): { threadOfStep: number[]; death: Death | null } {
  const parts = /^(?:(?<thread>[\w-]+)@(?<accesses>\d+) )?(?<steps>(?:[a-p]\d*)*)$/.exec(text)
  if (parts === null) throw new ModelError('SCHEDULE', `not a schedule: ${text}`)
  const { thread, accesses, steps } = parts.groups ?? {}
  const threadOfStep: number[] = []
  for (const [, letter = '', count = ''] of (steps ?? '').matchAll(/([a-p])(\d*)/g)) {
    const index = letter.charCodeAt(0) - FIRST_LETTER
    if (index >= threadCount) {
      throw new ModelError(
        'SCHEDULE',
        `schedule ${text} names thread ${letter}, the ${index + 1}th of ${threadCount}`,
      )
    }
    for (let times = count === '' ? 1 : Number(count); times > 0; times--) threadOfStep.push(index)
  }
  const death = thread === undefined ? null : { thread, accesses: Number(accesses) }
  return { threadOfStep, death }
}
