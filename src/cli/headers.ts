// Headers for the upstream, as they are typed.
import { OpenMcpError } from '../errors.ts'
import { checkedHeader, HOW, isHeaderName, type Header } from '../upstream/header.ts'
import { linesOf } from './env-file.ts'

/** One `NAME: VALUE` or `NAME=VALUE`; the name in lower case. `where` tells a reader which one is wrong: a value is never repeated. */
export function parseHeader(text: string, where: string): Header {
  const [, name, rest] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*[:=](.*)$/s.exec(text) ?? []
  if (name === undefined || rest === undefined) throw new OpenMcpError('usage', `${where} is not a header`, { hint: HOW })
  return checkedHeader(name, rest, where)
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
  if (isHeaderName(text) && text !== '*') return text.toLowerCase()
  throw new OpenMcpError('usage', `${where} is not the name of a header`)
}

/** Whether the name of a header, a variable or a parameter says that its value is a secret. */
export function namesSecret(name: string): boolean {
  return /token|key|secret|passw|passphrase|credential|cookie|auth/i.test(name)
}
