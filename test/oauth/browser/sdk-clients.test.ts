// Clients as they are: the official SDKs and a strict OAuth library find everything by themselves, from the 401 on.
import { auth as authV1 } from '@modelcontextprotocol/sdk/client/auth.js'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { auth as authV2, Client as ClientV2, DpopSession, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client'
import * as oauth from 'oauth4webapi'
import { describe, expect, test } from 'vitest'

import { keyProver, walletProver, type Prover } from '../../api-keys/stage.ts'
import { secured, type Secured } from '../../support/secured.ts'
import { testWallet } from '../../support/wallet.ts'
import { approve, browser } from './stage.ts'

const BACK = 'http://localhost:33418/callback'

/** What the person's browser does with the URL that a client opens; where it is sent back. */
async function person(s: Secured, at: URL, who: Prover): Promise<URL> {
  const tab = browser()
  const uid = new URL((await tab.get(at)).headers.location ?? 'none:').searchParams.get('login') ?? ''
  const approved = await approve(tab, { uid, at: `${s.base}/login/${uid}` }, who)
  return new URL((await tab.get(String(approved.json['redirect_to']))).headers.location ?? 'none:')
}

type AuthProvider = Parameters<typeof authV1>[0] & Parameters<typeof authV2>[0]

interface Kept {
  provider: AuthProvider
  /** The URL that was to be opened. */
  opened(): URL
  tokens(): { access_token: string; token_type: string; refresh_token?: string | undefined }
  registeredAs(): string | undefined
}

function keeper(): Kept {
  let client: Awaited<ReturnType<AuthProvider['clientInformation']>>
  let discovered: Awaited<ReturnType<NonNullable<AuthProvider['discoveryState']>>>
  let tokens: Awaited<ReturnType<AuthProvider['tokens']>>
  let opened: URL | undefined
  let verifier = ''
  return {
    provider: {
      redirectUrl: BACK,
      clientMetadata: {
        redirect_uris: [BACK],
        client_name: 'An SDK',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token'],
      },
      clientInformation: () => client,
      saveClientInformation: (information) => void (client = information),
      tokens: () => tokens,
      saveTokens: (saved) => void (tokens = saved),
      redirectToAuthorization: (url) => void (opened = url),
      saveCodeVerifier: (text) => void (verifier = text),
      codeVerifier: () => verifier,
      state: () => 'the-state',
      discoveryState: () => discovered,
      saveDiscoveryState: (state) => void (discovered = state),
      invalidateCredentials(what) {
        if (what === 'all' || what === 'client') client = undefined
        if (what === 'all' || what === 'tokens') tokens = undefined
      },
    },
    opened() {
      if (!opened) throw new Error('nothing was opened')
      return opened
    },
    tokens() {
      if (!tokens) throw new Error('there are no tokens')
      return tokens
    },
    registeredAs: () => client?.client_id,
  }
}

describe.each(['', '/below'])('with the path prefix "%s"', (pathPrefix) => {
  test('the SDK v1 registers, logs in, calls a tool and refreshes', async () => {
    const who = walletProver(testWallet())
    const s = await secured({ trusted: [who.did], listen: { pathPrefix } })
    const { provider, opened, tokens } = keeper()
    expect(await authV1(provider, { serverUrl: s.url })).toBe('REDIRECT')
    const back = await person(s, opened(), who)
    expect(await authV1(provider, { serverUrl: s.url, authorizationCode: back.searchParams.get('code') ?? '' })).toBe('AUTHORIZED')
    const first = tokens()
    expect(await authV1(provider, { serverUrl: s.url })).toBe('AUTHORIZED')
    expect([tokens().access_token === first.access_token, tokens().refresh_token === first.refresh_token]).toEqual([false, false])
    const client = new ClientV1({ name: 'test', version: '1' })
    await client.connect(new TransportV1(s.url, { authProvider: provider }))
    expect((await client.callTool({ name: 'echo' })).content).toEqual([{ type: 'text', text: 'echo' }])
    await client.close()
  })

  test('the SDK v2 registers, logs in, calls a tool and refreshes', async () => {
    const who = keyProver()
    const s = await secured({ trusted: [who.did], listen: { pathPrefix } })
    const { provider, opened, tokens } = keeper()
    expect(await authV2(provider, { serverUrl: s.url })).toBe('REDIRECT')
    const back = await person(s, opened(), who)
    const [code, iss] = [back.searchParams.get('code') ?? '', back.searchParams.get('iss') ?? '']
    expect(await authV2(provider, { serverUrl: s.url, authorizationCode: code, iss })).toBe('AUTHORIZED')
    const first = tokens()
    expect(await authV2(provider, { serverUrl: s.url })).toBe('AUTHORIZED')
    expect(tokens().access_token).not.toBe(first.access_token)
    const client = new ClientV2({ name: 'test', version: '1' })
    await client.connect(new TransportV2(s.url, { authProvider: provider }))
    expect((await client.callTool({ name: 'echo' })).content).toEqual([{ type: 'text', text: 'echo' }])
    await client.close()
  })
})

test.each(['required', 'nonce'] as const)('the SDK v2 with a DPoP session logs in, calls a tool and refreshes where that is %s', async (dpop) => {
  const who = keyProver()
  const s = await secured({ trusted: [who.did], security: { dpop } })
  const { provider: plain, opened, tokens } = keeper()
  const session = await DpopSession.create()
  const provider = { ...plain, dpop: () => session }
  expect(await authV2(provider, { serverUrl: s.url })).toBe('REDIRECT')
  const back = await person(s, opened(), who)
  expect(await authV2(provider, { serverUrl: s.url, authorizationCode: back.searchParams.get('code') ?? '', iss: s.base })).toBe('AUTHORIZED')
  expect(tokens().token_type).toBe('DPoP')
  const client = new ClientV2({ name: 'test', version: '1' })
  await client.connect(new TransportV2(s.url, { authProvider: provider }))
  expect((await client.callTool({ name: 'echo' })).content).toEqual([{ type: 'text', text: 'echo' }])
  const before = tokens().access_token
  expect(await authV2(provider, { serverUrl: s.url })).toBe('AUTHORIZED')
  expect(tokens().access_token).not.toBe(before)
  expect((await client.callTool({ name: 'echo' })).content).toEqual([{ type: 'text', text: 'echo' }])
  await client.close()
})

test('the SDK registers anew by itself when its registration is over', async () => {
  const who = keyProver()
  const s = await secured({ trusted: [who.did] })
  const { provider, opened, registeredAs } = keeper()
  await authV2(provider, { serverUrl: s.url })
  const back = await person(s, opened(), who)
  await authV2(provider, { serverUrl: s.url, authorizationCode: back.searchParams.get('code') ?? '', iss: s.base })
  const before = registeredAs()
  s.pass(91 * 24 * 3600)
  expect(await authV2(provider, { serverUrl: s.url })).toBe('REDIRECT')
  expect(registeredAs()).not.toBe(before)
  expect((await person(s, opened(), who)).searchParams.has('code')).toBe(true)
})

test('oauth4webapi, which is strict, finds, registers, logs in with a DPoP key, refreshes and revokes', async () => {
  const who = keyProver()
  const s = await secured({ trusted: [who.did] })
  const loopback = { [oauth.allowInsecureRequests]: true }
  const issuer = new URL(s.base)
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...loopback }))
  const { client_id: clientId } = await oauth.processDynamicClientRegistrationResponse(
    await oauth.dynamicClientRegistrationRequest(as, { redirect_uris: [BACK], client_name: 'strict', application_type: 'native' }, loopback),
  )
  const client: oauth.Client = { client_id: clientId }
  const verifier = oauth.generateRandomCodeVerifier()
  const at = new URL(as.authorization_endpoint ?? '')
  at.search = new URLSearchParams({
    client_id: clientId,
    response_type: 'code',
    redirect_uri: BACK,
    state: 'x',
    resource: s.url.href,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  }).toString()
  // Looks at `iss` and `state` (RFC 9207).
  const params = oauth.validateAuthResponse(as, client, await person(s, at, who), 'x')
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
  const request = await oauth.authorizationCodeGrantRequest(as, client, oauth.None(), params, BACK, verifier, { DPoP, ...loopback })
  const first = await oauth.processAuthorizationCodeResponse(as, client, request)
  expect(first.token_type).toBe('dpop')
  const again = async (token = ''): Promise<oauth.TokenEndpointResponse> =>
    oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(as, client, oauth.None(), token, { DPoP, ...loopback }))
  const second = await again(first.refresh_token)
  const called = await oauth.protectedResourceRequest(
    second.access_token,
    'POST',
    s.url,
    new Headers({ 'content-type': 'application/json', accept: 'application/json, text/event-stream' }),
    '{"jsonrpc":"2.0","id":1,"method":"ping"}',
    { DPoP, ...loopback },
  )
  expect(called.status).not.toBe(401)
  await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, oauth.None(), second.refresh_token ?? '', loopback))
  await expect(again(second.refresh_token)).rejects.toMatchObject({ error: 'invalid_grant' })
})
