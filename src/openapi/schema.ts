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
  const root: JsonObject = isObject(given) ? copyOf(given) : {}
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
    for (const keyword of OF_DOCUMENTS) if (keyword in schema) delete schema[keyword]
    if (isOlder) modernise(schema)
  }
  if (references.length === 0) return root
  const pointers = pointersTo(new Set(references.flatMap(({ to }) => (isObject(to) ? [to] : []))), root)
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
    eachSubschema(schema, (below, holder, key) => {
      if (isObject(below)) look(below, base)
      else if (typeof below !== 'boolean') set(holder, key, true)
    })
  }

  function targetOf(ref: string, base: string): JsonObject | boolean | undefined {
    const hash = ref.indexOf('#')
    // Mostly it is one into the same schema.
    const resourceUri = hash === 0 ? base : uriOf(hash < 0 ? ref : ref.slice(0, hash), base)
    const fragment = hash < 0 ? '' : decoded(ref.slice(hash + 1))
    const resource = resourceUri === undefined ? undefined : resources.get(resourceUri)
    if (!resource || resourceUri === undefined || fragment === undefined) return undefined
    if (fragment === '') return resource
    if (!fragment.startsWith('/')) return anchors.get(`${resourceUri}#${fragment}`)
    let at: unknown = resource
    let around = resourceUri
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

/** Where each of these is. */
function pointersTo(targets: ReadonlySet<object>, root: JsonObject): Map<object, string> {
  const pointers = new Map<object, string>()
  const way: string[] = []
  visit(root)
  return pointers

  function visit(holder: object): void {
    if (targets.has(holder)) pointers.set(holder, way.map((key) => `/${escaped(key)}`).join(''))
    for (const [key, below] of Object.entries(holder) as [string, unknown][]) {
      if (typeof below !== 'object' || below === null) continue
      way.push(key)
      visit(below)
      way.pop()
    }
  }
}

/** RFC 6901 §6. */
function inUri(pointer: string): string {
  return encodeURI(pointer).replaceAll('#', '%23').replaceAll('?', '%3F')
}

type LookAt = (below: unknown, holder: object, key: string) => void

/** Each place for a schema, and what stands there. */
function eachSubschema(schema: JsonObject, act: LookAt): void {
  for (const keyword in schema) {
    const value = schema[keyword]
    if (typeof value !== 'object' && !ONE.has(keyword)) continue
    if (Array.isArray(value) && (LIST.has(keyword) || keyword === 'items')) for (const [index, one] of value.entries()) act(one, value, String(index))
    else if (ONE.has(keyword)) act(value, schema, keyword)
    else if (NAMED.has(keyword) && isObject(value)) for (const name of Object.keys(value)) act(value[name], value, name)
    // Others of its members are names.
    else if (keyword === 'dependencies' && isObject(value)) for (const name of Object.keys(value)) if (isObject(value[name])) act(value[name], value, name)
  }
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
  return (typeof id === 'string' ? uriOf(id, base) : undefined) ?? base
}

/** Without what points into it. */
function uriOf(ref: string, base: string): string | undefined {
  const url = URL.parse(ref, base)
  if (!url) return undefined
  url.hash = ''
  return url.href
}

/** Of JSON, which nests no deeper than what was read of a server. */
function copyOf<T>(value: T): T
function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf)
  if (!isObject(value)) return value
  const copy: JsonObject = {}
  for (const key in value) {
    if (key === '__proto__') set(copy, key, copyOf(value[key]))
    else copy[key] = copyOf(value[key])
  }
  return copy
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
