// A client that forgives nothing reads our metadata, takes our tokens and checks them as another resource server would.
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import * as oauth from 'oauth4webapi'
import { describe, expect, test } from 'vitest'

import { nodeKey, signerOf, assertionClaims, type Signer } from '../support/did.ts'
import { jsonOf } from '../support/json.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { secured, type Secured, type SecuredOptions } from '../support/secured.ts'
import { ask } from '../support/wire.ts'

const ALGORITHMS = ['EdDSA', 'ES256'] as const
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
/** Loopback is http; in everything else it stays as strict as it is. */
const OVER_HTTP = { [oauth.allowInsecureRequests]: true }

interface Client extends Signer {
  readonly client: oauth.Client
  readonly auth: oauth.ClientAuth
}

/** A did:key as an OAuth client. */
async function clientOf(alg: (typeof ALGORITHMS)[number]): Promise<Client> {
  const { multibase, privateKey } = nodeKey(alg)
  const did = `did:key:${multibase}`
  const kid = `${did}#${multibase}`
  const algorithm = alg === 'EdDSA' ? { name: 'Ed25519' } : { name: 'ECDSA', namedCurve: 'P-256' }
  const key = await crypto.subtle.importKey('pkcs8', privateKey.export({ type: 'pkcs8', format: 'der' }), algorithm, false, ['sign'])
  return { ...signerOf(did, kid, { alg, privateKey }), client: { client_id: did }, auth: oauth.PrivateKeyJwt({ key, kid }) }
}

/** From the URL of a resource to its issuer, as RFC 9728 and RFC 8414 say. */
async function discovered(url: URL): Promise<{ resource: oauth.ResourceServer; as: oauth.AuthorizationServer }> {
  const resource = await oauth.processResourceDiscoveryResponse(url, await oauth.resourceDiscoveryRequest(url, OVER_HTTP))
  const issuer = new URL(resource.authorization_servers?.[0] ?? '')
  const answer = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...OVER_HTTP })
  return { resource, as: await oauth.processDiscoveryResponse(issuer, answer) }
}

interface Stage {
  s: Secured
  me: Client
  as: oauth.AuthorizationServer
}

async function stage(options: SecuredOptions = {}, alg: (typeof ALGORITHMS)[number] = 'EdDSA'): Promise<Stage> {
  const me = await clientOf(alg)
  const s = await secured({ ...options, trusted: [me.did, ...(options.trusted ?? [])] })
  return { s, me, as: (await discovered(s.url)).as }
}

async function byCredentials({ s, me, as }: Stage, dpop?: oauth.DPoPHandle): Promise<oauth.TokenEndpointResponse> {
  const parameters = { resource: s.url.href }
  const request = (): Promise<Response> =>
    oauth.clientCredentialsGrantRequest(as, me.client, me.auth, parameters, { ...OVER_HTTP, ...(dpop && { DPoP: dpop }) })
  const process = async (): Promise<oauth.TokenEndpointResponse> => oauth.processClientCredentialsResponse(as, me.client, await request())
  return process().catch((error: unknown) => {
    if (dpop && oauth.isDPoPNonceError(error)) return process()
    throw error
  })
}

/** The claims of a token as a resource server on oauth4webapi sees them; with the request that carried it, its proof too. */
function validated({ s, as }: Stage, token: string, headers: Record<string, string> = {}): Promise<oauth.JWTAccessTokenClaims> {
  const scheme = 'dpop' in headers ? 'DPoP' : 'Bearer'
  const request = new Request(s.url, { method: 'POST', headers: { authorization: `${scheme} ${token}`, ...headers } })
  return oauth.validateJwtAccessToken(as, request, s.url.href, OVER_HTTP)
}

async function initialize({ s }: Stage, token: string, dpop?: oauth.DPoPHandle): Promise<Response> {
  const headers = new Headers({ 'content-type': 'application/json', accept: 'application/json, text/event-stream' })
  const body = JSON.stringify(initializeMessage(1))
  const send = (): Promise<Response> => oauth.protectedResourceRequest(token, 'POST', s.url, headers, body, { ...OVER_HTTP, ...(dpop && { DPoP: dpop }) })
  return send().catch((error: unknown) => {
    if (dpop && oauth.isDPoPNonceError(error)) return send()
    throw error
  })
}

describe('discovery', () => {
  test.each(['', '/mcp', '/sse'])('the resource at "%s" names itself and its issuer', async (path) => {
    const s = await secured()
    const { resource, as } = await discovered(new URL(`${s.base}${path}`))
    expect(resource).toMatchObject({ authorization_servers: [s.base], bearer_methods_supported: ['header'] })
    expect(as).toMatchObject({ issuer: s.base, token_endpoint: `${s.base}/token`, jwks_uri: `${s.base}/jwks` })
  })

  test('the issuer is found by the well-known name of OpenID Connect as well', async () => {
    const s = await secured()
    const issuer = new URL(s.base)
    const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oidc', ...OVER_HTTP }))
    expect(as.issuer).toBe(s.base)
  })

  test('below a path prefix resource and issuer are found where the standards put them', async () => {
    const s = await secured({ listen: { pathPrefix: '/x/y' } })
    const { resource, as } = await discovered(s.url)
    expect(resource.resource).toBe(`${s.base}/mcp`)
    expect(as.issuer).toBe(s.base)
  })

  test('signed_metadata says the same, signed by a key of the DID that the node publishes', async () => {
    const s = await secured()
    const { resource } = await discovered(s.url)
    const { signed_metadata: signed, ...plain } = resource
    const document = (await ask(new URL('/.well-known/did.json', s.base))).json
    const methods = (Array.isArray(document['verificationMethod']) ? document['verificationMethod'] : []).map(jsonOf)
    const { kid } = decodeProtectedHeader(String(signed))
    const named = methods.find(({ id }) => id === kid)
    const { payload } = await jwtVerify(String(signed), createLocalJWKSet({ keys: [{ kty: '', ...jsonOf(named?.['publicKeyJwk']), kid: String(kid) }] }))
    expect(payload.iss).toBe(document['id'])
    expect(kid).toContain(`${String(document['id'])}#`)
    expect(payload).toMatchObject(plain)
    // RFC 9728 §2.2: it must not hold itself.
    expect(payload).not.toHaveProperty('signed_metadata')
  })
})

describe.each(ALGORITHMS)('a did:key of %s', (alg) => {
  test('client_credentials with private_key_jwt gives a token that a strict resource server takes', async () => {
    const at = await stage({}, alg)
    const { access_token: token, token_type: type, expires_in: seconds } = await byCredentials(at)
    expect({ type, seconds }).toEqual({ type: 'bearer', seconds: 900 })
    expect(await validated(at, token)).toMatchObject({ iss: at.s.base, sub: at.me.did, client_id: at.me.did, scope: 'mcp' })
    expect((await initialize(at, token)).status).toBe(200)
  })

  test('an assertion by jwt-bearer gives one too', async () => {
    const at = await stage({}, alg)
    const { s, me, as } = at
    const parameters = { assertion: await me.sign(assertionClaims(me.did, s.base)), resource: s.url.href, scope: 'mcp:tools' }
    const answer = await oauth.genericTokenEndpointRequest(as, me.client, oauth.None(), JWT_BEARER, parameters, OVER_HTTP)
    const { access_token: token, scope } = await oauth.processGenericTokenEndpointResponse(as, me.client, answer)
    expect(scope).toBe('mcp:tools')
    expect(await validated(at, token)).toMatchObject({ sub: me.did, scope: 'mcp:tools' })
  })

  test('a token is exchanged for a narrower one, in which whoever exchanged it acts', async () => {
    const agent = await clientOf(alg)
    const at = await stage({ trusted: [agent.did] }, alg)
    const { access_token: subject } = await byCredentials(at)
    const parameters = { subject_token: subject, subject_token_type: ACCESS_TOKEN, scope: 'mcp:tools', resource: at.s.url.href }
    const answer = await oauth.genericTokenEndpointRequest(at.as, agent.client, agent.auth, TOKEN_EXCHANGE, parameters, OVER_HTTP)
    const exchanged = await oauth.processGenericTokenEndpointResponse(at.as, agent.client, answer)
    expect(exchanged['issued_token_type']).toBe(ACCESS_TOKEN)
    expect(await validated(at, exchanged.access_token)).toMatchObject({ sub: at.me.did, client_id: agent.did, act: { sub: agent.did }, scope: 'mcp:tools' })
    expect((await initialize(at, exchanged.access_token)).status).toBe(200)
  })

  test('a token is introspected, revoked, and then no token any more', async () => {
    const at = await stage({}, alg)
    const { me, as, s } = at
    const { access_token: token } = await byCredentials(at)
    const introspected = async (): Promise<oauth.IntrospectionResponse> =>
      oauth.processIntrospectionResponse(as, me.client, await oauth.introspectionRequest(as, me.client, me.auth, token, OVER_HTTP))
    expect(await introspected()).toMatchObject({ active: true, sub: me.did, aud: s.url.href, scope: 'mcp', token_type: 'Bearer' })
    await oauth.processRevocationResponse(await oauth.revocationRequest(as, me.client, me.auth, token, OVER_HTTP))
    expect(await introspected()).toEqual({ active: false })
    await expect(initialize(at, token)).rejects.toMatchObject({ status: 401, cause: [{ scheme: 'bearer', parameters: { error: 'invalid_token' } }] })
  })

  test('a token bound to a key by DPoP is taken with a proof, and proof and token pass a strict check together', async () => {
    const at = await stage({}, alg)
    const keys = await oauth.generateKeyPair(alg === 'EdDSA' ? 'Ed25519' : 'ES256')
    const dpop = oauth.DPoP(at.me.client, keys)
    const { access_token: token, token_type: type } = await byCredentials(at, dpop)
    expect(type).toBe('dpop')
    expect((await initialize(at, token, dpop)).status).toBe(200)

    // The proof of a request, as it went out.
    let proof = ''
    await oauth.protectedResourceRequest(token, 'POST', at.s.url, undefined, undefined, {
      ...OVER_HTTP,
      DPoP: dpop,
      [oauth.customFetch](_url, { headers }) {
        proof = headers['dpop'] ?? ''
        return Promise.resolve(new Response())
      },
    })
    expect(await validated(at, token, { dpop: proof })).toMatchObject({ cnf: { jkt: await dpop.calculateThumbprint() } })
    await expect(initialize(at, token)).rejects.toMatchObject({ status: 401 })
  })
})

describe('where every proof needs a nonce', () => {
  test('the first request is told one, and from then on each answer brings the next', async () => {
    const at = await stage({ security: { dpop: 'nonce' } })
    expect((await discovered(at.s.url)).resource.dpop_bound_access_tokens_required).toBe(true)
    const dpop = oauth.DPoP(at.me.client, await oauth.generateKeyPair('ES256'))
    const { access_token: token } = await byCredentials(at, dpop)
    for (const _ of [1, 2]) expect((await initialize(at, token, dpop)).status).toBe(200)
    // Nonces that are too old are replaced in the same way.
    at.s.pass(400)
    expect((await initialize(at, token, dpop)).status).toBe(200)
  })
})

describe('what is refused is refused in words that a strict client reads', () => {
  test('a stranger', async () => {
    const at = await stage()
    const stranger = await clientOf('EdDSA')
    await expect(byCredentials({ ...at, me: stranger })).rejects.toMatchObject({ error: 'invalid_grant', status: 400 })
  })

  test('a key that is not the DID’s', async () => {
    const at = await stage()
    const other = await clientOf('EdDSA')
    const refused = await byCredentials({ ...at, me: { ...at.me, auth: other.auth } }).catch((error: unknown) => error)
    // A 401 has a challenge (RFC 9110 §15.5.2), and this client stops at it; the word of OAuth is in the body all the same.
    if (!(refused instanceof oauth.WWWAuthenticateChallengeError)) throw refused
    expect([refused.status, await refused.response.json()]).toMatchObject([401, { error: 'invalid_client' }])
  })

  test('a request without a token is challenged with where to ask', async () => {
    const { s } = await stage()
    const { headers } = await ask(s.url, { body: initializeMessage(1) })
    expect(headers['www-authenticate']).toBe(`Bearer resource_metadata="${s.base}/.well-known/oauth-protected-resource/mcp", scope="mcp"`)
  })
})
