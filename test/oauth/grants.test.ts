// Who can prove who they are at /token, and what is no proof.
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { describe, expect, test } from 'vitest'

import { didHost } from '../support/did-host.ts'
import { assertionClaims, holder, holderOf, keyHolder, nodeKey, peerHolder, secondsNow, signerOf, type Signer } from '../support/did.ts'
import type { Json } from '../support/json.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { CLIENT_ASSERTION, JWT_BEARER, bearer, secured, type Secured } from '../support/secured.ts'
import { forThisTest } from '../support/tidy.ts'
import { ask, type Answer } from '../support/wire.ts'

const NOT_PROVED = 'this proves no identity that is trusted here'

function asGrant(s: Secured, assertion: string, form: Readonly<Record<string, string>> = {}): Promise<Answer> {
  return s.post('/token', { grant_type: JWT_BEARER, assertion, ...form })
}

function asClient(s: Secured, assertion: string, form: Readonly<Record<string, string>> = {}): Promise<Answer> {
  return s.post('/token', { grant_type: 'client_credentials', client_assertion_type: CLIENT_ASSERTION, client_assertion: assertion, ...form })
}

async function isServed(s: Secured, answer: Answer): Promise<boolean> {
  const { status } = await ask(s.url, { headers: bearer(String(answer.json['access_token'])), body: initializeMessage(1) })
  return status === 200
}

describe('every kind of DID logs in by both ways', () => {
  const kinds: Record<string, () => Promise<Signer>> = {
    'did:key of Ed25519': async () => keyHolder('EdDSA'),
    'did:key of P-256': async () => keyHolder('ES256'),
    'did:key of secp256k1': async () => keyHolder('ES256K'),
    'did:jwk of Ed25519': () => holder('EdDSA'),
    'did:jwk of P-256': () => holder('ES256'),
    'did:peer:2': async () => peerHolder(),
    'did:web': async () => (await forThisTest(didHost())).identity('ann'),
  }
  test.each(Object.keys(kinds))('%s', async (kind) => {
    const who = await kinds[kind]?.()
    if (!who) throw new Error('it is one of those above')
    const s = await secured({ trusted: [who.did] })
    for (const prove of [asGrant, asClient]) {
      const answer = await prove(s, await who.sign(assertionClaims(who.did, s.base)), { resource: s.url.href })
      expect([answer.status, answer.text]).toEqual([200, expect.stringContaining('access_token')])
      expect(decodeJwt(String(answer.json['access_token']))).toMatchObject({ sub: who.did, client_id: who.did, aud: s.url.href, iss: s.base })
      expect(await isServed(s, answer)).toBe(true)
    }
  })

  test('EdDSA by its newer name', async () => {
    const ann = keyHolder()
    const s = await secured({ trusted: [ann.did] })
    expect((await asGrant(s, await ann.sign(assertionClaims(ann.did, s.base), { alg: 'Ed25519' }))).status).toBe(200)
  })

  test('a JWT without a kid is tried with the keys of its DID', async () => {
    const ann = keyHolder()
    const s = await secured({ trusted: [ann.did] })
    expect((await asGrant(s, await ann.sign(assertionClaims(ann.did, s.base), { kid: undefined }))).status).toBe(200)
  })
})

test('a token is one of RFC 9068, and its answer is not kept by anybody', async () => {
  const ann = await holder()
  const s = await secured({ trusted: [ann.did], security: { tokenSeconds: 300 } })
  const answer = await asGrant(s, await ann.sign(assertionClaims(ann.did, s.base)))
  expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8' })
  expect(answer.json).toEqual({ access_token: expect.any(String), token_type: 'Bearer', expires_in: 300, scope: 'mcp' })
  const token = String(answer.json['access_token'])
  const { keys } = (await ask(new URL('/jwks', s.base))).json
  expect(decodeProtectedHeader(token)).toEqual({ alg: 'EdDSA', typ: 'at+jwt', kid: Array.isArray(keys) ? keys[0].kid : undefined })
  const claims = decodeJwt(token)
  expect(Object.keys(claims).toSorted()).toEqual(['aud', 'client_id', 'exp', 'iat', 'iss', 'jti', 'scope', 'sub'])
  expect(Number(claims.exp) - Number(claims.iat)).toBe(300)
})

describe('an assertion is refused', () => {
  const inSeconds = (seconds: number): number => secondsNow() + seconds
  const wrong: Record<string, (base: string) => Json> = {
    'without jti': () => ({ jti: undefined }),
    'with an empty jti': () => ({ jti: '' }),
    'with a jti of 300 characters': () => ({ jti: 'a'.repeat(300) }),
    'without exp': () => ({ exp: undefined }),
    'without iss': () => ({ iss: undefined }),
    'without sub': () => ({ sub: undefined }),
    'in the name of another': () => ({ sub: 'did:example:other' }),
    'without aud': () => ({ aud: undefined }),
    'for an empty list': () => ({ aud: [] }),
    'for another issuer': () => ({ aud: 'https://other.example' }),
    'for the resource': (base) => ({ aud: `${base}/mcp` }),
    'for us and somebody else': (base) => ({ aud: [base, 'https://other.example'] }),
    'for us twice': (base) => ({ aud: [base, base] }),
    'that lives longer than five minutes': () => ({ exp: inSeconds(366) }),
    'that lives for ever': () => ({ exp: 1e300 }),
    'that expired': () => ({ exp: inSeconds(-61) }),
    'that is not valid yet': () => ({ nbf: inSeconds(65) }),
    'that was issued in the future': () => ({ iat: inSeconds(65) }),
    'with an exp that is a text': () => ({ exp: 'soon' }),
  }
  test.each(Object.entries(wrong))('%s', async (_name, changes) => {
    const ann = await holder()
    const s = await secured({ trusted: [ann.did] })
    for (const [prove, status, error] of [
      [asGrant, 400, 'invalid_grant'],
      [asClient, 401, 'invalid_client'],
    ] as const) {
      const answer = await prove(s, await ann.sign(assertionClaims(ann.did, s.base, changes(s.base))))
      expect([answer.status, answer.json]).toEqual([status, { error, error_description: NOT_PROVED }])
    }
  })

  test('signed by another key, with another algorithm, by nobody, or bringing its key', async () => {
    const ann = keyHolder()
    const s = await secured({ trusted: [ann.did] })
    const claims = (): Json => assertionClaims(ann.did, s.base)
    const other = nodeKey('EdDSA')
    const forged = signerOf(ann.did, ann.kid, other)
    const assertions = [
      await forged.sign(claims()),
      await forged.sign(claims(), { kid: undefined }),
      await forged.sign(claims(), { jwk: other.publicJwk }),
      await ann.sign(claims(), { jwk: other.publicJwk }),
      await ann.sign(claims(), { jku: 'https://other.example' }),
      await ann.sign(claims(), { kid: `${ann.did}#other` }),
      await ann.sign(claims(), { kid: 7 }),
      await ann.sign(claims(), { alg: 'none' }),
      await ann.sign(claims(), { alg: 'HS256' }),
      await ann.sign(claims(), { alg: 'ES256' }),
      await ann.sign(claims(), { typ: 'at+jwt' }),
      await ann.sign(claims(), { typ: 'dpop+jwt' }),
      await ann.sign(claims(), { typ: 'oauth-id-jag+jwt' }),
      await ann.sign(claims(), { crit: ['exp'] }),
      `${await ann.sign(claims())}x`,
      'garbage',
      'a.b.c',
    ]
    for (const assertion of assertions) {
      const answer = await asGrant(s, assertion)
      expect([assertion, answer.status, answer.json]).toEqual([assertion, 400, { error: 'invalid_grant', error_description: NOT_PROVED }])
      expect((await asClient(s, assertion)).status).toBe(401)
    }
    expect((await asGrant(s, await ann.sign(claims()))).status).toBe(200)
  })

  test('by a key that may not log in', async () => {
    const host = await forThisTest(didHost())
    const ann = host.identity('ann')
    const s = await secured({ trusted: [ann.did] })
    host.host('ann', { ...ann.document, authentication: [], assertionMethod: [ann.kid], keyAgreement: [ann.kid] })
    expect((await asGrant(s, await ann.sign(assertionClaims(ann.did, s.base)))).status).toBe(400)
  })

  test('of an identity that nobody trusts, with the same words as one that proves nothing', async () => {
    const [ann, stranger] = [await holder(), await holder()]
    const s = await secured({ trusted: [ann.did] })
    const untrusted = await asGrant(s, await stranger.sign(assertionClaims(stranger.did, s.base)))
    const unproved = await asGrant(s, await stranger.sign(assertionClaims(ann.did, s.base)))
    expect([untrusted.status, untrusted.text]).toEqual([unproved.status, unproved.text])
    expect(s.log.join('')).toContain(`openmcp trust add ${stranger.did}`)
  })

  test('of a wallet, which has no key to log in with', async () => {
    const did = 'did:pkh:eip155:1:0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed'
    const s = await secured({ trusted: [did] })
    const { privateKey, publicJwk } = await holder()
    expect((await asGrant(s, await holderOf(did, `${did}#0`, 'EdDSA', privateKey, publicJwk).sign(assertionClaims(did, s.base)))).status).toBe(400)
  })
})

test('an assertion may name the issuer, with a slash, or its endpoint, and be a list of one', async () => {
  const ann = await holder()
  const s = await secured({ trusted: [ann.did] })
  for (const aud of [s.base, `${s.base}/`, `${s.base}/token`, [s.base]]) {
    expect((await asGrant(s, await ann.sign(assertionClaims(ann.did, s.base, { aud })))).status).toBe(200)
    expect((await asClient(s, await ann.sign(assertionClaims(ann.did, s.base, { aud })))).status).toBe(200)
  }
})

test('clocks may differ by a minute and no more', async () => {
  const ann = await holder()
  const s = await secured({ trusted: [ann.did] })
  // A margin for the seconds that the test itself takes.
  const good: Json[] = [{ exp: -55 }, { iat: 60 }, { nbf: 60 }, { exp: 355 }]
  const wrong: Json[] = [{ exp: -61 }, { iat: 66 }, { nbf: 66 }, { exp: 366 }]
  const answers = async (all: Json[]): Promise<number[]> =>
    Promise.all(
      all.map(async (changes) => {
        const claims = Object.fromEntries(Object.entries(changes).map(([name, seconds]) => [name, secondsNow() + Number(seconds)]))
        return (await asGrant(s, await ann.sign(assertionClaims(ann.did, s.base, claims)))).status
      }),
    )
  expect(await answers(good)).toEqual([200, 200, 200, 200])
  expect(await answers(wrong)).toEqual([400, 400, 400, 400])
})

test('of twenty that use one assertion at once, one gets a token', async () => {
  const ann = await holder()
  for (const durable of [false, true]) {
    const s = await secured({ trusted: [ann.did], durable })
    const assertion = await ann.sign(assertionClaims(ann.did, s.base))
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? asGrant : asClient)(s, assertion)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(answers.filter(({ json }) => json['error'] === 'invalid_grant')).toHaveLength(19)
  }
})

test('an assertion cannot be used again for as long as it would be taken', async () => {
  const ann = await holder()
  const s = await secured({ trusted: [ann.did] })
  const assertion = await ann.sign(assertionClaims(ann.did, s.base))
  expect((await asGrant(s, assertion)).status).toBe(200)
  for (const seconds of [60, 60, 55, 10]) {
    s.pass(seconds)
    expect((await asGrant(s, assertion)).status).toBe(400)
  }
})

test('what was refused is not used up, and what a stranger sends is not remembered', async () => {
  const ann = await holder()
  const s = await secured()
  const { enrolment } = s
  const assertion = await ann.sign(assertionClaims(ann.did, s.base))
  expect((await asGrant(s, assertion)).status).toBe(400)
  const secret = enrolment?.hash.replace('#enrol=', '') ?? ''
  expect((await asGrant(s, assertion, { enrolment: secret })).status).toBe(200)
})

describe('client_credentials', () => {
  test('needs private_key_jwt', async () => {
    const ann = await holder()
    const s = await secured({ trusted: [ann.did] })
    const assertion = await ann.sign(assertionClaims(ann.did, s.base))
    const forms: Record<string, string>[] = [
      {},
      { client_id: ann.did },
      { client_id: ann.did, client_secret: 'secret' },
      { client_assertion: assertion },
      { client_assertion: assertion, client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer' },
      { client_assertion_type: CLIENT_ASSERTION },
    ]
    for (const form of forms) {
      const answer = await s.post('/token', { grant_type: 'client_credentials', ...form })
      expect([answer.status, answer.json['error'], answer.headers['www-authenticate']]).toEqual([401, 'invalid_client', 'Bearer'])
    }
    expect((await asClient(s, assertion, { client_id: ann.did })).status).toBe(200)
  })

  test('is refused when client_id is another', async () => {
    const [ann, bob] = [await holder(), await holder()]
    const s = await secured({ trusted: [ann.did, bob.did] })
    const answer = await asClient(s, await ann.sign(assertionClaims(ann.did, s.base)), { client_id: bob.did })
    expect([answer.status, answer.json['error']]).toEqual([401, 'invalid_client'])
  })

  test('a password in the header is none', async () => {
    const ann = await holder()
    const s = await secured({ trusted: [ann.did] })
    const answer = await s.post('/token', { grant_type: 'client_credentials' }, { authorization: `Basic ${Buffer.from(`${ann.did}:x`).toString('base64')}` })
    expect([answer.status, answer.json['error']]).toEqual([401, 'invalid_client'])
  })
})

test('an assertion with a wrong client assertion beside it is refused, and so are two identities', async () => {
  const [ann, bob] = [await holder(), await holder()]
  const s = await secured({ trusted: [ann.did, bob.did] })
  const client = (client_assertion: string): Record<string, string> => ({ client_assertion_type: CLIENT_ASSERTION, client_assertion })
  const ofAnn = (): Promise<string> => ann.sign(assertionClaims(ann.did, s.base))
  expect((await asGrant(s, await ofAnn(), client('garbage'))).json['error']).toBe('invalid_client')
  expect((await asGrant(s, await ofAnn(), client(await bob.sign(assertionClaims(bob.did, s.base))))).json['error']).toBe('invalid_grant')
  expect((await asGrant(s, await ofAnn(), { client_secret: 'x' })).json['error']).toBe('invalid_client')
  expect((await asGrant(s, await ofAnn(), client(await ofAnn()))).status).toBe(200)
})

test('a grant type that is none of ours is named as such', async () => {
  const s = await secured()
  for (const type of ['implicit', 'password', 'urn:ietf:params:oauth:grant-type:device_code', 'constructor', '__proto__', 'toString']) {
    const { status, json } = await s.post('/token', { grant_type: type })
    expect([type, status, json['error']]).toEqual([type, 400, 'unsupported_grant_type'])
  }
  for (const form of [{}, { grant_type: '' }, { grant_type: JWT_BEARER }, { grant_type: JWT_BEARER, assertion: '' }]) {
    expect((await s.post('/token', form)).json['error']).toBe('invalid_request')
  }
})

describe('keys of a did:web', () => {
  test('a key that was added a moment ago logs in', async () => {
    const host = await forThisTest(didHost())
    const ann = host.identity('ann')
    const s = await secured({ trusted: [ann.did] })
    await s.token(ann)
    const key = nodeKey('ES256')
    const kid = `${ann.did}#second`
    host.host('ann', {
      ...ann.document,
      verificationMethod: [...ann.document.verificationMethod, { id: kid, type: 'JsonWebKey', controller: ann.did, publicKeyJwk: { ...key.publicJwk } }],
      authentication: [ann.kid, kid],
    })
    s.pass(6)
    await expect(s.token(signerOf(ann.did, kid, key))).resolves.toMatch(/^ey/)
  })

  test('a key that was taken out logs in no more, once the document is read again', async () => {
    const host = await forThisTest(didHost())
    const ann = host.identity('ann')
    const s = await secured({ trusted: [ann.did] })
    await s.token(ann)
    host.host('ann', { ...ann.document, authentication: [] })
    s.pass(61)
    await expect(s.token(ann, { claims: { iat: secondsNow() + 61, exp: secondsNow() + 161 } })).rejects.toThrow('invalid_grant')
  })

  test('a document of another DID speaks for nobody', async () => {
    const host = await forThisTest(didHost())
    const ann = host.identity('ann')
    const s = await secured({ trusted: [ann.did] })
    host.host('ann', { ...ann.document, id: host.did('bob') })
    await expect(s.token(ann)).rejects.toThrow('invalid_grant')
  })
})
