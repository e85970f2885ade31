// A token for a resource, by proving an identity of our own to the issuer that the resource names (RFC 7523 §2.1 with a DID).
import { OpenMcpError } from '../errors.ts'
import type { IdentitySigner } from '../identity/shapes.ts'
import { isLoopbackHost } from '../protocol/loopback.ts'
import { LOGIN_BOUNDS, boundedFetch, type BoundedFetch, type Fetch, type FetchBounds } from './bounded-fetch.ts'
import { parseChallenge, type Challenge } from './challenge.ts'
import type { DpopKey } from './dpop-key.ts'
import { parseEnrolment, type Enrolment } from './enrolment.ts'
import { findIssuer, type Issuer } from './find-issuer.ts'
import { shownUrl } from './shown-url.ts'
import { requestToken, type ObtainedToken } from './request-token.ts'

export interface LoginOptions {
  resource: URL
  signer: IdentitySigner
  /** What the token may do; unless given, what the resource says it needs. */
  scope?: string | undefined
  /** The token is bound to this key. An issuer that does not bind it is refused. */
  dpop?: DpopKey | undefined
  /** A link of a node that trusts nobody yet: who redeems it is trusted. */
  enrolment?: string | undefined
  /** The header of a 401 that the resource has answered already: it is not asked again. */
  challenge?: string | undefined
  fetch: Fetch
  now: () => number
  bounds?: FetchBounds
}

/** Fails with `login_failed`, which says what failed and what to do, and holds no secret. */
export async function obtainToken(options: LoginOptions): Promise<ObtainedToken> {
  const { resource, signer, scope, dpop, challenge, now } = options
  if (resource.protocol !== 'https:' && !isLoopbackHost(resource.hostname)) {
    throw new OpenMcpError('login_failed', `${shownUrl(resource)} is not reached over https: a token would be read on its way`, {
      hint: 'http is for loopback alone',
    })
  }
  const enrolment = options.enrolment === undefined ? undefined : parseEnrolment(options.enrolment)
  const fetch = boundedFetch(options.fetch, options.bounds ?? LOGIN_BOUNDS)
  const challenged = challenge === undefined ? await challengeOf(resource, fetch) : parseChallenge(challenge)
  const issuer = await findIssuer(resource, challenged, fetch)
  if (enrolment) refuseOther(enrolment, issuer)
  return requestToken({ issuer, signer, scope: scope ?? issuer.scope, dpop, enrolment: enrolment?.secret, fetch, now })
}

const PING = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' })
const POST = { method: 'POST', headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }, body: PING, headOnly: true }
const GET = { headers: { accept: 'text/event-stream' }, headOnly: true }

/** Asks without a token, in order to be told which one is wanted. An address for HTTP+SSE takes no POST. */
async function challengeOf(resource: URL, fetch: BoundedFetch): Promise<Challenge> {
  const posted = await fetch(resource.href, POST)
  const answer = [400, 404, 405, 415].includes(posted.status) ? await fetch(resource.href, GET) : posted
  const { status } = answer
  if (status === 401) return parseChallenge(answer.headers.get('www-authenticate') ?? '')
  const where = shownUrl(resource)
  if (status < 300) throw new OpenMcpError('login_failed', `${where} asks nobody for a token (HTTP ${status})`, { hint: 'connect to it without one' })
  if (status < 400) throw new OpenMcpError('login_failed', `${where} redirects (HTTP ${status})`, { hint: 'give the address that it leads to' })
  throw new OpenMcpError('login_failed', `${where} answers HTTP ${status}, and does not ask for a token`, {
    hint: 'check the path: MCP is mostly served at /mcp or /sse',
  })
}

/** The secret is for the node that made it, whoever else is named as the issuer. */
function refuseOther({ origin }: Enrolment, { server }: Issuer): void {
  if (origin === new URL(server.issuer).origin) return
  throw new OpenMcpError('login_failed', `the enrolment link is one of ${origin}, and the issuer is ${server.issuer}`, {
    hint: 'use the address that the link has',
  })
}
