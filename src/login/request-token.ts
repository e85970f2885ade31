// One request to the issuer's token endpoint, and what its answer means in words.
import { randomUUID } from 'node:crypto'
import {
  ResponseBodyError,
  WWWAuthenticateChallengeError,
  allowInsecureRequests,
  customFetch,
  genericTokenEndpointRequest,
  isDPoPNonceError,
  processGenericTokenEndpointResponse,
  type TokenEndpointResponse,
} from 'oauth4webapi'

import { OpenMcpError } from '../errors.ts'
import type { IdentitySigner } from '../identity/shapes.ts'
import { printable, scrub } from '../observe/log.ts'
import type { BoundedFetch } from './bounded-fetch.ts'
import type { DpopKey } from './dpop-key.ts'
import type { Issuer } from './find-issuer.ts'

export interface ObtainedToken {
  readonly accessToken: string
  readonly tokenType: 'Bearer' | 'DPoP'
  /** Seconds from now; undefined when the issuer does not say. */
  readonly expiresInSeconds: number | undefined
  readonly scope: string | undefined
  /** What it is for, as the resource spells it. */
  readonly resource: string
  readonly issuer: string
}

export interface TokenRequest {
  issuer: Issuer
  signer: IdentitySigner
  scope: string | undefined
  dpop: DpopKey | undefined
  enrolment: string | undefined
  fetch: BoundedFetch
  now: () => number
}

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const ASSERTION_SECONDS = 60

/** A nonce that the issuer wants in its proof is taken once (RFC 9449 §8). */
export async function requestToken(request: TokenRequest): Promise<ObtainedToken> {
  let nonce: string | undefined
  try {
    return await tokenOf(request, undefined, (told) => (nonce = told))
  } catch (thrown) {
    if (!isDPoPNonceError(thrown) || nonce === undefined || !request.dpop) throw failureOf(thrown, request)
  }
  return tokenOf(request, nonce, () => {}).catch((thrown: unknown) => {
    throw failureOf(thrown, request)
  })
}

async function tokenOf(request: TokenRequest, nonce: string | undefined, onNonce: (nonce: string) => void): Promise<ObtainedToken> {
  const { issuer, signer, dpop, fetch } = request
  const client = { client_id: signer.identity.vid }
  const endpoint = new URL(issuer.server.token_endpoint ?? '')
  const response = await genericTokenEndpointRequest(issuer.server, client, unauthenticated, JWT_BEARER, await parametersOf(request), {
    ...(dpop && { headers: { dpop: await dpop.proof({ method: 'POST', url: endpoint, nonce }) } }),
    [customFetch]: fetch,
    // Which issuers may be reached over http was decided when this one was found.
    [allowInsecureRequests]: true,
  })
  const next = response.headers.get('dpop-nonce')
  if (next !== null) onNonce(next)
  if (response.status >= 500) {
    await response.body?.cancel()
    throw new OpenMcpError('login_failed', `${issuer.server.issuer} cannot give tokens now (HTTP ${response.status})`, {
      hint: 'try again later; its log says why',
    })
  }
  return checked(await processGenericTokenEndpointResponse(issuer.server, client, response), request)
}

/** The assertion says who asks; nothing else does. */
function unauthenticated(): void {}

async function parametersOf({ issuer, signer, scope, enrolment, now }: TokenRequest): Promise<Record<string, string>> {
  const { vid } = signer.identity
  const iat = Math.floor(now() / 1000)
  // One audience, the issuer itself: nobody else can use this proof (draft-ietf-oauth-rfc7523bis).
  const claims = { iss: vid, sub: vid, aud: issuer.server.issuer, iat, exp: iat + ASSERTION_SECONDS, jti: randomUUID() }
  return {
    assertion: await signer.sign(claims, 'JWT'),
    resource: issuer.resource,
    ...(scope !== undefined && { scope }),
    ...(enrolment !== undefined && { enrolment }),
  }
}

const MAX_TOKEN = 8 * 1024

function checked(answer: TokenEndpointResponse, { issuer, dpop }: TokenRequest): ObtainedToken {
  const { access_token: accessToken, token_type: type, expires_in: expiresInSeconds, scope } = answer
  const by = issuer.server.issuer
  // It becomes a header: RFC 6750 §2.1 says of which characters it may consist.
  if (accessToken.length > MAX_TOKEN || !/^[\w.~+/-]+=*$/.test(accessToken))
    throw new OpenMcpError('login_failed', `the token of ${by} is not one that a header can carry`)
  const tokenType = type === 'dpop' ? 'DPoP' : 'Bearer'
  if (dpop && tokenType !== 'DPoP')
    throw new OpenMcpError('login_failed', `${by} does not bind tokens to a key`, { hint: 'leave --dpop out to take a bearer token' })
  if (!dpop && tokenType === 'DPoP') throw new OpenMcpError('login_failed', `${by} has bound the token to a key that nobody named`)
  return { accessToken, tokenType, expiresInSeconds, scope, resource: issuer.resource, issuer: by }
}

/** What went wrong, without its cause: that may hold the token or what was proved with. */
function failureOf(thrown: unknown, request: TokenRequest): OpenMcpError {
  if (thrown instanceof OpenMcpError) return thrown
  const by = request.issuer.server.issuer
  if (thrown instanceof ResponseBodyError) return refused(thrown.error, thrown.error_description, request)
  if (thrown instanceof WWWAuthenticateChallengeError) {
    const [challenge] = thrown.cause
    return refused(challenge?.parameters.error ?? 'invalid_client', challenge?.parameters.error_description, request)
  }
  return new OpenMcpError('login_failed', `${by} answers with something that is no token`, { hint: 'is it an OAuth issuer that is named there' })
}

function refused(error: string, description: string | undefined, { issuer, signer, scope, dpop, enrolment }: TokenRequest): OpenMcpError {
  const { vid } = signer.identity
  const by = issuer.server.issuer
  const said = spoken(description === undefined ? error : `${error}: ${description}`, enrolment)
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

const MAX_SAID = 200

/** A stranger's words: short, on one line, and without the secrets that it was sent. */
function spoken(text: string, enrolment: string | undefined): string {
  const clean = enrolment === undefined ? text : text.replaceAll(enrolment, '[secret]')
  // Of what we sent a part may come back, too short to look like a token.
  return printable(scrub(clean.replaceAll(/eyJ[\w.-]*/g, '[token]'))).slice(0, MAX_SAID)
}
