// Single values of options: text in, a checked value out. `as` is the option as it was typed.
import { hostOf, originOf, publicUrlOf, serverUrlOf } from '../config/addresses.ts'
import { MAX_SECONDS, bytesOf, shownBytes } from '../config/limit-table.ts'
import { OpenMcpError } from '../errors.ts'
import { networkOf, pathPrefixOf, type Network } from '../protocol/behind-proxy.ts'

interface Range {
  from: number
  to: number
}

export function parseSeconds(text: string, as: string, { from }: Pick<Range, 'from'>): number {
  const seconds = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (seconds >= from && seconds <= MAX_SECONDS) return seconds
  const least = from === 0 ? '' : `, at least ${from}`
  throw new OpenMcpError('usage', `${as}: '${text}' is no number of seconds`, { hint: `${as} takes seconds like 30 or 0.5${least}, at most ${MAX_SECONDS}` })
}

const SPANS = new Map([
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
  ['w', 7 * 86_400_000],
])

/** A moment to come, in ISO 8601: as it is typed, or counted from now (`30d`). */
export function parseUntil(text: string, as: string, nowMs: number): string {
  const [, count = '', unit = ''] = /^([1-9]\d{0,4})([mhdw])$/.exec(text) ?? []
  const span = SPANS.get(unit)
  if (span !== undefined) return new Date(nowMs + Number(count) * span).toISOString()
  const typed = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d))?$/.test(text) ? Date.parse(text) : Number.NaN
  if (typed > nowMs) return text
  const hint = `${as} takes a span like 12h or 30d, a day like 2027-01-31, or a moment with its zone like 2027-01-31T12:00:00Z`
  throw new OpenMcpError('usage', Number.isNaN(typed) ? `${as}: '${text}' is no time` : `${as}: ${text} is over`, { hint })
}

export function parseCount(text: string, as: string, { from, to }: Range): number {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (count >= from && count <= to) return count
  throw new OpenMcpError('usage', `${as}: '${text}' is not a count`, { hint: `${as} takes a whole number from ${from} to ${to}` })
}

export function parseBytes(text: string, as: string, { from, to }: Range): number {
  const bytes = bytesOf(text) ?? Number.NaN
  if (bytes >= from && bytes <= to) return bytes
  throw new OpenMcpError('usage', `${as}: '${text}' is not a size`, {
    hint: `${as} takes bytes like 65536, 64k, 8m or 1g, from ${shownBytes(from)} to ${shownBytes(to)}`,
  })
}

export function parseChoice<const T extends string>(text: string, as: string, choices: readonly T[]): T {
  const choice = choices.find((each) => each === text.toLowerCase())
  if (choice !== undefined) return choice
  throw new OpenMcpError('usage', `${as}: '${text}' is none of its choices`, { hint: `${as} takes ${choices.join(', ')}` })
}

export function parseScope(text: string, as: string): string {
  const scopes = text.split(/\s+/).filter((scope) => scope !== '')
  if (scopes.length > 0 && scopes.every((scope) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope))) return scopes.join(' ')
  throw new OpenMcpError('usage', `${as} takes scopes with a space between them`, { hint: `${as} 'mcp:tools mcp:prompts'` })
}

/** A server's name goes into paths and logs. */
export function parseName(text: string, as: string): string {
  if (isName(text)) return text
  throw new OpenMcpError('usage', `${as}: '${text}' is not a name`, { hint: 'use up to 64 letters, digits, dots, dashes and underscores' })
}

function isName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)
}

/** A web origin as browsers send it: scheme, host, and a port that is not the usual one. */
export function parseOrigin(text: string, as: string): string {
  const hint = `${as} takes an origin like https://app.example or http://localhost:3000`
  if (text === '*') throw new OpenMcpError('usage', `${as}: '*' would let every web page in`, { hint })
  return originOf(text) ?? refuse(`${as}: '${text}' is not an origin`, hint)
}

/** A host as a `Host` header has it: lower case, an IPv6 address in brackets, a port where one is meant. */
export function parseHost(text: string, as: string): string {
  return hostOf(text) ?? refuse(`${as}: '${text}' is not a host`, `${as} takes a name or an address, like mcp.example.com, 192.168.1.5 or [fd00::1]`)
}

/** `/x` or `/x/y`, without a slash at its end; `/` is no prefix at all. */
export function parsePathPrefix(text: string, as: string): string {
  return pathPrefixOf(text) ?? refuse(`${as}: '${text}' is not a path`, `${as} takes a path like /mcp-servers`)
}

/** Proxies in front, by their addresses. */
export function parseNetworks(text: string, as: string): readonly Network[] {
  return text
    .split(',')
    .map((one) => networkOf(one.trim()) ?? refuse(`${as}: '${one}' is no address`, `${as} takes addresses like 10.0.0.7 or 10.0.0.0/8, with commas between`))
}

/** The address under which clients know us, when that is not the one we listen on. */
export function parsePublicUrl(text: string, as: string): URL {
  return publicUrlOf(text) ?? refuse(`${as}: not a public URL`, `${as} takes a URL like https://mcp.example.com, without user, query and fragment`)
}

/** A server that is sent secrets. The text is not repeated: a URL may hold a password. */
export function parseServerUrl(text: string, as: string): URL {
  return serverUrlOf(text) ?? refuse(`${as}: not the URL of a server`, `${as} takes a URL like https://keys.example.com (http for loopback)`)
}

function refuse(message: string, hint: string): never {
  throw new OpenMcpError('usage', message, { hint })
}
