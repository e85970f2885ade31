// Open WebUI as a client of tool servers, as its backend reads documents and calls what it finds there (utils/tools.py): as it was when
// tool servers came, and as it is now. What it cannot do with a document it cannot do here either.
import { at, isJson, jsonOf, type Json } from './json.ts'

/** What a person enters for a tool server. */
export interface Connection {
  readonly url: string
  /** Of the document, below the URL. */
  readonly path?: string
  /** A key that all users share, or the session of whoever chats. */
  readonly auth?: { readonly bearer: string } | { readonly session: string }
  /** The document itself, where a person has pasted it in place of its path. */
  readonly pasted?: unknown
}

/** A function as models are told of it. */
interface OpenWebUiTool {
  readonly name: unknown
  readonly description: unknown
  readonly properties: Json
  readonly required: readonly unknown[]
}

export interface OpenWebUi {
  /** The button beside the URL: the document, or the words of what went wrong. */
  verify(connection: Connection): Promise<unknown>
  /** What users are offered: nothing of a server that does not answer as it should. */
  tools(connection: Connection): Promise<OpenWebUiTool[]>
  /** What a model is told when it calls one of them. */
  call(connection: Connection, name: string, given: Json): Promise<unknown>
}

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace']
/** Python gives up then. */
const MOST_LEVELS = 900

/** Of spring 2025 */
export const FIRST_OPEN_WEBUI: OpenWebUi = createOpenWebUi({
  join: (url, path) => `${url}/${path}`,
  listsAs: (auth) => auth && tokenOf(auth),
  // It takes every member of a path item for an operation.
  operationsIn: (item) => Object.entries(jsonOf(item)),
  resolved: resolvedSimply,
  bodyOf(operation, given) {
    if (at(operation, 'requestBody', 'content') !== undefined && Object.keys(given).length === 0) throw new Error('Request body expected')
    return at(operation, 'requestBody', 'content') === undefined ? {} : given
  },
  async answerOf(answer) {
    if (!/^application\/json\b/.test(answer.headers.get('content-type') ?? '')) throw new Error('no JSON')
    return answer.json()
  },
})

/** Of 2026 */
export const OPEN_WEBUI: OpenWebUi = createOpenWebUi({
  join: (url, path) => (path.includes('://') ? path : `${url.replace(/\/+$/, '')}${path.startsWith('/') ? '' : '/'}${path}`),
  // Its list is one for all users: without the session of any of them.
  listsAs: (auth) => (auth && 'bearer' in auth ? auth.bearer : undefined),
  operationsIn: (item) => Object.entries(jsonOf(item)).filter(([method, operation]) => METHODS.includes(method) && isJson(operation)),
  resolved: resolvedWithCompositions,
  bodyOf: (operation, given) => (at(operation, 'requestBody', 'content') === undefined ? {} : given),
  answerOf: async (answer) => JSON.parse(await answer.text()),
})

interface Ways {
  join(url: string, path: string): string
  listsAs(auth: Connection['auth']): string | undefined
  operationsIn(item: unknown): [string, unknown][]
  resolved(schema: unknown, components: Json): Json
  bodyOf(operation: unknown, given: Json): Json
  answerOf(answer: Response): Promise<unknown>
}

function createOpenWebUi({ join, listsAs, operationsIn, resolved, bodyOf, answerOf }: Ways): OpenWebUi {
  async function documentFor({ url, path = 'openapi.json', pasted }: Connection, token: string | undefined): Promise<Json> {
    if (pasted !== undefined) return jsonOf(pasted)
    const headers = { accept: 'application/json', 'content-type': 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) }
    const answer = await fetch(join(url, path), { headers })
    // What is wrong has to be said in JSON.
    if (answer.status !== 200) throw new Error(JSON.stringify(await answer.json()))
    return jsonOf(await answer.json())
  }

  function toolsIn(document: Json): OpenWebUiTool[] {
    const operations = Object.values(jsonOf(document['paths'])).flatMap((item) => operationsIn(item).map(([, operation]) => jsonOf(operation)))
    return operations
      .filter(({ operationId }) => operationId)
      .map((operation) => {
        const schema = at(operation, 'requestBody', 'content', 'application/json', 'schema')
        const body = schema === undefined ? {} : resolved(schema, jsonOf(document['components'] ?? {}))
        const { properties = {}, required = [] } = body
        return {
          name: operation['operationId'],
          description: operation['description'] ?? operation['summary'],
          properties: jsonOf(properties),
          required: Array.isArray(required) && Object.keys(jsonOf(properties)).length > 0 ? required : [],
        }
      })
  }

  return {
    verify: (connection) => documentFor(connection, connection.auth && tokenOf(connection.auth)),
    tools: async (connection) => documentFor(connection, listsAs(connection.auth)).then(toolsIn, () => []),
    async call(connection, name, given) {
      const { url, auth } = connection
      const document = await documentFor(connection, auth && tokenOf(auth))
      const found = Object.entries(jsonOf(document['paths'])).flatMap(([path, item]) =>
        operationsIn(item).map(([method, operation]) => ({ path, method, operation })),
      )
      const one = found.find(({ operation }) => at(operation, 'operationId') === name)
      if (!one) throw new Error(`no operation ${name}`)
      // As the path is written, below the URL of the connection, whatever the document says of servers.
      const answer = await fetch(`${url.replace(/\/+$/, '')}${one.path}`, {
        method: one.method.toUpperCase(),
        redirect: 'error',
        headers: {
          'content-type': 'application/json',
          ...(auth && { authorization: `Bearer ${tokenOf(auth)}` }),
          ...(auth && 'session' in auth && { cookie: `token=${auth.session}; other=1` }),
        },
        body: JSON.stringify(bodyOf(one.operation, given)),
      })
      if (answer.status >= 400) throw new Error(`HTTP error ${answer.status}: ${await answer.text()}`)
      return answerOf(answer)
    },
  }
}

function tokenOf(auth: NonNullable<Connection['auth']>): string {
  return 'bearer' in auth ? auth.bearer : auth.session
}

/** References are followed by their unescaped steps, whatever they begin with; those of properties and items alone. */
function resolvedSimply(schema: unknown, components: Json, level = 0): Json {
  const reference = referenceIn(schema, level)
  if (reference !== undefined) return resolvedSimply(walked(reference, components), components, level + 1)
  const own = { ...(isJson(schema) ? schema : {}) }
  if (isJson(own['properties'])) {
    own['properties'] = Object.fromEntries(Object.entries(own['properties']).map(([name, one]) => [name, resolvedSimply(one, components, level + 1)]))
  }
  if (own['items'] !== undefined) own['items'] = resolvedSimply(own['items'], components, level + 1)
  return own
}

const COMPOSITIONS = ['oneOf', 'anyOf', 'allOf']

/** And those of compositions: a name that was met on the way there ends it, and a property forgets which were met. */
function resolvedWithCompositions(schema: unknown, components: Json, met = new Set<string>(), level = 0): Json {
  const reference = referenceIn(schema, level)
  if (reference !== undefined) {
    const name = reference.split('/').at(-1) ?? ''
    if (met.has(name)) return {}
    met.add(name)
    return resolvedWithCompositions(walked(reference, components), components, met, level + 1)
  }
  const own = { ...(isJson(schema) ? schema : {}) }
  const anew = (one: unknown): Json => resolvedWithCompositions(one, components, new Set(), level + 1)
  if (isJson(own['properties'])) own['properties'] = Object.fromEntries(Object.entries(own['properties']).map(([name, one]) => [name, anew(one)]))
  if (own['items'] !== undefined) own['items'] = anew(own['items'])
  for (const keyword of COMPOSITIONS) {
    const arms = own[keyword]
    if (Array.isArray(arms)) own[keyword] = arms.map((one: unknown) => resolvedWithCompositions(one, components, met, level + 1))
  }
  return own
}

function referenceIn(schema: unknown, level: number): string | undefined {
  if (level > MOST_LEVELS) throw new Error('RecursionError')
  if (schema === true) throw new Error("TypeError: argument of type 'bool' is not iterable")
  const reference = at(schema, '$ref')
  return typeof reference === 'string' ? reference : undefined
}

function walked(reference: string, components: Json): unknown {
  return at(
    components,
    ...reference
      .replace(/^[#/]+/, '')
      .split('/')
      .slice(1),
  )
}
