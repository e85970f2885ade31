// Where a JSON Schema holds others: the keywords of 2020-12, and those that were before them.
import { isObject, type JsonObject } from '../protocol/message.ts'

const KINDS: ReadonlyMap<string, 'one' | 'list' | 'named'> = new Map([
  ['$defs', 'named'],
  ['additionalItems', 'one'],
  ['additionalProperties', 'one'],
  ['allOf', 'list'],
  ['anyOf', 'list'],
  ['contains', 'one'],
  ['contentSchema', 'one'],
  ['definitions', 'named'],
  ['dependencies', 'named'],
  ['dependentSchemas', 'named'],
  ['else', 'one'],
  ['if', 'one'],
  ['items', 'one'],
  ['not', 'one'],
  ['oneOf', 'list'],
  ['patternProperties', 'named'],
  ['prefixItems', 'list'],
  ['properties', 'named'],
  ['propertyNames', 'one'],
  ['then', 'one'],
  ['unevaluatedItems', 'one'],
  ['unevaluatedProperties', 'one'],
])

/** What is done with a schema: `K` is whatever one tells the other of where it stands. */
export interface Walk<K> {
  /** Another in the place of a schema that stands directly in this one. */
  another(below: unknown, around: K): unknown
  /** The list or map that is changed for that. */
  owned<T extends object>(holder: T): T
  /** Told of each keyword that begins with `$` and holds no schemas. */
  named?(schema: JsonObject, keyword: string, around: K): void
}

export function replaceSubschemas<K>(schema: JsonObject, around: K, walk: Walk<K>): void {
  for (const keyword in schema) {
    const kind = KINDS.get(keyword)
    if (kind === undefined) {
      if (keyword.startsWith('$')) walk.named?.(schema, keyword, around)
      continue
    }
    const value = schema[keyword]
    // Until 2019-09 items could be a list.
    if (Array.isArray(value) && (kind === 'list' || keyword === 'items')) {
      const list = (schema[keyword] = walk.owned<unknown[]>(value))
      for (let index = 0; index < list.length; index++) list[index] = walk.another(list[index], around)
    } else if (kind === 'one') schema[keyword] = walk.another(value, around)
    else if (kind === 'named' && isObject(value)) {
      const map = (schema[keyword] = walk.owned(value))
      // What dependencies have beside schemas are names.
      for (const name in map) if (keyword !== 'dependencies' || isObject(map[name])) map[name] = walk.another(map[name], around)
    }
  }
}
