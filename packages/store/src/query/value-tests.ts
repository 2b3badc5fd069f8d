/** Tests of single values, which the matcher applies to whatever a path names. */
import type { IndexValue } from '../document/keys.ts'
import { orderWithin, sameValue } from './values.ts'

export type Test = (value: unknown) => boolean
export type Comparison = '$gt' | '$gte' | '$lt' | '$lte'

/** Functions come from prototypes only; they are as good as missing. */
export function equalTest(value: unknown): Test {
  if (value === null) {
    return (other) => other === null || other === undefined || typeof other === 'function'
  }
  return typeof value === 'object' ? (other) => sameValue(other, value) : (other) => other === value
}

export function comparisonTest(operator: Comparison, value: IndexValue): Test {
  switch (operator) {
    case '$gt':
      return (other) => (orderWithin(other, value) ?? 0) > 0
    case '$gte':
      return (other) => (orderWithin(other, value) ?? -1) >= 0
    case '$lt':
      return (other) => (orderWithin(other, value) ?? 0) < 0
    case '$lte':
      return (other) => (orderWithin(other, value) ?? 1) <= 0
  }
}

export function oneOfTest(values: readonly unknown[]): Test {
  const simple = new Set(values.filter((value) => typeof value !== 'object'))
  const others = values
    .filter((value) => typeof value === 'object')
    .map((value) => (value instanceof RegExp ? patternTest(value) : equalTest(value)))
  return (other) => simple.has(other) || others.some((test) => test(other))
}

export function patternTest(given: RegExp): Test {
  // A copy without g and y: these would remember where the last match ended.
  const pattern = new RegExp(given.source, given.flags.replace(/[gy]/g, ''))
  return (other) => typeof other === 'string' && pattern.test(other)
}
