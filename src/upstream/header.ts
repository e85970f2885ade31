// A header that an operator wants sent upstream: what it may be called, and what it may hold.
import { OpenMcpError } from '../errors.ts'

export type Header = readonly [name: string, value: string]

/** Those that frame a message or that MCP itself sets: a second one would make two readers of one message. */
const OURS = new Set([
  'accept',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'last-event-id',
  'mcp-method',
  'mcp-name',
  'mcp-protocol-version',
  'mcp-session-id',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** The name in lower case, the value without space around it. `where` tells a reader which one is wrong: a value is never repeated. */
export function checkedHeader(name: string, value: string, where: string): Header {
  const lower = name.toLowerCase()
  const trimmed = value.trim()
  if (!isHeaderName(name)) throw new OpenMcpError('usage', `${where} is not a header`, { hint: HOW })
  if (OURS.has(lower)) throw new OpenMcpError('usage', `${where}: ${lower} is set by openmcp itself`)
  if (trimmed === '') throw new OpenMcpError('usage', `${where}: ${lower} has no value`, { hint: HOW })
  if (!/^[\t\x20-\x7e]*$/.test(trimmed)) throw new OpenMcpError('usage', `${where}: the value of ${lower} holds a character that no header can carry`)
  return [lower, trimmed]
}

export function isHeaderName(text: string): boolean {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text)
}

export const HOW = "write 'NAME: VALUE' or NAME=VALUE"
