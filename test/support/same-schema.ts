// Whether two schemas mean the same, each in the document that it stands in: what is referred to may stand elsewhere and have another name.
import { isJson, type Json } from './json.ts'

export interface Standing {
  readonly schema: unknown
  /** Where its references are looked up. A schema that a server published is its own document. */
  readonly root: unknown
}

/** Where they differ, as pointers into the first, with what stands there. Empty: they mean the same. */
export function differencesOf(published: Standing, told: Standing): string[] {
  const found: string[] = []
  /** Pairs that are being looked at: of a schema that is in itself, what is looked at again is the same for now. */
  const seen = new Map<object, Set<object>>()

  function compare(one: unknown, other: unknown, place: string): void {
    const [from, to] = [followed(one, published), followed(other, told)]
    if (!isJson(from) || !isJson(to)) {
      if (!isSameData(from, to)) found.push(became(place, from, to))
      return
    }
    const before = seen.get(from) ?? new Set()
    if (before.has(to)) return
    seen.set(from, before.add(to))
    const [a, b] = [unwrapped(from), unwrapped(to)]
    compareReferences(a, b, place)
    const names = new Set([...Object.keys(a), ...Object.keys(b)])
    for (const name of names) {
      if (OF_THE_DOCUMENT.has(name)) continue
      const here = `${place}/${escaped(name)}`
      if (!Object.hasOwn(a, name) || !Object.hasOwn(b, name)) {
        found.push(became(here, Object.hasOwn(a, name) ? a[name] : undefined, Object.hasOwn(b, name) ? b[name] : undefined))
        continue
      }
      compareMember(name, a[name], b[name], here)
    }
  }

  function compareReferences(a: Json, b: Json, place: string): void {
    const [from, to] = [referenceIn(a), referenceIn(b)]
    if (from === undefined && to === undefined) return
    const here = `${place}/$ref`
    if (from === undefined || to === undefined) return void found.push(became(here, from, to))
    const [one, other] = [lookUp(from, published), lookUp(to, told)]
    if (one === undefined || other === undefined)
      return void found.push(became(here, one === undefined ? 'nothing' : from, other === undefined ? `${to}, where nothing is` : to))
    compare(one.schema, other.schema, here)
  }

  function compareMember(name: string, a: unknown, b: unknown, here: string): void {
    if (MAPS.has(name) && isJson(a) && isJson(b)) return compareMaps(a, b, here)
    if (Array.isArray(a) && Array.isArray(b) && (LISTS.has(name) || name === 'items')) {
      if (a.length !== b.length) return void found.push(became(here, a, b))
      for (const [index, schema] of a.entries()) compare(schema, b[index], `${here}/${index}`)
      return
    }
    if (SCHEMAS.has(name)) return compare(a, b, here)
    if (SETS.has(name) && Array.isArray(a) && Array.isArray(b)) {
      if (!isSameSet(a, b)) found.push(became(here, a, b))
      return
    }
    if (!isSameData(a, b)) found.push(became(here, a, b))
  }

  function compareMaps(a: Json, b: Json, here: string): void {
    for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
      const [one, other] = [a, b].map((map) => (Object.hasOwn(map, name) ? map[name] : undefined))
      // In what draft 7 calls dependencies, names stand beside schemas.
      if (one === undefined || other === undefined || Array.isArray(one)) {
        if (!isSameData(one, other)) found.push(became(`${here}/${escaped(name)}`, one, other))
      } else compare(one, other, `${here}/${escaped(name)}`)
    }
  }

  compare(published.schema, told.schema, '')
  return found
}

/** Values whose members are schemas by a name, lists of schemas, and schemas. Every other value is data, whatever it looks like. */
const MAPS = new Set(['properties', 'patternProperties', 'dependentSchemas', 'dependencies'])
const LISTS = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems'])
const SCHEMAS = new Set([
  'not',
  'if',
  'then',
  'else',
  'items',
  'additionalItems',
  'contains',
  'additionalProperties',
  'unevaluatedItems',
  'unevaluatedProperties',
  'propertyNames',
  'contentSchema',
])
const SETS = new Set(['required', 'enum', 'type'])
/** Compared by what they lead to, or of no meaning to what is checked. */
const OF_THE_DOCUMENT = new Set(['$ref', '$dynamicRef', '$defs', 'definitions', '$id', '$anchor', '$dynamicAnchor', '$schema'])

const MOST_STEPS = 100

function referenceIn(schema: Json): string | undefined {
  const reference = schema['$ref'] ?? schema['$dynamicRef']
  return typeof reference === 'string' ? reference : undefined
}

/** A reference that is the one arm of an `allOf` says what it says beside the rest: some readers follow no other. */
function unwrapped(schema: Json): Json {
  const { allOf, ...rest } = schema
  const [arm, ...others]: unknown[] = Array.isArray(allOf) ? allOf : []
  const isBare = isJson(arm) && others.length === 0 && Object.keys(arm).length === 1 && typeof arm['$ref'] === 'string'
  return isBare && !Object.hasOwn(schema, '$ref') ? { ...rest, $ref: arm['$ref'] } : schema
}

/** What a schema that says nothing but where it stands leads to; any other, and one that leads nowhere, itself. */
function followed(schema: unknown, standing: Standing): unknown {
  let here = schema
  for (let steps = 0; steps < MOST_STEPS && isJson(here); steps += 1) {
    const bare = unwrapped(here)
    const reference = Object.keys(bare).every((name) => OF_THE_DOCUMENT.has(name)) ? referenceIn(bare) : undefined
    const found = reference === undefined ? undefined : lookUp(reference, standing)
    if (!found) break
    here = found.schema
  }
  // As objects they say the same.
  return here === true ? {} : here === false ? { not: {} } : here
}

/** Undefined: there is nothing. References to other documents are looked up nowhere. */
function lookUp(reference: string, { root }: Standing): { schema: unknown } | undefined {
  const hash = reference.indexOf('#')
  const [uri, fragment] = hash === -1 ? [reference, ''] : [reference.slice(0, hash), decodeURIComponent(reference.slice(hash + 1))]
  const base = uri === '' ? { schema: root } : anywhereIn(root, (schema) => schema['$id'] === uri)
  if (!base) return undefined
  if (fragment !== '' && !fragment.startsWith('/'))
    return anywhereIn(base.schema, (schema) => schema['$anchor'] === fragment || schema['$dynamicAnchor'] === fragment)
  let here = base.schema
  for (const step of fragment.split('/').slice(1)) {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~')
    if (Array.isArray(here)) here = here[Number(name)]
    else if (isJson(here) && Object.hasOwn(here, name)) here = here[name]
    else return undefined
  }
  return here === undefined ? undefined : { schema: here }
}

function anywhereIn(value: unknown, is: (schema: Json) => boolean): { schema: Json } | undefined {
  if (isJson(value) && is(value)) return { schema: value }
  if (typeof value !== 'object' || value === null) return undefined
  for (const member of Object.values(value)) {
    const found = anywhereIn(member, is)
    if (found) return found
  }
  return undefined
}

function isSameSet(a: readonly unknown[], b: readonly unknown[]): boolean {
  const [one, other] = [a, b].map((list) => list.map(canonical).toSorted())
  return isSameData(one, other)
}

function isSameData(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b)
}

/** JSON in which the order of members says nothing, as it does in JSON. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  if (!isJson(value)) return JSON.stringify(value) ?? 'nothing'
  const members = Object.keys(value).toSorted()
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join()}}`
}

function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}

function became(place: string, a: unknown, b: unknown): string {
  const [one, other] = [a, b].map((value) => (value === undefined ? 'nothing' : canonical(value).slice(0, 80)))
  return `${place === '' ? '(root)' : place}: ${one} became ${other}`
}
