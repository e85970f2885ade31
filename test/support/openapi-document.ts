// Looks at OpenAPI 3.1 documents as a strict reader does: without the network, and down to the last keyword of the last schema.
import { validate } from '@hyperjump/json-schema/openapi-3-1'

import { at, isJson, jsonOf, type Json } from './json.ts'
import { differencesOf } from './same-schema.ts'

/** With the rules for schemas that 3.1 has by itself: the plain one takes every object for a schema. */
const DIALECT = 'https://spec.openapis.org/oas/3.1/schema-base'
const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace']
const MOST_TOLD = 20

/** What is wrong with it; empty: nothing. */
export async function problemsOfDocument(document: unknown): Promise<string[]> {
  const check = await validate(DIALECT)
  const looked = check(JSON.parse(JSON.stringify(document)), 'BASIC')
  const errors = looked.valid ? [] : (looked.errors ?? [])
  const wrong = errors
    .slice(0, MOST_TOLD)
    .map(({ instanceLocation, absoluteKeywordLocation }) => `${instanceLocation} is not as ${absoluteKeywordLocation} says`)
  return [...wrong, ...danglingIn(document), ...twinsIn(document)]
}

export interface Operation {
  readonly path: string
  readonly method: string
  readonly operation: Json
}

export function operationsOf(document: unknown): Operation[] {
  return Object.entries(jsonOf(at(document, 'paths'))).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const operation = at(item, method)
      return isJson(operation) ? [{ path, method, operation }] : []
    }),
  )
}

/**
 * What a document tells otherwise of tools than their server published it, as `tool: place: what became of it`. `operationOf` finds the
 * operation of a tool.
 */
export function lossesIn(document: unknown, tools: readonly Json[], operationOf: (name: string) => Json | undefined): string[] {
  return tools.flatMap((tool) => {
    const name = String(tool['name'])
    const operation = operationOf(name)
    if (!operation) return [`${name}: has no operation`]
    const input = at(operation, 'requestBody', 'content', 'application/json', 'schema')
    const output = at(operation, 'responses', '200', 'content', 'application/json', 'schema')
    const published = tool['inputSchema']
    // A tool that takes nothing has no body.
    const inputs =
      input === undefined && takesNothing(published) ? [] : differencesOf({ schema: published, root: published }, { schema: input, root: document })
    const outputs =
      tool['outputSchema'] === undefined ? [] : differencesOf({ schema: tool['outputSchema'], root: tool['outputSchema'] }, { schema: output, root: document })
    return [...inputs.map((one) => `${name}: input ${one}`), ...outputs.map((one) => `${name}: output ${one}`)]
  })
}

function takesNothing(schema: unknown): boolean {
  if (!isJson(schema)) return false
  const { type = 'object', properties = {}, additionalProperties = false, $schema: _dialect, title: _title, required = [], ...rest } = schema
  return (
    type === 'object' &&
    additionalProperties === false &&
    Object.keys(rest).length === 0 &&
    Object.keys(jsonOf(properties)).length === 0 &&
    Array.isArray(required) &&
    required.length === 0
  )
}

/** Clients name functions after them. */
function twinsIn(document: unknown): string[] {
  const ids = operationsOf(document).map(({ operation }) => String(operation['operationId']))
  return [...new Set(ids.filter((id, index) => ids.indexOf(id) !== index))].map((id) => `two operations are called ${id}`)
}

/** References of the document's own schemas that lead nowhere. */
function danglingIn(document: unknown): string[] {
  const found: string[] = []
  const look = (value: unknown, place: string): void => {
    if (typeof value !== 'object' || value === null) return
    for (const [name, member] of Object.entries(value)) {
      const here = `${place}/${name}`
      if (DATA.has(name) || name.startsWith('x-')) continue
      // As the name of a property it leads nowhere and is nothing else than a name.
      if (name === '$ref' && typeof member === 'string') {
        if (member.startsWith('#/') && target(document, member) === undefined) found.push(`${here}: nothing is at ${member}`)
      } else look(member, here)
    }
  }
  look(document, '')
  return found
}

const DATA = new Set(['const', 'enum', 'default', 'example', 'examples'])

function target(document: unknown, reference: string): unknown {
  const steps = decodeURIComponent(reference.slice(2)).split('/')
  return at(document, ...steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~')))
}
