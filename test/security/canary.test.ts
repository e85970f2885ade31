// Secrets run through everything that succeeds and fails, with the log as talkative as it gets: none is seen anywhere but where it belongs.
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'

import { challengeOf, postJson, walletProver } from '../api-keys/stage.ts'
import { VERIFIER, authorizeUrl, exchange, refresh, registered, tokensIn } from '../oauth/browser/stage.ts'
import { didHost } from '../support/did-host.ts'
import { assertionClaims, holder, nodeKey, proofKey, signerOf, type Holder, type ProofKey } from '../support/did.ts'
import { callMessage, initializeMessage } from '../support/openmcp.ts'
import { CLIENT_ASSERTION, JWT_BEARER, bearer, secured, sessionWith, type Secured } from '../support/secured.ts'
import { forThisTest } from '../support/tidy.ts'
import { testWallet } from '../support/wallet.ts'
import { ask, type Answer, type Asked } from '../support/wire.ts'

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'

/** Everything that is a secret, by what it is, and everything that was answered. */
interface Trail {
  readonly secrets: Map<string, string>
  readonly answers: Answer[]
  secret(name: string, value: string): string
  ask(url: URL, asked?: Asked): Promise<Answer>
  post(path: string, form: Readonly<Record<string, string>>, headers?: Readonly<Record<string, string>>): Promise<Answer>
}

function trailOf(s: Secured): Trail {
  const secrets = new Map<string, string>()
  const answers: Answer[] = []
  const noted = async (answering: Promise<Answer>): Promise<Answer> => {
    const answer = await answering
    // The token belongs into the answer to whoever asked for it, once.
    const token = answer.json['access_token']
    if (typeof token === 'string') secrets.set(`token ${secrets.size}`, token)
    answers.push(typeof token === 'string' ? { ...answer, text: answer.text.replace(token, '') } : answer)
    return answer
  }
  return {
    secrets,
    answers,
    secret(name, value) {
      secrets.set(name, value)
      return value
    },
    ask: (url, asked) => noted(ask(url, asked)),
    post: (path, form, headers) => noted(s.post(path, form, headers)),
  }
}

/** Where a secret was seen that it does not belong. A part of it that is long enough to be one counts. */
function leaks(s: Secured, trail: Trail): string[] {
  const places: [string, string][] = [
    ...s.log.map((line): [string, string] => ['log', line]),
    ...trail.answers.map(({ status, headers, text }): [string, string] => [`answer ${status}`, JSON.stringify(headers) + text]),
    ...s.upstream.received.map(({ method, url, headers, text }): [string, string] => ['upstream', `${method} ${url} ${JSON.stringify(headers)} ${text}`]),
  ]
  return [...trail.secrets].flatMap(([name, secret]) => {
    const parts = secret.split('.').filter((part) => part.length >= 24)
    // The first part of a JWT says how it is signed, which is none.
    const telling = secret.startsWith('ey') ? parts.slice(1) : parts
    return places.filter(([, text]) => telling.some((part) => text.includes(part))).map(([place, text]) => `${name} in ${place}: ${text.slice(0, 200)}`)
  })
}

async function assertionOf(who: Pick<Holder, 'did' | 'sign'>, s: Secured, trail: Trail, name: string): Promise<string> {
  return trail.secret(name, await who.sign(assertionClaims(who.did, s.base)))
}

async function proofOf(key: ProofKey, method: string, url: string, trail: Trail, token?: string): Promise<Record<string, string>> {
  return { dpop: trail.secret(`proof ${trail.secrets.size}`, await key.proof({ method, url, ...(token !== undefined && { token }) })) }
}

test('no log line, answer, header or upstream request holds a credential', async () => {
  const host = await forThisTest(didHost())
  const [ann, stranger, web] = [await holder(), await holder(), host.identity('ann')]
  const apiKey = 'canary-of-an-api-key-0123456789-0123456789'
  const s = await secured({ trusted: [ann.did, web.did], security: { apiKeys: [apiKey] }, listen: { allowOrigins: ['https://app.example'] } })
  const trail = trailOf(s)
  trail.secret('the key of the operator', apiKey)
  trail.secret('a key that is wrong', 'canary-of-a-wrong-api-key-0123456789-01234')
  const key = await proofKey()
  const rpc = (headers: Readonly<Record<string, string>>, url = s.url): Promise<Answer> => trail.ask(url, { headers, body: callMessage(1, 'echo') })

  // What succeeds.
  const granted = await trail.post('/token', { grant_type: JWT_BEARER, assertion: await assertionOf(ann, s, trail, 'an assertion') })
  const token = String(granted.json['access_token'])
  const client = async (): Promise<Record<string, string>> => ({
    client_assertion_type: CLIENT_ASSERTION,
    client_assertion: await assertionOf(ann, s, trail, `a client assertion ${trail.secrets.size}`),
  })
  await trail.post('/token', { grant_type: 'client_credentials', ...(await client()) })
  const bound = await trail.post('/token', { grant_type: 'client_credentials', ...(await client()) }, await proofOf(key, 'POST', `${s.base}/token`, trail))
  const boundToken = String(bound.json['access_token'])
  const actor = await assertionOf(web, s, trail, 'an assertion by did:web')
  await trail.post('/token', {
    grant_type: EXCHANGE,
    subject_token: token,
    subject_token_type: ACCESS_TOKEN,
    client_assertion_type: CLIENT_ASSERTION,
    client_assertion: actor,
  })
  await sessionWith(s, bearer(token))
  expect((await rpc(bearer(token))).status).toBe(200)
  expect((await rpc({ 'x-api-key': apiKey })).status).toBe(200)
  expect((await rpc({ authorization: `DPoP ${boundToken}`, ...(await proofOf(key, 'POST', s.url.href, trail, boundToken)) })).status).toBe(200)
  expect((await trail.post('/introspect', { token, ...(await client()) })).json['active']).toBe(true)

  // What fails.
  const refused = [
    trail.post('/token', { grant_type: JWT_BEARER, assertion: actor }),
    trail.post('/token', { grant_type: JWT_BEARER, assertion: await assertionOf(stranger, s, trail, 'an assertion of a stranger') }),
    trail.post('/token', {
      grant_type: JWT_BEARER,
      assertion: await assertionOf(ann, s, trail, 'one for another resource'),
      resource: 'https://other.example',
    }),
    trail.post('/token', { grant_type: JWT_BEARER, assertion: `${await assertionOf(ann, s, trail, 'one that is spoilt')}x` }),
    trail.post('/token', { grant_type: token, scope: token, resource: token, audience: token, client_id: token }),
    trail.post('/token', {
      grant_type: JWT_BEARER,
      assertion: token,
      enrolment: trail.secret('a secret of enrolment', 'canary-of-enrolment-0123456789-0123456789012'),
    }),
    trail.post('/token', {
      grant_type: 'client_credentials',
      client_id: ann.did,
      client_secret: trail.secret('a password', 'canary-of-a-password-0123456789'),
    }),
    trail.post('/token', { grant_type: EXCHANGE, subject_token: token, subject_token_type: token }),
    trail.post(
      '/token',
      { grant_type: JWT_BEARER, assertion: actor },
      { dpop: token, authorization: `Basic ${trail.secret('basic', 'Y2FuYXJ5LW9mLWJhc2ljLTAxMjM0NTY3ODk=')}` },
    ),
    trail.post('/token', { padding: token.repeat(60) }),
    trail.post('/revoke', { token: `${token}x` }),
    trail.post('/introspect', { token, ...(await client()), client_id: stranger.did }),
    trail.ask(new URL(`/token?assertion=${actor}&access_token=${token}`, s.base), { method: 'GET' }),
    trail.ask(new URL(`/authorize?token=${token}`, s.base)),
    rpc(bearer(`${token}x`)),
    rpc(bearer(boundToken)),
    rpc(bearer(await assertionOf(ann, s, trail, 'one used as a token'))),
    rpc({ 'x-api-key': 'canary-of-a-wrong-api-key-0123456789-01234' }),
    rpc({ ...bearer(token), 'x-api-key': apiKey }),
    rpc({ authorization: `DPoP ${boundToken}`, dpop: token }),
    rpc({ authorization: `DPoP ${boundToken}`, ...(await proofOf(key, 'GET', s.url.href, trail, boundToken)) }),
    rpc({ authorization: `Bearer ${token} ${token}` }),
    rpc({ authorization: token }),
    rpc({ ...bearer(token), 'mcp-session-id': token }),
    rpc({ ...bearer(token), host: token.slice(0, 60) }),
    rpc({ ...bearer(token), origin: `https://${token.slice(-40)}.example` }),
    rpc({ ...bearer(token), 'content-type': token }),
    rpc({}, new URL(`/mcp?access_token=${token}`, s.base)),
    rpc({}, new URL(`/mcp/${token}`, s.base)),
    rpc(bearer(token), new URL(`/messages?sessionId=${token}`, s.base)),
    trail.ask(s.url, { method: 'POST', headers: { ...bearer(token), 'content-type': 'application/json' }, body: `{"jsonrpc":"2.0","token":"${token}` }),
  ]
  const statuses = (await Promise.all(refused)).map(({ status }) => status)
  expect(statuses.filter((status) => status < 400)).toEqual([200])
  await trail.post('/revoke', { token })
  expect((await rpc(bearer(token))).status).toBe(401)

  for (const file of await readdir(join(s.home, 'keys'))) {
    const text = await readFile(join(s.home, 'keys', file), 'utf8')
    for (const [, value] of text.matchAll(/"(?:d|k|secret|privateKey)"\s*:\s*"([^"]{24,})"/g)) trail.secret(`the private key in ${file}`, value ?? '')
  }
  trail.secret('a private key of a client', key.privateJwk.d ?? '')
  expect([...trail.secrets.keys()].filter((name) => name.startsWith('the private key'))).toHaveLength(3)
  expect(trail.secrets.size).toBeGreaterThan(20)
  expect(s.log.length).toBeGreaterThan(50)
  expect(leaks(s, trail)).toEqual([])
})

test('nor the secret of the enrolment link, redeemed, replayed or wrong', async () => {
  const ann = await holder()
  const s = await secured()
  const trail = trailOf(s)
  const secret = trail.secret('the enrolment secret', s.enrolment?.hash.replace('#enrol=', '') ?? '')
  expect(secret).toHaveLength(43)
  for (const enrolment of [`${secret}x`, secret, secret]) {
    await trail.post('/token', { grant_type: JWT_BEARER, assertion: await assertionOf(ann, s, trail, `an assertion ${trail.secrets.size}`), enrolment })
  }
  await trail.ask(new URL(`/keys?enrol=${secret}`, s.base))
  await trail.ask(new URL(`/token?enrolment=${secret}`, s.base), { method: 'POST' })
  expect(trail.answers.map(({ status }) => status)).toEqual([400, 200, 200, 200, 400])
  expect(leaks(s, trail)).toEqual([])
  // Who looks for leaks finds one.
  expect(leaks({ ...s, log: [`redeemed ${secret}`] }, trail)).toHaveLength(1)
})

test('nor a key, a signature, a cookie, a code, a refresh token or a verifier, by whatever way they come in or go out', async () => {
  const [who, server] = [walletProver(testWallet()), await holder()]
  const s = await secured({ trusted: [who.did, { id: server.did, scopes: ['mcp', 'introspect'] }] })
  const trail = trailOf(s)
  /** Notes the answer without what belongs into it, which is a secret from then on. */
  const given = (name: string, answer: Answer, found: RegExp): string => {
    const [, value = ''] = found.exec(`${answer.text} ${[answer.headers['set-cookie'] ?? '', answer.headers.location ?? ''].flat().join(' ')}`) ?? []
    if (value === '') throw new Error(`no ${name}: ${answer.status} ${answer.text}`)
    const clean = (text: string): string => text.replaceAll(value, '')
    const [cookies, location] = [answer.headers['set-cookie'], answer.headers.location]
    const headers = { ...answer.headers, ...(cookies && { 'set-cookie': cookies.map(clean) }), ...(location !== undefined && { location: clean(location) }) }
    trail.answers.push({ ...answer, text: clean(answer.text), headers })
    return trail.secret(`${name} ${trail.secrets.size}`, value)
  }
  const noted = async (answering: Promise<Answer>): Promise<number> => {
    const answer = await answering
    trail.answers.push(answer)
    return answer.status
  }
  const signedBy = async (challenge: string, headers: Readonly<Record<string, string>> = {}): Promise<Record<string, unknown>> => {
    const answer = await postJson(s, challenge, who.asked, headers)
    const message = challengeOf(answer)
    trail.answers.push(answer)
    return { ...who.asked, message, signature: trail.secret(`a signature ${trail.secrets.size}`, who.sign(message)) }
  }
  const rpc = (headers: Readonly<Record<string, string>>, url = s.url): Promise<number> => noted(ask(url, { headers, body: callMessage(1, 'echo') }))

  // Keys: made, used, looked up, rotated, revoked, and shown where they do not belong.
  const first = given('a key', await postJson(s, '/gen-api-key', await signedBy('/challenge')), /"api_key":"([^"]+)"/)
  expect(await rpc(bearer(first))).toBe(200)
  expect(await rpc({ 'x-api-key': first })).toBe(200)
  const assertion = async (): Promise<Record<string, string>> => ({
    client_id: server.did,
    client_assertion_type: CLIENT_ASSERTION,
    client_assertion: await assertionOf(server, s, trail, `a client assertion ${trail.secrets.size}`),
  })
  expect(await noted(postJson(s, '/reverse-lookup', { api_key: first, ...(await assertion()) }))).toBe(200)
  expect(await noted(postJson(s, '/reverse-lookup', { api_key: `${first.slice(0, -1)}A`, ...(await assertion()) }))).toBe(404)
  expect(await noted(postJson(s, '/reverse-lookup', { api_key: first }))).toBe(401)
  const second = given('a key', await postJson(s, '/rotate-api-key', await signedBy('/challenge')), /"api_key":"([^"]+)"/)
  expect(await rpc(bearer(first))).toBe(401)
  const used = await signedBy('/challenge')
  for (const path of ['/get-api-key', '/get-api-key', '/revoke-api-key']) await noted(postJson(s, path, used))
  await noted(postJson(s, '/get-api-key', { ...used, signature: `${String(used['signature']).slice(0, -2)}00`, label: second, key_id: second }))
  await noted(postJson(s, '/gen-api-key', { ...(await signedBy('/challenge')), label: second.slice(0, 10), scope: second, enrolment: second }))
  await noted(postJson(s, '/challenge', { did: second, hex_string: second }))
  await noted(postJson(s, '/challenge', `{"did":"${second}`))
  for (const path of ['/mcp', '/with-key/mcp', '/keys', '/status', '/get-api-key', '/authorize', `/login/${second}`, `/authorize/${second}`, `/keys/${second}`])
    await noted(ask(new URL(`${s.base}${path}?api_key=${second}&login=${second}&client_id=${second}`)))
  await rpc({ ...bearer(second), 'x-api-key': second })
  await rpc({ authorization: `DPoP ${second}` })
  await rpc({ 'mcp-session-id': second, ...bearer(second) })
  await noted(s.post('/introspect', { token: second, ...(await assertion()) }))
  await noted(s.post('/revoke', { token: second }))
  await noted(s.post('/token', { grant_type: second, client_id: second, refresh_token: second, code: second }))
  expect(await noted(postJson(s, '/revoke-api-key', await signedBy('/challenge')))).toBe(200)

  // A login, from its beginning to its end, and what is wrong on its way.
  trail.secret('the verifier', VERIFIER)
  const client = await registered(s)
  const begun = await ask(authorizeUrl(s, client))
  const uid = new URL(begun.headers.location ?? '').searchParams.get('login') ?? ''
  const cookie = `openmcp-login-${uid}=${given('a cookie', begun, /openmcp-login-[\w-]+=([^;]+)/)}`
  const login = `/login/${uid}`
  const origin = new URL(s.base).origin
  await noted(ask(new URL(`${s.base}${login}`), { headers: { cookie } }))
  await noted(ask(new URL(`${s.base}${login}`), { headers: { cookie: `${cookie}x` } }))
  await noted(postJson(s, `${login}/approve`, await signedBy('/challenge'), { cookie, origin }))
  await noted(postJson(s, `${login}/approve`, { ...(await signedBy(`${login}/challenge`, { cookie, origin })), enrolment: VERIFIER }, { origin }))
  expect(await noted(postJson(s, `${login}/approve`, await signedBy(`${login}/challenge`, { cookie, origin }), { cookie, origin }))).toBe(200)
  const back = await ask(new URL(`${s.base}/authorize/${uid}`), { headers: { cookie } })
  const code = given('a code', back, /[?&]code=([^& ]+)/)
  expect(await noted(ask(new URL(`${s.base}/authorize/${uid}?code=${code}`), { headers: { cookie } }))).toBe(404)
  await noted(exchange(s, client, code, { code_verifier: `${VERIFIER.slice(1)}x` }))
  await noted(exchange(s, client, code, { redirect_uri: `https://evil.example/${code}` }))
  const answer = await exchange(s, client, code)
  const { access, refresh: token } = tokensIn(answer)
  trail.secret('an access token', access)
  given('a refresh token', { ...answer, text: answer.text.replace(access, '') }, /"refresh_token":"([^"]+)"/)
  expect(await rpc(bearer(access))).toBe(200)
  await rpc(bearer(token))
  await rpc(bearer(code))
  await noted(s.post('/introspect', { token, ...(await assertion()) }))
  await noted(refresh(s, client, token, { scope: 'introspect' }))
  await noted(refresh(s, 'other', token))
  const renewed = await refresh(s, client, token)
  trail.secret('another access token', tokensIn(renewed).access)
  given('a refresh token', { ...renewed, text: renewed.text.replace(tokensIn(renewed).access, '') }, /"refresh_token":"([^"]+)"/)
  expect(await noted(refresh(s, client, token))).toBe(400)
  expect(await noted(exchange(s, client, code))).toBe(400)
  await noted(s.post('/revoke', { token: tokensIn(renewed).refresh }))
  await noted(ask(authorizeUrl(s, client, { state: code, redirect_uri: `https://evil.example/?${code}`, code_verifier: VERIFIER })))

  for (const file of await readdir(join(s.home, 'keys'))) {
    const text = await readFile(join(s.home, 'keys', file), 'utf8')
    for (const [, value] of text.matchAll(/"(?:d|k|secret|privateKey)"\s*:\s*"([^"]{24,})"/g)) trail.secret(`the private key in ${file}`, value ?? '')
  }
  expect(trail.secrets.size).toBeGreaterThan(20)
  expect(leaks(s, trail)).toEqual([])
  // Who looks for leaks finds each of them.
  for (const [name, value] of trail.secrets) expect(leaks({ ...s, log: [`told ${value}`] }, trail).some((leak) => leak.startsWith(`${name} in log`))).toBe(true)
})

test('nor what a host of documents answers, or was asked with', async () => {
  const host = await forThisTest(didHost())
  const s = await secured({ trusted: ['any'] })
  const trail = trailOf(s)
  const key = nodeKey('EdDSA')
  const canary = trail.secret('a document', 'canary-of-a-document-0123456789-0123456789')
  const documents = [{ id: canary }, { id: host.did('ann'), verificationMethod: canary }, { id: host.did('ann'), authentication: [canary] }]
  for (const [index, document] of documents.entries()) {
    host.host(`ann${index}`, document)
    const who = signerOf(host.did(`ann${index}`), `${host.did(`ann${index}`)}#key`, key)
    const answer = await trail.post('/token', { grant_type: JWT_BEARER, assertion: await assertionOf(who, s, trail, `an assertion ${index}`) })
    expect(answer.status).toBe(400)
  }
  expect((await trail.ask(s.url, { body: initializeMessage(1) })).status).toBe(401)
  expect(leaks(s, trail)).toEqual([])
})
