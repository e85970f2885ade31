// Identities that somebody else vouches for: workloads with tokens of their platform, and an enterprise's grants (ID-JAG).
import { randomUUID } from 'node:crypto'
import { decodeJwt, type JSONWebKeySet } from 'jose'
import { describe, expect, test } from 'vitest'

import { didHost, type DidHost } from '../support/did-host.ts'
import { assertionClaims, holder, nodeKey, secondsNow, signerOf, type Signer } from '../support/did.ts'
import type { Json } from '../support/json.ts'
import { CLIENT_ASSERTION, JWT_BEARER, bearer, secured, type Secured } from '../support/secured.ts'
import { forThisTest } from '../support/tidy.ts'
import { ask, type Answer } from '../support/wire.ts'

const ISSUER = 'https://platform.example'
const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' }

interface Platform {
  jwks: JSONWebKeySet
  sign: Signer['sign']
}

function platform(alg: 'EdDSA' | 'ES256' = 'ES256', kid = 'one'): Platform {
  const key = nodeKey(alg)
  return { jwks: { keys: [{ ...key.publicJwk, kid, alg }] }, sign: signerOf(ISSUER, kid, key).sign }
}

function workloadClaims(aud: unknown, changes: Json = {}): Json {
  return { iss: ISSUER, sub: 'ns:default:sa:agent', aud, iat: secondsNow(), exp: secondsNow() + 600, ...changes }
}

function prove(s: Secured, assertion: string, form: Readonly<Record<string, string>> = {}): Promise<Answer> {
  return s.post('/token', { grant_type: JWT_BEARER, assertion, ...form })
}

const WORKLOAD = `${ISSUER}|ns:default:sa:agent`

describe('a workload', () => {
  test('proves itself by the token of its platform, as often as it likes where that may be used again', async () => {
    const { jwks, sign } = platform()
    const s = await secured({ trusted: [WORKLOAD], trust: { issuers: [{ issuer: ISSUER, jwks, reusable: true }] } })
    const assertion = await sign(workloadClaims(s.base))
    for (const _ of [1, 2]) {
      const answer = await prove(s, assertion, { client_id: 'whatever' })
      expect(answer.status).toBe(200)
      expect(decodeJwt(String(answer.json['access_token']))).toMatchObject({ sub: WORKLOAD, client_id: WORKLOAD, aud: s.url.href })
      expect((await ask(s.url, { headers: bearer(String(answer.json['access_token'])), body: LIST })).status).toBe(200)
    }
  })

  test('proves itself once where it may not, and needs a jti for it', async () => {
    const { jwks, sign } = platform()
    const s = await secured({ trusted: [WORKLOAD], trust: { issuers: [{ issuer: ISSUER, jwks }] } })
    expect((await prove(s, await sign(workloadClaims(s.base)))).status).toBe(400)
    const assertion = await sign(workloadClaims(s.base, { jti: randomUUID() }))
    expect([(await prove(s, assertion)).status, (await prove(s, assertion)).status]).toEqual([200, 400])
  })

  test('is known by the claim that the operator chose, or not at all', async () => {
    const { jwks, sign } = platform()
    const s = await secured({ trusted: ['any'], trust: { issuers: [{ issuer: ISSUER, jwks, reusable: true, identityClaim: 'email' }] } })
    const answer = await prove(s, await sign(workloadClaims(s.base, { email: 'agent@example' })))
    expect(decodeJwt(String(answer.json['access_token'])).sub).toBe(`${ISSUER}|agent@example`)
    for (const email of [undefined, '', 7, ['agent@example'], 'a'.repeat(300)]) {
      expect((await prove(s, await sign(workloadClaims(s.base, { email })))).status).toBe(400)
    }
  })

  test('can be nobody but one of its own issuer', async () => {
    const { jwks, sign } = platform()
    const ann = await holder()
    const s = await secured({ trusted: [ann.did, 'any'], trust: { issuers: [{ issuer: ISSUER, jwks, reusable: true }] } })
    const answer = await prove(s, await sign(workloadClaims(s.base, { sub: ann.did })))
    expect(decodeJwt(String(answer.json['access_token'])).sub).toBe(`${ISSUER}|${ann.did}`)
  })

  test.each<[string, Json, Json]>([
    ['of another issuer', { iss: 'https://other.example' }, {}],
    ['of an issuer that begins like it', { iss: `${ISSUER}.other` }, {}],
    ['for another audience', { aud: 'https://other.example' }, {}],
    ['that expired', { exp: secondsNow() - 100 }, {}],
    ['that lives longer than an hour', { exp: secondsNow() + 3700 }, {}],
    ['without exp', { exp: undefined }, {}],
    ['by an unknown key', {}, { kid: 'two' }],
    ['that brings its key', {}, { jwk: { kty: 'EC' } }],
    ['by a secret', {}, { alg: 'HS256' }],
    ['by nobody', {}, { alg: 'none' }],
    ['that is an access token', {}, { typ: 'at+jwt' }],
  ])('is refused with an assertion %s', async (_name, changes, header) => {
    const { jwks, sign } = platform()
    const s = await secured({ trusted: ['any'], trust: { issuers: [{ issuer: ISSUER, jwks, reusable: true }] } })
    const answer = await prove(s, await sign(workloadClaims(s.base, changes), header))
    expect([answer.status, answer.json['error']]).toEqual([400, 'invalid_grant'])
  })

  test('is no client, which proves itself by a DID', async () => {
    const { jwks, sign } = platform()
    const s = await secured({ trusted: [WORKLOAD], trust: { issuers: [{ issuer: ISSUER, jwks, reusable: true }] } })
    const client_assertion = await sign(workloadClaims(s.base, { jti: 'a' }))
    const answer = await s.post('/token', { grant_type: 'client_credentials', client_assertion_type: CLIENT_ASSERTION, client_assertion })
    expect([answer.status, answer.json['error']]).toEqual([401, 'invalid_client'])
  })
})

describe('the keys of an issuer', () => {
  async function fetched(host: DidHost): Promise<Secured> {
    return secured({ trusted: ['any'], trust: { issuers: [{ issuer: ISSUER, jwksUri: `${host.origin}/jwks`, reusable: true }] } })
  }

  test('are fetched, and kept', async () => {
    const host = await forThisTest(didHost())
    const { jwks, sign } = platform('EdDSA')
    host.host('/jwks', { ...jwks })
    const s = await fetched(host)
    for (const _ of [1, 2, 3]) expect((await prove(s, await sign(workloadClaims(s.base)))).status).toBe(200)
    expect(host.asked).toEqual(['/jwks'])
  })

  test('are not asked for again and again for a key that is not among them', async () => {
    const host = await forThisTest(didHost())
    const { jwks } = platform()
    const other = platform('ES256', 'two')
    host.host('/jwks', { ...jwks })
    const s = await fetched(host)
    for (const _ of [1, 2, 3]) expect((await prove(s, await other.sign(workloadClaims(s.base)))).status).toBe(400)
    expect(host.asked.length).toBeLessThanOrEqual(2)
  })

  test.each<[string, Parameters<DidHost['host']>[1]]>([
    ['are not there', 404],
    ['are an error', 500],
    ['are somewhere else', (res) => void res.writeHead(302, { location: 'http://127.0.0.1:1/jwks' }).end()],
    ['are no JSON', (res) => void res.end('keys')],
    ['are no keys', { keys: 'none' }],
    ['are too much', (res) => void res.end(JSON.stringify({ keys: [], padding: 'a'.repeat(100_000) }))],
    ['are a secret', { keys: [{ kty: 'oct', k: 'AAAA', kid: 'one' }] }],
  ])('let nobody in when they %s', async (_name, hosted) => {
    const host = await forThisTest(didHost())
    const { sign } = platform()
    host.host('/jwks', hosted)
    const s = await fetched(host)
    const answer = await prove(s, await sign(workloadClaims(s.base)))
    expect([answer.status, answer.json['error']]).toEqual([400, 'invalid_grant'])
    expect(s.log.join('')).not.toContain('internal error')
  })

  test.each<[string, object]>([
    ['no keys', {}],
    ['keys that are none', { jwks: { keys: 'none' } }],
    ['a URL that is none', { jwksUri: 'jwks' }],
    ['a DID that is none', { did: 'did:web:' }],
  ])('let nobody in when the operator named %s', async (_name, keys) => {
    const s = await secured({ trusted: ['any'], trust: { issuers: [{ issuer: ISSUER, audience: 'https://api.example', reusable: true, ...keys }] } })
    const { sign } = platform()
    expect((await prove(s, await sign(workloadClaims(s.base)))).json['error']).toBe('invalid_grant')
    expect((await ask(s.url, { headers: bearer(await sign(workloadClaims('https://api.example'))), body: LIST })).status).toBe(401)
    expect(s.log.join('')).not.toContain('internal error')
  })

  test('may be those of a DID', async () => {
    const host = await forThisTest(didHost())
    const issuer = host.identity('platform')
    const s = await secured({ trusted: ['any'], trust: { issuers: [{ issuer: ISSUER, did: issuer.did, reusable: true }] } })
    expect((await prove(s, await issuer.sign(workloadClaims(s.base)))).status).toBe(200)
    expect((await prove(s, await platform().sign(workloadClaims(s.base)))).status).toBe(400)
  })
})

describe('an access token of another issuer', () => {
  const audience = 'https://api.example'

  test('is taken at the doors for the audience that was configured', async () => {
    const { jwks, sign } = platform()
    const s = await secured({ trusted: [WORKLOAD], trust: { issuers: [{ issuer: ISSUER, jwks, audience }] } })
    const status = async (changes: Json, header: Json = {}): Promise<number> =>
      (await ask(s.url, { headers: bearer(await sign(workloadClaims(audience, changes), header)), body: LIST })).status
    expect(await status({})).toBe(200)
    expect(await status({}, { typ: 'at+jwt' })).toBe(200)
    expect(await status({ aud: [audience, 'https://other.example'] })).toBe(200)
    // What providers of identities give lives up to a day.
    expect(await status({ exp: secondsNow() + 23 * 3600 })).toBe(200)
    s.reached()
    expect(await status({ aud: s.url.href })).toBe(401)
    expect(await status({ aud: undefined })).toBe(401)
    expect(await status({ sub: 'another' })).toBe(401)
    expect(await status({ sub: undefined })).toBe(401)
    expect(await status({ iss: 'https://other.example' })).toBe(401)
    expect(await status({ exp: secondsNow() + 25 * 3600 })).toBe(401)
    expect(await status({ act: { sub: 'another' } })).toBe(401)
    expect(await status({}, { typ: 'id+jwt' })).toBe(401)
    expect(await status({}, { kid: 'two' })).toBe(401)
    expect(await status({ cnf: { kid: 'a' } })).toBe(401)
    expect(s.reached()).toEqual([])
    expect(await status({ scope: 'openid' })).toBe(403)
    expect(await status({ scope: 'mcp:tools' })).toBe(200)
  })

  test('names somebody, or lets nobody in, whoever is trusted', async () => {
    const { jwks, sign } = platform()
    const s = await secured({ trusted: ['any'], trust: { issuers: [{ issuer: ISSUER, jwks, audience }] } })
    for (const sub of [undefined, '', 7, ['a'], 'a'.repeat(300)]) {
      expect((await ask(s.url, { headers: bearer(await sign(workloadClaims(audience, { sub }))), body: LIST })).status).toBe(401)
    }
    expect(s.reached()).toEqual([])
  })

  test('is not taken where it is an assertion alone', async () => {
    const { jwks, sign } = platform()
    const s = await secured({ trusted: [WORKLOAD], trust: { issuers: [{ issuer: ISSUER, jwks, reusable: true }] } })
    for (const aud of [s.base, s.url.href]) {
      expect((await ask(s.url, { headers: bearer(await sign(workloadClaims(aud))), body: LIST })).status).toBe(401)
    }
  })

  test('is looked at again after a minute: its key may be withdrawn by then', async () => {
    const host = await forThisTest(didHost())
    const issuer = host.identity('platform')
    const s = await secured({ trusted: [WORKLOAD], trust: { issuers: [{ issuer: ISSUER, did: issuer.did, audience }] } })
    const token = await issuer.sign(workloadClaims(audience))
    expect((await ask(s.url, { headers: bearer(token), body: LIST })).status).toBe(200)
    host.host('platform', { ...issuer.document, authentication: [] })
    s.pass(61)
    expect((await ask(s.url, { headers: bearer(token), body: LIST })).status).toBe(401)
  })
})

describe("an enterprise's grant (ID-JAG)", () => {
  const typ = 'oauth-id-jag+jwt'

  async function stage(): Promise<{
    s: Secured
    client: Signer
    grant(changes?: Json, header?: Json): Promise<string>
    asClient(): Promise<Record<string, string>>
  }> {
    const { jwks, sign } = platform()
    const client = await holder()
    const s = await secured({ trusted: [`${ISSUER}|ann`], trust: { issuers: [{ issuer: ISSUER, jwks }] } })
    return {
      s,
      client,
      grant: (changes = {}, header = {}) =>
        sign(workloadClaims(s.base, { sub: 'ann', jti: randomUUID(), client_id: client.did, resource: s.url.href, scope: 'mcp:tools', ...changes }), {
          typ,
          ...header,
        }),
      async asClient() {
        return { client_assertion_type: CLIENT_ASSERTION, client_assertion: await client.sign(assertionClaims(client.did, s.base)) }
      },
    }
  }

  test('is for the client, the resource and the scope that it names', async () => {
    const { s, client, grant, asClient } = await stage()
    const answer = await prove(s, await grant(), await asClient())
    expect([answer.status, answer.json['scope']]).toEqual([200, 'mcp:tools'])
    expect(decodeJwt(String(answer.json['access_token']))).toMatchObject({ sub: `${ISSUER}|ann`, client_id: client.did, aud: s.url.href })
    expect((await prove(s, await grant(), { ...(await asClient()), resource: `${s.base}/sse` })).json['error']).toBe('invalid_target')
    const more = await prove(s, await grant(), { ...(await asClient()), scope: 'mcp' })
    expect(more.json['scope']).toBe('mcp:tools')
  })

  test('is used once', async () => {
    const { s, grant, asClient } = await stage()
    const assertion = await grant()
    expect([(await prove(s, assertion, await asClient())).status, (await prove(s, assertion, await asClient())).status]).toEqual([200, 400])
  })

  test('is refused to another client, and to one that only writes its name', async () => {
    const { s, client, grant } = await stage()
    const other = await holder()
    const asOther = { client_assertion_type: CLIENT_ASSERTION, client_assertion: await other.sign(assertionClaims(other.did, s.base)) }
    expect((await prove(s, await grant(), asOther)).json['error']).toBe('invalid_grant')
    expect((await prove(s, await grant())).json['error']).toBe('invalid_grant')
    expect((await prove(s, await grant(), { client_id: 'another' })).json['error']).toBe('invalid_grant')
    expect((await prove(s, await grant(), { client_id: client.did })).json['error']).toBe('invalid_client')
    expect((await prove(s, await grant({ client_id: undefined }), { client_id: client.did })).json['error']).toBe('invalid_grant')
  })

  test('may be used by a client that nobody can prove to be, which is then named so', async () => {
    const { s, grant } = await stage()
    const answer = await prove(s, await grant({ client_id: 'https://app.example/client' }), { client_id: 'https://app.example/client' })
    expect(decodeJwt(String(answer.json['access_token']))['client_id']).toBe('https://app.example/client')
  })

  test.each<[string, Json, string]>([
    ['for another resource', { resource: 'https://other.example/mcp' }, 'invalid_target'],
    ['for a list of resources', { resource: ['https://other.example/mcp'] }, 'invalid_target'],
    ['for a resource that is no text', { resource: 7 }, 'invalid_target'],
    ['for an empty resource', { resource: '' }, 'invalid_target'],
    ['with scopes that are no text', { scope: ['mcp'] }, 'invalid_scope'],
    ['with no scope of ours', { scope: 'openid' }, 'invalid_scope'],
    ['without a jti', { jti: undefined }, 'invalid_grant'],
    ['of somebody whom nobody trusts', { sub: 'bob' }, 'invalid_grant'],
    ['for another issuer', { aud: 'https://other.example' }, 'invalid_grant'],
  ])('is refused %s', async (_name, changes, error) => {
    const { s, grant, asClient } = await stage()
    const answer = await prove(s, await grant(changes), await asClient())
    expect([answer.status, answer.json['error']]).toEqual([400, error])
  })

  test('is refused for a list of resources, also when the only one is ours', async () => {
    const { s, grant, asClient } = await stage()
    const answer = await prove(s, await grant({ resource: [s.url.href] }), await asClient())
    expect([answer.status, answer.json['error']]).toEqual([400, 'invalid_target'])
  })

  test('is no bearer token', async () => {
    const { s, grant } = await stage()
    expect((await ask(s.url, { headers: bearer(await grant({ aud: s.url.href })), body: LIST })).status).toBe(401)
  })
})

test('a token that a trusted DID signed itself is taken where the operator says so, and nowhere else', async () => {
  const ann = await holder()
  for (const [selfIssued, status] of [
    [true, 200],
    [false, 401],
  ] as const) {
    const s = await secured({ trusted: [ann.did], trust: { selfIssued } })
    const token = await ann.sign(assertionClaims(ann.did, s.url.href))
    expect((await ask(s.url, { headers: bearer(token), body: LIST })).status).toBe(status)
    expect((await ask(s.url, { headers: bearer(await s.token(ann)), body: LIST })).status).toBe(200)
  }
})
