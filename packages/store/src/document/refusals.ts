/**
 * Why a document is not taken, in plain words and with the path of the field. Runs only once something is wrong,
 * so it may look at things again.
 */
import { types } from 'node:util'
import { ValidationError } from './errors.ts'
import { NESTING_MAX } from './format.ts'

const PATH_LENGTH_MAX = 200

type Step = string | number

/** `user.tags[3]["first name"]`; the empty string for the document itself. */
export function pathText(steps: readonly Step[], length: number): string {
  let text = ''
  for (let index = 0; index < length && text.length <= PATH_LENGTH_MAX; index++) {
    text += stepText(steps[index] ?? '', text === '')
  }
  return text.length > PATH_LENGTH_MAX ? `${text.slice(0, PATH_LENGTH_MAX)}…` : text
}

function stepText(step: Step, isFirst: boolean): string {
  if (typeof step === 'number') return `[${step}]`
  if (!/^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(step)) return `[${JSON.stringify(step)}]`
  return isFirst ? step : `.${step}`
}

/** @param path the empty string for the document itself */
export function refusal(problem: string, path: string): ValidationError {
  return path === ''
    ? new ValidationError(problem)
    : new ValidationError(`${path}: ${problem}`, { path })
}

/** What it is, for a sentence. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value !== 'object') return `a ${typeof value}`
  const prototype: unknown = Object.getPrototypeOf(value)
  const maker: unknown =
    typeof prototype === 'object' && prototype !== null
      ? Reflect.get(prototype, 'constructor')
      : undefined
  return typeof maker === 'function' ? `an object of class ${maker.name}` : 'such an object'
}

/** For a document that is nested beyond the limit: that, or the cycle that makes it so. */
export function nestingRefusal(document: object): ValidationError {
  const path: Step[] = []
  return descend(document, [], path) === 'cycle'
    ? refusal('refers to an object that it is itself part of', pathText(path, path.length))
    : new ValidationError(`a document may be nested ${NESTING_MAX} levels deep, not deeper`)
}

/** Goes the encoder's way to where it stopped, or to an ancestor before that; `path` is where. */
function descend(value: unknown, ancestors: object[], path: Step[]): 'cycle' | 'deep' | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  if (ancestors.includes(value)) return 'cycle'
  if (ancestors.length === NESTING_MAX) return 'deep'
  ancestors.push(value)
  for (const [step, child] of childrenOf(value)) {
    path.push(step)
    const found = descend(child, ancestors, path)
    if (found !== undefined) return found
    path.pop()
  }
  ancestors.pop()
  return undefined
}

function* childrenOf(value: object): Generator<[Step, unknown]> {
  if (types.isMap(value)) {
    let index = 0
    for (const [key, child] of value) {
      yield [index, key]
      yield [index++, child]
    }
  } else if (types.isSet(value)) {
    let index = 0
    for (const child of value) yield [index++, child]
  } else if (Array.isArray(value)) {
    for (const [index, child] of value.entries()) yield [index, child]
  } else if (!ArrayBuffer.isView(value)) {
    for (const key of Object.keys(value)) yield [key, Reflect.get(value, key)]
  }
}
