// RFC 9449 at the issuer and at the guard: bound, nonced, required.
import { decodeJwt } from 'jose'
import { describe, expect, test } from 'vitest'

import { assertionClaims, holder, proofKey, secondsNow, type ProofKey } from '../support/did.ts'
import type { Json } from '../support/json.ts'
import { nodeSigner } from '../security/node-signer.ts'
import { CLIENT_ASSERTION, JWT_BEARER, bearer, secured, type Secured } from '../support/secured.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { ask, openSocket, raw, type Answer } from '../support/wire.ts'

const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' }

async function call(s: Secured, key: ProofKey, token: string, nonce?: string): Promise<Answer> {
  const dpop = await key.proof({ method: 'POST', url: s.url.href, token, ...(nonce !== undefined && { nonce }) })
  return ask(s.url, { headers: { authorization: `DPoP ${token}`, dpop }, body: LIST })
}

describe('at the issuer', () => {
  test('a proof binds the token of every grant to its key', async () => {
    const ann = await holder()
    const s = await secured({ trusted: [ann.did] })
    for (const alg of ['ES256', 'EdDSA'] as const) {
      const key = await proofKey(alg)
      const proof = async (): Promise<Record<string, string>> => ({ dpop: await key.proof({ method: 'POST', url: `${s.base}/token` }) })
      const assertion = (): Promise<string> => ann.sign(assertionClaims(ann.did, s.base))
      const answers = [
        await s.post('/token', { grant_type: JWT_BEARER, assertion: await assertion() }, await proof()),
        await s.post(
          '/token',
          { grant_type: 'client_credentials', client_assertion_type: CLIENT_ASSERTION, client_assertion: await assertion() },
          await proof(),
        ),
      ]
      for (const { status, json, headers } of answers) {
        expect([status, json['token_type'], headers['dpop-nonce']]).toEqual([200, 'DPoP', expect.any(String)])
        expect(decodeJwt(String(json['access_token']))['cnf']).toEqual({ jkt: key.jkt })
        expect((await call(s, key, String(json['access_token']))).status).toBe(200)
      }
    }
  })

  test('a proof that is wrong is refused, and the assertion is not used up', async () => {
    const ann = await holder()
    const s = await secured({ trusted: [ann.did] })
    const [key, other] = [await proofKey(), await proofKey()]
    const request = { method: 'POST', url: `${s.base}/token` }
    const wrong = [
      'garbage',
      await key.proof({ ...request, method: 'GET' }),
      await key.proof({ ...request, url: `${s.base}/mcp` }),
      await key.proof({ ...request, url: 'https://other.example/token' }),
      await key.proof(request, { iat: secondsNow() - 70 }),
      await key.proof(request, { iat: secondsNow() + 70 }),
      await key.proof(request, { jti: undefined }),
      await key.proof(request, {}, { typ: 'JWT' }),
      await key.proof(request, {}, { jwk: key.privateJwk }),
      await key.proof(request, {}, { jwk: other.publicJwk }),
      `${await key.proof(request)}, ${await key.proof(request)}`,
    ]
    const assertion = await ann.sign(assertionClaims(ann.did, s.base))
    for (const dpop of wrong) {
      const { status, json, headers } = await s.post('/token', { grant_type: JWT_BEARER, assertion }, { dpop })
      expect([status, json['error'], headers['dpop-nonce']]).toEqual([400, 'invalid_dpop_proof', expect.any(String)])
    }
    const body = new URLSearchParams({ grant_type: JWT_BEARER, assertion }).toString()
    const twice = await raw(
      s.url,
      `POST /token HTTP/1.1\r\nHost: ${s.url.host}\r\nDPoP: ${await key.proof(request)}\r\nDPoP: ${await key.proof(request)}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    )
    expect(twice).toContain('invalid_dpop_proof')
    expect((await s.post('/token', { grant_type: JWT_BEARER, assertion }, { dpop: await key.proof(request) })).status).toBe(200)
  })

  test('of ten that use one proof at once, one gets a token', async () => {
    const ann = await holder()
    const s = await secured({ trusted: [ann.did] })
    const key = await proofKey()
    const dpop = await key.proof({ method: 'POST', url: `${s.base}/token` })
    const answers = await Promise.all(
      Array.from({ length: 10 }, async () =>
        s.post('/token', { grant_type: JWT_BEARER, assertion: await ann.sign(assertionClaims(ann.did, s.base)) }, { dpop }),
      ),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(answers.filter(({ json }) => json['error'] === 'invalid_dpop_proof')).toHaveLength(9)
  })
})

describe('at the guard', () => {
  test('a proof holds for one request, however many come at once', async () => {
    const ann = await holder()
    const s = await secured({ trusted: [ann.did] })
    const key = await proofKey()
    const token = await s.token(ann, { key })
    const dpop = await key.proof({ method: 'POST', url: s.url.href, token })
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(s.url, { headers: { authorization: `DPoP ${token}`, dpop }, body: LIST })))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(s.reached()).toHaveLength(1)
    for (const seconds of [30, 29, 30, 31]) {
      s.pass(seconds)
      expect((await ask(s.url, { headers: { authorization: `DPoP ${token}`, dpop }, body: LIST })).status).toBe(401)
    }
    expect(s.reached()).toEqual([])
  })

  test('the URL of a proof may have a query, a fragment and another spelling, and its clock may differ by a minute', async () => {
    const ann = await holder()
    const s = await secured({ trusted: [ann.did] })
    const key = await proofKey()
    const token = await s.token(ann, { key })
    const { href, port } = s.url
    const good: [string, Json][] = [
      [href, {}],
      [`${href}?a=b#c`, {}],
      [`HTTP://127.0.0.1:${port}/mcp`, {}],
      [`http://127.0.0.1:${port}/a/../mcp`, {}],
      [href, { iat: secondsNow() - 55 }],
      [href, { iat: secondsNow() + 60 }],
    ]
    for (const [url, changes] of good) {
      const dpop = await key.proof({ method: 'POST', url, token }, changes)
      expect([url, (await ask(s.url, { headers: { authorization: `dpop ${token}`, dpop }, body: LIST })).status]).toEqual([url, 200])
    }
    const queried = new URL(`${href}?a=b`)
    const dpop = await key.proof({ method: 'POST', url: href, token })
    expect((await ask(queried, { headers: { authorization: `DPoP ${token}`, dpop }, body: LIST })).status).toBe(200)
  })

  test('a token that is bound in a second way as well, or in another, is refused whatever proof comes with it', async () => {
    const ann = await holder()
    const s = await secured({ trusted: [ann.did] })
    const [key, node] = [await proofKey(), await nodeSigner(s)]
    expect((await call(s, key, await node.token(ann.did, { cnf: { jkt: key.jkt } }))).status).toBe(200)
    s.reached()
    for (const cnf of [
      { jkt: key.jkt, 'x5t#S256': 'AA' },
      { kid: 'a', jkt: key.jkt },
      { jkt: `${key.jkt}A` },
      { jkt: '' },
      { jkt: [key.jkt] },
      {},
      [],
      key.jkt,
      null,
    ]) {
      expect([cnf, (await call(s, key, await node.token(ann.did, { cnf }))).status]).toEqual([cnf, 401])
      const selfIssued = await ann.sign(assertionClaims(ann.did, s.url.href, { cnf }))
      expect([cnf, (await call(s, key, selfIssued)).status]).toEqual([cnf, 401])
    }
    expect(s.reached()).toEqual([])
  })

  test('a request line that holds a whole URL is read as the path in it', async () => {
    const ann = await holder()
    const s = await secured({ trusted: [ann.did] })
    const key = await proofKey()
    const token = await s.token(ann, { key })
    const body = JSON.stringify(LIST)
    const posted = async (target: string, url: string): Promise<string> => {
      const dpop = await key.proof({ method: 'POST', url, token })
      const socket = await forThisTest(openSocket(s.url))
      socket.write(
        `POST ${target} HTTP/1.1\r\nHost: ${s.url.host}\r\nAuthorization: DPoP ${token}\r\nDPoP: ${dpop}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
      )
      return until('the answer', () => socket.isClosed() && socket.text())
    }
    expect(await posted(s.url.href, s.url.href)).toMatch(/^HTTP\/1.1 200/)
    expect(await posted(`${s.url.href}?a=b`, s.url.href)).toMatch(/^HTTP\/1.1 200/)
    expect(await posted(s.url.href, `${s.base}/sse`)).toMatch(/^HTTP\/1.1 401/)
    expect(s.log.join('')).not.toContain('internal error')
  })
})

describe('required', () => {
  test('no token comes without a proof, and none is taken that is not bound', async () => {
    const ann = await holder()
    const s = await secured({ trusted: [ann.did], security: { dpop: 'required' } })
    const assertion = await ann.sign(assertionClaims(ann.did, s.base))
    expect((await s.post('/token', { grant_type: JWT_BEARER, assertion })).json['error']).toBe('invalid_dpop_proof')
    const selfIssued = await ann.sign(assertionClaims(ann.did, s.url.href))
    expect((await ask(s.url, { headers: bearer(selfIssued), body: LIST })).status).toBe(401)
    const nothing = await ask(s.url, { body: LIST })
    expect(nothing.headers['www-authenticate']).toMatch(/^DPoP resource_metadata=".*algs="EdDSA ES256"$/)
    expect(s.reached()).toEqual([])
    const metadata = await ask(new URL('/.well-known/oauth-protected-resource/mcp', s.base))
    expect(metadata.json['dpop_bound_access_tokens_required']).toBe(true)
    const key = await proofKey()
    expect((await call(s, key, await s.token(ann, { key }))).status).toBe(200)
  })

  test('a token that somebody issued to a key of their own is taken with its proof', async () => {
    const ann = await holder()
    const s = await secured({ trusted: [ann.did], security: { dpop: 'required' } })
    const key = await proofKey()
    const selfIssued = await ann.sign(assertionClaims(ann.did, s.url.href, { cnf: { jkt: key.jkt } }))
    expect((await call(s, key, selfIssued)).status).toBe(200)
    expect((await ask(s.url, { headers: bearer(selfIssued), body: LIST })).status).toBe(401)
  })
})

describe('with nonces', () => {
  test('a proof needs one of ours, at both doors, which comes with the refusal', async () => {
    const ann = await holder()
    const s = await secured({ trusted: [ann.did], security: { dpop: 'nonce' } })
    const key = await proofKey()
    const request = { method: 'POST', url: `${s.base}/token` }
    const assertion = await ann.sign(assertionClaims(ann.did, s.base))
    const first = await s.post('/token', { grant_type: JWT_BEARER, assertion }, { dpop: await key.proof(request) })
    expect([first.status, first.json['error']]).toEqual([400, 'use_dpop_nonce'])
    const nonce = String(first.headers['dpop-nonce'])
    const second = await s.post('/token', { grant_type: JWT_BEARER, assertion }, { dpop: await key.proof({ ...request, nonce }) })
    expect(second.status).toBe(200)
    const token = String(second.json['access_token'])

    const refused = await call(s, key, token)
    expect(refused.status).toBe(401)
    expect(refused.headers['www-authenticate']).toMatch(/^DPoP error="use_dpop_nonce"/)
    const taken = await call(s, key, token, String(refused.headers['dpop-nonce']))
    expect(taken.status).toBe(200)
    expect(taken.headers['dpop-nonce']).toEqual(expect.any(String))
    expect((await call(s, key, token, String(taken.headers['dpop-nonce']))).status).toBe(200)
  })

  test('a nonce is good for five minutes, and is none of anybody else', async () => {
    const ann = await holder()
    const options = { trusted: [ann.did], security: { dpop: 'nonce', tokenSeconds: 900 } } as const
    const [s, neighbour] = [await secured(options), await secured(options)]
    const key = await proofKey()
    const nonceOf = async (one: Secured): Promise<string> => {
      const dpop = await key.proof({ method: 'POST', url: `${one.base}/token` })
      return String((await one.post('/token', { grant_type: JWT_BEARER, assertion: 'a' }, { dpop })).headers['dpop-nonce'])
    }
    const nonce = await nonceOf(s)
    const proof = (nonceUsed: string): Promise<string> => key.proof({ method: 'POST', url: `${s.base}/token`, nonce: nonceUsed })
    const assertion = await ann.sign(assertionClaims(ann.did, s.base))
    const { json } = await s.post('/token', { grant_type: JWT_BEARER, assertion }, { dpop: await proof(nonce) })
    const token = String(json['access_token'])
    for (const wrong of [await nonceOf(neighbour), '', 'a.b', ` ${nonce}`, `0${nonce}`, nonce.slice(0, -1), nonce.toUpperCase(), 'a'.repeat(65)]) {
      expect((await call(s, key, token, wrong)).status).toBe(401)
    }
    expect((await call(s, key, token, nonce)).status).toBe(200)
    s.pass(290)
    expect((await call(s, key, token, nonce)).status).toBe(200)
    s.pass(15)
    expect((await call(s, key, token, nonce)).status).toBe(401)
  })
})
