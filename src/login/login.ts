// What a person's login leaves behind: who gives tokens for which resource, who we are to them, and the tokens.
import type { JWK } from 'jose'
import { membersOf } from '../identity/json.ts'
import { CLIENT_AUTH_METHODS, isVisible, type Client } from './client.ts'
import { covers } from './covers.ts'
import { endpointOf } from './safe-url.ts'

/** Whose a login is, where a server has one of each caller. */
export interface Holder {
  readonly server: string
  /** The identity that was proved. */
  readonly caller: string
}

export interface Login {
  /** Undefined: it is for whoever calls through this openmcp. */
  readonly holder?: (Holder & { readonly sinceMs: number }) | undefined
  /** What the person named: nothing of the login goes anywhere else, whatever the resource says that it covers. */
  readonly address: string
  /** What the tokens are for, as its metadata spells it. */
  readonly resource: string
  /** What the issuer is told that they are for (RFC 8707 §2), where that is not the resource; `none`: nothing. */
  readonly indicator?: string | undefined
  /** What was asked for, as far as it is known. */
  readonly scope?: string | undefined
  readonly issuer: string
  readonly tokenEndpoint: string
  readonly revocationEndpoint?: string | undefined
  readonly client: Client
  readonly accessToken: string
  readonly tokenType: 'Bearer' | 'DPoP'
  readonly refreshToken?: string | undefined
  readonly obtainedAtMs: number
  /** Undefined when the issuer does not say: until it is refused. */
  readonly expiresAtMs?: number | undefined
  /** The private key that the tokens are bound to. */
  readonly dpopJwk?: JWK | undefined
}

const VERSION = 1

/** The parameter that says what tokens are for, at both endpoints. */
export function resourceParameter({ resource, indicator = resource }: Pick<Login, 'resource' | 'indicator'>): { resource?: string } {
  return indicator === 'none' ? {} : { resource: indicator }
}

export function textOf(login: Login): string {
  return `${JSON.stringify({ version: VERSION, ...login }, null, 2)}\n`
}

/** Undefined for anything that textOf did not write. */
export function parseLogin(text: string): Login | undefined {
  try {
    return read(JSON.parse(text))
  } catch {
    return undefined
  }
}

const MEMBERS = new Set([
  'version',
  'holder',
  'address',
  'resource',
  'indicator',
  'scope',
  'issuer',
  'tokenEndpoint',
  'revocationEndpoint',
  'client',
  'accessToken',
  'tokenType',
  'refreshToken',
  'obtainedAtMs',
  'expiresAtMs',
  'dpopJwk',
])

function read(value: unknown): Login | undefined {
  const members = membersOf(value)
  if (!members || members.get('version') !== VERSION || [...members.keys()].some((name) => !MEMBERS.has(name))) return undefined
  const [address, resource, issuer, accessToken, tokenType] = ['address', 'resource', 'issuer', 'accessToken', 'tokenType'].map((name) => members.get(name))
  const [indicator, scope] = ['indicator', 'scope'].map((name) => members.get(name))
  const [refreshToken, obtainedAtMs, expiresAtMs] = ['refreshToken', 'obtainedAtMs', 'expiresAtMs'].map((name) => members.get(name))
  if (typeof address !== 'string' || typeof resource !== 'string' || typeof issuer !== 'string') return undefined
  if (!covers(address, new URL(address)) || !covers(resource, new URL(address))) return undefined
  const tokenEndpoint = endpointOf(issuer, members.get('tokenEndpoint'), 'gives tokens')
  const revocationEndpoint = endpointOf(issuer, members.get('revocationEndpoint'), 'takes tokens back')
  const client = readClient(members.get('client'))
  const dpopJwk = readKey(members.get('dpopJwk'))
  const holder = readHolder(members.get('holder'))
  if (!tokenEndpoint || !client || !isToken(accessToken) || !(tokenType === 'Bearer' || tokenType === 'DPoP')) return undefined
  if (!(refreshToken === undefined || isToken(refreshToken))) return undefined
  if (!(indicator === undefined || isToken(indicator)) || !(scope === undefined || isVisible(scope))) return undefined
  if (!isMoment(obtainedAtMs) || !(expiresAtMs === undefined || isMoment(expiresAtMs))) return undefined
  if ((tokenType === 'DPoP') !== (dpopJwk !== undefined)) return undefined
  return {
    ...(holder && { holder }),
    address,
    resource,
    ...(indicator !== undefined && { indicator }),
    ...(scope !== undefined && { scope }),
    issuer,
    tokenEndpoint: tokenEndpoint.href,
    ...(revocationEndpoint && { revocationEndpoint: revocationEndpoint.href }),
    client,
    accessToken,
    tokenType,
    ...(refreshToken !== undefined && { refreshToken }),
    obtainedAtMs,
    ...(expiresAtMs !== undefined && { expiresAtMs }),
    ...(dpopJwk && { dpopJwk }),
  }
}

function readClient(value: unknown): Client | undefined {
  const members = membersOf(value)
  const [id, secret] = [members?.get('id'), members?.get('secret')]
  const auth = CLIENT_AUTH_METHODS.find((each) => each === members?.get('auth'))
  if (!isVisible(id) || !auth || !(secret === undefined || isVisible(secret))) return undefined
  return { id, auth, ...(secret !== undefined && { secret }) }
}

function readHolder(value: unknown): Login['holder'] {
  if (value === undefined) return undefined
  const members = membersOf(value)
  const [server, caller, sinceMs] = ['server', 'caller', 'sinceMs'].map((name) => members?.get(name))
  if (typeof server === 'string' && typeof caller === 'string' && isMoment(sinceMs)) return { server, caller, sinceMs }
  throw new TypeError('no holder')
}

function readKey(value: unknown): JWK | undefined {
  if (value === undefined) return undefined
  const members = membersOf(value)
  const [kty, crv, x, y, d] = ['kty', 'crv', 'x', 'y', 'd'].map((name) => members?.get(name))
  if (kty === 'EC' && crv === 'P-256' && isToken(x) && isToken(y) && isToken(d)) return { kty, crv, x, y, d }
  throw new TypeError('no key')
}

function isToken(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]{1,8192}$/.test(value)
}

function isMoment(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
