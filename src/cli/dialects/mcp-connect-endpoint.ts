// What --endpoint of mcp-connect names: a URL, host:port, or a program in one text.
import { schemeOf } from '../../protocol/target.ts'
import { splitWords } from '../split-words.ts'
import type { Draft, Target, Use } from './dialect.ts'
import { filledIn } from './headers.ts'
import { put, refuse } from './meanings.ts'

export function targetOf(draft: Draft): Target {
  const use = draft.said.get('endpoint')
  if (!use) return lacking('--endpoint', '--endpoint https://mcp.example.com/mcp', draft)
  const endpoint = filledIn(use.value, use, draft) ?? use.value
  const transport = transportOf(draft)
  if (transport === 'stdio' || (transport === undefined && isProgram(endpoint))) return programOf(endpoint, use, draft)
  // Without a scheme it is host:port, and mcp-connect speaks HTTP to URLs alone.
  if (transport === 'tcp' || (transport === undefined && schemeOf(endpoint) === undefined)) return { kind: 'upstream', upstream: tcpOf(endpoint) }
  return { kind: 'upstream', upstream: endpoint }
}

function programOf(text: string, use: Use, draft: Draft): Target {
  const words = splitWords(text)
  if (words && words.length > 0) return { kind: 'command', words }
  return lacking(use.as, `${use.as} 'COMMAND ARG'`, draft)
}

function isProgram(endpoint: string): boolean {
  return schemeOf(endpoint) === undefined && !/^(?:\[[\da-f:.]+\]|[^\s:/]+)?:?\d+$/i.test(endpoint)
}

/** `host:port`, or a port of this machine. */
export function tcpOf(endpoint: string): string {
  if (schemeOf(endpoint) !== undefined) return endpoint
  return `tcp://${/^:?\d+$/.test(endpoint) ? `127.0.0.1:${endpoint.replace(':', '')}` : endpoint}`
}

export function transportOf(draft: Draft): string | undefined {
  const use = draft.said.get('transport')
  const transport = use?.value.toLowerCase()
  if (!use || transport === undefined || ['http', 'tcp', 'stdio'].includes(transport)) return transport
  if (['sse', 'ws', 'auto'].includes(transport)) {
    put(draft, '--transport', transport)
    return 'http'
  }
  refuse(draft, `${use.as}: '${use.value}' is none of its choices`, `${use.as} takes http, tcp, stdio`)
  return undefined
}

export function lacking(option: string, hint: string, draft: Draft): Target {
  refuse(draft, `${option} says what to connect to, and it is not there`, hint)
  return { kind: 'none' }
}
