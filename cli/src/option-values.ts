/** What options take, read as a person writes it; what cannot be is a usage error. */
import { InvalidArgumentError, Option } from 'commander'

/** A day: nobody waits longer, and timers can. */
const SECONDS_MAX = 86_400
/** With its zone: a moment that means another one elsewhere is no moment. */
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/

export function wholeNumber(text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value
  throw new InvalidArgumentError('It is a whole number from 0.')
}

export function seconds(text: string): number {
  const value = Number(text)
  if (value > 0 && value <= SECONDS_MAX) return value
  throw new InvalidArgumentError(`It is a number of seconds, above 0, at most ${SECONDS_MAX}.`)
}

export function moment(text: string): Date {
  const time = new Date(text)
  if (MOMENT.test(text) && !Number.isNaN(time.getTime())) return time
  throw new InvalidArgumentError('It is a time with its zone, as 2026-01-31T14:05:00Z or …+02:00.')
}

export function busyTimeoutOption(what: string): Option {
  return new Option('--busy-timeout <ms>', `how long to wait for ${what}`)
    .argParser(wholeNumber)
    .default(5000)
}
