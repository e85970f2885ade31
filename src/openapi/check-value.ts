// What a schema says of a value itself: its type, which values there are, how long, how large, of what form.
import { isObject, type JsonObject } from '../protocol/message.ts'
import { matches, patternOf } from './linear-pattern.ts'
import { spend, spendChars, type Work } from './work.ts'

export type Tell = (keyword: string, message: string, at?: string) => void

/** What is said of the value itself. */
export function plain(work: Work, schema: JsonObject, value: unknown, tell: Tell): void {
  const { type, const: fixed, pattern } = schema
  const types = Array.isArray(type) ? (type as unknown[]) : type === undefined ? [] : [type] // each is looked at
  spend(work, types.length / 10)
  if (types.length > 0 && !types.some((one) => isOfType(one, value))) tell('type', `must be ${[...new Set(types)].join(' or ')}`)
  if (Array.isArray(schema['enum'])) {
    const text = canonical(work, value)
    if (!schema['enum'].some((one) => canonical(work, one) === text)) tell('enum', 'must be one of the allowed values')
  }
  if ('const' in schema && canonical(work, fixed) !== canonical(work, value)) tell('const', 'must be the one allowed value')
  if (typeof value === 'number') ofNumber(schema, value, tell)
  if (typeof value !== 'string') return
  const { minLength, maxLength } = schema
  if (typeof minLength === 'number' || typeof maxLength === 'number') {
    spendChars(work, value)
    const length = codePointsIn(value)
    if (typeof minLength === 'number' && length < minLength) tell('minLength', `must have at least ${minLength} characters`)
    if (typeof maxLength === 'number' && length > maxLength) tell('maxLength', `must have at most ${maxLength} characters`)
  }
  if (typeof pattern === 'string') {
    // Where it cannot be told, the server tells.
    const one = patternOf(work, pattern)
    if (one && !matches(work, one, value)) tell('pattern', `must match the pattern ${pattern}`)
  }
}

/** The second half of a pair is no character of its own. */
function codePointsIn(text: string): number {
  let count = 0
  for (let at = 0; at < text.length; at++) {
    if ((text.charCodeAt(at) & 0xfc00) === 0xd800 && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00) at++
    count++
  }
  return count
}

function ofNumber({ minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf }: JsonObject, value: number, tell: Tell): void {
  if (typeof minimum === 'number' && value < minimum) tell('minimum', `must be at least ${minimum}`)
  if (typeof maximum === 'number' && value > maximum) tell('maximum', `must be at most ${maximum}`)
  if (typeof exclusiveMinimum === 'number' && value <= exclusiveMinimum) tell('exclusiveMinimum', `must be more than ${exclusiveMinimum}`)
  if (typeof exclusiveMaximum === 'number' && value >= exclusiveMaximum) tell('exclusiveMaximum', `must be less than ${exclusiveMaximum}`)
  if (typeof multipleOf === 'number' && multipleOf > 0 && !isMultiple(value, multipleOf)) tell('multipleOf', `must be a multiple of ${multipleOf}`)
}

/** 0.3 is three times 0.1, whatever a binary fraction makes of it. */
function isMultiple(value: number, of: number): boolean {
  const times = value / of
  return Number.isFinite(times)
    ? Math.abs(times - Math.round(times)) <= Math.abs(times) * Number.EPSILON * 4
    : Number.isInteger(value) && of <= 1 && Number.isInteger(1 / of)
}

function isOfType(type: unknown, value: unknown): boolean {
  switch (type) {
    case 'null':
      return value === null
    case 'array':
      return Array.isArray(value)
    case 'object':
      return isObject(value)
    case 'integer':
      return Number.isInteger(value)
    case 'string':
    case 'number':
    case 'boolean':
      return typeof value === type
    // A word that nobody knows forbids nothing.
    default:
      return true
  }
}

/** One text for what is equal. */
export function canonical(work: Work, value: unknown): string {
  spend(work)
  if (typeof value === 'string') spendChars(work, value)
  if (Array.isArray(value)) return `[${value.map((one) => canonical(work, one)).join(',')}]`
  if (!isObject(value)) return value === 0 ? '0' : JSON.stringify(value)
  const members = Object.keys(value).toSorted()
  for (const name of members) spendChars(work, name)
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(work, value[name])}`).join(',')}}`
}
