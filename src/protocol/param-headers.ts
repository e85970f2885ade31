// Mcp-Param-*: over HTTP a 2026-07-28 tool call mirrors the arguments whose schema says `x-mcp-header` (SEP-2243). The tool
// lists that pass by teach which. A client on stdio knows nothing of headers: they are made for it. A server on stdio cannot
// compare them: they are compared for it.
import { OpenMcpError } from '../errors.ts'
import type { ForwardedHeaders } from './exchange.ts'
import { isObject, type Message } from './message.ts'
import { decodeMirrored, encodeMirrored, paramsOf } from './revision.ts'

/** Tools remembered, and how deep an argument may lie. */
const TOOLS_KEPT = 5000
const DEPTH = 8

interface Mirrored {
  readonly header: string
  readonly path: readonly string[]
}

export interface ParamHeaders {
  /** Takes note of the tools in a result, if it is a list of tools. */
  learn(result: unknown): void
  /** Whether this message calls a tool that was in no list so far. */
  isUnknown(message: Message): boolean
  /** The headers that mirror this message. */
  of(message: Message): ForwardedHeaders
  /** Refuses headers that are missing or say something else than the body (-32020). */
  check(message: Message, header: (name: string) => string | undefined): void
}

export function createParamHeaders(): ParamHeaders {
  const byTool = new Map<string, readonly Mirrored[]>()

  function* valuesOf(message: Message): Generator<{ header: string; value: string | number | boolean }> {
    const name = toolOf(message)
    for (const { header, path } of (name === undefined ? undefined : byTool.get(name)) ?? []) {
      const value = path.reduce<unknown>((at, member) => (isObject(at) ? at[member] : undefined), paramsOf(message)?.['arguments'])
      if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') yield { header, value }
    }
  }
  return {
    learn(result) {
      if (!isObject(result) || !Array.isArray(result['tools'])) return
      for (const tool of result['tools']) {
        if (!isObject(tool) || typeof tool['name'] !== 'string') continue
        if (byTool.size < TOOLS_KEPT || byTool.has(tool['name'])) byTool.set(tool['name'], [...mirroredIn(tool['inputSchema'], [])])
      }
    },
    isUnknown(message) {
      const name = toolOf(message)
      return name !== undefined && !byTool.has(name)
    },
    of(message) {
      const headers: Record<string, string> = {}
      for (const { header, value } of valuesOf(message)) headers[header] = encodeMirrored(String(value))
      return headers
    },
    check(message, headerOf) {
      for (const { header, value } of valuesOf(message)) {
        const sent = headerOf(header)
        if (sent === undefined) throw new OpenMcpError('header_mismatch', `the ${header} header is missing`)
        const decoded = decodeMirrored(sent, header)
        const same = decoded === String(value) || (typeof value === 'number' && /^-?\d+(\.\d+)?$/.test(decoded) && Number(decoded) === value)
        if (!same) throw new OpenMcpError('header_mismatch', `the ${header} header does not say what the body says`)
      }
    },
  }
}

function toolOf(message: Message): string | undefined {
  const name = message.kind === 'request' && message.method === 'tools/call' ? paramsOf(message)?.['name'] : undefined
  return typeof name === 'string' ? name : undefined
}

/** Only properties reached through `properties` alone may be mirrored. */
function* mirroredIn(schema: unknown, path: readonly string[]): Generator<Mirrored> {
  if (!isObject(schema) || path.length > DEPTH) return
  const header = schema['x-mcp-header']
  if (typeof header === 'string' && /^[\w!#$%&'*+.^`|~-]{1,64}$/.test(header)) yield { header: `mcp-param-${header.toLowerCase()}`, path }
  if (!isObject(schema['properties'])) return
  for (const [name, property] of Object.entries(schema['properties'])) yield* mirroredIn(property, [...path, name])
}
