// Headers for the upstream, as they are typed.
import { OpenMcpError } from '../errors.ts'
import { linesOf } from './env-file.ts'

type Header = readonly [name: string, value: string]

const HOW = "write 'NAME: VALUE' or NAME=VALUE"

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

/** One `NAME: VALUE` or `NAME=VALUE`; the name in lower case. `where` tells a reader which one is wrong: a value is never repeated. */
export function parseHeader(text: string, where: string): Header {
  const [, name, rest] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*[:=](.*)$/s.exec(text) ?? []
  if (name === undefined || rest === undefined) throw new OpenMcpError('usage', `${where} is not a header`, { hint: HOW })
  const lower = name.toLowerCase()
  const value = rest.trim()
  if (OURS.has(lower)) throw new OpenMcpError('usage', `${where}: ${lower} is set by openmcp itself`)
  if (value === '') throw new OpenMcpError('usage', `${where}: ${lower} has no value`, { hint: HOW })
  if (!/^[\t\x20-\x7e]*$/.test(value)) throw new OpenMcpError('usage', `${where}: the value of ${lower} holds a character that no header can carry`)
  return [lower, value]
}

/** One header a line; empty lines and lines that begin with # are skipped. All mistakes are told at once, by line. */
export function parseHeaderFile(text: string, file: string): Header[] {
  const headers: Header[] = []
  const mistakes: string[] = []
  for (const [index, line] of linesOf(text).entries()) {
    if (/^\s*(?:#|$)/.test(line)) continue
    try {
      headers.push(parseHeader(line.trim(), `${file}:${index + 1}`))
    } catch (error) {
      if (!(error instanceof OpenMcpError)) throw error
      mistakes.push(error.message)
    }
  }
  if (mistakes.length > 0) throw new OpenMcpError('usage', mistakes.join('; '), { hint: HOW })
  return headers
}

/** A name a header can have, in lower case. */
export function parseHeaderName(text: string, where: string): string {
  if (/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text) && text !== '*') return text.toLowerCase()
  throw new OpenMcpError('usage', `${where} is not the name of a header`)
}

/** Whether the name of a header, a variable or a parameter says that its value is a secret. */
export function namesSecret(name: string): boolean {
  return /token|key|secret|passw|passphrase|credential|cookie|auth/i.test(name)
}
