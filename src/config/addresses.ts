// Hosts, origins and URLs as people write them, for the command line and the file alike. Undefined: it is none.
import { isIP, isIPv6 } from 'node:net'
import { isLoopbackHost } from '../protocol/loopback.ts'

/** A web origin as browsers send it: scheme, host, and a port that is not the usual one. */
export function originOf(text: string): string | undefined {
  // Extensions and editors have origins whose scheme the URL standard gives no origin to.
  if (/^(?!https?:|file:)[a-z][a-z0-9+.-]*:\/\/[a-z0-9._-]+(?::\d+)?$/.test(text)) return text
  const url = webUrlOf(text)
  return url !== undefined && url.href === `${url.origin}/` && !/[?#*\\]/.test(text) ? url.origin : undefined
}

/** A host as a `Host` header has it: lower case, an IPv6 address in brackets, a port where one is meant. */
export function hostOf(text: string): string | undefined {
  const [, name, port = ''] = /^(\[[\da-f:.]+\]|[^\s:/?#@[\]\\*%]+)(:[1-9]\d{0,4})?$/i.exec(text) ?? []
  const url = name === undefined ? undefined : webUrlOf(`http://${name}${port}/`)
  return url && `${url.hostname}${port}`
}

/** The address under which clients know us, when that is not the one we listen on. */
export function publicUrlOf(text: string): URL | undefined {
  const url = webUrlOf(text)
  return url !== undefined && url.username === '' && url.password === '' && !/[?#\\\s]/.test(text) && /^https?:\/\//i.test(text) ? url : undefined
}

/** A server that is sent secrets. */
export function serverUrlOf(text: string): URL | undefined {
  return /[?#\\\s]/.test(text) ? undefined : safeUrlOf(text)
}

/** Undefined: what goes there could be read or answered by others, or it has a password in it. */
export function safeUrlOf(text: string): URL | undefined {
  const url = webUrlOf(text)
  if (!url || url.username !== '' || url.password !== '') return undefined
  return url.protocol === 'https:' || isLoopbackHost(url.hostname) ? url : undefined
}

function webUrlOf(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url?.protocol === 'http:' || url?.protocol === 'https:' ? url : undefined
}

/** An address to bind: of a network card, loopback's, or 0.0.0.0. Names are not looked up: what they resolve to could be any address. */
export function bindHostOf(text: string): string | undefined {
  if (text.toLowerCase() === 'localhost') return '127.0.0.1'
  const bare = text.replace(/^\[(.*)\]$/, '$1')
  return isIP(bare) !== 0 && (bare === text || isIPv6(bare)) && !bare.includes('%') ? bare : undefined
}
