// Mcp-Param-*: over HTTP a 2026-07-28 tool call mirrors the arguments whose schema says `x-mcp-header` (SEP-2243). A client
// on stdio knows nothing of headers, so they are made here, from the tool lists that passed by.
import type { ForwardedHeaders } from '../protocol/exchange.ts'
import { isObject, type RequestMessage, type NotificationMessage } from '../protocol/message.ts'
import { encodeMirrored, paramsOf } from '../protocol/revision.ts'

/** Tools remembered, and how deep an argument may lie. */
const TOOLS_KEPT = 2000
const DEPTH = 8

interface Mirrored {
  readonly header: string
  readonly path: readonly string[]
}

export function createParamHeaders(): { learn(result: unknown): void; of(message: RequestMessage | NotificationMessage): ForwardedHeaders } {
  const byTool = new Map<string, readonly Mirrored[]>()
  return {
    learn(result) {
      if (!isObject(result) || !Array.isArray(result['tools'])) return
      for (const tool of result['tools']) {
        if (!isObject(tool) || typeof tool['name'] !== 'string') continue
        const mirrored = [...mirroredIn(tool['inputSchema'], [])]
        if (mirrored.length > 0 && byTool.size < TOOLS_KEPT) byTool.set(tool['name'], mirrored)
        else byTool.delete(tool['name'])
      }
    },
    of(message) {
      const params = message.method === 'tools/call' ? paramsOf(message) : undefined
      const mirrored = typeof params?.['name'] === 'string' ? byTool.get(params['name']) : undefined
      const headers: Record<string, string> = {}
      for (const { header, path } of mirrored ?? []) {
        const value = path.reduce<unknown>((at, member) => (isObject(at) ? at[member] : undefined), params?.['arguments'])
        if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') headers[`mcp-param-${header.toLowerCase()}`] = encodeMirrored(String(value))
      }
      return headers
    },
  }
}

function* mirroredIn(schema: unknown, path: readonly string[]): Generator<Mirrored> {
  if (!isObject(schema) || path.length > DEPTH) return
  const header = schema['x-mcp-header']
  if (typeof header === 'string' && /^[\w-]{1,64}$/.test(header)) yield { header, path }
  if (!isObject(schema['properties'])) return
  for (const [name, property] of Object.entries(schema['properties'])) yield* mirroredIn(property, [...path, name])
}
