// A token for a resource, by proving an identity of our own to the issuer that the resource names (RFC 7523 §2.1 with a DID).
import { OpenMcpError } from '../errors.ts'
import type { IdentitySigner } from '../identity/shapes.ts'
import { challengeOf, requirePrivateWay } from './ask-resource.ts'
import { LOGIN_BOUNDS, boundedFetch, type Fetch, type FetchBounds } from './bounded-fetch.ts'
import { parseChallenge } from './challenge.ts'
import type { DpopKey } from './dpop-key.ts'
import { parseEnrolment, type Enrolment } from './enrolment.ts'
import { findIssuer, type Issuer } from './find-issuer.ts'
import { shownUrl } from './shown-url.ts'
import { JWT_BEARER, requestToken } from './request-token.ts'
import type { ObtainedToken } from './token-endpoint.ts'

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
  requirePrivateWay(resource)
  const enrolment = options.enrolment === undefined ? undefined : parseEnrolment(options.enrolment)
  const fetch = boundedFetch(options.fetch, options.bounds ?? LOGIN_BOUNDS)
  const challenged = challenge === undefined ? await challengeOf(resource, fetch) : parseChallenge(challenge)
  const issuer = await findIssuer(resource, challenged, fetch)
  requireGrant(issuer)
  if (enrolment) refuseOther(enrolment, issuer)
  return requestToken({ issuer, signer, scope: scope ?? issuer.scope, dpop, enrolment: enrolment?.secret, fetch, now })
}

function requireGrant({ server }: Issuer): void {
  const { grant_types_supported: grants } = server
  if (!Array.isArray(grants) || grants.includes(JWT_BEARER)) return
  throw new OpenMcpError('login_failed', `the issuer ${shownUrl(new URL(server.issuer))} gives no token for the proof of an identity (${JWT_BEARER})`, {
    hint: 'where a person logs in with a browser: openmcp login',
  })
}

/** The secret is for the node that made it, whoever else is named as the issuer. */
function refuseOther({ origin }: Enrolment, { server }: Issuer): void {
  if (origin === new URL(server.issuer).origin) return
  throw new OpenMcpError('login_failed', `the enrolment link is one of ${origin}, and the issuer is ${server.issuer}`, {
    hint: 'use the address that the link has',
  })
}
