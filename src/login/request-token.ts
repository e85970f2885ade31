// A token for the proof of an identity of ours (RFC 7523 §2.1), and what a refusal of that proof means.
import { randomUUID } from 'node:crypto'

import { OpenMcpError } from '../errors.ts'
import type { IdentitySigner } from '../identity/shapes.ts'
import type { BoundedFetch } from './bounded-fetch.ts'
import type { DpopKey } from './dpop-key.ts'
import type { Issuer } from './find-issuer.ts'
import { requestAtTokenEndpoint, type ObtainedToken } from './token-endpoint.ts'

export interface ProvedRequest {
  issuer: Issuer
  signer: IdentitySigner
  scope: string | undefined
  dpop: DpopKey | undefined
  enrolment: string | undefined
  fetch: BoundedFetch
  now: () => number
}

export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const ASSERTION_SECONDS = 60

export async function requestToken(request: ProvedRequest): Promise<ObtainedToken> {
  const { issuer, signer, dpop, fetch, enrolment } = request
  const { token } = await requestAtTokenEndpoint({
    issuer,
    clientId: signer.identity.long,
    clientAuth: unauthenticated,
    grant: JWT_BEARER,
    parameters: () => parametersOf(request),
    dpop,
    fetch,
    secrets: enrolment === undefined ? [] : [enrolment],
    refusal: (error, said) => refused(error, said, request),
  })
  return token
}

/** The assertion says who asks; nothing else does. */
function unauthenticated(): void {}

async function parametersOf({ issuer, signer, scope, enrolment, now }: ProvedRequest): Promise<Record<string, string>> {
  // By the short form of a did:peer:4 nobody finds its keys who has not seen the long one: both name the same identity there.
  const { long } = signer.identity
  const iat = Math.floor(now() / 1000)
  // One audience, the issuer itself: nobody else can use this proof (draft-ietf-oauth-rfc7523bis).
  const claims = { iss: long, sub: long, aud: issuer.server.issuer, iat, exp: iat + ASSERTION_SECONDS, jti: randomUUID() }
  return {
    assertion: await signer.sign(claims, 'JWT'),
    resource: issuer.resource,
    ...(scope !== undefined && { scope }),
    ...(enrolment !== undefined && { enrolment }),
  }
}

function refused(error: string, said: string, { issuer, signer, scope, dpop, enrolment }: ProvedRequest): OpenMcpError {
  const { vid } = signer.identity
  const by = issuer.server.issuer
  switch (error) {
    case 'invalid_grant':
    case 'invalid_client':
    case 'access_denied':
    case 'unauthorized_client':
      return new OpenMcpError('login_failed', `${by} did not accept the proof of ${vid} (${said})`, {
        hint:
          enrolment === undefined
            ? `if it does not trust this identity yet: openmcp trust add ${vid} on its machine, or redeem its enrolment link with --enrol; and compare the clocks`
            : `an enrolment link is good once, for 15 minutes, while nobody is trusted; on its machine: openmcp trust add ${vid}`,
      })
    case 'invalid_scope':
      return new OpenMcpError('login_failed', `${by} does not give ${vid} the scope ${scope ?? 'it wants'} (${said})`, { hint: 'ask for less with --scope' })
    case 'invalid_target':
      return new OpenMcpError('login_failed', `${by} gives no tokens for ${issuer.resource} (${said})`, {
        hint: 'use the address under which the server knows itself',
      })
    case 'invalid_dpop_proof':
    case 'use_dpop_nonce':
      if (!dpop) return new OpenMcpError('login_failed', `${by} gives only tokens that are bound to a key (${said})`, { hint: 'add --dpop' })
      return new OpenMcpError('login_failed', `${by} did not accept the proof of the key (${said})`, { hint: 'compare the clocks of both machines' })
    case 'unsupported_grant_type':
      return new OpenMcpError('login_failed', `${by} gives no token for the proof of an identity (${said})`)
    case 'invalid_request':
      return new OpenMcpError('login_failed', `${by} did not understand the request (${said})`, { hint: 'it may want tokens bound to a key: add --dpop' })
    default:
      return new OpenMcpError('login_failed', `${by} gives no token now (${said})`, { hint: 'try again later' })
  }
}
