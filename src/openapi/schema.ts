// A server's JSON Schema as part of an OpenAPI 3.1 document. It means the same there: only its references are told anew, because what
// `#` stands for is another document now.
import { isObject, type JsonObject } from '../protocol/message.ts'
import { fragmentOf, isWritable, memberOf, stepsIn } from './json-pointer.ts'
import { areMoved, isOfOlderDraft, modernise } from './older-drafts.ts'
import { replaceSubschemas, type Walk } from './subschemas.ts'

/** What a reference was that leads nowhere we know: nobody is sent to an address that a server names. */
const UNRESOLVED = 'x-mcp-unresolved-ref'

const MOST_URI_CHARS = 512

/** A way that a schema names by an anchor is written out: one so short always, and of longer ones so much in all. */
const SHORT_WAY_CHARS = 200
const MOST_WAY_CHARS = 20_000

/** A base of our own, for schemas that have none. */
const NO_BASE = 'openmcp:/schema'

/**
 * The schema as it stands at `place` (`#`, `#/components/…`) of a document. Every local reference, by pointer, anchor or `$id`, becomes a
 * pointer into the same document; what is older than 2020-12 is said in its words. What is no schema is one that takes everything. The given
 * one stays as it is, and may be part of the result.
 */
export function schemaAt(place: string, given: unknown): JsonObject {
  if (!isObject(given)) return {}
  // Data are shared. A reference may make a schema of them: then all of it is copied before.
  return toldAt(place, given, copyOf) ?? toldAt(place, structuredClone(given), itself) ?? {}
}

type Own = <T extends object>(value: T) => T

const copyOf: Own = (value) => (Array.isArray(value) ? value.slice() : { ...value }) as typeof value // as it was
const itself: Own = (value) => value

interface Reference {
  readonly schema: JsonObject
  readonly keyword: string
  readonly ref: unknown
  readonly base: string
  /** What it leads to. */
  to?: JsonObject | boolean
  /** Where that is, when the reference says it. */
  fragment?: string
}

/** Undefined: something would have to be changed that is shared. */
function toldAt(place: string, given: JsonObject, owned: Own): JsonObject | undefined {
  const isOlder = isOfOlderDraft(given)
  /** Of every schema that was looked at. */
  const bases = new Map<JsonObject, string>()
  /** By absolute URI: of resources, and of anchors in them. */
  const resources = new Map<string, JsonObject>()
  const anchors = new Map<string, JsonObject>()
  const references: Reference[] = []
  const ofDocuments: { schema: JsonObject; keyword: string }[] = []
  const walk: Walk<string> = {
    another: (below, base) => (isObject(below) ? look(below, base) : typeof below === 'boolean' ? below : true),
    owned,
    named(schema, keyword, base) {
      if (REFERENCES.has(keyword)) references.push({ schema, keyword, ref: schema[keyword], base })
      else if (OF_DOCUMENTS.has(keyword)) {
        ofDocuments.push({ schema, keyword })
        const anchor = anchorIn(keyword, schema[keyword])
        if (anchor !== undefined && !anchors.has(`${base}#${anchor}`)) anchors.set(`${base}#${anchor}`, schema)
      }
    },
  }
  const root = look(given, NO_BASE)
  resources.set(NO_BASE, root)

  // It grows on the way: what a pointer leads to is a schema wherever it stands, and may hold references as well.
  for (const reference of references) {
    lookUp(reference)
    if (isObject(reference.to) && !bases.has(reference.to)) return undefined
  }
  // They name places in a document of its own, and might be taken for those of another schema in this one.
  for (const { schema, keyword } of ofDocuments) delete schema[keyword]
  if (isOlder) for (const schema of bases.keys()) modernise(schema)
  let fragments: ReadonlyMap<object, string> | undefined
  let room = MOST_WAY_CHARS
  const wayTo = (target: object): string | undefined => {
    const way = (fragments ??= fragmentsIn(root)).get(target)
    if (way === undefined || way.length <= SHORT_WAY_CHARS) return way
    room -= way.length
    return room < 0 ? undefined : way
  }
  for (const { schema, keyword, ref, to, fragment: said } of references) {
    const fragment = isObject(to) ? (said ?? wayTo(to)) : undefined
    if (fragment !== undefined && keyword === '$ref') schema['$ref'] = place + fragment
    else {
      delete schema[keyword]
      if (fragment !== undefined) also(schema, '$ref', place + fragment)
      else if (to === false) also(schema, 'not', {})
      else if (to !== true) also(schema, UNRESOLVED, ref)
    }
  }
  return root

  function look(found: JsonObject, around: string): JsonObject {
    if (bases.has(found)) return found
    const schema = owned(found)
    const { $id } = schema
    const base = (typeof $id === 'string' ? uriOf($id, around) : undefined) ?? around
    bases.set(schema, base)
    if (base !== around) resources.set(base, schema)
    replaceSubschemas(schema, base, walk)
    return schema
  }

  function lookUp(reference: Reference): void {
    const { ref, base } = reference
    if (typeof ref !== 'string') return
    const hash = ref.indexOf('#')
    // Mostly it is one into the same schema.
    const resourceUri = hash === 0 ? base : uriOf(hash < 0 ? ref : ref.slice(0, hash), base)
    const resource = resourceUri === undefined ? undefined : resources.get(resourceUri)
    if (!resource || resourceUri === undefined) return
    const fragment = hash < 0 ? '' : ref.slice(hash + 1)
    const steps = stepsIn(fragment)
    let to: unknown = steps ? resource : anchors.get(`${resourceUri}#${fragment}`)
    let around = resourceUri
    for (const step of steps ?? []) {
      to = memberOf(to, step)
      if (isObject(to)) around = bases.get(to) ?? around
    }
    if (isObject(to) && owned === itself) look(to, around)
    if (isObject(to) || typeof to === 'boolean') reference.to = to
    if (steps && resource === root && !(isOlder && areMoved(steps))) reference.fragment = fragmentOf(steps)
  }
}

const REFERENCES = new Set(['$ref', '$dynamicRef', '$recursiveRef'])
const OF_DOCUMENTS = new Set(['$schema', '$id', '$anchor', '$dynamicAnchor', '$recursiveAnchor', '$vocabulary'])

function anchorIn(keyword: string, value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  if (keyword === '$anchor' || keyword === '$dynamicAnchor') return value
  // Until draft-07 an anchor was an `$id` that began so.
  return keyword === '$id' && value.startsWith('#') ? value.slice(1) : undefined
}

/** A second one of a keyword stands beside the first. */
function also(schema: JsonObject, keyword: string, value: unknown): void {
  if (!(keyword in schema)) return void (schema[keyword] = value)
  const all = schema['allOf']
  schema['allOf'] = [...(Array.isArray(all) ? (all as unknown[]) : []), { [keyword]: value }] // of an array nothing is known yet
}

/** Where everything in it is. */
function fragmentsIn(root: JsonObject): ReadonlyMap<object, string> {
  const fragments = new Map<object, string>()
  visit(root, '')
  return fragments

  function visit(holder: object, fragment: string): void {
    fragments.set(holder, fragment)
    for (const [step, below] of Object.entries(holder) as [string, unknown][])
      if (typeof below === 'object' && below !== null && isWritable(step)) visit(below, fragment + fragmentOf([step]))
  }
}

/** Without what points into it. Undefined: it is none, or so long that all that are resolved by it would be too much. */
function uriOf(ref: string, base: string): string | undefined {
  const url = ref.length > MOST_URI_CHARS ? undefined : URL.parse(ref, base)
  if (!url || url.href.length > MOST_URI_CHARS) return undefined
  url.hash = ''
  return url.href
}
