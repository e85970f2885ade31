// What is told of a reverse proxy in front of us: where it puts us, and where it calls from.
import { isIP } from 'node:net'

/** `/x` or `/x/y`, without a slash at its end; `/` is no prefix at all. Undefined: it is none. */
export function pathPrefixOf(text: string): string | undefined {
  if (text === '/') return ''
  const path = text.replace(/\/$/, '')
  return /^(?:\/[A-Za-z0-9._~-]+)+$/.test(path) && !path.split('/').some((part) => part === '.' || part === '..') ? path : undefined
}

/** Addresses of machines. */
export interface Network {
  readonly address: string
  readonly family: 'ipv4' | 'ipv6'
  /** How many bits of the address they have in common: all, of a single one. */
  readonly bits: number
}

/** `ADDRESS` or `ADDRESS/BITS` (RFC 4632, RFC 4291 §2.3). Undefined: it is none, or every address there is. */
export function networkOf(text: string): Network | undefined {
  const [, bare = '', count] = /^([\da-fA-F.:]{2,45})(?:\/([1-9]\d{0,2}))?$/.exec(text) ?? []
  const version = isIP(bare)
  if (version === 0) return undefined
  const all = version === 4 ? 32 : 128
  const bits = count === undefined ? all : Number(count)
  return bits <= all ? { address: bare, family: version === 4 ? 'ipv4' : 'ipv6', bits } : undefined
}
