// What a server lists, each as an operation of a document: its path, and the server's own words about it.
import { isObject, type JsonObject } from '../protocol/message.ts'
import { segmentOf } from './segment.ts'
import { variablesOf } from './uri-template.ts'

/** What is listed of one server, as one caller may see it. */
export interface Described {
  readonly server: string
  /** Its answer to `initialize`. */
  readonly about: JsonObject
  readonly tools: readonly JsonObject[]
  readonly resources: readonly JsonObject[]
  readonly resourceTemplates: readonly JsonObject[]
  readonly prompts: readonly JsonObject[]
}

export interface Operation {
  readonly name: string
  readonly path: string
  readonly method: 'get' | 'post'
  /** Its members but for its id, its body and its answers. */
  readonly words: JsonObject
  readonly input?: unknown
  readonly output?: unknown
}

export interface Placing {
  /** Before all their paths. */
  place: string
  /** Between that and the name of a tool. */
  ofTools: '/tools/' | '/'
  /** Names of tools that are written otherwise there, because the path is something else's. */
  taken?: ReadonlySet<string> | undefined
}

export function operationsOf(described: Described, { place, ofTools, taken }: Placing): Operation[] {
  const tools = described.tools.map((tool): Operation => {
    const name = nameOf(tool)
    const words = wordsOf(tool, name)
    words['x-mcp-tool'] = name
    extend(words, tool, ['annotations', 'execution', 'icons'])
    if (tool['_meta'] !== undefined) words['x-mcp-meta'] = tool['_meta']
    return { name, path: place + ofTools + segmentOf(name, taken), method: 'post', words, input: tool['inputSchema'] ?? {}, output: tool['outputSchema'] }
  })
  const prompts = described.prompts.map((prompt): Operation => {
    const name = nameOf(prompt)
    const words = wordsOf(prompt, name)
    words['x-mcp-prompt'] = name
    extend(words, prompt, ['icons'])
    words['parameters'] = parametersOf(prompt)
    return { name: `prompt_${name}`, path: `${place}/prompts/${segmentOf(name)}`, method: 'get', words }
  })
  const resources = described.resources.map((resource): Operation => {
    const uri = String(resource['uri'])
    const words = wordsOf(resource, nameOf(resource))
    words['x-mcp-resource'] = uri
    extend(words, resource, ['annotations', 'icons', 'mimeType', 'size'])
    return { name: `resource_${uri}`, path: `${place}/resources/${segmentOf(uri)}`, method: 'get', words }
  })
  const templates = described.resourceTemplates.map((template): Operation => {
    const uri = String(template['uriTemplate'])
    const words = wordsOf(template, nameOf(template))
    words['x-mcp-resource-template'] = uri
    extend(words, template, ['annotations', 'icons', 'mimeType'])
    words['parameters'] = variablesOf(uri).map(({ name, isNeeded }) => parameter(name, isNeeded))
    return { name: `resource_${uri}`, path: `${place}/resources/${segmentOf(uri)}`, method: 'get', words }
  })
  return [...tools, ...prompts, ...resources, ...templates]
}

function nameOf(listed: JsonObject): string {
  return String(listed['name'])
}

/** The server's own words, and none of ours. */
function wordsOf(listed: JsonObject, name: string): JsonObject {
  const { title, description, annotations } = listed
  const told = title ?? (isObject(annotations) ? annotations['title'] : undefined)
  const words: JsonObject = { summary: typeof told === 'string' ? told : titleOf(name) }
  if (typeof description === 'string') words['description'] = description
  return words
}

/** As mcpo has it. */
function titleOf(name: string): string {
  return name.replaceAll('_', ' ').replaceAll(/(?<!\p{L})\p{L}/gu, (letter) => letter.toUpperCase())
}

function extend(words: JsonObject, listed: JsonObject, members: readonly string[]): void {
  for (const member of members) if (listed[member] !== undefined) words[`x-mcp-${member}`] = listed[member]
}

function parametersOf(prompt: JsonObject): JsonObject[] {
  const given = Array.isArray(prompt['arguments']) ? prompt['arguments'].filter(isObject) : []
  const byName = new Map(given.map((one) => [String(one['name']), one]))
  return [...byName].map(([name, { required, description }]) => ({
    ...parameter(name, required === true),
    ...(typeof description === 'string' && { description }),
  }))
}

function parameter(name: string, required: boolean): JsonObject {
  return { name, in: 'query', required, schema: { type: 'string' } }
}
