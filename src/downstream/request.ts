// What is read of a request's headers.
import type { IncomingMessage } from 'node:http'

import { OpenMcpError } from '../errors.ts'
import { NO_HEADERS, type ForwardedHeaders } from '../protocol/exchange.ts'
import type { MirroredHeaders } from '../protocol/revision.ts'

/** One header; of a repeated one Node keeps the first or joins them, both of which fail the comparisons here. */
export function headerOf(req: IncomingMessage, name: string): string | undefined {
  const value = req.headers[name]
  return typeof value === 'string' ? value : undefined
}

export function mirroredHeadersOf(req: IncomingMessage): MirroredHeaders {
  return { version: headerOf(req, 'mcp-protocol-version'), method: headerOf(req, 'mcp-method'), name: headerOf(req, 'mcp-name') }
}

/** Whether the client takes this media type. A client that says nothing takes anything (RFC 9110 §12.5.1). */
export function takes(req: IncomingMessage, type: 'application/json' | 'text/event-stream'): boolean {
  const accept = req.headers.accept
  return accept === undefined || accept.includes(type) || accept.includes('*/*') || accept.includes(`${type.slice(0, type.indexOf('/'))}/*`)
}

/** For a client that takes neither of the two, or not the one that there is. */
export function notAcceptable(): OpenMcpError {
  return new OpenMcpError('not_acceptable', 'the client must take application/json and text/event-stream', {
    hint: 'send Accept: application/json, text/event-stream',
  })
}

const FORWARDED = new Set(['accept', 'last-event-id', 'traceparent', 'tracestate', 'baggage'])

/** Headers that the operator lets through to a server, in lower case. */
export type NamedHeaders = ReadonlySet<string>

export const NO_NAMED: NamedHeaders = new Set()

/** Those of a request that are named, for an upstream that is spoken with in messages. */
export function namedHeadersOf({ headers }: IncomingMessage, named: NamedHeaders): ForwardedHeaders {
  if (named.size === 0) return NO_HEADERS
  const found: Record<string, string> = {}
  for (const name of named) {
    const value = headers[name]
    if (typeof value === 'string') found[name] = value
  }
  return found
}

/** The headers that may go up: what MCP needs, tracing, and what is named; never `authorization`, `cookie`, or anything unknown but `mcp-*`. */
export function forwardedHeadersOf(req: IncomingMessage, named: NamedHeaders = NO_NAMED): ForwardedHeaders {
  const forwarded: Record<string, string> = {}
  for (const name in req.headers) {
    const value = req.headers[name]
    if (typeof value !== 'string') continue
    // Of a body it is checked, and its parameters mean nothing more.
    if (name === 'content-type') forwarded[name] = 'application/json'
    else if (FORWARDED.has(name) || named.has(name) || (name.startsWith('mcp-') && name !== 'mcp-session-id')) forwarded[name] = value
  }
  return forwarded
}
