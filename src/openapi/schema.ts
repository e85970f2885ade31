// A server's JSON Schema as part of an OpenAPI 3.1 document. It means the same there: only its references are told anew, because what
// `#` stands for is another document now.
import { isObject, type JsonObject } from '../protocol/message.ts'

/** Where a keyword holds schemas (JSON Schema 2020-12, and what it was called before). */
const ONE = new Set([
  'additionalItems',
  'additionalProperties',
  'contains',
  'contentSchema',
  'else',
  'if',
  'items',
  'not',
  'propertyNames',
  'then',
  'unevaluatedItems',
  'unevaluatedProperties',
])
const LIST = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems'])
const NAMED = new Set(['$defs', 'definitions', 'dependentSchemas', 'patternProperties', 'properties'])

/** What a reference was that leads nowhere we know: nobody is sent to an address that a server names. */
const UNRESOLVED = 'x-mcp-unresolved-ref'

/** A base of our own, for schemas that have none. */
const NO_BASE = 'openmcp:/schema'

/**
 * The schema as it stands at `place` (`#`, `#/components/…`) of a document. Every local reference, by pointer, anchor or `$id`, becomes a
 * pointer into the same document; what is older than 2020-12 is said in its words. What is no schema is one that takes everything.
 */
export function schemaAt(place: string, given: unknown): JsonObject {
  const root: JsonObject = isObject(given) ? structuredClone(given) : {}
  const isOlder = typeof root['$schema'] === 'string' && !root['$schema'].includes('2020-12')
  const bases = new Map<JsonObject, string>()
  /** By absolute URI: of resources, and of anchors in them. */
  const resources = new Map<string, JsonObject>()
  const anchors = new Map<string, JsonObject>()
  const found: JsonObject[] = []
  look(root, NO_BASE)
  resources.set(NO_BASE, root)
  const references: { schema: JsonObject; to: JsonObject | boolean | undefined; ref: unknown }[] = []
  // It grows on the way: what a pointer leads to is a schema wherever it stands, and may hold references as well.
  for (const schema of found) {
    for (const keyword of ['$ref', '$dynamicRef', '$recursiveRef']) {
      const ref = schema[keyword]
      if (ref !== undefined) references.push({ schema, ref, to: typeof ref === 'string' ? targetOf(ref, bases.get(schema) ?? NO_BASE) : undefined })
    }
  }
  for (const schema of found) {
    // They name places in a document of its own, and might be taken for those of another schema in this one.
    for (const keyword of OF_DOCUMENTS) delete schema[keyword]
    if (isOlder) modernise(schema)
  }
  const pointers = pointersIn(root)
  for (const { schema, to, ref } of references) {
    const pointer = isObject(to) ? pointers.get(to) : undefined
    if (pointer !== undefined) also(schema, '$ref', place + inUri(pointer))
    else if (to === false) also(schema, 'not', {})
    else if (to !== true) also(schema, UNRESOLVED, ref)
  }
  return root

  function look(schema: JsonObject, around: string): void {
    if (bases.has(schema)) return
    const base = baseOf(schema, around)
    bases.set(schema, base)
    found.push(schema)
    if (base !== around) resources.set(base, schema)
    for (const keyword of ['$anchor', '$dynamicAnchor', '$id']) {
      const anchor = schema[keyword]
      // Until draft-07 an anchor was an `$id` that began so.
      const name = typeof anchor !== 'string' ? undefined : keyword !== '$id' ? anchor : anchor.startsWith('#') ? anchor.slice(1) : undefined
      if (name !== undefined && !anchors.has(`${base}#${name}`)) anchors.set(`${base}#${name}`, schema)
    }
    for (const { below, holder, key } of subschemasOf(schema)) {
      if (isObject(below)) look(below, base)
      else if (typeof below !== 'boolean') set(holder, key, true)
    }
  }

  function targetOf(ref: string, base: string): JsonObject | boolean | undefined {
    const url = URL.parse(ref, base)
    const fragment = url && decoded(url.hash.slice(1))
    if (!url || fragment === undefined || fragment === null) return undefined
    url.hash = ''
    const resource = resources.get(url.href)
    if (!resource || fragment === '') return resource
    if (!fragment.startsWith('/')) return anchors.get(`${url.href}#${fragment}`)
    let at: unknown = resource
    let around = url.href
    for (const part of fragment.slice(1).split('/')) {
      const key = part.replaceAll('~1', '/').replaceAll('~0', '~')
      at = (isObject(at) || Array.isArray(at)) && Object.hasOwn(at, key) ? Reflect.get(at, key) : undefined
      if (isObject(at)) around = bases.get(at) ?? around
    }
    if (isObject(at)) look(at, around)
    return isObject(at) || typeof at === 'boolean' ? at : undefined
  }
}

const OF_DOCUMENTS = ['$schema', '$id', '$anchor', '$dynamicAnchor', '$recursiveAnchor', '$vocabulary', '$ref', '$dynamicRef', '$recursiveRef']

/** A second one of a keyword stands beside the first. */
function also(schema: JsonObject, keyword: string, value: unknown): void {
  if (!(keyword in schema)) return set(schema, keyword, value)
  const all = schema['allOf']
  schema['allOf'] = [...(Array.isArray(all) ? (all as unknown[]) : []), { [keyword]: value }] // of an array nothing is known yet
}

function pointersIn(root: JsonObject): Map<object, string> {
  const pointers = new Map<object, string>([[root, '']])
  // It grows on the way.
  for (const [holder, pointer] of pointers) {
    for (const [key, below] of Object.entries(holder) as [string, unknown][]) {
      // what is in it is not known
      if (typeof below === 'object' && below !== null) pointers.set(below, `${pointer}/${escaped(key)}`)
    }
  }
  return pointers
}

/** RFC 6901 §6. */
function inUri(pointer: string): string {
  return encodeURI(pointer).replaceAll('#', '%23').replaceAll('?', '%3F')
}

interface Place {
  readonly below: unknown
  readonly holder: object
  readonly key: string
}

/** Each place for a schema, and what stands there. */
function* subschemasOf(schema: JsonObject): Iterable<Place> {
  for (const [keyword, value] of Object.entries(schema)) {
    const isList = LIST.has(keyword) || (keyword === 'items' && Array.isArray(value))
    if (ONE.has(keyword) && !isList) yield { below: value, holder: schema, key: keyword }
    else if (isList ? Array.isArray(value) : NAMED.has(keyword) && isObject(value)) yield* membersOf(value as object) // an array or an object
    else if (keyword === 'dependencies' && isObject(value)) for (const place of membersOf(value)) if (isObject(place.below)) yield place
  }
}

function* membersOf(holder: object): Iterable<Place> {
  for (const [key, below] of Object.entries(holder) as [string, unknown][]) yield { below, holder, key } // what is in it is not known
}

/** Draft-04 to 2019-09 in the words of 2020-12. */
function modernise(schema: JsonObject): void {
  const { items, additionalItems, dependencies, exclusiveMinimum, exclusiveMaximum } = schema
  if (Array.isArray(items)) {
    delete schema['items']
    delete schema['additionalItems']
    if (items.length > 0) schema['prefixItems'] = items
    if (additionalItems !== undefined) schema['items'] = additionalItems
  }
  if (isObject(dependencies)) {
    delete schema['dependencies']
    const entries = Object.entries(dependencies)
    const required = entries.filter(([, needs]) => Array.isArray(needs))
    const schemas = entries.filter(([, needs]) => !Array.isArray(needs))
    if (required.length > 0) schema['dependentRequired'] = Object.fromEntries(required)
    if (schemas.length > 0) schema['dependentSchemas'] = Object.fromEntries(schemas)
  }
  for (const [keyword, bound, exclusive] of [
    ['exclusiveMinimum', 'minimum', exclusiveMinimum],
    ['exclusiveMaximum', 'maximum', exclusiveMaximum],
  ] as const) {
    if (typeof exclusive !== 'boolean') continue
    delete schema[keyword]
    if (!exclusive || schema[bound] === undefined) continue
    schema[keyword] = schema[bound]
    delete schema[bound]
  }
}

function baseOf(schema: JsonObject, base: string): string {
  const id = schema['$id']
  const url = typeof id === 'string' ? URL.parse(id, base) : null
  if (!url) return base
  url.hash = ''
  return url.href
}

/** Also where the key is `__proto__`. */
function set(holder: object, key: string, value: unknown): void {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true })
}

function escaped(part: string): string {
  return part.replaceAll('~', '~0').replaceAll('/', '~1')
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}
