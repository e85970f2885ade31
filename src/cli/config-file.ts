// --config FILE: JSON with comments. Strict: what is not known is a mistake, and all mistakes are told at once, each with its path.
import { fill, type Filling } from '../config/fill.ts'
import { readServers } from '../config/read-servers.ts'
import type { ServerEntry } from '../config/server-entry.ts'
import { createAt, type At } from '../config/shape.ts'
import { readSource } from '../config/source.ts'
import { OpenMcpError } from '../errors.ts'
import type { TrustRule } from '../policy/shapes.ts'
import { isObject, type JsonObject } from '../protocol/message.ts'
import type { TrustedIssuer } from '../tokens/trusted-issuer.ts'
import { readTrustRule } from '../config/trust-rule.ts'
import { TOKEN_SECONDS, isName, safeUrlOf, serverUrlOf } from './values.ts'

export interface Config {
  /** Those that are switched on, by name. */
  readonly servers: ReadonlyMap<string, NonNullable<ServerEntry>>
  /** Whether there is a word about who may call. */
  readonly isSecured: boolean
  /** All of them as one at the root, where nothing else is. */
  readonly aggregate: boolean
  readonly warnings: readonly string[]
  readonly identities: readonly TrustRule[]
  readonly issuers: readonly TrustedIssuer[]
  readonly selfIssued: boolean | undefined
  readonly dpop: 'optional' | 'required' | 'nonce' | undefined
  readonly tokenSeconds: number | undefined
  readonly trustLoopback: boolean | undefined
  readonly keyServer: { readonly url: URL; readonly id: string } | undefined
}

const SECTIONS = ['mcpServers', 'aggregate', 'trust', 'security']
const SECTIONS_NOT_BUILT = ['listen', 'policy', 'limits', 'store', 'audit', 'observe']

/** Throws one failure that tells every mistake. No value is repeated: it may be a secret in the wrong place. */
export function parseConfig(text: string, file: string, filling: Filling = NOTHING): Config {
  const told: OpenMcpError[] = []
  const warnings: string[] = []
  const at = (path: string): string => `${file}: ${path === '' ? '' : `${path}: `}`
  const mistake: Mistake = (path, words, code = 'usage') => void told.push(new OpenMcpError(code, `${at(path)}${words}`))
  const root = createAt({ mistake, warning: (path, words) => void warnings.push(`${at(path)}${words}`) })
  const source = readSource(text, root)
  const config = source && configOf(source.value, root, filling, mistake)
  if (config && told.length === 0) return { ...config, warnings }
  const code = told.every((each) => each.code === 'unavailable_option') ? 'unavailable_option' : 'usage'
  throw new OpenMcpError(code, told.map(({ message }) => message).join('; '), { hint: `the file has the sections ${SECTIONS.join(', ')}` })
}

const MAX_TEXT = 2048
/** Nothing is set, and no file can be read. */
const NOTHING: Filling = {
  env: {},
  readText() {
    throw new OpenMcpError('usage', 'no file is read here')
  },
}

type Mistake = (path: string, words: string, code?: 'usage' | 'unavailable_option') => void

function below(path: string, name: string): string {
  const shown = /^[\w$-]{1,64}$/.test(name) ? name : JSON.stringify(name.slice(0, 64))
  return path === '' ? shown : `${path}.${shown}`
}

function configOf(root: unknown, at: At, filling: Filling, mistake: Mistake): Omit<Config, 'warnings'> {
  const { mcpServers, aggregate, ...others } = membersOf(root, '', [...SECTIONS, ...SECTIONS_NOT_BUILT], mistake)
  const servers = mcpServers === undefined ? undefined : readServers(mcpServers, at.member('mcpServers'), filling)
  const sections = Object.fromEntries(Object.entries(others).map(([name, section]) => [name, fill(section, at.member(name), filling)]))
  for (const name of SECTIONS_NOT_BUILT) {
    if (name in sections) mistake(name, 'is not built yet; openmcp refuses it rather than run without it', 'unavailable_option')
  }
  const trust = membersOf('trust' in sections ? sections['trust'] : {}, 'trust', ['identities', 'issuers', 'selfIssued', 'any'], mistake)
  const security = membersOf('security' in sections ? sections['security'] : {}, 'security', ['dpop', 'tokenLife', 'trustLoopback', 'keyServer'], mistake)
  const any = booleanOf(trust['any'], 'trust.any', mistake)
  const identities = listOf(trust['identities'], 'trust.identities', mistake, (rule, path) => ruleOf(rule, path, mistake))
  return {
    servers: servers ?? new Map(),
    aggregate: booleanOf(aggregate, 'aggregate', mistake) ?? false,
    isSecured: 'trust' in sections || 'security' in sections,
    identities: any === true ? [...identities, { id: 'any' }] : identities,
    issuers: listOf(trust['issuers'], 'trust.issuers', mistake, (issuer, path) => issuerOf(issuer, path, mistake)),
    selfIssued: booleanOf(trust['selfIssued'], 'trust.selfIssued', mistake),
    dpop: dpopOf(security['dpop'], mistake),
    tokenSeconds: tokenSecondsOf(security['tokenLife'], mistake),
    trustLoopback: booleanOf(security['trustLoopback'], 'security.trustLoopback', mistake),
    keyServer: keyServerOf(security['keyServer'], mistake),
  }
}

function membersOf(value: unknown, path: string, known: readonly string[], mistake: Mistake): JsonObject {
  if (!isObject(value)) {
    mistake(path, path === '' ? 'is not an object' : 'must be an object')
    return {}
  }
  for (const name of Object.keys(value)) if (!known.includes(name)) mistake(below(path, name), `is not known; there is ${known.join(', ')}`)
  return value
}

function listOf<T>(value: unknown, path: string, mistake: Mistake, read: (item: unknown, path: string) => T | undefined): T[] {
  if (value === undefined) return []
  if (Array.isArray(value)) return value.flatMap((item: unknown, index) => read(item, `${path}[${index}]`) ?? [])
  mistake(path, 'must be a list')
  return []
}

function booleanOf(value: unknown, path: string, mistake: Mistake): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value
  mistake(path, 'must be true or false')
  return undefined
}

function dpopOf(value: unknown, mistake: Mistake): Config['dpop'] {
  if (value === undefined || value === 'optional' || value === 'required' || value === 'nonce') return value
  mistake('security.dpop', 'must be optional, required or nonce')
  return undefined
}

function tokenSecondsOf(value: unknown, mistake: Mistake): number | undefined {
  if (value === undefined) return undefined
  const { from, to } = TOKEN_SECONDS
  if (typeof value === 'number' && Number.isInteger(value) && value >= from && value <= to) return value
  mistake('security.tokenLife', `must be a whole number of seconds from ${from} to ${to}`)
  return undefined
}

function keyServerOf(value: unknown, mistake: Mistake): Config['keyServer'] {
  if (value === undefined) return undefined
  const path = 'security.keyServer'
  const { url: text, id } = membersOf(value, path, ['url', 'id'], mistake)
  const url = typeof text === 'string' && text.length <= MAX_TEXT ? serverUrlOf(text) : undefined
  if (!url) mistake(below(path, 'url'), 'must be an https URL (http for loopback), without user, query and fragment')
  const isNamed = typeof id === 'string' && isName(id)
  if (!isNamed) mistake(below(path, 'id'), 'must be the name of an identity (openmcp id list)')
  return url && isNamed ? { url, id } : undefined
}

function ruleOf(value: unknown, path: string, mistake: Mistake): TrustRule | undefined {
  try {
    return readTrustRule(value)
  } catch (error) {
    if (!(error instanceof OpenMcpError)) throw error
    mistake(path, error.message)
    return undefined
  }
}

function issuerOf(value: unknown, path: string, mistake: Mistake): TrustedIssuer | undefined {
  const members = membersOf(value, path, ['issuer', 'audience', 'jwks', 'jwksUri', 'did', 'identityClaim', 'reusable'], mistake)
  const textOf = (name: string): string | undefined => {
    const text = members[name]
    if (text === undefined || (typeof text === 'string' && text !== '' && text.length <= MAX_TEXT)) return text
    mistake(below(path, name), `must be a text of 1 to ${MAX_TEXT} characters`)
    return undefined
  }
  const [issuer, audience, jwksUri, did, identityClaim] = ['issuer', 'audience', 'jwksUri', 'did', 'identityClaim'].map(textOf)
  const reusable = booleanOf(members['reusable'], below(path, 'reusable'), mistake)
  if (!('issuer' in members)) mistake(below(path, 'issuer'), 'is missing')
  if (issuer?.includes('|') || issuer === 'any') mistake(below(path, 'issuer'), 'cannot be the name of an issuer')
  if (['jwks', 'jwksUri', 'did'].filter((name) => name in members).length !== 1) mistake(path, 'needs exactly one of jwks, jwksUri and did')
  if (jwksUri !== undefined && !safeUrlOf(jwksUri)) mistake(below(path, 'jwksUri'), 'must be an https URL (http for loopback)')
  if (did !== undefined && !/^did:[a-z0-9]+:[\w.:%-]+$/.test(did)) mistake(below(path, 'did'), 'must be a DID')
  const jwks = jwksOf(members['jwks'], below(path, 'jwks'), mistake)
  if (issuer === undefined) return undefined
  return { issuer, audience, jwksUri, did, identityClaim, reusable, jwks }
}

/** What the keys are worth is found out when one is used; here they are public, and named by their kind. */
function jwksOf(value: unknown, path: string, mistake: Mistake): TrustedIssuer['jwks'] {
  if (value === undefined) return undefined
  const keys: readonly unknown[] | undefined = isObject(value) && Array.isArray(value['keys']) ? value['keys'] : undefined
  if (!keys || keys.length === 0) {
    mistake(path, 'must be an object with a list of keys')
    return undefined
  }
  const good = keys.flatMap((key, index) => {
    if (!isObject(key) || typeof key['kty'] !== 'string') mistake(`${path}.keys[${index}]`, 'is not a JWK')
    else if ('d' in key || 'k' in key) mistake(`${path}.keys[${index}]`, 'is a private key or a shared secret, and only public keys belong here')
    else return { ...key, kty: key['kty'] }
    return []
  })
  return { keys: good }
}
