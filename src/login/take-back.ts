// The end of a login at its issuer (RFC 7009): what was given is good no more, wherever a copy of it is.
import { allowInsecureRequests, customFetch, processRevocationResponse, revocationRequest } from 'oauth4webapi'

import { toOpenMcpError } from '../errors.ts'
import { LOGIN_BOUNDS, boundedFetch, type Fetch, type FetchBounds } from './bounded-fetch.ts'
import { clientAuthOf } from './client.ts'
import type { Login } from './login.ts'

export type TakenBack = { done: true } | { done: false; why: string }

/** Never fails: the login is forgotten here, whatever its issuer says. */
export async function takeBack(login: Login, { fetch, bounds = LOGIN_BOUNDS }: { fetch: Fetch; bounds?: FetchBounds }): Promise<TakenBack> {
  const { issuer, revocationEndpoint, client, refreshToken, accessToken } = login
  if (revocationEndpoint === undefined) return { done: false, why: `${issuer} does not take tokens back; the last one ends by itself` }
  const server = { issuer, revocation_endpoint: revocationEndpoint }
  const bounded = boundedFetch(fetch, bounds)
  const revoke = async (token: string, hint: string): Promise<void> => {
    const options = { additionalParameters: { token_type_hint: hint }, [customFetch]: bounded, [allowInsecureRequests]: true }
    await processRevocationResponse(await revocationRequest(server, { client_id: client.id }, clientAuthOf(client), token, options))
  }
  try {
    // The refresh token first: with it another access token could be had.
    if (refreshToken !== undefined) await revoke(refreshToken, 'refresh_token')
    // Many issuers know only how to take back the former, and an access token ends by itself.
    await revoke(accessToken, 'access_token').catch((thrown: unknown) => {
      if (refreshToken === undefined) throw thrown
    })
    return { done: true }
  } catch (thrown) {
    const { code, message } = toOpenMcpError(thrown)
    return { done: false, why: code === 'login_failed' ? message : `${issuer} did not take the tokens back; they end by themselves` }
  }
}
