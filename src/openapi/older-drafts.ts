// Draft-04 to 2019-09 in the words of 2020-12.
import { isObject, type JsonObject } from '../protocol/message.ts'

/** Whether a schema says that it is of one of them. */
export function isOfOlderDraft({ $schema }: JsonObject): boolean {
  return typeof $schema === 'string' && !$schema.includes('2020-12')
}

/** Whether what is on this way may be elsewhere in those words. */
export function areMoved(steps: readonly string[]): boolean {
  return steps.some((step) => MOVED.has(step))
}

const MOVED = new Set(['additionalItems', 'definitions', 'dependencies', 'items'])

/** Changes one schema, and none in it. */
export function modernise(schema: JsonObject): void {
  const { items, additionalItems, definitions, dependencies, exclusiveMinimum, exclusiveMaximum } = schema
  if (definitions !== undefined && schema['$defs'] === undefined) {
    delete schema['definitions']
    schema['$defs'] = definitions
  }
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
