// Tokens for the code of a login, and later for its refresh token.
import { OpenMcpError } from '../errors.ts'
import type { BoundedFetch } from './bounded-fetch.ts'
import { clientAuthOf, type Client } from './client.ts'
import type { DpopKey } from './dpop-key.ts'
import type { Issuer } from './find-issuer.ts'
import { resourceParameter, type Login } from './login.ts'
import { shownUrl } from './shown-url.ts'
import { requestAtTokenEndpoint, type TokenAnswer } from './token-endpoint.ts'

interface Ways {
  fetch: BoundedFetch
  dpop: DpopKey | undefined
}

export interface CodeExchange extends Ways {
  issuer: Issuer
  client: Client
  code: string
  verifier: string
  redirectUri: string
  indicator: string | undefined
}

/** Fails with `login_failed`. */
export function exchangeCode({ issuer, client, code, verifier, redirectUri, indicator, ...ways }: CodeExchange): Promise<TokenAnswer> {
  const by = issuer.server.issuer
  return requestAtTokenEndpoint({
    ...ways,
    issuer,
    clientId: client.id,
    clientAuth: clientAuthOf(client),
    grant: 'authorization_code',
    parameters: async () => ({ code, redirect_uri: redirectUri, code_verifier: verifier, ...resourceParameter({ ...issuer, indicator }) }),
    secrets: [code, verifier, ...(client.secret === undefined ? [] : [client.secret])],
    refusal(error, said) {
      if (error === 'invalid_client' || error === 'unauthorized_client') return unknownClient(by, said)
      if (!ways.dpop && ['invalid_dpop_proof', 'use_dpop_nonce'].includes(error)) {
        return failure(`${by} gives only tokens that are bound to a key (${said})`, 'add --dpop required')
      }
      if (error === 'invalid_target' || said.includes(TOO_MUCH_FOR_ENTRA)) return wrongTarget(by, issuer.resource, said)
      if (error === 'invalid_grant') return failure(`${by} does not take its own code (${said})`, 'a code is good once and for a short time: log in again')
      return failure(`${by} gives no token for the login (${said})`, 'log in again; its log says why')
    },
  })
}

/** A login that its issuer renews no more, so that only a person can help. */
export class LoginOver extends OpenMcpError {
  constructor({ address, issuer }: Login, why: string) {
    const where = shownUrl(new URL(address))
    super('login_failed', `the login for ${where} is over: ${issuer} does not renew it (${why})`, { hint: `openmcp login ${where}` })
  }
}

/** The login with new tokens. Fails with `login_failed`; as `LoginOver` for good. */
export async function refresh(login: Login, { now, ...ways }: Ways & { now: () => number }): Promise<Login> {
  const { address, issuer, resource, tokenEndpoint, client, refreshToken } = login
  if (refreshToken === undefined) throw new LoginOver(login, 'it gave nothing to renew it with')
  const answer = await requestAtTokenEndpoint({
    ...ways,
    issuer: { server: { issuer, token_endpoint: tokenEndpoint }, resource },
    clientId: client.id,
    clientAuth: clientAuthOf(client),
    grant: 'refresh_token',
    parameters: async () => ({ refresh_token: refreshToken, ...resourceParameter(login) }),
    secrets: [refreshToken, ...(client.secret === undefined ? [] : [client.secret])],
    refusal(error, said) {
      if (['invalid_grant', 'invalid_client', 'unauthorized_client'].includes(error)) return new LoginOver(login, said)
      return failure(
        `${issuer} does not renew the login for ${shownUrl(new URL(address))} now (${said})`,
        `try again later, or log in again: openmcp login ${shownUrl(new URL(address))}`,
      )
    },
  })
  return { ...login, ...tokensOf(answer, now()), refreshToken: answer.refreshToken ?? refreshToken }
}

/** The part of a login that changes when it is renewed. */
export function tokensOf({ token, refreshToken }: TokenAnswer, nowMs: number): Pick<Login, 'accessToken' | 'tokenType' | 'obtainedAtMs'> & Partial<Login> {
  const { accessToken, tokenType, expiresInSeconds } = token
  const lasts = expiresInSeconds === undefined ? undefined : Math.min(Math.max(0, expiresInSeconds), MOST_SECONDS)
  return {
    accessToken,
    tokenType,
    obtainedAtMs: Math.floor(nowMs),
    expiresAtMs: lasts === undefined ? undefined : Math.floor(nowMs + lasts * 1000),
    ...(refreshToken !== undefined && { refreshToken }),
  }
}

/** Entra takes either a resource or scopes that name one, and says so under this number. */
export const TOO_MUCH_FOR_ENTRA = 'AADSTS9010010'

export function wrongTarget(by: string, resource: string, said: string): OpenMcpError {
  return failure(`${by} gives no token for ${resource} (${said})`, '--resource URL names what it knows the server by, and --resource none leaves it out')
}

const MOST_SECONDS = 10 * 365 * 24 * 3600

function unknownClient(by: string, said: string): OpenMcpError {
  return failure(`${by} does not take openmcp for the client that was named (${said})`, 'check --client-id and --client-secret-file')
}

function failure(message: string, hint: string): OpenMcpError {
  return new OpenMcpError('login_failed', message, { hint })
}
