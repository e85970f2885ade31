// Every door, every method, every kind of credential that is none: what is answered, and that nothing behind was reached.
import { createHash, createHmac, createPublicKey, randomUUID } from 'node:crypto'
import { METHODS } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'

import { addTrust, removeTrust } from '../../src/policy/rules.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { assertionClaims, compactJwt, holder, nodeKey, proofKey, secondsNow, type Holder, type ProofKey } from '../support/did.ts'
import type { Json } from '../support/json.ts'
import { callMessage, initializeMessage } from '../support/openmcp.ts'
import { bearer, secured, sessionWith, toolServer, type Secured } from '../support/secured.ts'
import { until } from '../support/until.ts'
import { upstream } from '../support/upstream.ts'
import { ask, open } from '../support/wire.ts'
import { nodeSigner, type NodeSigner } from './node-signer.ts'
import { quick, type QuickAnswer } from './quick.ts'
import { wholeApp } from './whole-app.ts'

const USUAL_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE']
const EVERY_METHOD = METHODS.filter((method) => method !== 'CONNECT')
/** What needs a caller. */
const GUARDED = ['/mcp', '/with-key/mcp', '/mcp/', '/sse', '/sse/', '/messages', '/message']
/** Whether there is a server of this name is told to nobody without a credential for it. */
const NAMED = ['/servers/git/mcp', '/servers/git/mcp/', '/servers/git/sse', '/servers/git/messages', '/servers/git/message']
const DOORS = [...GUARDED, ...NAMED]
const PREFIXES = ['', '/x/y']

const WORDS = {
  invalid_token: 'the token is not one that is accepted here, or not any more',
  invalid_request: 'the request has more than one credential, or one that is not there',
  invalid_dpop_proof: 'the DPoP proof is not one for this request and this token',
  use_dpop_nonce: 'the DPoP proof must carry the nonce of this answer',
}

type Header = readonly [string, string]

interface Refused {
  error?: keyof typeof WORDS
  scheme?: 'Bearer' | 'DPoP'
}

/** A credential that lets nobody in. */
interface Row extends Refused {
  name: string
  headers?: readonly Header[]
  /** Headers that are made for one request. */
  proof?: (method: string, url: string) => Promise<readonly Header[]>
  query?: string
  body?: string
}

interface Door {
  method: string
  path: string
  url: URL
}

function doorsOf(s: Secured, paths: readonly string[], methods: readonly string[]): Door[] {
  return paths.flatMap((path) => methods.map((method) => ({ method, path, url: new URL(`${s.base}${path}`) })))
}

/** Every row at every door; what came otherwise than it should. */
async function wrongAnswers(s: Secured, prefix: string, doors: readonly Door[], rows: readonly Row[]): Promise<string[]> {
  const askQuickly = quick()
  const asked = doors.flatMap((door) => rows.map((row) => ({ door, row })))
  const wrong = await Promise.all(
    asked.map(async ({ door: { method, path, url }, row }) => {
      const headers = [...(row.headers ?? []), ...((await row.proof?.(method, url.href)) ?? [])]
      const answer = await askQuickly({ method, url: new URL(`${url.href}${row.query ?? ''}`), headers, body: row.body })
      const expected = challengeOf(s, prefix, path, row)
      const got = tellingOf(answer)
      const same = JSON.stringify(got) === JSON.stringify(method === 'HEAD' ? { ...expected, body: '' } : expected)
      return same ? [] : [`${row.name}: ${method} ${path}: ${JSON.stringify(got)} instead of ${JSON.stringify(expected)}`]
    }),
  )
  const all = wrong.flat()
  return all.length > 10 ? [...all.slice(0, 10), `and ${all.length - 10} more`] : all
}

interface Telling {
  status: number
  challenge: string | undefined
  cache: string | undefined
  type: string | undefined
  body: string
}

function tellingOf({ status, header, text }: QuickAnswer): Telling {
  return { status, challenge: header('www-authenticate'), cache: header('cache-control'), type: header('content-type'), body: text }
}

/** RFC 6750 §3, RFC 9728 §5.1, and JSON-RPC 2.0 §5. */
function challengeOf(s: Secured, prefix: string, path: string, { error, scheme = 'Bearer' }: Refused): Telling {
  const [, server = '', rest = ''] = /^(\/servers\/git)?(.*)$/.exec(path) ?? []
  const door = `${server}${/^\/(?:sse|messages?)$/.test(rest) ? '/sse' : '/mcp'}`
  const origin = new URL(s.base).origin
  const parts = [
    ...(error === undefined ? [] : [`error="${error}"`, `error_description="${WORDS[error]}"`]),
    ...(path.startsWith('/with-key/') ? [] : [`resource_metadata="${origin}/.well-known/oauth-protected-resource${prefix}${door}"`]),
    'scope="mcp"',
    ...(scheme === 'DPoP' ? ['algs="EdDSA ES256"'] : []),
  ]
  const message = `${error === undefined ? 'this needs a credential' : WORDS[error]} (the WWW-Authenticate header names where to prove who you are)`
  const malformed = error === 'invalid_request'
  return {
    // RFC 6750 §3.1.
    status: malformed ? 400 : 401,
    challenge: `${scheme} ${parts.join(', ')}`,
    cache: 'no-store',
    type: 'application/json',
    body: JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: malformed ? -32600 : -32000, message } }),
  }
}

const authorization = (text: string): readonly Header[] => [['authorization', text]]

function unreadableRows(good: string): Row[] {
  return [
    { name: 'no token' },
    { name: 'the token in the query', query: `?access_token=${good}` },
    { name: 'the token in the body', headers: [['content-type', 'application/x-www-form-urlencoded']], body: `access_token=${good}` },
    { name: 'the token in a cookie', headers: [['cookie', `access_token=${good}; authorization=Bearer ${good}`]] },
    // What is no credential of ours is none (RFC 6750 §3.1: then there is no error to be told).
    { name: 'an empty header', headers: authorization('') },
    { name: 'a token alone', headers: authorization(good) },
    { name: 'Basic', headers: authorization('Basic YW5uOnNlY3JldA==') },
    { name: 'a scheme that nobody knows', headers: authorization(`Token ${good}`) },
    { name: 'a tab', headers: authorization(`Bearer\t${good}`) },
    { name: 'two spaces', headers: authorization(`Bearer  ${good}`), error: 'invalid_token' },
    { name: 'parameters', headers: authorization(`Bearer token="${good}"`), error: 'invalid_token' },
    { name: 'two tokens in one header', headers: authorization(`Bearer ${good}, Bearer ${good}`), error: 'invalid_token' },
    { name: 'a token for a key', headers: [['x-api-key', good]], error: 'invalid_token' },
    ...(
      [
        ['a scheme alone', authorization('Bearer')],
        ['two headers', [...authorization(`Bearer ${good}`), ...authorization('Bearer other')]],
        ['a token and a key', [...authorization(`Bearer ${good}`), ['x-api-key', good]]],
      ] satisfies [string, readonly Header[]][]
    ).map(([name, headers]): Row => ({ name, headers, error: 'invalid_request' })),
  ]
}

async function refusedTokens(s: Secured, node: NodeSigner, ann: Holder): Promise<Record<string, string>> {
  const now = secondsNow()
  const good = await node.token(ann.did)
  const { kid, ...publicJwk } = node.keys.published()[0] ?? { kid: '' }
  const spki = createPublicKey({ key: publicJwk, format: 'jwk' })
  const pem = spki.export({ type: 'spki', format: 'pem' }).toString()
  const another = nodeKey('EdDSA')
  const claims = { iss: s.base, sub: ann.did, aud: s.url.href, iat: now, exp: now + 300, jti: randomUUID(), scope: 'mcp' }
  const hmac = (secret: string | Buffer): string => {
    const input = compactJwt({ alg: 'HS256', kid, typ: 'at+jwt' }, claims, undefined)
    return `${input}${createHmac('sha256', secret).update(input.slice(0, -1)).digest('base64url')}`
  }
  const unsigned = (alg: string): string => compactJwt({ alg, kid, typ: 'at+jwt' }, claims, undefined)
  const selfIssued = (changes: Json = {}, header: Json = {}): Promise<string> => ann.sign(assertionClaims(ann.did, s.url.href, changes), header)
  const stranger = await holder()
  return {
    garbage: 'garbage',
    dots: '..',
    'three parts of nothing': 'e30.e30.e30',
    'JSON that is no object': `${Buffer.from('[]').toString('base64url')}.${Buffer.from('1').toString('base64url')}.AA`,
    expired: await node.token(ann.did, { iat: now - 901, exp: now - 1 }),
    'without exp': await node.token(ann.did, { exp: undefined }),
    'exp as a text': await node.token(ann.did, { exp: String(now + 300) }),
    'not yet valid': await node.token(ann.did, { nbf: now + 120 }),
    'issued in the future': await node.token(ann.did, { iat: now + 120 }),
    'for another resource': await node.token(ann.did, { aud: 'https://other.example/mcp' }),
    'for another port of this machine': await node.token(ann.did, { aud: `http://127.0.0.1:1${new URL(s.base).pathname.replace(/\/$/, '')}/mcp` }),
    'for nobody': await node.token(ann.did, { aud: undefined }),
    'for an empty list': await node.token(ann.did, { aud: [] }),
    'of another issuer': await node.token(ann.did, { iss: 'https://other.example' }),
    'of an issuer that begins like ours': await node.token(ann.did, { iss: `${s.base}.other.example` }),
    'without an issuer': await node.token(ann.did, { iss: undefined }),
    'alg none': unsigned('none'),
    'alg none with a signature': `${unsigned('none')}AAAA`,
    'HS256, the secret is the public key as PEM': hmac(pem),
    'HS256, the secret is the public key as DER': hmac(spki.export({ type: 'spki', format: 'der' })),
    'HS256, the secret is the public key as JWK': hmac(JSON.stringify(publicJwk)),
    'HS256, the secret is the 32 bytes': hmac(Buffer.from('x' in publicJwk ? publicJwk.x : '', 'base64url')),
    'HS256 without a secret': hmac(''),
    'an embedded jwk': compactJwt({ alg: 'EdDSA', typ: 'at+jwt', jwk: { ...another.publicJwk } }, claims, another.privateKey),
    'an embedded jwk beside the right kid': await node.token(ann.did, {}, { jwk: publicJwk }),
    jku: await node.token(ann.did, {}, { jku: 'https://other.example/jwks' }),
    x5u: await node.token(ann.did, {}, { x5u: 'https://other.example/cert' }),
    x5c: await node.token(ann.did, {}, { x5c: ['AA=='] }),
    crit: await node.token(ann.did, {}, { crit: ['exp'] }),
    b64: await node.token(ann.did, {}, { b64: false }),
    'a foreign kid': await node.token(ann.did, {}, { kid: 'other' }),
    'no kid': await node.token(ann.did, {}, { kid: undefined }),
    'a kid of another type': await node.token(ann.did, {}, { kid: ['a'] }),
    'the right kid and another key': compactJwt({ alg: 'EdDSA', kid, typ: 'at+jwt' }, claims, another.privateKey),
    'the right kid and another algorithm': compactJwt({ alg: 'ES256', kid, typ: 'at+jwt' }, claims, nodeKey('ES256').privateKey),
    'a changed claim': good.replace(/\.[^.]+\./, `.${Buffer.from(JSON.stringify({ ...claims, scope: 'mcp introspect' })).toString('base64url')}.`),
    'an id-token': await node.token(ann.did, {}, { typ: 'JWT' }),
    'without typ': await node.token(ann.did, {}, { typ: undefined }),
    'without jti': await node.token(ann.did, { jti: undefined }),
    'without sub': await node.token(ann.did, { sub: undefined }),
    'an actor that is no object': await node.token(ann.did, { act: 'other' }),
    'five actors': await node.token(ann.did, { act: nested(ann.did, 5) }),
    'bound to a certificate': await node.token(ann.did, { cnf: { 'x5t#S256': 'AA' } }),
    'bound in two ways': await node.token(ann.did, { cnf: { jkt: 'a'.repeat(43), kid: 'b' } }),
    'of an identity that nobody trusts': await node.token(stranger.did),
    'with an actor that nobody trusts': await node.token(ann.did, { act: { sub: stranger.did } }),
    'of no identity': await node.token('anybody'),
    'as the holder of a key': await node.token('urn:openmcp:api-key', { act: { sub: stranger.did } }),
    'an assertion used as a token': await ann.sign(assertionClaims(ann.did, s.base)),
    'an assertion for the endpoint used as a token': await ann.sign(assertionClaims(ann.did, `${s.base}/token`)),
    'self-issued by a stranger': await stranger.sign(assertionClaims(stranger.did, s.url.href)),
    'self-issued for another resource': await selfIssued({ aud: 'https://other.example/mcp' }),
    'self-issued in the name of another': await selfIssued({ sub: stranger.did }),
    'self-issued for two hours': await selfIssued({ exp: now + 7200 }),
    'self-issued and expired': await selfIssued({ iat: now - 300, exp: now - 61 }),
    'self-issued for ever': await selfIssued({ exp: undefined }),
    'self-issued until a text': await selfIssued({ exp: String(now + 300) }),
    'self-issued and not yet valid': await selfIssued({ nbf: now + 120 }),
    'self-issued in the future': await selfIssued({ iat: now + 120 }),
    'self-issued with an actor': await selfIssued({ act: { sub: ann.did } }),
    'self-issued, a proof by its typ': await selfIssued({}, { typ: 'dpop+jwt' }),
    'of 9 KB': await node.token(ann.did, { padding: 'a'.repeat(6800) }),
  }
}

function nested(sub: string, actors: number): Json {
  return { sub, ...(actors > 1 && { act: nested(sub, actors - 1) }) }
}

interface Proofs {
  key: ProofKey
  other: ProofKey
  bound: string
  plain: string
}

/** A bound token, and what is not the proof that goes with it. */
async function proofRows({ key, other, bound, plain }: Proofs): Promise<Row[]> {
  const now = secondsNow()
  const dpop = (name: string, make: (method: string, url: string) => Promise<string>, error: Row['error'] = 'invalid_dpop_proof'): Row => ({
    name,
    headers: authorization(`DPoP ${bound}`),
    proof: async (method, url) => [['dpop', await make(method, url)]],
    error,
    scheme: 'DPoP',
  })
  const changed = (name: string, changes: Json, header: Json = {}): Row =>
    dpop(name, (method, url) => key.proof({ method, url, token: bound }, changes, header))
  const good = (method: string, url: string): Promise<string> => key.proof({ method, url, token: bound })
  const goodForPlain = (method: string, url: string): Promise<string> => key.proof({ method, url, token: plain })
  const unsigned = (method: string, url: string): string =>
    compactJwt(
      { alg: 'none', typ: 'dpop+jwt', jwk: key.publicJwk },
      { jti: randomUUID(), htm: method, htu: url, iat: now, ath: createHash('sha256').update(bound).digest('base64url') },
      undefined,
    )
  const { d, ...publicJwk } = key.privateJwk
  const withProof = (name: string, headers: readonly Header[], proof: typeof good, scheme: 'Bearer' | 'DPoP'): Row => ({
    name,
    headers,
    proof: async (method, url) => [['dpop', await proof(method, url)]],
    error: 'invalid_token',
    scheme,
  })
  return [
    { name: 'no proof', headers: authorization(`DPoP ${bound}`), error: 'invalid_dpop_proof', scheme: 'DPoP' },
    dpop('an empty proof', async () => ''),
    dpop('garbage', async () => 'garbage'),
    dpop('the token as its proof', async () => bound),
    {
      name: 'two proofs',
      headers: authorization(`DPoP ${bound}`),
      proof: async (method, url) => [
        ['dpop', await good(method, url)],
        ['dpop', await good(method, url)],
      ],
      error: 'invalid_dpop_proof',
      scheme: 'DPoP',
    },
    dpop('two proofs in one header', async (method, url) => `${await good(method, url)}, ${await good(method, url)}`),
    dpop('for another method', (method, url) => key.proof({ method: method === 'GET' ? 'POST' : 'GET', url, token: bound })),
    dpop('for the method in other letters', (method, url) => key.proof({ method: method.toLowerCase(), url, token: bound })),
    dpop('for another path', (method, url) => key.proof({ method, url: `${url}/other`, token: bound })),
    dpop('for another host', (method, url) => key.proof({ method, url: url.replace(/\/\/[^/]+/, '//other.example'), token: bound })),
    dpop('for another scheme', (method, url) => key.proof({ method, url: url.replace('http:', 'https:'), token: bound })),
    dpop('for a path alone', (method, url) => key.proof({ method, url: new URL(url).pathname, token: bound })),
    dpop('for another token', (method, url) => key.proof({ method, url, token: plain })),
    dpop('for no token', (method, url) => key.proof({ method, url })),
    dpop('by another key', (method, url) => other.proof({ method, url, token: bound })),
    dpop('by another key, with the right one in its header', (method, url) => other.proof({ method, url, token: bound }, {}, { jwk: publicJwk })),
    changed('with the private key in its header', {}, { jwk: { ...publicJwk, d } }),
    changed('with no key in its header', {}, { jwk: undefined }),
    changed('with a secret as its key', {}, { jwk: { kty: 'oct', k: 'AAAA' } }),
    changed('with a key of another curve', {}, { jwk: { ...publicJwk, crv: 'secp256k1' } }),
    changed('of another typ', {}, { typ: 'JWT' }),
    dpop('not signed', async (method, url) => unsigned(method, url)),
    dpop('not signed, with a signature', async (method, url) => `${unsigned(method, url)}AAAA`),
    changed('too old', { iat: now - 70 }),
    changed('of the future', { iat: now + 70 }),
    changed('without iat', { iat: undefined }),
    changed('iat as a text', { iat: String(now) }),
    changed('without jti', { jti: undefined }),
    changed('with a jti that is too long', { jti: 'a'.repeat(257) }),
    changed('of 9 KB', { padding: 'a'.repeat(6600) }),
    dpop('with a nonce of nobody', (method, url) => key.proof({ method, url, token: bound, nonce: 'abc.def' }), 'use_dpop_nonce'),
    { name: 'a bound token as a bearer', headers: authorization(`Bearer ${bound}`), error: 'invalid_token' },
    { name: 'a bound token as a key', headers: [['x-api-key', bound]], error: 'invalid_token' },
    withProof('a bound token as a bearer, with its proof', authorization(`Bearer ${bound}`), good, 'Bearer'),
    withProof('a token that is not bound, with a proof', authorization(`DPoP ${plain}`), goodForPlain, 'DPoP'),
    { name: 'a token that is not bound by the other scheme', headers: authorization(`DPoP ${plain}`), error: 'invalid_token', scheme: 'DPoP' },
  ]
}

describe.each(PREFIXES)('with the path prefix "%s"', (prefix) => {
  const listen = { pathPrefix: prefix }

  test('no guarded door opens to any method of HTTP without a credential that can be read', async () => {
    const ann = await holder()
    const s = await secured({ trusted: [ann.did], listen })
    const good = await s.token(ann)
    const every = await wrongAnswers(s, prefix, doorsOf(s, DOORS, EVERY_METHOD), [{ name: 'no token' }])
    const unreadable = await wrongAnswers(s, prefix, doorsOf(s, DOORS, USUAL_METHODS), unreadableRows(good))
    expect([...every, ...unreadable]).toEqual([])
    expect(s.reached()).toEqual([])
  })

  test('no guarded door opens to a token that is not one of this node, for this node, now', async () => {
    const ann = await holder()
    const s = await secured({ trusted: [ann.did], listen })
    const neighbour = await secured({ trusted: [ann.did], listen })
    const tokens: Record<string, string> = { ...(await refusedTokens(s, await nodeSigner(s), ann)), 'of another node': await neighbour.token(ann) }
    const rows = Object.entries(tokens).map(([name, token]): Row => ({ name, headers: authorization(`Bearer ${token}`), error: 'invalid_token' }))
    const keys = ['garbage', 'of another node'].map((name): Row => ({ name, headers: [['x-api-key', tokens[name] ?? '']], error: 'invalid_token' }))
    expect(await wrongAnswers(s, prefix, doorsOf(s, DOORS, USUAL_METHODS), [...rows, ...keys])).toEqual([])
    expect(s.reached()).toEqual([])
  })

  test('no guarded door opens to a token that was good', async () => {
    const [ann, bob, cat] = await Promise.all([holder(), holder(), holder()])
    const s = await secured({ durable: true, trusted: [ann.did], listen })
    const store = await s.otherProcess()
    for (const { did } of [bob, cat]) await addTrust(store, { id: did })
    const comesIn = (who: Holder): Promise<string> => until('trust to be heard of', () => s.token(who).catch(() => undefined))
    const [revoked, revokedSelfIssued, ofBob, ofCat] = [
      await s.token(ann),
      await ann.sign(assertionClaims(ann.did, s.url.href)),
      await comesIn(bob),
      await comesIn(cat),
    ]
    const all = { revoked, 'revoked, self-issued': revokedSelfIssued, 'of removed trust': ofBob, 'of a deactivated identity': ofCat }
    for (const token of Object.values(all)) expect((await ask(s.url, { headers: bearer(token), body: initializeMessage(1) })).status).toBe(200)
    for (const token of [revoked, revokedSelfIssued]) expect((await s.post('/revoke', { token })).status).toBe(200)
    await removeTrust(store, bob.did)
    await store.put('deactivated', { key: cat.did, value: '', expiresAtMs: undefined })
    await until('the news', async () => {
      // What is in flight just then is cut.
      const answers = await Promise.all([ofBob, ofCat].map((token) => ask(s.url, { method: 'PUT', headers: bearer(token) }).catch(() => undefined)))
      return answers.every((answer) => answer?.status === 401)
    })
    s.reached()
    const rows = Object.entries(all).map(([name, token]): Row => ({ name, headers: authorization(`Bearer ${token}`), error: 'invalid_token' }))
    expect(await wrongAnswers(s, prefix, doorsOf(s, DOORS, USUAL_METHODS), rows)).toEqual([])
    expect(s.reached().filter(({ method }) => method !== 'DELETE')).toEqual([])
  })

  test('no guarded door opens to a bound token without a proof that is made for this request, by its key, now', async () => {
    const ann = await holder()
    const s = await secured({ trusted: [ann.did], listen })
    const [key, other] = await Promise.all([proofKey(), proofKey('EdDSA')])
    // For all of what is here, so that every door can be tried.
    const form = { resource: s.base }
    const [bound, plain] = [await s.token(ann, { key, form }), await s.token(ann, { form })]
    const rows = await proofRows({ key, other, bound, plain })
    const doors = doorsOf(s, DOORS, USUAL_METHODS)
    const used = new Map<string, string>()
    const askQuickly = quick()
    for (const { method, url } of doors) {
      const proof = await key.proof({ method, url: url.href, token: bound })
      used.set(`${method} ${url.href}`, proof)
      const { status } = await askQuickly({ method, url, headers: [...authorization(`DPoP ${bound}`), ['dpop', proof]] })
      expect(status).not.toBe(401)
    }
    s.reached()
    const replayed: Row = {
      name: 'a proof that was used',
      headers: authorization(`DPoP ${bound}`),
      proof: async (method, url) => [['dpop', used.get(`${method} ${url}`) ?? '']],
      error: 'invalid_dpop_proof',
      scheme: 'DPoP',
    }
    expect(await wrongAnswers(s, prefix, doors, [...rows, replayed])).toEqual([])
    expect(s.reached()).toEqual([])
  })

  test('headers of more than 16 KB are refused before anybody reads them', async () => {
    const s = await secured({ listen })
    const askQuickly = quick()
    for (const { method, url } of doorsOf(s, [...DOORS, '/token', '/healthz'], ['GET', 'POST', 'DELETE'])) {
      expect((await askQuickly({ method, url, headers: authorization(`Bearer ${'a'.repeat(17_000)}`) })).status).toBe(431)
    }
    expect(s.reached()).toEqual([])
  })

  test('a good token opens each door, and the door then says which methods it has', async () => {
    const ann = await holder()
    const s = await secured({ trusted: [ann.did], listen })
    const token = await s.token(ann)
    const askQuickly = quick()
    const statuses: Record<string, string> = {}
    for (const path of GUARDED) {
      const answers = await Promise.all(
        USUAL_METHODS.map((method) => askQuickly({ method, url: new URL(`${s.base}${path}`), headers: authorization(`Bearer ${token}`) })),
      )
      statuses[path] = answers.map(({ status, header }) => (header('allow') === undefined ? status : `${status} ${header('allow')}`)).join(', ')
    }
    // POST carries no body here: 415.
    const mcp = '200, 405 POST, GET, DELETE, 415, 405 POST, GET, DELETE, 405 POST, GET, DELETE, 200, 405 POST, GET, DELETE, 405 POST, GET, DELETE'
    const sse = '200, 405 GET, 405 GET, 405 GET, 405 GET, 405 GET, 405 GET, 405 GET'
    const messages = '405 POST, 405 POST, 415, 405 POST, 405 POST, 405 POST, 405 POST, 405 POST'
    expect(statuses).toEqual({
      '/mcp': mcp,
      '/mcp/': mcp,
      '/with-key/mcp': mcp,
      '/sse': sse,
      '/sse/': sse,
      '/messages': messages,
      '/message': messages,
    })
  })

  test('for who may reach no server each door says what it says where there is none, and nothing is reached', async () => {
    const ann = await holder()
    const behind = await upstream(toolServer)
    onTestFinished(behind.stop)
    const target = { kind: 'remote', urls: [new URL('/mcp', behind.origin)], transport: 'http', headers: {} } as const
    const git = { name: 'git', target, isolation: 'session', limits: DEFAULT_LIMITS } as const
    const s = await secured({ trusted: [{ id: ann.did, servers: ['none'] }], listen, options: { servers: [git] } })
    const headers = authorization(`Bearer ${await s.token(ann, { form: { resource: s.base } })}`)
    const askQuickly = quick()
    const wrong: string[] = []
    for (const path of DOORS) {
      const nowhere = path.replace(/^\/servers\/git|^\/with-key|^(?=\/)/, '/servers/none')
      for (const { method, url } of doorsOf(s, [path], USUAL_METHODS)) {
        const body = method === 'POST' ? JSON.stringify(initializeMessage(1)) : undefined
        const how = { method, headers: [...headers, ['content-type', 'application/json']] satisfies Header[], body }
        const [here, there] = [await askQuickly({ ...how, url }), await askQuickly({ ...how, url: new URL(`${s.base}${nowhere}`) })]
        if (here.status < 400 || JSON.stringify(tellingOf(here)) !== JSON.stringify(tellingOf(there)))
          wrong.push(`${method} ${path}: ${here.status} ${here.text}`)
      }
    }
    expect(wrong).toEqual([])
    expect([s.reached(), behind.received.filter(({ body }) => body['method'] !== 'server/discover')]).toEqual([[], []])
  })

  test('a session is invisible to another identity, by every method and on every way in', async () => {
    const [ann, bob] = await Promise.all([holder(), holder()])
    const s = await secured({ trusted: [ann.did, bob.did], listen })
    const [ofAnn, ofBob] = [await s.token(ann), await s.token(bob)]
    const id = await sessionWith(s, bearer(ofAnn))
    const stream = await open(new URL(`${s.base}/sse`), { headers: bearer(ofAnn) })
    const endpoint = await until('the endpoint', () => stream.events[0]?.data)
    s.reached()
    const foreign = { ...bearer(ofBob), 'mcp-session-id': id }
    const unknown = { ...bearer(ofBob), 'mcp-session-id': 'a'.repeat(43) }
    for (const asked of [{ body: callMessage(7, 'echo') }, { method: 'GET', headers: { accept: 'text/event-stream' } }, { method: 'DELETE' }]) {
      const [his, nobodys] = [
        await ask(s.url, { ...asked, headers: { ...asked.headers, ...foreign } }),
        await ask(s.url, { ...asked, headers: { ...asked.headers, ...unknown } }),
      ]
      expect([his.status, his.json['error']]).toEqual([404, expect.objectContaining({ code: -32001 })])
      // As if it did not exist: nothing tells one from the other.
      expect([his.status, his.text]).toEqual([nobodys.status, nobodys.text])
    }
    const posted = await ask(new URL(endpoint, s.base), { headers: bearer(ofBob), body: callMessage(8, 'echo') })
    expect([posted.status, posted.json['error']]).toEqual([404, expect.objectContaining({ code: -32001 })])
    expect(s.reached()).toEqual([])
    expect((await ask(s.url, { headers: { ...bearer(ofAnn), 'mcp-session-id': id }, body: callMessage(9, 'echo') })).status).toBe(200)
  })

  test('the open doors say what they are there to say, to nobody more than that, and have no other methods', async () => {
    const s = await secured({ listen })
    const askQuickly = quick()
    const said: Record<string, string> = {}
    for (const path of Object.keys(OPEN)) {
      const url = new URL(`${new URL(s.base).origin}${path.replaceAll('PREFIX', prefix)}`)
      const answers = await Promise.all(USUAL_METHODS.map((method) => askQuickly({ method, url, headers: authorization('Bearer garbage') })))
      said[path] = answers.map(({ status, header }) => (header('allow') === undefined ? status : `${status} ${header('allow')}`)).join(', ')
    }
    expect(said).toEqual(prefix === '' ? { ...OPEN, 'PREFIX/did.json': NOTHING } : { ...OPEN, '/.well-known/did.json': NOTHING })
    expect(s.reached()).toEqual([])
    const { status, json: counts } = await ask(new URL(`${s.base}/status`))
    expect([status, Object.keys(counts).toSorted()]).toEqual([200, ['sessions', 'streams', 'upstreams']])
    expect((await ask(new URL(`${s.base}/healthz`))).text).toBe('ok\n')
  })
})

const READ = '200, 200, 405 GET, HEAD, 405 GET, HEAD, 405 GET, HEAD, 405 GET, HEAD, 405 GET, HEAD, 405 GET, HEAD'
const FORM = '405 POST, 405 POST, 400, 405 POST, 405 POST, 405 POST, 405 POST, 405 POST'
/** What is sent here is no JSON. */
const JSON_DOOR = FORM.replace(' 400,', ' 415,')
const BROWSER_DOOR = '403, 405 GET, 405 GET, 405 GET, 405 GET, 405 GET, 405 GET, 405 GET'
const PLAIN = '200, 200, 404, 404, 404, 404, 404, 404'
const NOTHING = '404, 404, 404, 404, 404, 404, 404, 404'

/** Status, and Allow where there is one, of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE. */
const OPEN: Readonly<Record<string, string>> = {
  'PREFIX/healthz': PLAIN,
  'PREFIX/health': PLAIN,
  'PREFIX/readyz': PLAIN,
  // With a credential it is guarded.
  'PREFIX/status': '401, 401, 404, 404, 404, 404, 404, 404',
  '/.well-known/oauth-protected-resourcePREFIX': READ,
  '/.well-known/oauth-protected-resourcePREFIX/mcp': READ,
  '/.well-known/oauth-protected-resourcePREFIX/sse': READ,
  'PREFIX/.well-known/oauth-protected-resource': READ,
  'PREFIX/.well-known/oauth-protected-resource/mcp': READ,
  'PREFIX/.well-known/oauth-protected-resource/sse': READ,
  '/.well-known/oauth-protected-resourcePREFIX/servers/git/mcp': READ,
  '/.well-known/oauth-protected-resourcePREFIX/servers/git/sse': READ,
  'PREFIX/.well-known/oauth-protected-resource/servers/git/mcp': READ,
  'PREFIX/.well-known/oauth-protected-resource/servers/git/sse': READ,
  'PREFIX/.well-known/oauth-protected-resource/servers/a%2fb/mcp': READ.replaceAll('200', '404'),
  'PREFIX/.well-known/oauth-protected-resource/servers/git': NOTHING,
  'PREFIX/servers': NOTHING,
  'PREFIX/servers/git': NOTHING,
  'PREFIX/servers/git/with-key/mcp': NOTHING,
  '/.well-known/oauth-authorization-serverPREFIX': READ,
  'PREFIX/.well-known/oauth-authorization-server': READ,
  '/.well-known/openid-configurationPREFIX': READ,
  'PREFIX/.well-known/openid-configuration': READ,
  '/.well-known/did.json': READ,
  'PREFIX/did.json': READ,
  'PREFIX/jwks': READ,
  'PREFIX/token': FORM,
  'PREFIX/introspect': FORM,
  'PREFIX/revoke': FORM,
  'PREFIX/authorize': BROWSER_DOOR.replace('403', '400'),
  'PREFIX/authorize/': BROWSER_DOOR.replace('403', '400'),
  'PREFIX/authorize/AAAAAAAAAAAAAAAAAAAAAAAA': BROWSER_DOOR,
  'PREFIX/authorize/..%2fkeys': BROWSER_DOOR,
  'PREFIX/authorize/AAAAAAAAAAAAAAAAAAAAAAAA/login': NOTHING,
  'PREFIX/login': NOTHING,
  'PREFIX/login/AAAAAAAAAAAAAAAAAAAAAAAA': BROWSER_DOOR.replace('403', '403, 403').replace('405 GET, ', ''),
  'PREFIX/login/AAAAAAAAAAAAAAAAAAAAAAAA/challenge': JSON_DOOR,
  'PREFIX/login/AAAAAAAAAAAAAAAAAAAAAAAA/approve': JSON_DOOR,
  'PREFIX/login/AAAAAAAAAAAAAAAAAAAAAAAA/deny': JSON_DOOR,
  'PREFIX/login/AAAAAAAAAAAAAAAAAAAAAAAA/abort': NOTHING,
  'PREFIX/register': JSON_DOOR,
  // What oidc-provider serves where it is asked itself.
  'PREFIX/auth': NOTHING,
  'PREFIX/me': NOTHING,
  'PREFIX/reg': NOTHING,
  'PREFIX/request': NOTHING,
  'PREFIX/device': NOTHING,
  'PREFIX/device/auth': NOTHING,
  'PREFIX/backchannel': NOTHING,
  'PREFIX/session/end': NOTHING,
  'PREFIX/token/introspection': NOTHING,
  'PREFIX/token/revocation': NOTHING,
  'PREFIX/interaction/AAAAAAAAAAAAAAAAAAAAAAAA': NOTHING,
  'PREFIX/': NOTHING,
  'PREFIX/challenge': JSON_DOOR,
  'PREFIX/gen-api-key': JSON_DOOR,
  'PREFIX/get-api-key': JSON_DOOR.replace('405 POST', '401'),
  'PREFIX/rotate-api-key': JSON_DOOR,
  'PREFIX/revoke-api-key': JSON_DOOR,
  'PREFIX/reverse-lookup': JSON_DOOR,
  'PREFIX/oauth/git/authorize': BROWSER_DOOR.replace('403', '401'),
  'PREFIX/oauth/git/proved': BROWSER_DOOR.replace('403', '400'),
  'PREFIX/oauth/git/consent': BROWSER_DOOR.replace('403', '400'),
  'PREFIX/oauth/git/answer': FORM,
  'PREFIX/oauth/git/callback': BROWSER_DOOR.replace('403', '400'),
  'PREFIX/oauth/git/status': BROWSER_DOOR.replace('403', '401'),
  'PREFIX/oauth/git/forget': FORM.replace('400', '401'),
  'PREFIX/git/login': PLAIN.replaceAll('200', '303'),
  'PREFIX/oauth/git': NOTHING,
  'PREFIX/oauth/git/other': NOTHING,
  'PREFIX/keys': PLAIN,
  'PREFIX/keys/page.js': PLAIN,
  'PREFIX/keys/page.css': PLAIN,
  'PREFIX/keys/index.html': NOTHING,
  'PREFIX/with-key/mcp/below': NOTHING,
  'PREFIX/with-key/sse': NOTHING,
  'PREFIX/metrics': NOTHING,
  'PREFIX/mcp/below': NOTHING,
  'PREFIX/sse/below': NOTHING,
  'PREFIX/messages/below': NOTHING,
  'PREFIX/MCP': NOTHING,
  'PREFIX/%6dcp': NOTHING,
  'PREFIX//mcp': NOTHING,
  'PREFIX//authorize': NOTHING,
  'PREFIX/Authorize': NOTHING,
  'PREFIX/%61uthorize': NOTHING,
  'PREFIX/Keys': NOTHING,
  'PREFIX/keys/': NOTHING,
  'PREFIX/keys/..%2fpage.js': NOTHING,
  'PREFIX/keys/__proto__': NOTHING,
  'PREFIX/with-key/authorize': NOTHING,
  'PREFIX/with-key/.well-known/oauth-protected-resource': NOTHING,
  'PREFIX/mcp%2f': NOTHING,
  'PREFIX/mcp.json': NOTHING,
  // Without --tsp.
  'PREFIX/tsp': NOTHING,
}

test('every route of the app is one of those above', () => {
  for (const pathPrefix of PREFIXES) {
    const { routes } = wholeApp({ pathPrefix })
    const named = Object.keys(OPEN).map((path) => path.replace('AAAAAAAAAAAAAAAAAAAAAAAA', ':uid').replace('/git/', '/:name/'))
    const known = [...DOORS.map((path) => `PREFIX${path.replace('/git/', '/:name/')}`), ...named, 'PREFIX/keys/:file', 'PREFIX/oauth/:name/:step'].map((path) =>
      path.replaceAll('PREFIX', pathPrefix),
    )
    expect(routes.length).toBeGreaterThan(40)
    expect(routes.filter((route) => !known.includes(route))).toEqual([])
  }
})
