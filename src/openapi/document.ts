// Tools as operations: an OpenAPI 3.1 document of what one caller may use.
import { isObject, type JsonObject } from '../protocol/message.ts'
import { idAsMcpo, operationIdsOf } from './operation-ids.ts'
import { operationsOf, type Described, type Operation } from './operations.ts'
import { COMPONENT_RESPONSES, REFUSAL, RESPONSES } from './responses.ts'
import { schemaAt } from './schema.ts'
import { schemaForSimpleReaders } from './simple-readers.ts'

export interface DocumentOptions {
  /** Below which its paths are: a path, so that it holds behind any host name. Empty: the root. */
  base: string
  /** Its operations are at `PLACE/tools/TOOL`; as mcpo has it at `/TOOL`, with its ids, and with schemas that Open WebUI can read. */
  form: 'tools' | 'mcpo'
  /** Whoever calls has to prove who they are. */
  guarded: boolean
  /** In mcpo's form: what is something else's path there. */
  taken?: ReadonlySet<string> | undefined
}

/** What is described, and where it is below the base. Nowhere: the document is of it alone. */
export interface Part extends Described {
  readonly place: string
}

/**
 * The document as JSON. Each operation and each schema is written as soon as it is made: all of them at once would be many more objects
 * than there is text.
 */
export function documentOf(parts: readonly Part[], { base, form, guarded, taken }: DocumentOptions): string {
  const isAsMcpo = form === 'mcpo'
  const [first] = parts
  const only = first?.place === '' ? first : undefined
  const byPath = new Map<string, { server: string; operation: Operation }>()
  for (const part of parts)
    for (const operation of operationsOf(part, { place: part.place, ofTools: isAsMcpo ? '/' : '/tools/', taken: isAsMcpo ? taken : undefined }))
      if (!byPath.has(operation.path)) byPath.set(operation.path, { server: part.server, operation })
  const operations = [...byPath.values()]
  const ids = operationIdsOf(
    operations.map(({ server, operation: { name, path, method } }) => ({
      name: !only ? `${server}_${name}` : isAsMcpo && method === 'post' ? idAsMcpo(name) : name,
      path,
    })),
  )
  const schemaFor = isAsMcpo ? schemaForSimpleReaders : schemaAt
  const paths: string[] = []
  const schemas = [memberOf('Refusal', REFUSAL)]
  const refTo = (component: string, schema: unknown): JsonObject => {
    const $ref = `#/components/schemas/${component}`
    schemas.push(memberOf(component, schemaFor($ref, schema)))
    return { $ref }
  }
  for (const [index, { server, operation }] of operations.entries()) {
    const { path, method, words, input, output } = operation
    const operationId = ids[index]
    const told: JsonObject = { operationId, ...(only ? undefined : { tags: [server] }), ...words }
    if (input !== undefined && !takesNothing(input, isAsMcpo))
      told['requestBody'] = { required: isNeeded(input), content: { 'application/json': { schema: refTo(`${operationId}.input`, input) } } }
    const result = isObject(output) ? refTo(`${operationId}.output`, output) : {}
    told['responses'] = { 200: { description: 'The result', content: { 'application/json': { schema: result } } }, ...RESPONSES }
    paths.push(memberOf(path, { [method]: told }))
  }
  const head = {
    openapi: '3.1.0',
    info: only ? infoOf(only) : { title: 'MCP tools', version: '1' },
    ...(base !== '' && { servers: [{ url: base }] }),
    ...(!only && { tags: parts.map((part) => tagOf(part, base)) }),
    ...(guarded && { security: [{ bearer: [] }] }),
  }
  const components = { responses: COMPONENT_RESPONSES, ...(guarded && { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } }) }
  return `${JSON.stringify(head).slice(0, -1)},"paths":{${paths.join(',')}},"components":{"schemas":{${schemas.join(',')}},${JSON.stringify(components).slice(1)}}`
}

function memberOf(name: string, value: JsonObject): string {
  return `${JSON.stringify(name)}:${JSON.stringify(value)}`
}

function infoOf({ server, about }: Part): JsonObject {
  const { serverInfo, instructions } = about
  const { name, title, version } = isObject(serverInfo) ? serverInfo : {}
  const told = [title, name].find((one) => typeof one === 'string')
  return { title: told ?? server, version: typeof version === 'string' ? version : '', ...(typeof instructions === 'string' && { description: instructions }) }
}

function tagOf({ server, place, about }: Part, base: string): JsonObject {
  const { instructions } = about
  return { name: server, ...(typeof instructions === 'string' && { description: instructions }), externalDocs: { url: `${base}${place}/docs` } }
}

/**
 * An empty object, and nothing else. Then an operation has no body: Open WebUI does not call it otherwise. Of functions without parameters
 * many schemas say only that they have none; mcpo takes them at their word.
 */
function takesNothing(input: unknown, isAsMcpo: boolean): boolean {
  if (!isObject(input)) return true
  const { type = 'object', properties = {}, required = [], additionalProperties = !isAsMcpo, $schema: _dialect, title: _title, ...more } = input
  return type === 'object' && additionalProperties === false && isEmpty(properties) && isEmpty(required) && isEmpty(more)
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}

/** Whether it may be that no arguments do not fit. */
function isNeeded(input: unknown): boolean {
  if (!isObject(input)) return false
  return (Array.isArray(input['required']) && input['required'].length > 0) || MAY_REFUSE_NOTHING.some((keyword) => keyword in input)
}

const MAY_REFUSE_NOTHING = ['$ref', '$dynamicRef', '$recursiveRef', 'allOf', 'anyOf', 'const', 'enum', 'if', 'minProperties', 'not', 'oneOf']
