// What a code and a refresh token are good for, and what ends them.
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'

import { keyProver, type Prover } from '../../api-keys/stage.ts'
import { assertionClaims, keyHolder, proofKey, type ProofKey, type Signer } from '../../support/did.ts'
import { CLIENT_ASSERTION, bearer, secured, sessionWith, type Secured, type SecuredOptions } from '../../support/secured.ts'
import { ask, open, type Answer } from '../../support/wire.ts'
import { nodeSigner } from '../../security/node-signer.ts'
import { BACK, VERIFIER, codeFor, exchange, logIn, refresh, registered, tokensIn, type Query, type Tokens } from './stage.ts'

interface Stage {
  readonly s: Secured
  readonly who: Prover
  readonly client: string
}

async function stage(options: SecuredOptions = {}): Promise<Stage> {
  const who = keyProver()
  const s = await secured({ ...options, trusted: [who.did, ...(options.trusted ?? [])] })
  return { s, who, client: await registered(s) }
}

async function loggedIn({ s, who, client }: Stage): Promise<Tokens> {
  return tokensIn(await exchange(s, client, await codeFor(s, who, client)))
}

async function isLetIn({ s }: Pick<Stage, 's'>, access: string): Promise<boolean> {
  const { status } = await ask(s.url, { headers: bearer(access), body: { jsonrpc: '2.0', id: 1, method: 'ping' } })
  return status !== 401
}

function refused({ status, json }: Answer): unknown[] {
  return [status, json['error'], 'access_token' in json, 'refresh_token' in json]
}

const NO_GRANT = [400, 'invalid_grant', false, false]

describe('a code', () => {
  test.each<[string, Query, unknown[]]>([
    ['without the verifier', { code_verifier: undefined }, NO_GRANT],
    ['with the verifier of somebody else', { code_verifier: 'x'.repeat(43) }, NO_GRANT],
    ['with a verifier that is too short', { code_verifier: 'short' }, [400, 'invalid_request', false, false]],
    ['with the challenge as the verifier', { code_verifier: createHash('sha256').update(VERIFIER).digest('base64url') }, NO_GRANT],
    ['with another redirect URI', { redirect_uri: BACK.replace(':9', ':10') }, NO_GRANT],
    ['without the redirect URI', { redirect_uri: undefined }, [400, 'invalid_request', false, false]],
    ['for another resource', { resource: 'https://evil.example/mcp' }, [400, 'invalid_target', false, false]],
    ['without a client', { client_id: undefined }, [401, 'invalid_client', false, false]],
    ['for a client that is none', { client_id: 'reg.e30.e30' }, [401, 'invalid_client', false, false]],
    ['for no code', { code: 'x'.repeat(43) }, NO_GRANT],
    ['with a secret', { client_secret: 'x', code: undefined }, NO_GRANT],
  ])('%s is refused', async (_what, more, expected) => {
    const { s, who, client } = await stage()
    expect(refused(await exchange(s, client, await codeFor(s, who, client), more))).toEqual(expected)
  })

  test('of one client is none for another, and stays good for its own', async () => {
    const { s, who, client } = await stage()
    const other = await registered(s, { client_name: 'other' })
    const code = await codeFor(s, who, client)
    expect(refused(await exchange(s, other, code))).toEqual(NO_GRANT)
    expect((await exchange(s, client, code)).status).toBe(200)
  })

  test('is good once: its replay is refused, and ends what came of it', async () => {
    const where = await stage()
    const { s, who, client } = where
    const code = await codeFor(s, who, client)
    const tokens = tokensIn(await exchange(s, client, code))
    expect(await isLetIn(where, tokens.access)).toBe(true)
    expect(refused(await exchange(s, client, code))).toEqual(NO_GRANT)
    expect(await isLetIn(where, tokens.access)).toBe(false)
    expect(refused(await refresh(s, client, tokens.refresh))).toEqual(NO_GRANT)
  })

  test('that is used at once by several gives one of them tokens, and these end', async () => {
    const where = await stage({ durable: true })
    const { s, who, client } = where
    const code = await codeFor(s, who, client)
    const answers = await Promise.all([1, 2, 3].map(() => exchange(s, client, code)))
    const won = answers.filter(({ status }) => status === 200)
    expect(won.length).toBeLessThanOrEqual(1)
    for (const answer of won) {
      expect(await isLetIn(where, tokensIn(answer).access)).toBe(false)
      expect(refused(await refresh(s, client, tokensIn(answer).refresh))).toEqual(NO_GRANT)
    }
  })

  test('waits a minute', async () => {
    const { s, who, client } = await stage()
    const code = await codeFor(s, who, client)
    s.pass(61)
    expect(refused(await exchange(s, client, code))).toEqual(NO_GRANT)
  })

  test('gives nothing to whoever is not trusted any more', async () => {
    const who = keyProver()
    const s = await secured({ trusted: [{ id: who.did, untilMs: Date.now() + 100_000 }] })
    const client = await registered(s)
    s.pass(80)
    const code = await codeFor(s, who, client)
    s.pass(30)
    expect(refused(await exchange(s, client, code))).toEqual(NO_GRANT)
  })
})

describe('a refresh token', () => {
  test('is exchanged for another one; the old one ends the login when it comes again', async () => {
    const where = await stage()
    const { s, client } = where
    const first = await loggedIn(where)
    const second = tokensIn(await refresh(s, client, first.refresh))
    const third = tokensIn(await refresh(s, client, second.refresh))
    expect(new Set([first.refresh, second.refresh, third.refresh]).size).toBe(3)
    expect(await isLetIn(where, third.access)).toBe(true)
    expect(refused(await refresh(s, client, first.refresh))).toEqual(NO_GRANT)
    for (const { access, refresh: token } of [first, second, third]) {
      expect(await isLetIn(where, access)).toBe(false)
      expect(refused(await refresh(s, client, token))).toEqual(NO_GRANT)
    }
  })

  test('that is used at once by several gives one of them tokens, and these end', async () => {
    const where = await stage({ durable: true })
    const { s, client } = where
    const { refresh: token } = await loggedIn(where)
    const answers = await Promise.all([1, 2, 3].map(() => refresh(s, client, token)))
    const won = answers.filter(({ status }) => status === 200)
    expect(won.length).toBeLessThanOrEqual(1)
    for (const answer of won) expect(await isLetIn(where, tokensIn(answer).access)).toBe(false)
  })

  test('of one client is none for another, and stays good for its own', async () => {
    const where = await stage()
    const { s, client } = where
    const { refresh: token } = await loggedIn(where)
    for (const other of [await registered(s, { client_name: 'other' }), await registered(s, { client_name: 'third' })]) {
      expect(refused(await refresh(s, other, token))).toEqual(NO_GRANT)
    }
    expect((await refresh(s, client, token)).status).toBe(200)
  })

  test('gives a part of what was given when that is asked for, and never more', async () => {
    const where = await stage()
    const { s, who, client } = where
    const whole = await loggedIn(where)
    const part = await refresh(s, client, whole.refresh, { scope: 'mcp:tools' })
    expect(part.json['scope']).toBe('mcp:tools')
    expect((await refresh(s, client, tokensIn(part).refresh)).json['scope']).toBe('mcp')
    const tools = tokensIn(await exchange(s, client, await codeFor(s, who, client, { scope: 'mcp:tools' })))
    for (const scope of ['mcp', 'mcp:tools mcp:resources', 'introspect', 'offline_access']) {
      expect(refused(await refresh(s, client, tools.refresh, { scope }))).toEqual([400, 'invalid_scope', false, false])
    }
    expect((await refresh(s, client, tools.refresh, { resource: 'https://evil.example/mcp' })).json['error']).toBe('invalid_target')
    expect((await refresh(s, client, tools.refresh)).json['scope']).toBe('mcp:tools')
  })

  test('is over after two weeks without use', async () => {
    const where = await stage()
    const { refresh: token } = await loggedIn(where)
    where.s.pass(14 * 24 * 3600 + 1)
    expect(refused(await refresh(where.s, where.client, token))).toEqual(NO_GRANT)
  })

  test('is refused as soon as nobody trusts its identity, with every access token and everything open', async () => {
    const who = keyProver()
    const s = await secured({ durable: true, trusted: [keyProver().did] })
    const store = await s.otherProcess()
    await store.put('trust', { key: who.did, value: JSON.stringify({ id: who.did }), expiresAtMs: undefined })
    const client = await registered(s)
    await expect.poll(async () => (await logIn(s, who, client).catch(() => undefined))?.searchParams.has('code')).toBe(true)
    const tokens = await loggedIn({ s, who, client })
    const session = await sessionWith(s, bearer(tokens.access))
    const stream = await open(s.url, { headers: { ...bearer(tokens.access), 'mcp-session-id': session, accept: 'text/event-stream' } })
    await store.remove('trust', who.did)
    await expect.poll(() => stream.over).toBeDefined()
    expect(await isLetIn({ s }, tokens.access)).toBe(false)
    expect(refused(await refresh(s, client, tokens.refresh))).toEqual(NO_GRANT)
  })
})

describe('of a client whose registration is over', () => {
  test('everything is refused as invalid_client, by which clients know that they have to register anew', async () => {
    const where = await stage()
    const { s, client } = where
    s.pass(89.99 * 24 * 3600)
    const { refresh: token } = await loggedIn(where)
    s.pass(3600)
    expect(refused(await refresh(s, client, token))).toEqual([401, 'invalid_client', false, false])
  })
})

test('when the keys of the node are changed, all at once, logins and registrations go on', async () => {
  const where = await stage()
  const { s, who, client } = where
  const before = await loggedIn(where)
  expect(await isLetIn(where, before.access)).toBe(true)
  const node = await nodeSigner(s)
  await node.keys.rotate({ leadSeconds: 0, dropOld: true })
  await expect.poll(() => isLetIn(where, before.access)).toBe(false)
  const after = tokensIn(await refresh(s, client, before.refresh))
  expect(await isLetIn(where, after.access)).toBe(true)
  expect((await exchange(s, client, await codeFor(s, who, client))).status).toBe(200)
})

describe('with a DPoP key', () => {
  const tokenProof = (s: Secured, key: ProofKey, nonce?: string): Promise<string> =>
    key.proof({ method: 'POST', url: `${s.base}/token`, ...(nonce !== undefined && { nonce }) })

  test('the access token and the refresh token are bound to it', async () => {
    const where = await stage()
    const { s, who, client } = where
    const [key, other] = [await proofKey(), await proofKey()]
    const answer = await exchange(s, client, await codeFor(s, who, client), {}, { dpop: await tokenProof(s, key) })
    expect(answer.json['token_type']).toBe('DPoP')
    const { access, refresh: token } = tokensIn(answer)
    const [, claims = ''] = access.split('.')
    expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({ cnf: { jkt: key.jkt } })
    expect(await isLetIn(where, access)).toBe(false)
    expect(refused(await refresh(s, client, token))).toEqual(NO_GRANT)
    expect(refused(await refresh(s, client, token, {}, { dpop: await tokenProof(s, other) }))).toEqual(NO_GRANT)
    // Neither used it up.
    const fresh = await refresh(s, client, token, {}, { dpop: await tokenProof(s, key) })
    expect([fresh.status, fresh.json['token_type']]).toEqual([200, 'DPoP'])
    expect(refused(await refresh(s, client, tokensIn(fresh).refresh))).toEqual(NO_GRANT)
  })

  test('that was named at the beginning no other is taken', async () => {
    const { s, who, client } = await stage()
    const [key, other] = [await proofKey(), await proofKey()]
    const code = await codeFor(s, who, client, { dpop_jkt: key.jkt })
    expect(refused(await exchange(s, client, code))).toEqual(NO_GRANT)
    expect(refused(await exchange(s, client, code, {}, { dpop: await tokenProof(s, other) }))).toEqual(NO_GRANT)
    expect((await exchange(s, client, code, {}, { dpop: await tokenProof(s, key) })).status).toBe(200)
  })

  test('a proof is good once', async () => {
    const { s, who, client } = await stage()
    const dpop = await tokenProof(s, await proofKey())
    expect((await exchange(s, client, await codeFor(s, who, client), {}, { dpop })).status).toBe(200)
    expect(refused(await exchange(s, client, await codeFor(s, who, client), {}, { dpop }))).toEqual([400, 'invalid_dpop_proof', false, false])
  })

  test('a login that began without one keeps the first that it shows', async () => {
    const where = await stage()
    const { s, client } = where
    const key = await proofKey()
    const { refresh: token } = await loggedIn(where)
    const bound = await refresh(s, client, token, {}, { dpop: await tokenProof(s, key) })
    expect(bound.json['token_type']).toBe('DPoP')
    expect(refused(await refresh(s, client, tokensIn(bound).refresh))).toEqual(NO_GRANT)
  })

  test('that is required nothing is given without it, and nothing is used up', async () => {
    const { s, who, client } = await stage({ security: { dpop: 'required' } })
    const code = await codeFor(s, who, client)
    expect(refused(await exchange(s, client, code))).toEqual([400, 'invalid_dpop_proof', false, false])
    expect((await exchange(s, client, code, {}, { dpop: await tokenProof(s, await proofKey()) })).status).toBe(200)
  })

  test('and a nonce that is required, code and refresh token wait for the proof that carries it', async () => {
    const { s, who, client } = await stage({ security: { dpop: 'nonce' } })
    const key = await proofKey()
    const code = await codeFor(s, who, client)
    const first = await exchange(s, client, code, {}, { dpop: await tokenProof(s, key) })
    expect(refused(first)).toEqual([400, 'use_dpop_nonce', false, false])
    const answer = await exchange(s, client, code, {}, { dpop: await tokenProof(s, key, String(first.headers['dpop-nonce'])) })
    expect(answer.status).toBe(200)
    const nonce = String(answer.headers['dpop-nonce'])
    const { refresh: token, access } = tokensIn(answer)
    expect((await refresh(s, client, token, {}, { dpop: await tokenProof(s, key) })).json['error']).toBe('use_dpop_nonce')
    expect((await refresh(s, client, token, {}, { dpop: await tokenProof(s, key, nonce) })).status).toBe(200)
    // The way in takes the same nonces.
    const dpop = await key.proof({ method: 'POST', url: s.url.href, token: access, nonce })
    const { status } = await ask(s.url, { headers: { authorization: `DPoP ${access}`, dpop }, body: { jsonrpc: '2.0', id: 1, method: 'ping' } })
    expect(status).not.toBe(401)
  })
})

describe('/introspect', () => {
  const asks = async (s: Secured, who: Signer, token: string): Promise<Answer> =>
    s.post('/introspect', { token, client_assertion_type: CLIENT_ASSERTION, client_assertion: await who.sign(assertionClaims(who.did, s.base)) })

  test('tells a server that is trusted with it about both tokens, and anybody else nothing', async () => {
    const [server, other] = [keyHolder(), keyHolder()]
    const where = await stage({ trusted: [{ id: server.did, scopes: ['introspect'] }, other.did] })
    const { s, who, client } = where
    const { access, refresh: token } = await loggedIn(where)
    expect((await asks(s, server, token)).json).toEqual({ active: true, sub: who.did, client_id: client, exp: expect.any(Number), scope: 'mcp' })
    expect((await asks(s, server, access)).json).toMatchObject({ active: true, sub: who.did, aud: s.url.href, scope: 'mcp' })
    for (const one of [access, token, 'x'.repeat(43)]) expect((await asks(s, other, one)).json).toEqual({ active: false })
    expect((await s.post('/introspect', { token, client_id: client })).status).toBe(401)
    await refresh(s, client, token)
    expect((await asks(s, server, token)).json).toEqual({ active: false })
  })
})

describe('/revoke', () => {
  test('of a refresh token ends the login at once: every token of it, and what is open', async () => {
    const where = await stage()
    const { s, client } = where
    const first = await loggedIn(where)
    const second = tokensIn(await refresh(s, client, first.refresh))
    const other = await loggedIn(where)
    const session = await sessionWith(s, bearer(second.access))
    const stream = await open(s.url, { headers: { ...bearer(second.access), 'mcp-session-id': session, accept: 'text/event-stream' } })
    const answer = await s.post('/revoke', { token: second.refresh, client_id: client, token_type_hint: 'refresh_token' })
    expect([answer.status, answer.json]).toEqual([200, {}])
    for (const { access } of [first, second]) expect(await isLetIn(where, access)).toBe(false)
    expect(refused(await refresh(s, client, second.refresh))).toEqual(NO_GRANT)
    await expect.poll(() => stream.over).toBeDefined()
    // Another login of the same person at the same client goes on.
    expect(await isLetIn(where, other.access)).toBe(true)
    expect((await refresh(s, client, other.refresh)).status).toBe(200)
  })

  test('of an access token ends this one alone', async () => {
    const where = await stage()
    const { s, client } = where
    const tokens = await loggedIn(where)
    expect((await s.post('/revoke', { token: tokens.access, client_id: client })).status).toBe(200)
    expect(await isLetIn(where, tokens.access)).toBe(false)
    expect((await refresh(s, client, tokens.refresh)).status).toBe(200)
  })

  test('by another client leaves both as they are, and says nothing', async () => {
    const where = await stage()
    const { s, client } = where
    const other = await registered(s, { client_name: 'other' })
    const tokens = await loggedIn(where)
    for (const token of [tokens.access, tokens.refresh, 'x'.repeat(43)]) {
      const { status, json } = await s.post('/revoke', { token, client_id: other })
      expect([status, json]).toEqual([200, {}])
    }
    expect(await isLetIn(where, tokens.access)).toBe(true)
    expect((await refresh(s, client, tokens.refresh)).status).toBe(200)
  })

  test('by an identity that proves itself ends its own alone', async () => {
    const other = keyHolder()
    const where = await stage({ trusted: [other.did] })
    const { s, client } = where
    const tokens = await loggedIn(where)
    const assertion = { client_assertion_type: CLIENT_ASSERTION, client_assertion: await other.sign(assertionClaims(other.did, s.base)) }
    expect((await s.post('/revoke', { token: tokens.refresh, ...assertion })).json['error']).toBe('invalid_client')
    expect((await refresh(s, client, tokens.refresh)).status).toBe(200)
  })

  test('of a refresh token that was exchanged before ends the login as well', async () => {
    const where = await stage()
    const { s, client } = where
    const first = await loggedIn(where)
    const second = tokensIn(await refresh(s, client, first.refresh))
    await s.post('/revoke', { token: first.refresh })
    expect(await isLetIn(where, second.access)).toBe(false)
    expect(refused(await refresh(s, client, second.refresh))).toEqual(NO_GRANT)
  })
})
