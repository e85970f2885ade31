// What may be asked at /authorize. What is of no use to a client of MCP is left out before anybody reads it (RFC 6749 §3.1).
import { MCP_SCOPES } from '../../policy/scopes.ts'
import { isObject } from '../../protocol/message.ts'
import type { Places } from '../../tokens/places.ts'
import { scopesIn } from '../../tokens/verifier.ts'
import { DEFAULT_SCOPE } from '../metadata.ts'

/** All that is kept of a login until it is proved comes from here. */
const MOST_CHARACTERS = 8192
/** RFC 9449 §10. */
const THUMBPRINT = /^[\w-]{43}$/
const ASKED: ReadonlySet<string> = new Set([
  'client_id',
  'redirect_uri',
  'response_type',
  'response_mode',
  'scope',
  'state',
  'resource',
  'code_challenge',
  'code_challenge_method',
  'dpop_jkt',
  'prompt',
  // Refused in their own words: they would say something else than the rest.
  'request',
  'request_uri',
  'registration',
])

/** Undefined: it is longer than any client makes it, or bound to what is no key. */
export function askedAtAuthorize(query: string, places: Pick<Places, 'resourceOf'>): URLSearchParams | undefined {
  if (query.length > MOST_CHARACTERS) return undefined
  const given = new URLSearchParams(query)
  const asked = new URLSearchParams([...given].filter(([name]) => ASKED.has(name)))
  // Told before a person has said yes to what nobody could use.
  if (asked.getAll('dpop_jkt').some((jkt) => jkt !== '' && !THUMBPRINT.test(jkt))) return undefined
  if (asked.getAll('scope').length < 2) asked.set('scope', scopeAsked(asked.get('scope') ?? ''))
  // Each login is proved anew: to ask for that changes nothing, and what asks for the contrary is refused.
  if (asked.get('prompt') !== 'none') asked.delete('prompt')
  // The others bring a page of their own along, or hide the code from the server that waits for it.
  if (asked.getAll('response_mode').some((mode) => mode !== 'query')) asked.set('response_mode', UNKNOWN)
  const resources = asked.getAll('resource')
  asked.delete('resource')
  for (const resource of resources) asked.append('resource', places.resourceOf(resource) ?? resource)
  return asked
}

/** Those of ours. What OpenID Connect knows beside them (`openid`, `offline_access`) is no reason to refuse and gives nothing. */
function scopeAsked(scope: string): string {
  const asked = scopesIn(scope).filter((one) => !NO_SCOPES.has(one))
  const ours = asked.filter((one) => MCP_SCOPES.some((known) => known === one))
  if (ours.length > 0) return ours.join(' ')
  return asked.length === 0 ? DEFAULT_SCOPE : UNKNOWN
}

const NO_SCOPES: ReadonlySet<string> = new Set(['openid', 'offline_access', 'profile', 'email'])
/** Stands for what was asked for where it is none of ours. */
export const UNKNOWN = 'unknown'

/** What a login that waits for its proof is about. */
export interface Asked {
  readonly clientId: string
  readonly redirectUri: string
  readonly scopes: readonly string[]
  readonly resource: string
  readonly dpopJkt: string | undefined
}

/** Undefined when it is not as we keep it. */
export function askedIn(params: unknown): Asked | undefined {
  if (!isObject(params)) return undefined
  const { client_id: clientId, redirect_uri: redirectUri, scope, resource, dpop_jkt: dpopJkt } = params
  if (typeof clientId !== 'string' || typeof redirectUri !== 'string' || typeof scope !== 'string' || typeof resource !== 'string') return undefined
  return { clientId, redirectUri, scopes: scopesIn(scope), resource, dpopJkt: typeof dpopJkt === 'string' ? dpopJkt : undefined }
}
