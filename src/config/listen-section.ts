// `listen` and `limits`: where openmcp serves, under which names, and how much of everything.
import { networkOf, pathPrefixOf } from '../protocol/behind-proxy.ts'
import type { Limits } from '../protocol/limits.ts'
import { bindHostOf, hostOf, originOf, publicUrlOf } from './addresses.ts'
import { bytesOf, limitRules, shownBytes, type LimitRule } from './limit-table.ts'
import { about, listOf, meaning, number, object, text, type Shape } from './shape.ts'
import { headerName } from './words.ts'

const LISTEN_MEMBERS = {
  host: about(
    'The address to bind: 127.0.0.1 unless given, 0.0.0.0 for all. Beyond loopback --security or --insecure-no-auth has to be said.',
    spoken(bindHostOf, 'must be an IP address or localhost', '127.0.0.1, ::1 or the address of a network card; 0.0.0.0 is all of them'),
  ),
  port: about('0 picks a free one, and says which.', number({ from: 0, to: 65_535, whole: true })),
  tls: about(
    'Served by https: files of PEM texts, the certificate with its chain and its key without a passphrase.',
    object({ cert: text({ to: 4096 }), key: text({ to: 4096 }) }, { required: ['cert', 'key'] }),
  ),
  publicUrl: about(
    'What clients call beyond a reverse proxy: its host and its origin are let in.',
    spoken(publicUrlOf, 'must be a URL without user, query and fragment', 'like https://mcp.example.com'),
  ),
  pathPrefix: about('Every path is served below it.', spoken(pathPrefixOf, 'must be a path', 'like /mcp-servers')),
  rootPath: about(
    'What a proxy in front takes off a path: documents of `openapi` tell clients of it, and nothing is served below it. `pathPrefix` comes behind it.',
    spoken(pathPrefixOf, 'must be a path', 'like /api/tools'),
  ),
  trustProxies: about(
    'Proxies in front whose `X-Forwarded-Prefix` is taken for that, where there is no `rootPath`. Nobody else is heard.',
    listOf(spoken(networkOf, 'must be an IP address, or one and how many bits of it count', 'like 10.0.0.7 or 10.0.0.0/8')),
  ),
  allowHosts: about(
    'Names beside the bound address under which clients may call.',
    listOf(spoken(hostOf, 'must be a host', 'like mcp.example.com or [fd00::1]')),
  ),
  allowOrigins: about(
    'Web origins whose pages may call. Each is exact.',
    listOf(spoken(originOf, 'must be an origin', 'like https://app.example or http://localhost:3000; there is no * for all of them')),
  ),
  exposeHeaders: about('Headers of answers that web pages may read.', listOf(lowerCase(headerName()))),
}

export const LISTEN = object(LISTEN_MEMBERS)

/** Those that are given, by their names in `Limits`. */
export const LIMITS: Shape<Partial<Limits>> = meaning(
  object(Object.fromEntries(limitRules().map(([member, rule]) => [member, about(rule.what, amount(rule))]))),
  (given) => Object.fromEntries(limitRules().flatMap(([member, { limit }]) => (given[member] === undefined ? [] : [[limit, given[member]]]))),
)

function amount({ unit, from, to }: LimitRule): Shape<number> {
  if (unit !== 'bytes') return number({ from, to, whole: unit === 'count' })
  return {
    read(value, at) {
      const bytes = typeof value === 'string' ? bytesOf(value) : value
      if (typeof bytes === 'number' && Number.isInteger(bytes) && bytes >= from && bytes <= to) return bytes
      return at.mistake(`must be bytes from ${shownBytes(from)} to ${shownBytes(to)}`, { hint: 'like 65536, "64k", "8m" or "1g"' })
    },
    schema: { type: ['integer', 'string'], pattern: '^\\d+[kmgKMG]?$', minimum: from, maximum: to },
  }
}

/** A text that stands for something. */
function spoken<T>(look: (value: string) => T | undefined, words: string, hint: string): Shape<T> {
  return meaning(text({ to: 2048, says: words }), (value, at) => look(value) ?? at.mistake(words, { hint }))
}

function lowerCase(shape: Shape<string>): Shape<string> {
  return meaning(shape, (name) => name.toLowerCase())
}
