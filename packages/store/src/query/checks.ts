/** Arguments checked, and told of in plain words. */
import { ValidationError } from '../document/errors.ts'
import { isPlainObject } from './values.ts'

/** @returns it; Infinity stands for no limit */
export function checkCount(what: string, value: unknown): number {
  if (value === Infinity) return Infinity
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  const actual = typeof value === 'number' ? String(value) : describe(value)
  throw new ValidationError(`${what} must be a whole number from 0; this is ${actual}`)
}

/** What a value is, in words, without printing what might be long or secret. */
export function describe(value: unknown): string {
  if (value === null || value === undefined || Number.isNaN(value)) return String(value)
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : 'an array'
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'an invalid date' : 'a date'
  if (typeof value !== 'object') return `a ${typeof value}`
  return isPlainObject(value) ? 'an object' : `a ${value.constructor?.name ?? 'special object'}`
}
