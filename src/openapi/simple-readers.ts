// Schemas for readers that follow references by their words, as Open WebUI does: step by step through objects of `components` without
// unescaping anything, from properties, items and alternatives, and for ever where a schema is in itself. The meaning stays the same.
import { isObject, type JsonObject } from '../protocol/message.ts'
import { fragmentOf, memberOf, stepsIn } from './json-pointer.ts'
import { schemaAt } from './schema.ts'
import { replaceSubschemas, type Walk } from './subschemas.ts'

/** As `schemaAt`, but what cannot be reached so is moved to where it can, schemas are objects, and a reference that leads back is a `$dynamicRef`. */
export function schemaForSimpleReaders(place: string, given: unknown): JsonObject {
  const root = schemaAt(place, given)
  const targets = targetsIn(root, place)
  if (targets.size > 0) {
    moveTargets(root, place, targets)
    endCircles(root, targets)
  }
  return root
}

/** What each schema that has a reference refers to. Schemas that are true or false are written as objects on the way. */
function targetsIn(root: JsonObject, place: string): Map<JsonObject, JsonObject> {
  const seen = new Set<JsonObject>()
  const targets = new Map<JsonObject, JsonObject>()
  const walk: Walk<undefined> = { another: (below) => (isObject(below) ? look(below) : below === false ? { not: {} } : {}), owned: (holder) => holder }
  look(root)
  // It grows on the way: what is referred to is a schema wherever it stands.
  for (const schema of seen) {
    const target = stepsOf(schema, place)?.reduce<unknown>(memberOf, root)
    if (isObject(target)) targets.set(schema, look(target))
  }
  return targets

  function look(schema: JsonObject): JsonObject {
    if (seen.has(schema)) return schema
    seen.add(schema)
    replaceSubschemas(schema, undefined, walk)
    return schema
  }
}

function stepsOf({ $ref }: JsonObject, place: string): string[] | undefined {
  return typeof $ref === 'string' ? stepsIn($ref.slice(place.length)) : undefined
}

/** To `$defs` of the root, by a name that needs no escapes; a reference stands where it was. */
function moveTargets(root: JsonObject, place: string, targets: Map<JsonObject, JsonObject>): void {
  const moves = new Map<JsonObject, { $ref: string; steps: readonly string[] }>()
  const taken = new Map<string, number>()
  for (const [schema, target] of targets) {
    const steps = stepsOf(schema, place) ?? []
    if (moves.has(target) || isWalkable(root, steps)) continue
    const $defs = isObject(root['$defs']) ? root['$defs'] : (root['$defs'] = {})
    const name = freeName($defs, steps.at(-1) ?? '', taken)
    moves.set(target, { $ref: `${place}/$defs/${name}`, steps })
    $defs[name] = target
  }
  for (const [schema, target] of targets) schema['$ref'] = moves.get(target)?.$ref ?? schema['$ref']
  const left = [...moves].map(([target, { $ref, steps }]) => ({
    target,
    $ref,
    last: steps.at(-1) ?? '',
    holder: steps.slice(0, -1).reduce<unknown>(memberOf, root),
  }))
  for (const { target, $ref, last, holder } of left) {
    const reference = { $ref }
    if (typeof holder === 'object' && holder !== null) Reflect.set(holder, last, reference)
    targets.set(reference, target)
  }
}

function isWalkable(root: JsonObject, steps: readonly string[]): boolean {
  let holder: unknown = root
  return steps.every((step) => {
    const isPlain = isObject(holder) && step !== '' && fragmentOf([step]) === `/${step}`
    holder = memberOf(holder, step)
    return isPlain
  })
}

function freeName(names: JsonObject, wanted: string, taken: Map<string, number>): string {
  const plain = wanted.replaceAll(/[^\w.-]+/g, '_')
  let name = plain
  let number = taken.get(plain) ?? 2
  for (; name === '' || name in names; number++) name = `${plain}_${number}`
  // Many may want the same: none of them looks at all that were before.
  taken.set(plain, number)
  return name
}

/** So far it is followed, and to so many schemas: whoever reads it knows no end. */
const MOST_LEVELS = 100
const MOST_SCHEMAS = 5000

function endCircles(root: JsonObject, targets: ReadonlyMap<JsonObject, JsonObject>): void {
  /** How many schemas each is when all it refers to is written out; those that are not counted yet are on the way. */
  const sizes = new Map<JsonObject, number>()
  visit(root, 0)

  function visit(schema: JsonObject, level: number): number {
    const known = sizes.get(schema)
    if (known !== undefined) return known
    sizes.set(schema, Infinity)
    const size = 1 + (followed(schema, level) ?? below(schema, level))
    sizes.set(schema, size)
    return size
  }

  function followed(schema: JsonObject, level: number): number | undefined {
    const target = targets.get(schema)
    if (!target) return undefined
    const size = level < MOST_LEVELS ? visit(target, level + 1) : Infinity
    if (size <= MOST_SCHEMAS) return size
    // Of a pointer it means the same (JSON Schema 2020-12, 8.2.3.2), and nobody follows it.
    schema['$dynamicRef'] = schema['$ref']
    delete schema['$ref']
    return undefined
  }

  function below(schema: JsonObject, level: number): number {
    const { properties, items } = schema
    let size = sizeOf(items, level)
    if (isObject(properties)) for (const name in properties) size += sizeOf(properties[name], level)
    for (const keyword of ALTERNATIVES) {
      const arms: unknown = schema[keyword]
      if (Array.isArray(arms)) for (const arm of arms as unknown[]) size += sizeOf(arm, level) // each is looked at
    }
    return size
  }

  function sizeOf(one: unknown, level: number): number {
    return isObject(one) ? visit(one, level + 1) : 0
  }
}

const ALTERNATIVES = ['allOf', 'anyOf', 'oneOf']
