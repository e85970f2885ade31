// A client that forgives nothing goes the whole way of a person, from the 401 to the end of the login.
import * as oauth from 'oauth4webapi'
import { describe, expect, test } from 'vitest'

import { logInByBrowser } from '../support/browser-login.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { secured, type Secured } from '../support/secured.ts'
import { chromium, secretKey, SKIPPED, visits, wallet } from './visit.ts'

/** Nobody listens there: the address that the browser is sent to is enough. */
const BACK = 'http://127.0.0.1:9/callback'
/** Loopback is http; in everything else it stays as strict as it is. */
const OVER_HTTP = { [oauth.allowInsecureRequests]: true }

interface LoggedIn {
  readonly as: oauth.AuthorizationServer
  readonly client: oauth.Client
  readonly tokens: oauth.TokenEndpointResponse
  readonly codeAgain: () => Promise<unknown>
}

describe.skipIf(chromium.missing !== undefined)(`oauth4webapi${SKIPPED}`, () => {
  const { browser } = visits()

  /** The challenge of the door says where to read on. */
  async function discovered(s: Secured): Promise<{ as: oauth.AuthorizationServer; scope: string }> {
    const refused: unknown = await call(s, 'nothing').catch((error: unknown) => error)
    const [challenge] = refused instanceof oauth.WWWAuthenticateChallengeError ? refused.cause : []
    expect(challenge).toMatchObject({ scheme: 'bearer', parameters: { resource_metadata: expect.any(String), scope: 'mcp' } })
    const metadata = await fetch(challenge?.parameters.resource_metadata ?? '')
    const resource = await oauth.processResourceDiscoveryResponse(s.url, metadata)
    const issuer = new URL(resource.authorization_servers?.[0] ?? '')
    const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...OVER_HTTP }))
    return { as, scope: challenge?.parameters.scope ?? '' }
  }

  async function call(s: Secured, token: string, dpop?: oauth.DPoPHandle): Promise<Response> {
    const headers = new Headers({ 'content-type': 'application/json', accept: 'application/json, text/event-stream' })
    const body = JSON.stringify(initializeMessage(1))
    return again(dpop, () => oauth.protectedResourceRequest(token, 'POST', s.url, headers, body, { ...OVER_HTTP, ...(dpop && { DPoP: dpop }) }))
  }

  async function logIn(s: Secured, dpop?: oauth.DPoPHandle, client?: oauth.Client): Promise<LoggedIn> {
    const { as, scope } = await discovered(s)
    const known = client ?? (await registered(as))
    const [verifier, state] = [oauth.generateRandomCodeVerifier(), oauth.generateRandomState()]
    const authorize = new URL(as.authorization_endpoint ?? '')
    authorize.search = new URLSearchParams({
      client_id: known.client_id,
      response_type: 'code',
      redirect_uri: BACK,
      state,
      scope,
      resource: s.url.href,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      ...(dpop && { dpop_jkt: await dpop.calculateThumbprint() }),
    }).toString()
    const back = await logInByBrowser(authorize, { browser: browser(), wallet: { secretKey }, elsewhere: true })
    const code = oauth.validateAuthResponse(as, known, back, state)
    const options = { ...OVER_HTTP, ...(dpop && { DPoP: dpop }), additionalParameters: { resource: s.url.href } }
    const exchange = (): Promise<oauth.TokenEndpointResponse> =>
      again(dpop, async () =>
        oauth.processAuthorizationCodeResponse(as, known, await oauth.authorizationCodeGrantRequest(as, known, oauth.None(), code, BACK, verifier, options)),
      )
    return { as, client: known, tokens: await exchange(), codeAgain: exchange }
  }

  async function registered(as: oauth.AuthorizationServer): Promise<oauth.Client> {
    const metadata = { redirect_uris: [BACK], client_name: 'Strict', application_type: 'native', token_endpoint_auth_method: 'none' }
    return oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(as, metadata, OVER_HTTP))
  }

  async function refreshed(s: Secured, { as, client, tokens }: LoggedIn, dpop?: oauth.DPoPHandle): Promise<oauth.TokenEndpointResponse> {
    const options = { ...OVER_HTTP, ...(dpop && { DPoP: dpop }), additionalParameters: { resource: s.url.href } }
    return again(dpop, async () =>
      oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(as, client, oauth.None(), tokens.refresh_token ?? '', options)),
    )
  }

  /** A nonce that is asked for is sent. */
  async function again<T>(dpop: oauth.DPoPHandle | undefined, ask: () => Promise<T>): Promise<T> {
    return ask().catch((error: unknown) => {
      if (dpop && oauth.isDPoPNonceError(error)) return ask()
      throw error
    })
  }

  /** As a resource server on oauth4webapi reads it. */
  const claimsOf = (s: Secured, { as }: LoggedIn, token: string): Promise<oauth.JWTAccessTokenClaims> =>
    oauth.validateJwtAccessToken(as, new Request(s.url, { method: 'POST', headers: { authorization: `Bearer ${token}` } }), s.url.href, OVER_HTTP)

  test('registers, logs in, calls, refreshes, and ends it all', async () => {
    const s = await secured({ trusted: [wallet.did] })
    const login = await logIn(s)
    const { tokens, client, as } = login
    expect(tokens).toMatchObject({ token_type: 'bearer', expires_in: 900, scope: 'mcp', refresh_token: expect.any(String) })
    expect(await claimsOf(s, login, tokens.access_token)).toMatchObject({ iss: s.base, sub: wallet.did, client_id: client.client_id, scope: 'mcp' })
    expect((await call(s, tokens.access_token)).status).toBe(200)
    s.pass(901)
    await expect(call(s, tokens.access_token)).rejects.toMatchObject({ status: 401, cause: [{ parameters: { error: 'invalid_token' } }] })
    const second = await refreshed(s, login)
    expect(second.refresh_token).not.toBe(tokens.refresh_token)
    expect((await call(s, second.access_token)).status).toBe(200)
    await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, oauth.None(), second.refresh_token ?? '', OVER_HTTP))
    await expect(call(s, second.access_token)).rejects.toMatchObject({ status: 401 })
    await expect(refreshed(s, { ...login, tokens: second })).rejects.toMatchObject({ error: 'invalid_grant', status: 400 })
    const posted = s.reached().filter(({ method }) => method === 'POST')
    expect(posted.map(({ body }) => body['method'])).toEqual(['initialize', 'initialize'])
  })

  test('is told invalid_grant when a code or a refresh token is used twice, and nothing of that login is good any more', async () => {
    const s = await secured({ trusted: [wallet.did] })
    const first = await logIn(s)
    await expect(first.codeAgain()).rejects.toMatchObject({ error: 'invalid_grant', status: 400 })
    await expect(call(s, first.tokens.access_token)).rejects.toMatchObject({ status: 401 })
    const other = await logIn(s, undefined, first.client)
    const second = await refreshed(s, other)
    await expect(refreshed(s, other)).rejects.toMatchObject({ error: 'invalid_grant', status: 400 })
    await expect(call(s, second.access_token)).rejects.toMatchObject({ status: 401 })
    expect(s.reached()).toEqual([])
  })

  test.each(['optional', 'required', 'nonce'] as const)(
    'binds code and tokens to its key (DPoP: %s), and without the key they are good for nothing',
    async (mode) => {
      const s = await secured({ trusted: [wallet.did], security: { dpop: mode } })
      const client = await registered((await discovered(s)).as)
      const dpop = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
      const login = await logIn(s, dpop, client)
      expect(login.tokens.token_type).toBe('dpop')
      expect((await call(s, login.tokens.access_token, dpop)).status).toBe(200)
      await expect(call(s, login.tokens.access_token)).rejects.toMatchObject({ status: 401 })
      await expect(refreshed(s, login)).rejects.toMatchObject({ status: 400 })
      const thief = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
      await expect(refreshed(s, login, thief)).rejects.toMatchObject({ error: 'invalid_grant', status: 400 })
      s.pass(901)
      const second = await refreshed(s, login, dpop)
      expect(second.token_type).toBe('dpop')
      expect((await call(s, second.access_token, dpop)).status).toBe(200)
    },
  )
})
