// A person's login for a resource, from its first question to tokens (RFC 8252, OAuth 2.1 §4.1, MCP authorization).
import { OpenMcpError } from '../errors.ts'
import { challengeOf, requirePrivateWay } from './ask-resource.ts'
import { LOGIN_BOUNDS, boundedFetch, type Fetch, type FetchBounds } from './bounded-fetch.ts'
import { clientFor, type ClientChoice } from './client.ts'
import { exchangeCode, tokensOf } from './code-grant.ts'
import { createDpopKey, type DpopKey } from './dpop-key.ts'
import { findIssuer, type Issuer } from './find-issuer.ts'
import type { Login } from './login.ts'
import { authorizationEndpoint, newState, requestFor, scopeFor } from './person.ts'
import { endpointOf } from './safe-url.ts'
import { waitFor, type Person } from './wait-for-code.ts'

export interface LogInOptions {
  resource: URL
  client: ClientChoice
  scope?: string | undefined
  /** The tokens are bound to a key that is kept with them. */
  bound: boolean
  person: Person
  fetch: Fetch
  now: () => number
  /** Ends the wait for the person; its reason is what is thrown. */
  signal: AbortSignal
  bounds?: FetchBounds
}

/** Fails with `login_failed`, which says what failed and what to do, and holds no secret. */
export async function logIn(options: LogInOptions): Promise<Login> {
  const { resource, client: choice, bound, person, now, signal, bounds = LOGIN_BOUNDS } = options
  requirePrivateWay(resource)
  const asking = boundedFetch(options.fetch, bounds)
  const issuer = await findIssuer(resource, await challengeOf(resource, asking), asking)
  const { issuer: by, authorization_response_iss_parameter_supported: namesItself, revocation_endpoint: revocation } = issuer.server
  const endpoint = authorizationEndpoint(issuer)
  const tokenEndpoint = endpointOf(by, issuer.server.token_endpoint, 'gives tokens')?.href ?? ''
  const revocationEndpoint = endpointOf(by, revocation, 'takes tokens back')?.href
  const dpop = bound ? await keyFor(issuer, now) : undefined
  const wait = waitFor({ state: newState(), issuer: by, namesItself: namesItself === true }, signal)
  try {
    const { redirectUri } = await wait.listen()
    const client = await clientFor(issuer, choice, redirectUri, asking)
    const scope = scopeFor(issuer, options.scope)
    const jkt = await dpop?.thumbprint()
    const { url, verifier } = requestFor({ issuer, endpoint, clientId: client.id, redirectUri, scope, jkt, state: wait.state })
    wait.hear(person)
    person.show({ url, issuer: by, redirectUri })
    const code = await wait.code
    // A deadline of its own: the person took their time.
    const fetch = boundedFetch(options.fetch, bounds)
    const answer = await exchangeCode({ issuer, client, code, verifier, redirectUri, dpop, fetch })
    return {
      address: resource.href,
      resource: issuer.resource,
      issuer: by,
      tokenEndpoint,
      revocationEndpoint,
      client,
      ...tokensOf(answer, now()),
      ...(dpop && { dpopJwk: await dpop.privateJwk() }),
    }
  } finally {
    wait.end()
  }
}

async function keyFor({ server }: Issuer, now: () => number): Promise<DpopKey> {
  const algorithms = server.dpop_signing_alg_values_supported
  if (Array.isArray(algorithms) && algorithms.includes('ES256')) return createDpopKey({ now })
  throw new OpenMcpError('login_failed', `${server.issuer} does not bind tokens to a key`, { hint: 'leave --dpop out to take a bearer token' })
}
