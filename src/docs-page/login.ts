// The browser login of this server's own issuer: authorization code with PKCE (RFC 7636), in this very window. What has to outlast the way
// there and back is in the session storage of this tab, and good for nothing without the code.
import { base64url, random } from './base64url.ts'
import { createDpopKey, type DpopKey } from './dpop.ts'
import { isObject, objectIn, textIn, type Json } from './json.ts'
import { withToken, type Send } from './proof.ts'

export interface Login {
  /** With a token that is good for another half minute at least. */
  send: Send
  /** Ends the login at the issuer. */
  end(): Promise<void>
}

interface Begun {
  readonly state: string
  readonly verifier: string
  readonly issuer: string
  readonly tokenEndpoint: string
  readonly revocationEndpoint: string | undefined
  readonly clientId: string
  readonly redirectUri: string
  readonly resource: string
  readonly isBound: boolean
}

interface Place {
  readonly issuer: Json
  readonly resource: string
  readonly scope: string
  /** Tokens have to be bound to a key here (RFC 9728 §2), so that one that is pasted lets nobody in. */
  readonly isBound: boolean
}

const BEGUN = 'openmcp:login'
const AHEAD_MS = 30_000

/** Where one logs in, as the challenge of a 401 tells (RFC 9728 §5.1). Undefined: not here. */
export async function loginPlace(challenge: string): Promise<Place | undefined> {
  const metadata = /resource_metadata="([^"]+)"/.exec(challenge)?.[1]
  if (metadata === undefined || !isOurs(metadata)) return undefined
  const about = await objectIn(await fetch(metadata))
  const servers: unknown = about?.['authorization_servers']
  const issuerUrl: unknown = Array.isArray(servers) ? servers[0] : undefined
  const resource = textIn(about, 'resource')
  if (typeof issuerUrl !== 'string' || !isOurs(issuerUrl) || resource === undefined) return undefined
  const { origin, pathname } = new URL(issuerUrl)
  const issuer = await objectIn(await fetch(`${origin}/.well-known/oauth-authorization-server${pathname === '/' ? '' : pathname}`))
  // RFC 8414 §3.3: another issuer's metadata are not believed.
  if (!issuer || issuer['issuer'] !== issuerUrl) return undefined
  return { issuer, resource, scope: /\bscope="([^"]+)"/.exec(challenge)?.[1] ?? 'mcp', isBound: about?.['dpop_bound_access_tokens_required'] === true }
}

/** Leaves for the login, and comes back to this page. */
export async function beginLogin({ issuer, resource, scope, isBound }: Place): Promise<void> {
  const redirectUri = `${location.origin}${location.pathname}`
  const clientId = textIn(await post(endpoint(issuer, 'registration_endpoint'), clientAt(redirectUri)), 'client_id')
  if (clientId === undefined) throw new Error('The server did not take this page for a client.')
  const begun: Begun = {
    state: random(),
    verifier: random(),
    issuer: String(issuer['issuer']),
    tokenEndpoint: endpoint(issuer, 'token_endpoint'),
    revocationEndpoint: textIn(issuer, 'revocation_endpoint'),
    clientId,
    redirectUri,
    resource,
    isBound,
  }
  sessionStorage.setItem(BEGUN, JSON.stringify(begun))
  const authorize = new URL(endpoint(issuer, 'authorization_endpoint'))
  authorize.search = new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    scope,
    resource,
    state: begun.state,
    code_challenge: base64url(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(begun.verifier))),
    code_challenge_method: 'S256',
  }).toString()
  location.assign(authorize)
}

/** When this page was come back to: the login. Undefined: it was not. What came in the address is out of it in any case. */
export async function endLogin(): Promise<Login | undefined> {
  const answer = new URLSearchParams(location.search)
  if (!answer.has('state')) return undefined
  history.replaceState(null, '', location.pathname)
  const begun = taken()
  // Of a login that was not begun in this tab nobody takes the code (RFC 9700 §4.7), nor one of another issuer (RFC 9207).
  if (!begun || answer.get('state') !== begun.state || answer.get('iss') !== begun.issuer) throw new Error('This is no answer to a login that began here.')
  const code = answer.get('code')
  if (code === null) throw new Error(answer.get('error') === 'access_denied' ? 'The login was denied.' : 'The login failed.')
  const { clientId, redirectUri, verifier } = begun
  return loginWith(begun, { grant_type: 'authorization_code', code, client_id: clientId, redirect_uri: redirectUri, code_verifier: verifier })
}

async function loginWith(begun: Begun, form: Readonly<Record<string, string>>): Promise<Login> {
  const { tokenEndpoint, revocationEndpoint, clientId, resource, isBound } = begun
  // Only now: nothing before the code is exchanged is bound to it, so that it need not outlast the way there and back.
  const key = isBound ? await createDpopKey() : undefined
  const ask = async (asked: Readonly<Record<string, string>>): Promise<Granted> =>
    granted(await post(tokenEndpoint, new URLSearchParams({ ...asked, resource }), key))
  let now = await ask(form)
  let next: Promise<Granted> | undefined
  const renew = async (refreshToken: string): Promise<Granted> => {
    try {
      return (now = await ask({ grant_type: 'refresh_token', refresh_token: refreshToken, client_id: clientId }))
    } finally {
      next = undefined
    }
  }
  async function current(): Promise<string> {
    if (now.untilMs - Date.now() > AHEAD_MS || now.refreshToken === undefined) return now.accessToken
    // A refresh token is good once, and two requests may want it.
    return (await (next ??= renew(now.refreshToken))).accessToken
  }
  return {
    async send(url, init = {}) {
      const token = await current()
      return key ? key.send(url, init, token) : withToken(token)(url, init)
    },
    async end() {
      if (revocationEndpoint === undefined) return
      await post(revocationEndpoint, new URLSearchParams({ token: now.refreshToken ?? now.accessToken, client_id: clientId }))
    },
  }
}

interface Granted {
  readonly accessToken: string
  readonly refreshToken: string | undefined
  readonly untilMs: number
}

function granted(answer: Json | undefined): Granted {
  const accessToken = textIn(answer, 'access_token')
  if (accessToken === undefined) throw new Error('The server gave no token.')
  const seconds = answer?.['expires_in']
  return { accessToken, refreshToken: textIn(answer, 'refresh_token'), untilMs: Date.now() + (typeof seconds === 'number' ? seconds : 60) * 1000 }
}

/** Good once. */
function taken(): Begun | undefined {
  const kept = sessionStorage.getItem(BEGUN)
  sessionStorage.removeItem(BEGUN)
  const value: unknown = kept === null ? undefined : JSON.parse(kept)
  // This page wrote it.
  return isObject(value) ? (value as unknown as Begun) : undefined
}

function clientAt(redirectUri: string): Json {
  return {
    client_name: `API page of ${location.host}`,
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  }
}

/** A secret goes to no other server, whatever the metadata say. */
function endpoint(issuer: Json, name: string): string {
  const url = textIn(issuer, name)
  if (url === undefined || !isOurs(url)) throw new Error(`The server names no ${name} of its own.`)
  return url
}

function isOurs(url: string): boolean {
  return URL.parse(url)?.origin === location.origin
}

async function post(url: string, body: Json | URLSearchParams, key?: DpopKey): Promise<Json | undefined> {
  const sent = body instanceof URLSearchParams ? { body } : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  const init = { method: 'POST', ...sent }
  return objectIn(await (key ? key.send(new URL(url), init) : fetch(url, init)))
}
