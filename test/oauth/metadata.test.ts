// What clients read before they ask, at every place where they look.
import { decodeProtectedHeader, importJWK, jwtVerify, type JWK } from 'jose'
import { describe, expect, test } from 'vitest'

import { createGuardedFetch } from '../../src/identity/guarded-fetch.ts'
import { createResolver } from '../../src/identity/resolver.ts'
import { parseVid } from '../../src/identity/vid.ts'
import { holder, proofKey } from '../support/did.ts'
import { at, isJson, type Json } from '../support/json.ts'
import { secured, type Secured } from '../support/secured.ts'
import { ask, type Answer } from '../support/wire.ts'

const DOORS = ['', '/mcp', '/sse']

function read(s: Secured, path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  return ask(new URL(path, s.base), { headers })
}

describe.each(['', '/x', '/x/y'])('with the path prefix "%s"', (prefix) => {
  const stage = (): Promise<Secured> => secured({ listen: { pathPrefix: prefix } })

  test('a protected resource says whose tokens it takes, at both places where clients look (RFC 9728)', async () => {
    const s = await stage()
    for (const door of DOORS) {
      const paths = [`/.well-known/oauth-protected-resource${prefix}${door}`, `${prefix}/.well-known/oauth-protected-resource${door}`]
      for (const path of paths) {
        const { status, headers, json } = await read(s, path)
        expect([path, status, headers['content-type'], headers['cache-control']]).toEqual([path, 200, 'application/json; charset=utf-8', 'public, max-age=300'])
        expect(json).toEqual({
          resource: `${s.base}${door}`,
          authorization_servers: [s.base],
          jwks_uri: `${s.base}/jwks`,
          scopes_supported: ['mcp'],
          bearer_methods_supported: ['header'],
          resource_name: 'openmcp',
          dpop_signing_alg_values_supported: ['EdDSA', 'ES256'],
          dpop_bound_access_tokens_required: false,
          signed_metadata: expect.any(String),
        })
      }
    }
  })

  test('the challenge of a door names the metadata of that door, which is there', async () => {
    const s = await stage()
    for (const [door, resource] of [
      ['/mcp', '/mcp'],
      ['/sse', '/sse'],
      ['/messages', '/sse'],
      ['/message', '/sse'],
    ] as const) {
      const { headers } = await read(s, `${prefix}${door}`)
      const url = /resource_metadata="([^"]+)"/.exec(headers['www-authenticate'] ?? '')?.[1] ?? ''
      expect((await ask(new URL(url))).json['resource']).toBe(`${s.base}${resource}`)
    }
  })

  test('the issuer names itself by the URL it was found by (RFC 8414), and everything it names is there', async () => {
    const s = await stage()
    const known = ['oauth-authorization-server', 'openid-configuration']
    for (const path of known.flatMap((name) => [`/.well-known/${name}${prefix}`, `${prefix}/.well-known/${name}`])) {
      const { status, json } = await read(s, path)
      expect([path, status, json['issuer']]).toEqual([path, 200, s.base])
      expect(json).toMatchObject({
        token_endpoint: `${s.base}/token`,
        jwks_uri: `${s.base}/jwks`,
        introspection_endpoint: `${s.base}/introspect`,
        revocation_endpoint: `${s.base}/revoke`,
        token_endpoint_auth_methods_supported: ['private_key_jwt', 'none'],
        authorization_endpoint: `${s.base}/authorize`,
        registration_endpoint: `${s.base}/register`,
        grant_types_supported: [
          'authorization_code',
          'refresh_token',
          'urn:ietf:params:oauth:grant-type:jwt-bearer',
          'client_credentials',
          'urn:ietf:params:oauth:grant-type:token-exchange',
        ],
        response_types_supported: ['code'],
        response_modes_supported: ['query'],
        code_challenge_methods_supported: ['S256'],
        authorization_response_iss_parameter_supported: true,
        client_id_metadata_document_supported: true,
      })
      for (const [name, url] of Object.entries(json).filter(([member]) => /_endpoint$|_uri$/.test(member))) {
        expect([name, (await ask(new URL(String(url)), { method: 'POST' })).status]).toEqual([name, expect.toSatisfy((found) => found !== 404)])
      }
    }
  })

  test('signed metadata is signed by the DID of the node, which our own resolver reads as any other', async () => {
    const s = await stage()
    const { fetch, close } = createGuardedFetch({ trustLoopback: true })
    const resolver = createResolver({ fetch, now: Date.now, trustLoopback: true })
    const { json } = await read(s, `/.well-known/oauth-protected-resource${prefix}/mcp`)
    const signed = String(json['signed_metadata'])
    const kid = String(decodeProtectedHeader(signed).kid)
    const did = kid.slice(0, kid.indexOf('#'))
    expect(did).toBe(`did:web:127.0.0.1%3A${s.url.port}${prefix.replaceAll('/', ':')}`)
    const document = (await read(s, prefix === '' ? '/.well-known/did.json' : `${prefix}/did.json`)).json
    expect(document['id']).toBe(did)
    const methods: unknown[] = Array.isArray(document['verificationMethod']) ? document['verificationMethod'] : []
    const method = methods.filter(isJson).find(({ id }) => id === kid)
    expect([document['assertionMethod'], document['authentication']]).toEqual([[kid], undefined])
    const { payload } = await jwtVerify(signed, await importJWK(at(method, 'publicKeyJwk') as JWK, 'EdDSA'), { issuer: did }) // or the import fails
    const { signed_metadata: _, ...plain } = json
    expect(payload).toEqual({ ...plain, iss: did, iat: expect.any(Number) })
    // Its keys sign for the node: nobody logs in with them.
    expect(await resolver.resolve(parseVid(did))).toMatchObject({ state: 'found', authentication: [] })
    expect(document['service']).toEqual([{ id: `${did}#mcp`, type: 'McpServer', serviceEndpoint: `${s.base}/mcp` }])
    close()
  })

  test('the keys are public ones, with a kid, and those of the DID document', async () => {
    const s = await stage()
    const { json, headers } = await read(s, `${prefix}/jwks`)
    expect([json, headers['cache-control']]).toEqual([
      { keys: [{ kty: 'OKP', crv: 'Ed25519', x: expect.any(String), kid: expect.any(String), alg: 'EdDSA', use: 'sig' }] },
      'public, max-age=300',
    ])
    const document = (await read(s, prefix === '' ? '/.well-known/did.json' : `${prefix}/did.json`)).json
    expect(at(document, 'verificationMethod', 0, 'publicKeyJwk')).toEqual(at(json, 'keys', 0))
  })
})

test('metadata names the host that was asked, when it is one of ours', async () => {
  const s = await secured({ listen: { allowHosts: ['proxy.example'] } })
  for (const [host, base] of [
    [`LOCALHOST:${s.url.port}`, `http://localhost:${s.url.port}`],
    ['proxy.example', 'http://proxy.example'],
    [`[::1]:${s.url.port}`, `http://[::1]:${s.url.port}`],
  ] as const) {
    const { json } = await read(s, '/.well-known/oauth-protected-resource/mcp', { host })
    expect([json['resource'], json['authorization_servers']]).toEqual([`${base}/mcp`, [base]])
    expect((await read(s, '/.well-known/oauth-authorization-server', { host })).json['issuer']).toBe(base)
  }
  expect((await read(s, '/.well-known/oauth-protected-resource/mcp', { host: 'other.example' })).status).toBe(403)
})

test('the node cannot log in to itself with the keys that sign its tokens', async () => {
  const s = await secured({ trusted: ['any'] })
  const { json } = await read(s, '/.well-known/oauth-protected-resource/mcp')
  const signed: Json = { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: json['signed_metadata'] }
  expect((await s.post('/token', { grant_type: String(signed['grant_type']), assertion: String(signed['assertion']) })).status).toBe(400)
  expect((await ask(s.url, { method: 'PUT', headers: { authorization: `Bearer ${String(json['signed_metadata'])}` } })).status).toBe(401)
})

test('a page that the operator named may log in: preflights and headers of each endpoint allow it', async () => {
  const ann = await holder()
  const origin = 'https://app.example'
  const s = await secured({ trusted: [ann.did], listen: { allowOrigins: [origin] } })
  for (const path of ['/token', '/mcp', '/.well-known/oauth-protected-resource/mcp']) {
    const preflight = await ask(new URL(path, s.base), {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,dpop,content-type' },
    })
    expect(preflight.status).toBe(204)
    expect(preflight.headers['access-control-allow-headers']).toMatch(/authorization.*dpop/)
  }
  const key = await proofKey()
  const dpop = await key.proof({ method: 'POST', url: `${s.base}/token` })
  const answer = await s.post('/token', { grant_type: 'client_credentials' }, { origin, dpop })
  expect(answer.headers).toMatchObject({ 'access-control-allow-origin': origin })
  expect(answer.headers['access-control-expose-headers']).toMatch(/www-authenticate.*dpop-nonce/)
})
