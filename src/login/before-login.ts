// What every login of a person finds out first, and what it leaves.
import { OpenMcpError } from '../errors.ts'
import { challengeOf, requirePrivateWay } from './ask-resource.ts'
import type { BoundedFetch, Fetch, FetchBounds } from './bounded-fetch.ts'
import { isVisible, type Client, type ClientChoice } from './client.ts'
import { tokensOf } from './code-grant.ts'
import { createDpopKey, type DpopKey } from './dpop-key.ts'
import { findIssuer, issuerNamed, type Issuer } from './find-issuer.ts'
import type { Login } from './login.ts'
import { endpointOf } from './safe-url.ts'
import { shownUrl } from './shown-url.ts'
import type { TokenAnswer } from './token-endpoint.ts'

export interface LoginAsked {
  resource: URL
  /** Whose tokens are taken, when that is not what the resource says. */
  issuer?: URL | undefined
  client: ClientChoice
  scope?: string | undefined
  /** What the issuer is told that the tokens are for, in place of the resource; `none`: nothing. */
  indicator?: string | undefined
  /** PKCE is used, and its issuer does not say that it knows it: the person does (Entra, Cognito). */
  isPkceTrusted?: boolean | undefined
  /** The tokens are bound to a key that is kept with them. */
  bound: boolean
  fetch: Fetch
  now: () => number
  /** Ends the wait for the person; its reason is what is thrown. */
  signal: AbortSignal
  bounds?: FetchBounds
}

export interface Found {
  readonly issuer: Issuer
  readonly dpop: DpopKey | undefined
  readonly endpoints: Pick<Login, 'tokenEndpoint' | 'revocationEndpoint'>
}

/** Fails with `login_failed`. */
export async function findFor({ resource, issuer: named, bound, now }: LoginAsked, fetch: BoundedFetch): Promise<Found> {
  requirePrivateWay(resource)
  const issuer = named
    ? { server: await issuerNamed(named, fetch), resource: shownUrl(resource), scope: undefined }
    : await findIssuer(resource, await challengeOf(resource, fetch), fetch)
  const { issuer: by, token_endpoint: token, revocation_endpoint: revocation } = issuer.server
  const tokenEndpoint = endpointOf(by, token, 'gives tokens')?.href ?? ''
  const revocationEndpoint = endpointOf(by, revocation, 'takes tokens back')?.href
  return { issuer, dpop: bound ? await keyFor(issuer, now) : undefined, endpoints: { tokenEndpoint, revocationEndpoint } }
}

export async function loginOf(
  { resource: address, indicator, now }: LoginAsked,
  { issuer: { server, resource }, dpop, endpoints }: Found,
  { client, scope: asked, answer }: { client: Client; scope: string | undefined; answer: TokenAnswer },
): Promise<Login> {
  // What was asked for once is asked for again when more is wanted, whatever of it was given.
  const scope = asked ?? answer.token.scope
  return {
    address: address.href,
    resource,
    ...(indicator !== undefined && { indicator }),
    ...(scope !== undefined && isVisible(scope) && { scope }),
    issuer: server.issuer,
    ...endpoints,
    client,
    ...tokensOf(answer, now()),
    ...(dpop && { dpopJwk: await dpop.privateJwk() }),
  }
}

async function keyFor({ server }: Issuer, now: () => number): Promise<DpopKey> {
  const algorithms = server.dpop_signing_alg_values_supported
  if (Array.isArray(algorithms) && algorithms.includes('ES256')) return createDpopKey({ now })
  throw new OpenMcpError('login_failed', `${server.issuer} does not bind tokens to a key`, { hint: 'leave --dpop out to take a bearer token' })
}
