// RFC 7662 and RFC 7009: who may ask about a token, and who may end it.
import { decodeJwt } from 'jose'
import { describe, expect, test } from 'vitest'

import { assertionClaims, holder, proofKey, type Holder, type Signer } from '../support/did.ts'
import { CLIENT_ASSERTION, bearer, secured, type Secured } from '../support/secured.ts'
import { ask, type Answer } from '../support/wire.ts'

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'

async function as(who: Pick<Signer, 'did' | 'sign'>, audience: string): Promise<Record<string, string>> {
  return { client_assertion_type: CLIENT_ASSERTION, client_assertion: await who.sign(assertionClaims(who.did, audience)) }
}

async function introspect(s: Secured, who: Pick<Signer, 'did' | 'sign'>, token: string): Promise<Answer> {
  return s.post('/introspect', { token, ...(await as(who, s.base)) })
}

async function statusWith(s: Secured, token: string): Promise<number> {
  return (await ask(s.url, { method: 'PUT', headers: bearer(token) })).status
}

async function stage(): Promise<{ s: Secured; ann: Holder; bob: Holder; server: Holder }> {
  const [ann, bob, server] = await Promise.all([holder(), holder(), holder()])
  return { s: await secured({ trusted: [ann.did, bob.did, { id: server.did, scopes: ['introspect'] }] }), ann, bob, server }
}

describe('introspection', () => {
  test('tells the holder, and a resource server that may ask, what a token is', async () => {
    const { s, ann, server } = await stage()
    const token = await s.token(ann)
    const { jti, exp } = decodeJwt(token)
    const expected = { active: true, sub: ann.did, aud: s.url.href, exp, jti, scope: 'mcp', token_type: 'Bearer' }
    for (const who of [ann, server]) {
      const answer = await introspect(s, who, token)
      expect([answer.status, answer.json, answer.headers['cache-control']]).toEqual([200, expected, 'no-store'])
    }
  })

  test('tells who acts, to each of them, and what a token is bound to', async () => {
    const { s, ann, bob, server } = await stage()
    const key = await proofKey()
    const dpop = await key.proof({ method: 'POST', url: `${s.base}/token` })
    const form = { grant_type: EXCHANGE, subject_token: await s.token(ann), subject_token_type: ACCESS_TOKEN, ...(await as(bob, s.base)) }
    const token = String((await s.post('/token', form, { dpop })).json['access_token'])
    for (const who of [ann, bob, server]) {
      expect((await introspect(s, who, token)).json).toMatchObject({
        active: true,
        sub: ann.did,
        act: { sub: bob.did },
        cnf: { jkt: key.jkt },
        token_type: 'DPoP',
      })
    }
  })

  test('tells nobody else anything, nor anybody of what does not hold', async () => {
    const { s, ann, bob, server } = await stage()
    const [token, revoked] = [await s.token(ann), await s.token(ann)]
    await s.post('/revoke', { token: revoked })
    const neighbour = await secured({ trusted: [ann.did] })
    expect((await introspect(s, bob, token)).json).toEqual({ active: false })
    for (const dead of [revoked, 'garbage', await neighbour.token(ann), `${token}x`, token.slice(0, -2), 'a'.repeat(9000)]) {
      for (const who of [ann, server]) expect((await introspect(s, who, dead)).json).toEqual({ active: false })
    }
    s.pass(901)
    const later = {
      ...server,
      sign: (claims: Parameters<Signer['sign']>[0]) => server.sign({ ...claims, iat: Number(claims['iat']) + 901, exp: Number(claims['exp']) + 901 }),
    }
    expect((await introspect(s, later, token)).json).toEqual({ active: false })
  })

  test('is answered to whoever proves who they are, and is trusted', async () => {
    const { s, ann } = await stage()
    const stranger = await holder()
    const token = await s.token(ann)
    const refused: Record<string, string>[] = [
      { token },
      { token, client_id: ann.did },
      { token, client_id: ann.did, client_secret: 'x' },
      { token, ...(await as(stranger, s.base)) },
      { token, ...(await as(ann, 'https://other.example')) },
      { token, client_assertion_type: CLIENT_ASSERTION, client_assertion: token },
      { token, ...(await as(ann, s.base)), client_id: stranger.did },
    ]
    for (const form of refused) {
      const answer = await s.post('/introspect', form)
      expect([answer.status, answer.json['error']]).toEqual([401, 'invalid_client'])
      expect(answer.json).not.toHaveProperty('active')
    }
    expect((await s.post('/introspect', { token }, bearer(token))).status).toBe(401)
    expect((await s.post('/introspect', await as(ann, s.base))).json['error']).toBe('invalid_request')
    expect((await s.post('/introspect', { token, ...(await as(ann, `${s.base}/introspect`)) })).json['active']).toBe(true)
    // An assertion that was made for one endpoint is none for another.
    expect((await s.post('/revoke', { token, ...(await as(ann, `${s.base}/introspect`)) })).status).toBe(401)
  })

  test('does not name scopes that trust has taken back', async () => {
    const ann = await holder()
    const s = await secured({
      trusted: [
        { id: ann.did, untilMs: Date.now() + 600_000 },
        { id: 'did:jwk:*', scopes: ['mcp:tools'] },
      ],
    })
    const token = await s.token(ann)
    expect((await introspect(s, ann, token)).json['scope']).toBe('mcp')
    s.pass(601)
    const later = {
      ...ann,
      sign: (claims: Parameters<Signer['sign']>[0]) => ann.sign({ ...claims, iat: Number(claims['iat']) + 601, exp: Number(claims['exp']) + 601 }),
    }
    expect((await introspect(s, later, token)).json['scope']).toBe('mcp:tools')
  })
})

describe('revocation', () => {
  test('by whoever holds the token, and by whoever proves to be a party to it', async () => {
    const { s, ann } = await stage()
    const [held, proved] = [await s.token(ann), await s.token(ann)]
    const answers = [await s.post('/revoke', { token: held }), await s.post('/revoke', { token: proved, ...(await as(ann, s.base)) })]
    for (const { status, json } of answers) expect([status, json]).toEqual([200, {}])
    expect([await statusWith(s, held), await statusWith(s, proved)]).toEqual([401, 401])
    expect(await statusWith(s, await s.token(ann))).toBe(405)
  })

  test('is refused to whoever proves to be somebody else, or says so and proves nothing', async () => {
    const { s, ann, bob } = await stage()
    const token = await s.token(ann)
    for (const form of [await as(bob, s.base), { client_secret: 'x' }, { client_assertion: 'garbage', client_assertion_type: CLIENT_ASSERTION }]) {
      const answer = await s.post('/revoke', { token, ...form })
      expect([answer.status, answer.json['error']]).toEqual([401, 'invalid_client'])
    }
    expect(await statusWith(s, token)).toBe(405)
  })

  test('of what is no token is no mistake, and does not tell', async () => {
    const { s, ann } = await stage()
    const token = await s.token(ann)
    await s.post('/revoke', { token })
    const neighbour = await secured({ trusted: [ann.did] })
    for (const dead of [token, 'garbage', await neighbour.token(ann), 'a'.repeat(9000)]) {
      const { status, json } = await s.post('/revoke', { token: dead, token_type_hint: 'refresh_token' })
      expect([status, json]).toEqual([200, {}])
    }
    expect((await s.post('/revoke', {})).json['error']).toBe('invalid_request')
  })

  test('holds for a token of an identity that is not trusted just now, when it is trusted again', async () => {
    const ann = await holder()
    const s = await secured({ durable: true, trusted: [{ id: ann.did, untilMs: Date.now() + 1000_000 }] })
    const token = await s.token(ann)
    const store = await s.otherProcess()
    await store.put('deactivated', { key: ann.did, value: '', expiresAtMs: undefined })
    await expect.poll(() => statusWith(s, token), { timeout: 10_000 }).toBe(401)
    expect((await s.post('/revoke', { token })).status).toBe(200)
    await store.remove('deactivated', ann.did)
    await expect.poll(() => s.token(ann).catch(() => ''), { timeout: 10_000 }).toMatch(/^ey/)
    expect(await statusWith(s, token)).toBe(401)
  })

  test('is written down for other processes and for the next start, until the token would have ended', async () => {
    const ann = await holder()
    const s = await secured({ durable: true, trusted: [ann.did] })
    const token = await s.token(ann)
    await s.post('/revoke', { token })
    const rows = await (await s.otherProcess()).list('revoked')
    expect(rows).toEqual([{ key: decodeJwt(token).jti, value: '', expiresAtMs: Number(decodeJwt(token).exp) * 1000 }])
  })

  test('by another process holds here', async () => {
    const ann = await holder()
    const s = await secured({ durable: true, trusted: [ann.did] })
    const token = await s.token(ann)
    const store = await s.otherProcess()
    await store.put('revoked', { key: String(decodeJwt(token).jti), value: '', expiresAtMs: undefined })
    await expect.poll(() => statusWith(s, token), { timeout: 10_000 }).toBe(401)
  })
})
