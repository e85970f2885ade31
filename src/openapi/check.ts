// Whether a value fits a JSON Schema (2020-12), and each place where it does not. The schema is a stranger's: it is read and never made
// into code, its patterns are matched in linear time, and what it can cost is counted.
import { isObject, type JsonObject } from '../protocol/message.ts'
import { canonical, plain, type Tell } from './check-value.ts'
import { memberOf, stepsIn } from './json-pointer.ts'
import { matches, patternOf } from './linear-pattern.ts'
import { spend, spendChars, Uncheckable, type Work } from './work.ts'

export interface Mismatch {
  /** JSON Pointer (RFC 6901) of the place: of a member that is missing, where it would be. */
  readonly path: string
  /** What of the schema it does not fit. */
  readonly keyword: string
  readonly message: string
}

/** One answer names so many. */
const MOST_MISMATCHES = 100
/** Of a schema that doubles its work with each level little is done: some tens of milliseconds. */
const MOST_STEPS = 500_000
const MOST_LEVELS = 800
/** More of a path is not told. */
const SHOWN_CHARS = 1000

/** What is checked by the schema of a tool: made once for each. */
export type Check = (value: unknown) => readonly Mismatch[] | 'unchecked'

/**
 * By a schema whose references are pointers into itself (`schemaAt('#', …)`). No mismatches: it fits. `unchecked`: that cannot be told
 * with reasonable work, or by what can be matched in linear time; then it is for the server to tell. `format` says nothing (2020-12 §7.2.1).
 */
export function createCheck(schema: JsonObject): Check {
  const targets = new Map<string, unknown>()
  const target = (ref: string): unknown => {
    if (!targets.has(ref)) targets.set(ref, stepsIn(ref.slice(1))?.reduce<unknown>(memberOf, schema))
    return targets.get(ref)
  }
  return (value) => {
    const work: Work = { steps: MOST_STEPS, levels: 0, target }
    const found: Mismatch[] = []
    try {
      evaluate(work, schema, value, '', found)
      return found.map(shown)
    } catch (thrown) {
      if (thrown instanceof Uncheckable) return 'unchecked'
      throw thrown
    }
  }
}

/** The JSON Pointer to a member of what is at `path`. */
export function pointerTo(path: string, member: string): string {
  return `${path}/${member.replaceAll('~', '~0').replaceAll('/', '~1')}`
}

/** What of an object or an array some keyword has spoken of: `unevaluated…` is about the rest. */
interface Evaluated {
  members: Set<string>
  items: Set<number>
}

const NOTHING: Evaluated = { members: new Set(), items: new Set() }

/** What is wrong beside so much is not noted: there may be more of it than of anything else. */
function note(found: Mismatch[], mismatch: Mismatch): void {
  if (found.length < MOST_MISMATCHES) found.push(mismatch)
}

function shown(mismatch: Mismatch): Mismatch {
  const { path } = mismatch
  return path.length > SHOWN_CHARS ? { ...mismatch, path: `${path.slice(0, SHOWN_CHARS)}…` } : mismatch
}

function evaluate(work: Work, schema: unknown, value: unknown, path: string, found: Mismatch[]): Evaluated {
  spend(work)
  if (schema === false) note(found, { path, keyword: 'false schema', message: 'must not be there' })
  if (!isObject(schema)) return NOTHING
  if (++work.levels > MOST_LEVELS) throw new Uncheckable()
  const seen: Evaluated = { members: new Set(), items: new Set() }
  const mismatch = (keyword: string, message: string, at = path): void => note(found, { path: at, keyword, message })
  plain(work, schema, value, mismatch)
  inPlace(work, schema, value, path, found, seen)
  if (isObject(value)) ofObject(work, schema, value, path, found, seen, mismatch)
  if (Array.isArray(value)) ofArray(work, schema, value, path, found, seen, mismatch)
  work.levels--
  return seen
}

/** What other schemas say of the same value. */
function inPlace(work: Work, schema: JsonObject, value: unknown, path: string, found: Mismatch[], seen: Evaluated): void {
  const { $ref: ref, allOf, anyOf, oneOf, not } = schema
  if (typeof ref === 'string') merge(work, seen, evaluate(work, work.target(ref), value, path, found))
  if (Array.isArray(allOf)) for (const one of allOf) merge(work, seen, evaluate(work, one, value, path, found))
  for (const [keyword, list] of [
    ['anyOf', anyOf],
    ['oneOf', oneOf],
  ] as const) {
    if (!Array.isArray(list)) continue
    const tries = (list as unknown[]).map((one) => attempt(work, one, value, path)) // each is looked at
    const fits = tries.filter(({ wrong }) => wrong.length === 0)
    for (const { evaluated } of fits) merge(work, seen, evaluated)
    if (fits.length === 1 || (keyword === 'anyOf' && fits.length > 1)) continue
    note(found, { path, keyword, message: fits.length === 0 ? 'must fit one of the alternatives' : 'must fit only one of the alternatives' })
    // Of the alternative that was meant, as far as can be told, what is wrong with it.
    const meant = fits.length === 0 ? tries.filter(({ wrong }) => wrong.every((one) => one.path !== path)) : []
    if (meant.length === 1) for (const { wrong } of meant) for (const one of wrong) note(found, one)
  }
  if (not !== undefined && attempt(work, not, value, path).wrong.length === 0) note(found, { path, keyword: 'not', message: 'must not be of this form' })
  if (schema['if'] !== undefined) {
    const { wrong, evaluated } = attempt(work, schema['if'], value, path)
    if (wrong.length === 0) merge(work, seen, evaluated)
    const next = wrong.length === 0 ? schema['then'] : schema['else']
    if (next !== undefined) merge(work, seen, evaluate(work, next, value, path, found))
  }
}

function attempt(work: Work, schema: unknown, value: unknown, path: string): { wrong: Mismatch[]; evaluated: Evaluated } {
  const wrong: Mismatch[] = []
  const evaluated = evaluate(work, schema, value, path, wrong)
  return { wrong, evaluated }
}

function ofObject(work: Work, schema: JsonObject, value: JsonObject, path: string, found: Mismatch[], seen: Evaluated, tell: Tell): void {
  const { properties, patternProperties, additionalProperties, propertyNames, required, dependentRequired, dependentSchemas, unevaluatedProperties } = schema
  const names = Object.keys(value)
  spend(work, names.length)
  for (const name of names) spendChars(work, name)
  const at = (name: string): string => pointerTo(path, name)
  const needs = (list: unknown, keyword: string): void => {
    if (!Array.isArray(list)) return
    spend(work, list.length)
    for (const name of list) {
      if (typeof name !== 'string' || Object.hasOwn(value, name)) continue
      spendChars(work, name)
      tell(keyword, 'is required', at(name))
    }
  }
  const { minProperties, maxProperties } = schema
  if (typeof minProperties === 'number' && names.length < minProperties) tell('minProperties', `must have at least ${minProperties} members`)
  if (typeof maxProperties === 'number' && names.length > maxProperties) tell('maxProperties', `must have at most ${maxProperties} members`)
  needs(required, 'required')
  if (isObject(dependentRequired)) for (const name of names) if (Object.hasOwn(dependentRequired, name)) needs(dependentRequired[name], 'dependentRequired')
  if (isObject(dependentSchemas)) {
    for (const name of names) if (Object.hasOwn(dependentSchemas, name)) merge(work, seen, evaluate(work, dependentSchemas[name], value, path, found))
  }
  const texts = isObject(patternProperties) && names.length > 0 ? Object.keys(patternProperties) : []
  spend(work, texts.length)
  const patterns = texts.map((text) => ({ pattern: patternOf(work, text), one: isObject(patternProperties) ? patternProperties[text] : true }))
  for (const name of names) {
    let isNamed = false
    const below = (one: unknown): void => {
      isNamed = true
      evaluate(work, one, value[name], at(name), found)
    }
    if (propertyNames !== undefined && attempt(work, propertyNames, name, at(name)).wrong.length > 0) tell('propertyNames', 'must not be called so', at(name))
    if (isObject(properties) && Object.hasOwn(properties, name)) below(properties[name])
    for (const { pattern, one } of patterns) {
      if (!pattern) throw new Uncheckable()
      spend(work)
      if (matches(work, pattern, name)) below(one)
    }
    if (!isNamed && additionalProperties === false) tell('additionalProperties', 'is not a member that there is', at(name))
    else if (!isNamed && additionalProperties !== undefined) below(additionalProperties)
    if (isNamed) seen.members.add(name)
  }
  if (unevaluatedProperties === undefined) return
  for (const name of names) {
    if (seen.members.has(name)) continue
    if (unevaluatedProperties === false) tell('unevaluatedProperties', 'is not a member that there is', at(name))
    else evaluate(work, unevaluatedProperties, value[name], at(name), found)
    seen.members.add(name)
  }
}

function ofArray(work: Work, schema: JsonObject, value: readonly unknown[], path: string, found: Mismatch[], seen: Evaluated, tell: Tell): void {
  const { prefixItems, items, contains, minItems, maxItems, minContains, maxContains, uniqueItems, unevaluatedItems } = schema
  spend(work, value.length)
  if (typeof minItems === 'number' && value.length < minItems) tell('minItems', `must have at least ${minItems} items`)
  if (typeof maxItems === 'number' && value.length > maxItems) tell('maxItems', `must have at most ${maxItems} items`)
  if (uniqueItems === true && new Set(value.map((one) => canonical(work, one))).size < value.length) tell('uniqueItems', 'must not have an item twice')
  const prefix = Array.isArray(prefixItems) ? (prefixItems as unknown[]) : [] // each is looked at
  for (const [index, one] of value.entries()) {
    const own = index < prefix.length ? prefix[index] : items
    if (own === undefined) continue
    evaluate(work, own, one, `${path}/${index}`, found)
    seen.items.add(index)
  }
  if (contains !== undefined) {
    let count = 0
    for (const [index, one] of value.entries()) {
      if (attempt(work, contains, one, `${path}/${index}`).wrong.length > 0) continue
      count++
      seen.items.add(index)
    }
    const least = typeof minContains === 'number' ? minContains : 1
    if (count < least) tell('contains', `must have at least ${least} items of a certain form`)
    if (typeof maxContains === 'number' && count > maxContains) tell('contains', `must have at most ${maxContains} items of a certain form`)
  }
  if (unevaluatedItems === undefined) return
  for (const [index, one] of value.entries()) {
    if (seen.items.has(index)) continue
    evaluate(work, unevaluatedItems, one, `${path}/${index}`, found)
    seen.items.add(index)
  }
}

function merge(work: Work, into: Evaluated, from: Evaluated): void {
  spend(work, from.members.size + from.items.size)
  for (const name of from.members) into.members.add(name)
  for (const index of from.items) into.items.add(index)
}
