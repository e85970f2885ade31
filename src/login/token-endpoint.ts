// One request to an issuer's token endpoint, whatever is shown there, and what may be believed of its answer.
import {
  ResponseBodyError,
  WWWAuthenticateChallengeError,
  allowInsecureRequests,
  customFetch,
  genericTokenEndpointRequest,
  isDPoPNonceError,
  processGenericTokenEndpointResponse,
  type ClientAuth,
  type TokenEndpointResponse,
} from 'oauth4webapi'

import { OpenMcpError } from '../errors.ts'
import { isObject } from '../protocol/message.ts'
import type { BoundedFetch } from './bounded-fetch.ts'
import type { DpopKey } from './dpop-key.ts'
import type { Issuer } from './find-issuer.ts'
import { spoken } from './spoken.ts'

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

export interface TokenAnswer {
  readonly token: ObtainedToken
  readonly refreshToken: string | undefined
}

export interface TokenRequest {
  issuer: Pick<Issuer, 'server' | 'resource'>
  clientId: string
  clientAuth: ClientAuth
  grant: string
  /** Made anew for each try. */
  parameters: () => Promise<Record<string, string>>
  dpop: DpopKey | undefined
  fetch: BoundedFetch
  /** What may come back in the words of the issuer, and is to be seen by nobody. */
  secrets: readonly string[]
  /** What a refusal (RFC 6749 §5.2) means here; `said` is fit to be shown. */
  refusal: (error: string, said: string) => OpenMcpError
}

/** Fails with `login_failed`. A nonce that the issuer wants in its proof is taken once (RFC 9449 §8). */
export async function requestAtTokenEndpoint(request: TokenRequest): Promise<TokenAnswer> {
  let nonce: string | undefined
  try {
    return await answerOf(request, undefined, (told) => (nonce = told))
  } catch (thrown) {
    if (!isDPoPNonceError(thrown) || nonce === undefined || !request.dpop) throw failureOf(thrown, request)
  }
  return answerOf(request, nonce, () => {}).catch((thrown: unknown) => {
    throw failureOf(thrown, request)
  })
}

async function answerOf(request: TokenRequest, nonce: string | undefined, onNonce: (nonce: string) => void): Promise<TokenAnswer> {
  const { issuer, clientId, clientAuth, grant, dpop, fetch } = request
  const client = { client_id: clientId }
  const endpoint = new URL(issuer.server.token_endpoint ?? '')
  const response = await genericTokenEndpointRequest(issuer.server, client, clientAuth, grant, await request.parameters(), {
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
  return checked(await processGenericTokenEndpointResponse(issuer.server, client, await withoutIdToken(response)), request)
}

/** Who the person is, is nothing to us: an ID token is not read, and a wrong one does no harm. */
async function withoutIdToken(response: Response): Promise<Response> {
  if (response.status !== 200) return response
  const body: unknown = await response
    .clone()
    .json()
    .catch(() => undefined)
  if (!isObject(body) || body['id_token'] === undefined) return response
  const { id_token: _, ...rest } = body
  return Response.json(rest)
}

const MAX_TOKEN = 8 * 1024

function checked(answer: TokenEndpointResponse, { issuer, dpop }: TokenRequest): TokenAnswer {
  const { access_token: accessToken, token_type: type, expires_in: expiresInSeconds, scope, refresh_token: refreshToken } = answer
  const by = issuer.server.issuer
  // It becomes a header: RFC 6750 §2.1 says of which characters it may consist.
  if (accessToken.length > MAX_TOKEN || !/^[\w.~+/-]+=*$/.test(accessToken))
    throw new OpenMcpError('login_failed', `the token of ${by} is not one that a header can carry`)
  if (refreshToken !== undefined && !/^[\x21-\x7e]{1,8192}$/.test(refreshToken))
    throw new OpenMcpError('login_failed', `the refresh token of ${by} is not one that can be kept`)
  const tokenType = type === 'dpop' ? 'DPoP' : 'Bearer'
  if (dpop && tokenType !== 'DPoP')
    throw new OpenMcpError('login_failed', `${by} does not bind tokens to a key`, { hint: 'leave --dpop out to take a bearer token' })
  if (!dpop && tokenType === 'DPoP') throw new OpenMcpError('login_failed', `${by} has bound the token to a key that nobody named`)
  return { token: { accessToken, tokenType, expiresInSeconds, scope, resource: issuer.resource, issuer: by }, refreshToken }
}

/** What went wrong, without its cause: that may hold the token or what was proved with. */
function failureOf(thrown: unknown, { issuer, secrets, refusal }: TokenRequest): OpenMcpError {
  if (thrown instanceof OpenMcpError) return thrown
  const refused = (error: string, description: string | undefined): OpenMcpError =>
    refusal(error, spoken(description === undefined ? error : `${error}: ${description}`, secrets))
  if (thrown instanceof ResponseBodyError) return refused(thrown.error, thrown.error_description)
  if (thrown instanceof WWWAuthenticateChallengeError) {
    const [challenge] = thrown.cause
    return refused(challenge?.parameters.error ?? 'invalid_client', challenge?.parameters.error_description)
  }
  return new OpenMcpError('login_failed', `${issuer.server.issuer} answers with something that is no token`, {
    hint: 'is it an OAuth issuer that is named there',
  })
}
