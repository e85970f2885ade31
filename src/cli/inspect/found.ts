// What `openmcp test` finds out about a server, whichever way it was asked.
import { OpenMcpError } from '../../errors.ts'
import { isObject, type JsonObject } from '../../protocol/message.ts'

export interface Found {
  server: { name: string; version: string }
  /** How it was reached. */
  transport: string
  /** The revision that was spoken with it. */
  protocol: string
  /** Every revision it is known to speak. */
  revisions: readonly string[]
  capabilities: JsonObject
  counts: Counts
  /** Of HTTP: whether it asked who we are. `header`: we said so before it could. */
  authentication?: 'none' | 'given' | 'header'
  times: { connectMs: number; initializeMs: number; listMs: number }
}

/** Undefined: the server has none of that kind. */
export interface Counts {
  tools: number | undefined
  resources: number | undefined
  resourceTemplates: number | undefined
  prompts: number | undefined
}

/** Sends one request and returns its result; throws JsonRpcRefusal when the server answers with an error. */
export type Ask = (method: string, params: JsonObject) => Promise<JsonObject>

/** What inspecting needs of the world. */
export interface Watch {
  /** How URLs are asked: with what proves us where they want it. */
  fetch: typeof globalThis.fetch
  signal: AbortSignal
  now: () => number
}

export class JsonRpcRefusal extends Error {
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

const METHOD_NOT_FOUND = -32601

/** Counts what a server lists, all pages of it, and how long that took. */
export async function listAll(ask: Ask, capabilities: JsonObject, now: () => number): Promise<{ counts: Counts; listMs: number }> {
  const started = now()
  const count = (capability: string, method: string, member: string) => (capabilities[capability] === undefined ? undefined : countPages(ask, method, member))
  const counts: Counts = {
    tools: await count('tools', 'tools/list', 'tools'),
    resources: await count('resources', 'resources/list', 'resources'),
    resourceTemplates: await count('resources', 'resources/templates/list', 'resourceTemplates'),
    prompts: await count('prompts', 'prompts/list', 'prompts'),
  }
  return { counts, listMs: now() - started }
}

async function countPages(ask: Ask, method: string, member: string): Promise<number | undefined> {
  const seen = new Set<string>()
  let count = 0
  let cursor: string | undefined
  do {
    const page = await askOrNone(ask, method, cursor === undefined ? {} : { cursor })
    if (page === undefined) return undefined
    const items = page[member]
    if (!Array.isArray(items)) throw new OpenMcpError('upstream_broke', `the answer to ${method} holds no list of ${member}`)
    count += items.length
    cursor = typeof page['nextCursor'] === 'string' ? page['nextCursor'] : undefined
    if (cursor !== undefined && seen.has(cursor)) throw new OpenMcpError('upstream_broke', `${method} never ends: a page leads back to an earlier one`)
    if (cursor !== undefined) seen.add(cursor)
  } while (cursor !== undefined)
  return count
}

/** Some servers have resources and know nothing of templates: that is none, not a failure. */
async function askOrNone(ask: Ask, method: string, params: JsonObject): Promise<JsonObject | undefined> {
  try {
    return await ask(method, params)
  } catch (error) {
    if (error instanceof JsonRpcRefusal && error.code === METHOD_NOT_FOUND) return undefined
    if (error instanceof JsonRpcRefusal) throw new OpenMcpError('upstream_broke', `the server refuses ${method}: ${error.message}`, { cause: error })
    throw error
  }
}

/** Name and version as a server gives them, or that it gives none. */
export function serverOf(value: unknown): { name: string; version: string } {
  const { name, version } = isObject(value) ? value : {}
  return { name: typeof name === 'string' ? name : 'without a name', version: typeof version === 'string' ? version : '' }
}
