// Tools as operations: an OpenAPI 3.1 document of what one caller may use.
import { isObject, type JsonObject } from '../protocol/message.ts'
import { operationIdsOf } from './operation-ids.ts'
import { schemaAt } from './schema.ts'
import { segmentOf } from './segment.ts'

/** What is listed of one server, as one caller may see it. */
export interface Described {
  readonly server: string
  /** Its answer to `initialize`. */
  readonly about: JsonObject
  readonly tools: readonly JsonObject[]
  readonly resources: readonly JsonObject[]
  readonly prompts: readonly JsonObject[]
}

export interface DocumentOptions {
  /** Below which its paths are: a path, so that it holds behind any host name. Empty: the root. */
  base: string
  /** Its operations are at `PLACE/tools/TOOL`; as mcpo has them at `/TOOL`. */
  form: 'tools' | 'mcpo'
  /** Whoever calls has to prove who they are. */
  guarded: boolean
}

/** What is described, and where it is below the base. */
export interface Part extends Described {
  readonly place: string
}

export function documentOf(parts: readonly Part[], { base, form, guarded }: DocumentOptions): JsonObject {
  const operations = parts.flatMap((part) => operationsOf(part, form))
  const isOne = parts.length === 1
  const ids = operationIdsOf(operations.map(({ part, name }) => (isOne ? name : `${part.server}_${name}`)))
  const paths: [string, JsonObject][] = []
  const schemas: [string, JsonObject][] = [['Refusal', REFUSAL]]
  for (const [index, { part, path, name, method, operation, input, output }] of operations.entries()) {
    const id = ids[index] ?? name
    if (input !== undefined) schemas.push([`${id}.input`, schemaAt(`#/components/schemas/${id}.input`, input)])
    if (output !== undefined) schemas.push([`${id}.output`, schemaAt(`#/components/schemas/${id}.output`, output)])
    const body = input === undefined ? {} : { requestBody: { required: isNeeded(input), content: { 'application/json': { schema: refTo(`${id}.input`) } } } }
    const answer = { description: 'The result', content: { 'application/json': { schema: output === undefined ? {} : refTo(`${id}.output`) } } }
    const responses = { '200': answer, default: { $ref: '#/components/responses/Refusal' } }
    paths.push([path, { [method]: { operationId: id, ...(isOne ? {} : { tags: [part.server] }), ...operation, ...body, responses } }])
  }
  return {
    openapi: '3.1.0',
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    info: isOne && parts[0] ? infoOf(parts[0]) : { title: 'MCP tools', version: '1' },
    ...(base !== '' && { servers: [{ url: base }] }),
    paths: Object.fromEntries(paths),
    components: {
      schemas: Object.fromEntries(schemas),
      responses: { Refusal: { description: 'Why there is no result', content: { 'application/json': { schema: refTo('Refusal') } } } },
      ...(guarded && { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } }),
    },
    ...(guarded && { security: [{ bearer: [] }] }),
  }
}

interface Operation {
  readonly part: Part
  readonly path: string
  readonly name: string
  readonly method: 'get' | 'post'
  readonly operation: JsonObject
  readonly input?: unknown
  readonly output?: unknown
}

function operationsOf(part: Part, form: DocumentOptions['form']): Operation[] {
  const { place } = part
  const tools = part.tools.map((tool): Operation => {
    const name = nameOf(tool)
    return {
      part,
      name,
      path: `${place}${form === 'mcpo' ? '' : '/tools'}/${segmentOf(name)}`,
      method: 'post',
      operation: {
        ...wordsOf(tool, name),
        'x-mcp-tool': name,
        ...extended(tool, ['annotations', 'execution', 'icons']),
        ...(tool['_meta'] !== undefined && { 'x-mcp-meta': tool['_meta'] }),
      },
      input: tool['inputSchema'] ?? {},
      ...(isObject(tool['outputSchema']) && { output: tool['outputSchema'] }),
    }
  })
  const prompts = part.prompts.map((prompt): Operation => {
    const name = nameOf(prompt)
    const given = Array.isArray(prompt['arguments']) ? prompt['arguments'].filter(isObject) : []
    const parameters = given.map((one) => ({
      name: String(one['name']),
      in: 'query',
      required: one['required'] === true,
      schema: { type: 'string' },
      ...(typeof one['description'] === 'string' && { description: one['description'] }),
    }))
    const operation = { ...wordsOf(prompt, name), 'x-mcp-prompt': name, ...extended(prompt, ['icons']), parameters }
    return { part, name: `prompt_${name}`, path: `${place}/prompts/${segmentOf(name)}`, method: 'get', operation }
  })
  const resources = part.resources.map((resource): Operation => {
    const uri = String(resource['uri'])
    const operation = { ...wordsOf(resource, nameOf(resource)), 'x-mcp-resource': uri, ...extended(resource, ['annotations', 'icons', 'mimeType', 'size']) }
    return { part, name: `resource_${uri}`, path: `${place}/resources/${segmentOf(uri)}`, method: 'get', operation }
  })
  return [...tools, ...prompts, ...resources]
}

function nameOf(listed: JsonObject): string {
  return String(listed['name'])
}

/** The server's own words, and none of ours. */
function wordsOf(listed: JsonObject, name: string): JsonObject {
  const { title, description, annotations } = listed
  const told = title ?? (isObject(annotations) ? annotations['title'] : undefined)
  return { summary: typeof told === 'string' ? told : titleOf(name), ...(typeof description === 'string' && { description }) }
}

/** As mcpo has it. */
function titleOf(name: string): string {
  return name.replaceAll('_', ' ').replaceAll(/\b\p{L}/gu, (letter) => letter.toUpperCase())
}

function extended(listed: JsonObject, members: readonly string[]): JsonObject {
  return Object.fromEntries(members.flatMap((member) => (listed[member] === undefined ? [] : [[`x-mcp-${member}`, listed[member]]])))
}

function infoOf({ server, about }: Part): JsonObject {
  const { serverInfo, instructions } = about
  const { name, title, version } = isObject(serverInfo) ? serverInfo : {}
  const told = [title, name].find((one) => typeof one === 'string')
  return { title: told ?? server, version: typeof version === 'string' ? version : '', ...(typeof instructions === 'string' && { description: instructions }) }
}

function isNeeded(input: unknown): boolean {
  return isObject(input) && Array.isArray(input['required']) && input['required'].length > 0
}

function refTo(schema: string): JsonObject {
  return { $ref: `#/components/schemas/${schema}` }
}

const REFUSAL: JsonObject = {
  type: 'object',
  required: ['detail'],
  properties: {
    detail: {
      type: 'object',
      required: ['message', 'code'],
      properties: {
        message: { type: 'string' },
        code: { type: 'string' },
        hint: { type: 'string' },
        server: { type: 'string' },
        errors: {
          type: 'array',
          items: {
            type: 'object',
            required: ['path', 'keyword', 'message'],
            properties: { path: { type: 'string', format: 'json-pointer' }, keyword: { type: 'string' }, message: { type: 'string' } },
          },
        },
        data: true,
      },
    },
  },
}
