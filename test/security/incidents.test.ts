// What happened to others, and does not happen here. Each test is named after what it was.
import { readFileSync, readdirSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

import { didHost } from '../support/did-host.ts'
import { assertionClaims, holder, keyHolder, proofKey, signerOf, nodeKey } from '../support/did.ts'
import { at } from '../support/json.ts'
import { callMessage, initializeMessage } from '../support/openmcp.ts'
import { CLIENT_ASSERTION, JWT_BEARER, bearer, secured, sessionWith, type Secured } from '../support/secured.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { ask, open, raw } from '../support/wire.ts'

const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' }

async function withAnn(options: Parameters<typeof secured>[0] = {}): Promise<{ s: Secured; ann: Awaited<ReturnType<typeof holder>> }> {
  const ann = await holder()
  return { s: await secured({ trusted: [ann.did], ...options }), ann }
}

test('Kuadrant GHSA-g53w-w6mj-hrpp: no header of a client stands for a session or an identity', async () => {
  const { s, ann } = await withAnn()
  const id = await sessionWith(s, bearer(await s.token(ann)))
  s.reached()
  const headers = {
    'mcp-session-id': id,
    'x-mcp-authorized': 'true',
    'x-openmcp-caller': ann.did,
    'x-openmcp-internal': 'secret-api-key',
    'x-forwarded-user': ann.did,
    'x-auth-request-user': ann.did,
    'x-remote-user': ann.did,
    'remote-user': ann.did,
    'mcp-init-host': '127.0.0.1',
    'router-key': 'secret-api-key',
    via: '1.1 openmcp',
  }
  for (const body of [LIST, initializeMessage(1)]) expect((await ask(s.url, { headers, body })).status).toBe(401)
  for (const key of ['secret-api-key', 'changeme', 'admin', '', ann.did]) {
    expect((await ask(s.url, { headers: { 'x-api-key': key }, body: LIST })).status).toBe(401)
  }
  expect(s.reached()).toEqual([])
})

test('Kuadrant GHSA-g53w-w6mj-hrpp: a secret that could be guessed is refused at start', async () => {
  for (const key of ['', 'secret-api-key', 'a'.repeat(31)]) {
    await expect(secured({ security: { apiKeys: [key] } })).rejects.toMatchObject({ code: 'usage' })
  }
})

test('oauth2-proxy CVE-2026-40575: X-Forwarded-* headers of a client decide nothing', async () => {
  const { s } = await withAnn()
  const headers = {
    'x-forwarded-uri': '/healthz',
    'x-original-url': '/healthz',
    'x-rewrite-url': '/healthz',
    'x-forwarded-path': '/healthz',
    'x-forwarded-prefix': '/healthz',
    'x-http-method-override': 'OPTIONS',
    'x-forwarded-method': 'OPTIONS',
    'x-forwarded-for': '127.0.0.1',
    'x-real-ip': '127.0.0.1',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'other.example',
    forwarded: 'for=127.0.0.1;host=other.example;proto=https',
  }
  for (const [name, value] of Object.entries(headers)) {
    expect([name, (await ask(s.url, { headers: { [name]: value }, body: LIST })).status]).toEqual([name, 401])
  }
  const metadata = await ask(new URL('/.well-known/oauth-protected-resource/mcp', s.base), { headers })
  expect(metadata.json['resource']).toBe(s.url.href)
  expect((await ask(s.url, { headers, body: LIST })).headers['www-authenticate']).toContain(`resource_metadata="${s.base}/`)
  expect(s.reached()).toEqual([])
})

test('Kong ai-mcp-oauth2 3.13: what does not look like MCP is asked for a credential as well', async () => {
  const { s } = await withAnn()
  const bodies = ['', 'hello', '{}', '[]', '{"jsonrpc":"1.0"}', '{"method":"tools/list"}', '<xml/>', '{"jsonrpc":"2.0","method":"notifications/initialized"}']
  for (const body of bodies) {
    for (const type of ['application/json', 'text/plain', 'application/json; charset=utf-16', 'multipart/form-data; boundary=x', '']) {
      const headers = type === '' ? {} : { 'content-type': type }
      for (const path of ['/mcp', '/messages', '/message?sessionId=a']) {
        expect((await ask(new URL(path, s.base), { method: 'POST', headers, body })).status).toBe(401)
      }
    }
  }
  for (const accept of ['text/html', '*/*', 'application/json']) expect((await ask(s.url, { headers: { accept } })).status).toBe(401)
  expect(s.reached()).toEqual([])
})

test('Kong ai-mcp-oauth2 3.13.0.1: lists hold what may be called and nothing else, and no other spelling of a call passes', async () => {
  const ann = await holder()
  const s = await secured({ trusted: [{ id: ann.did, tools: ['echo'] }] })
  const token = await s.token(ann)
  const headers = { ...bearer(token), 'mcp-session-id': await sessionWith(s, bearer(token)), accept: 'application/json, text/event-stream' }
  const listed = await ask(s.url, { headers, body: LIST })
  expect(listed.text).toContain('echo')
  expect(listed.text).not.toContain('secret')
  expect((await ask(s.url, { headers, body: callMessage(2, 'echo') })).text).toContain('echo')
  s.reached()
  const call = { jsonrpc: '2.0', id: 3, method: 'tools/call' }
  const denied = [
    callMessage(3, 'secret'),
    { ...call },
    { ...call, params: {} },
    { ...call, params: { name: ['secret'] } },
    { ...call, params: { name: { toString: 'secret' } } },
    { ...call, params: { name: 'Echo' } },
    { ...call, params: { name: 'echo ' } },
    { ...call, params: { name: 'echo\0' } },
    { ...call, params: ['secret'] },
    { jsonrpc: '2.0', method: 'tools/call', params: { name: 'secret' } },
    { ...call, method: 'tools/other', params: { name: 'secret' } },
  ]
  for (const body of denied) {
    const answer = await ask(s.url, { headers, body })
    expect([answer.status === 403, answer.headers['www-authenticate']]).toEqual([false, undefined])
    expect(at(answer.json, 'error', 'code')).toEqual(expect.any(Number))
  }
  expect((await ask(s.url, { headers, body: `{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"secret","name":"echo"}}` })).text).not.toContain(
    '"secret"',
  )
  const twice = s.reached()
  expect(twice.filter(({ text }) => text.includes('secret'))).toEqual([])
})

test('ContextForge: revocation does not fail open when its store is away', async () => {
  const { s, ann } = await withAnn({ durable: true })
  const key = await proofKey()
  const [revoked, later, bound] = [await s.token(ann), await s.token(ann), await s.token(ann, { key })]
  expect((await s.post('/revoke', { token: revoked })).status).toBe(200)
  const away = join(s.home, 'away.db')
  await rename(join(s.home, 'store.db'), away)
  const asWith = async (token: string): Promise<number> => (await ask(s.url, { headers: bearer(token), body: LIST })).status

  expect(await asWith(revoked)).toBe(401)
  // It cannot be written down, which is told, and holds here at once.
  const unwritten = await s.post('/revoke', { token: later })
  expect([unwritten.status, unwritten.json['error'], unwritten.headers['retry-after']]).toEqual([503, 'temporarily_unavailable', '5'])
  expect(await asWith(later)).toBe(401)
  const assertion = await ann.sign(assertionClaims(ann.did, s.base))
  const refused = await s.post('/token', { grant_type: JWT_BEARER, assertion })
  expect([refused.status, refused.json['error']]).toEqual([503, 'temporarily_unavailable'])
  const proof = await key.proof({ method: 'POST', url: s.url.href, token: bound })
  expect((await ask(s.url, { headers: { authorization: `DPoP ${bound}`, dpop: proof }, body: LIST })).status).toBe(503)
  expect(s.reached()).toEqual([])

  await rename(away, join(s.home, 'store.db'))
  await until('the store to be read again', async () => (await s.post('/token', { grant_type: JWT_BEARER, assertion })).status === 200)
  expect(await asWith(revoked)).toBe(401)
  expect(await asWith(later)).toBe(401)
})

test('ContextForge #3812: no path below or beside a guarded door leads around the guard', async () => {
  const { s } = await withAnn()
  const paths = [
    '/mcp/test',
    '/mcp/test/mcp',
    '/mcp/../mcp',
    '/healthz/../mcp',
    '/mcp;jsessionid=1',
    '/mcp%00',
    '/mcp%20',
    '/%2e/mcp',
    '/./mcp',
    '//mcp',
    '///mcp',
    '/mcp//',
    '/MCP',
    '/Mcp',
    '/mcp.',
    '/mcp%3f',
    '/mcp%23',
    '\\mcp',
    '/%6d%63%70',
    '/.well-known/../mcp',
    '/servers/test/mcp',
    '/token/../mcp',
    '*',
    'http://127.0.0.1/mcp',
    `${s.base}/mcp`,
    `${s.base}/healthz/../mcp`,
  ]
  const body = JSON.stringify(LIST)
  for (const path of paths) {
    const text = await raw(
      s.url,
      `POST ${path} HTTP/1.1\r\nHost: ${s.url.host}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    )
    expect([path, text.slice(9, 12)]).toEqual([path, expect.stringMatching(/^40[0145]$/)])
  }
  expect(s.reached()).toEqual([])
})

test('Hydra GHSA-3p3g: an assertion is used once, whichever way it is used', async () => {
  const { s, ann } = await withAnn()
  const ways = {
    grant: (jwt: string) => s.post('/token', { grant_type: JWT_BEARER, assertion: jwt }),
    client: (jwt: string) => s.post('/token', { grant_type: 'client_credentials', client_assertion_type: CLIENT_ASSERTION, client_assertion: jwt }),
    both: (jwt: string) => s.post('/token', { grant_type: JWT_BEARER, assertion: jwt, client_assertion_type: CLIENT_ASSERTION, client_assertion: jwt }),
    introspect: (jwt: string) => s.post('/introspect', { token: 'x', client_assertion_type: CLIENT_ASSERTION, client_assertion: jwt }),
    revoke: (jwt: string) => s.post('/revoke', { token: 'x', client_assertion_type: CLIENT_ASSERTION, client_assertion: jwt }),
  }
  const { both, ...single } = ways
  for (const [first, useFirst] of Object.entries(single)) {
    for (const [second, useAgain] of Object.entries(ways)) {
      const jwt = await ann.sign(assertionClaims(ann.did, s.base))
      expect([first, (await useFirst(jwt)).status]).toEqual([first, 200])
      const again = await useAgain(jwt)
      expect([first, second, again.status >= 400, again.json['access_token']]).toEqual([first, second, true, undefined])
    }
  }
  expect((await both(await ann.sign(assertionClaims(ann.did, s.base)))).status).toBe(400)
})

test('Oathkeeper 26.2.5: what is said to one caller never reaches another, however many are refused at once', async () => {
  const ann = await holder()
  const s = await secured({ trusted: [ann.did] })
  const families = { 'mcp:tools': LIST, 'mcp:resources': { ...LIST, method: 'resources/list' }, 'mcp:prompts': { ...LIST, method: 'prompts/list' } }
  const tokens = new Map(await Promise.all(Object.keys(families).map(async (scope) => [scope, await s.token(ann, { form: { scope } })] as const)))
  const asked = Array.from({ length: 20 }).flatMap((_, round) =>
    Object.keys(families).flatMap((held) =>
      Object.entries(families).map(([needed, body]) => ({ held, needed, body: { ...body, id: `${held} ${needed} ${round}` } })),
    ),
  )
  const answers = await Promise.all(
    asked.map(async (one) => ({ ...one, answer: await ask(s.url, { headers: bearer(tokens.get(one.held) ?? ''), body: one.body }) })),
  )
  for (const { body, answer } of answers) expect(answer.json['id']).toBe(body.id)
  for (const { answer } of answers.filter(({ held, needed }) => held === needed)) expect(answer.status).toBe(200)
  for (const { needed, body, answer } of answers.filter(({ held, needed: wanted }) => held !== wanted)) {
    expect(answer.status).toBe(403)
    expect(answer.headers['www-authenticate']).toMatch(new RegExp(`^Bearer error="insufficient_scope", .*scope="${needed}"$`))
    expect(Object.keys(families).filter((scope) => answer.text.replace(body.id, '').includes(scope))).toEqual([needed])
  }
})

test('Oathkeeper 26.2.5: refusals of the issuer hold nothing of what was sent, to anybody', async () => {
  const { s } = await withAnn()
  const answers = await Promise.all(
    Array.from({ length: 40 }, async (_, index) => {
      const stranger = await holder()
      const canary = `canary-${index}-canary`
      const assertion = await stranger.sign(assertionClaims(stranger.did, s.base, { email: canary, jti: canary }))
      return s.post('/token', { grant_type: JWT_BEARER, assertion, scope: canary, resource: s.url.href, state: canary })
    }),
  )
  const [first] = answers
  for (const { status, text, headers } of answers) {
    expect([status, text]).toEqual([400, first?.text])
    expect(JSON.stringify(headers) + text).not.toContain('canary')
  }
})

test('agentgateway #2191: a key that is nearly right is as wrong as any other', async () => {
  const key = 'k'.repeat(32)
  const s = await secured({ security: { apiKeys: [key, 'l'.repeat(40)] } })
  const asWith = async (headers: Record<string, string>): Promise<number> => (await ask(s.url, { headers, body: LIST })).status
  expect(await asWith({ 'x-api-key': key })).toBe(200)
  expect(await asWith(bearer('l'.repeat(40)))).toBe(200)
  s.reached()
  const near = ['k'.repeat(31), 'k'.repeat(33), `${'k'.repeat(31)}l`, 'K'.repeat(32), `${key}${'l'.repeat(40)}`, `${key}=`]
  for (const wrong of near) expect([wrong, await asWith({ 'x-api-key': wrong }), await asWith(bearer(wrong))]).toEqual([wrong, 401, 401])
  expect(await asWith({ authorization: `DPoP ${key}` })).toBe(401)
  expect(await asWith({ authorization: `Basic ${Buffer.from(`key:${key}`).toString('base64')}` })).toBe(401)
  expect(await asWith({ cookie: `x-api-key=${key}` })).toBe(401)
  expect((await ask(new URL(`${s.url.href}?api_key=${key}&x-api-key=${key}`), { body: LIST })).status).toBe(401)
  expect(s.reached()).toEqual([])
})

test('agentgateway #2191: no secret is compared by an operator whose time tells how far two texts agree', () => {
  const root = fileURLToPath(new URL('../../src/', import.meta.url))
  const secret = '\\w*(?:secret|apiKey|password|digest|hmac|nonce|token)'
  const compared = new RegExp(`${secret}\\s*[!=]==\\s*(?!undefined|null|typeof)[a-z]|[a-z)]\\s*[!=]==\\s*(?!undefined)(?:\\w+\\.)*${secret}\\b`, 'i')
  // A digest of TSP names a relationship, or is made of what was sent, and opens nothing: what carries it is signed.
  const isRead = (file: string): boolean => file.endsWith('.ts') && !['tsp/relationship.ts', 'tsp/payload-read.ts'].includes(file)
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(isRead)
  const found = files.flatMap((file) => {
    const lines = readFileSync(join(root, file), 'utf8').split('\n')
    // What has a name in capitals is written in the source for everybody.
    return lines.filter((line) => compared.test(line.replaceAll(/\b[A-Z_]{4,}\b/g, "''"))).map((line) => `${file}: ${line.trim()}`)
  })
  expect(files.length).toBeGreaterThan(50)
  // Those of a login and of TSP compare what we hold ourselves as a client, of which nobody else has one to try. A token of progress
  // names a call, and opens nothing.
  expect(found.toSorted()).toEqual([
    expect.stringMatching(/^login\/credential\.ts: .*held\.token\.accessToken !== token/),
    expect.stringMatching(/^login\/credential\.ts: .*other\.accessToken !== token\.accessToken/),
    expect.stringMatching(/^login\/kept-token\.ts: .*instead\?\.accessToken !== accessToken/),
    expect.stringMatching(/^relay\/aggregate\/from-servers\.ts: .*question\.token === token/),
    expect.stringMatching(/^relay\/aggregate\/session\.ts: .*call\.token === token/),
    expect.stringMatching(/^tsp\/session\.ts: .*frame\.nonce !== nonce/),
  ])
})

test('MCP SDKs CVE-2025-66414, CVE-2025-66416, CVE-2026-34742: a name that was pointed at us reaches no door', async () => {
  const { s, ann } = await withAnn()
  const token = await s.token(ann)
  const { port } = s.url
  for (const host of [
    'evil.example',
    `evil.example:${port}`,
    `127.0.0.1.evil.example:${port}`,
    `localhost.:${port}`,
    '169.254.169.254',
    `0.0.0.0:${port}`,
    '127.0.0.1',
    '',
  ]) {
    for (const path of ['/mcp', '/sse', '/token', '/jwks', '/status', '/healthz', '/.well-known/oauth-protected-resource', '/.well-known/did.json']) {
      const text = await raw(s.url, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`)
      expect([host, path, text.slice(9, 12)]).toEqual([host, path, expect.stringMatching(/^40[03]$/)])
    }
  }
  expect(s.reached()).toEqual([])
})

test('Inspector CVE-2025-49596: a web page reaches nothing, with a credential or without', async () => {
  const { s, ann } = await withAnn()
  const token = await s.token(ann)
  for (const origin of ['https://evil.example', 'http://localhost', 'null', 'file://', `${s.base}.evil.example`, 'http://127.0.0.1:1']) {
    for (const [path, headers] of [
      ['/mcp', { 'content-type': 'text/plain' }],
      ['/mcp', bearer(token)],
      ['/token', { 'content-type': 'application/x-www-form-urlencoded' }],
      ['/revoke', { 'content-type': 'text/plain' }],
      ['/sse', bearer(token)],
    ] as const) {
      const answer = await ask(new URL(path, s.base), { method: path === '/sse' ? 'GET' : 'POST', headers: { ...headers, origin } })
      expect([origin, path, answer.status, answer.headers['access-control-allow-origin']]).toEqual([origin, path, 403, undefined])
    }
  }
  expect(s.reached()).toEqual([])
})

test('MCP TypeScript SDK CVE-2026-25536: equal ids of two callers at once, and each gets its own answer', async () => {
  const [ann, bob] = await Promise.all([holder(), holder()])
  const s = await secured({ trusted: [ann.did, bob.did] })
  const tokens = [await s.token(ann), await s.token(bob)]
  const answers = await Promise.all(
    Array.from({ length: 60 }, async (_, index) => {
      const name = `tool-${index}`
      const { json } = await ask(s.url, { headers: bearer(tokens[index % 2] ?? ''), body: callMessage(1, name) })
      return [name, at(json, 'id'), at(json, 'result', 'content', 0, 'text')]
    }),
  )
  for (const [name, id, text] of answers) expect([id, text]).toEqual([1, name])
})

test('nginx-ui CVE-2026-33032 and others: a session is no credential, and a wrong credential is no anonymous one', async () => {
  const { s, ann } = await withAnn()
  const id = await sessionWith(s, bearer(await s.token(ann)))
  const stream = await open(new URL('/sse', s.base), { headers: bearer(await s.token(ann)) })
  const endpoint = await until('the endpoint', () => stream.events[0]?.data)
  s.reached()
  for (const headers of [{}, bearer('garbage'), { authorization: 'Basic YTpi' }]) {
    for (const method of ['GET', 'POST', 'DELETE']) {
      expect((await ask(s.url, { method, headers: { ...headers, 'mcp-session-id': id } })).status).toBe(401)
    }
    expect((await ask(new URL(endpoint, s.base), { headers, body: callMessage(1, 'echo') })).status).toBe(401)
    expect((await ask(new URL('/sse', s.base), { headers })).status).toBe(401)
  }
  expect((await ask(new URL('/status', s.base), { headers: bearer('garbage') })).status).toBe(401)
  expect(s.reached()).toEqual([])
})

test('session fixation: a session has the name that we gave it', async () => {
  const { s, ann } = await withAnn()
  const token = bearer(await s.token(ann))
  const chosen = await ask(s.url, { headers: { ...token, 'mcp-session-id': 'chosen-by-the-client' }, body: initializeMessage(1) })
  expect(chosen.status).toBe(404)
  const id = await sessionWith(s, token)
  expect(id).toMatch(/^[\w-]{43}$/)
  // The name that the upstream gave it is none for a client.
  expect((await ask(s.url, { headers: { ...token, 'mcp-session-id': 'upstream-1' }, body: LIST })).status).toBe(404)
})

test('sessions and tokens in URLs (MCPJam PR 1980, tbxark, metamcp): they are no credentials there, and no log holds them', async () => {
  const { s, ann } = await withAnn()
  const token = await s.token(ann)
  for (const query of [`access_token=${token}`, `token=${token}`, `api_key=${token}`, `authorization=Bearer%20${token}`]) {
    expect((await ask(new URL(`${s.url.href}?${query}`), { body: LIST })).status).toBe(401)
    expect((await ask(new URL(`/messages?sessionId=a&${query}`, s.base), { body: LIST })).status).toBe(401)
  }
  for (const path of [`/mcp/${token}`, `/${token}/mcp`]) expect((await ask(new URL(path, s.base), { body: LIST })).status).toBeGreaterThanOrEqual(401)
  expect((await ask(s.url, { body: LIST })).headers['referrer-policy']).toBe('no-referrer')
  expect(s.log.join('')).not.toContain(token)
  expect(s.log.join('')).not.toContain('sessionId=')
  expect(s.reached()).toEqual([])
})

test('token passthrough: what proves a caller here never travels upstream', async () => {
  const ann = await holder()
  const key = 'k'.repeat(40)
  const s = await secured({ trusted: [ann.did], security: { apiKeys: [key] } })
  const dpop = await proofKey()
  const [token, bound] = [await s.token(ann), await s.token(ann, { key: dpop })]
  const more = { cookie: 'session=of-a-page', 'proxy-authorization': 'Basic YTpi', 'x-forwarded-access-token': 'canary', 'mcp-protocol-version': '2025-11-25' }
  const credentials: Record<string, string>[] = [
    bearer(token),
    { 'x-api-key': key },
    bearer(key),
    { authorization: `DPoP ${bound}`, dpop: await dpop.proof({ method: 'POST', url: s.url.href, token: bound }) },
  ]
  for (const headers of credentials) expect((await ask(s.url, { headers: { ...headers, ...more }, body: callMessage(1, 'echo') })).status).toBe(200)
  const received = s.reached()
  expect(received).toHaveLength(credentials.length)
  for (const { headers, url, text } of received) {
    for (const name of ['authorization', 'x-api-key', 'dpop', 'cookie', 'proxy-authorization', 'x-forwarded-access-token'])
      expect(headers[name]).toBeUndefined()
    for (const secret of [token, bound, key]) expect(JSON.stringify(headers) + url + text).not.toContain(secret)
  }
})

test('token passthrough: a token for another server is none here, though its issuer and its holder are trusted', async () => {
  const ann = await holder()
  const neighbour = await secured({ trusted: [ann.did] })
  const s = await secured({ trusted: [ann.did] })
  expect((await ask(s.url, { headers: bearer(await neighbour.token(ann)), body: LIST })).status).toBe(401)
  const selfIssued = await ann.sign(assertionClaims(ann.did, neighbour.url.href))
  expect((await ask(s.url, { headers: bearer(selfIssued), body: LIST })).status).toBe(401)
  expect((await ask(neighbour.url, { headers: bearer(selfIssued), body: LIST })).status).toBe(200)
  expect(s.reached()).toEqual([])
})

test('a token that was taken back does not return in another spelling', async () => {
  // Base64url of 64 bytes has four bits to spare, and a signature by an elliptic curve has a twin: same words, another text.
  const ed = keyHolder()
  const s = await secured({ trusted: [ed.did] })
  const token = await ed.sign(assertionClaims(ed.did, s.url.href))
  expect((await ask(s.url, { headers: bearer(token), body: LIST })).status).toBe(200)
  expect((await s.post('/revoke', { token })).status).toBe(200)
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  for (const last of alphabet) expect((await ask(s.url, { headers: bearer(`${token.slice(0, -1)}${last}`), body: LIST })).status).toBe(401)
})

test('a token that was taken back does not return with the twin of its signature', async () => {
  const key = nodeKey('ES256')
  const did = `did:key:${key.multibase}`
  const s = await secured({ trusted: [did] })
  const token = await signerOf(did, `${did}#${key.multibase}`, key).sign(assertionClaims(did, s.url.href))
  expect((await ask(s.url, { headers: bearer(token), body: LIST })).status).toBe(200)
  expect((await s.post('/revoke', { token })).status).toBe(200)
  expect((await ask(s.url, { headers: bearer(twinOf(token)), body: LIST })).status).toBe(401)
})

/** (r, n − s) is a signature where (r, s) is one. */
function twinOf(token: string): string {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  const [head = '', body = '', signature = ''] = token.split('.')
  const bytes = Buffer.from(signature, 'base64url')
  const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`)
  return `${head}.${body}.${Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]).toString('base64url')}`
}

test('mcpo: a token that names a user and is signed by nobody names nobody', async () => {
  const { s, ann } = await withAnn()
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { iss: s.base, sub: ann.did, aud: s.url.href, exp: 4_102_444_800, jti: 'a', scope: 'mcp' }
  for (const header of [{ alg: 'none' }, { alg: 'None', typ: 'at+jwt' }, { typ: 'at+jwt' }, { alg: 'EdDSA', typ: 'at+jwt' }, { alg: '', typ: 'at+jwt' }]) {
    for (const signature of ['', 'AA', part({})]) {
      expect((await ask(s.url, { headers: bearer(`${part(header)}.${part(claims)}.${signature}`), body: LIST })).status).toBe(401)
    }
  }
  expect(s.reached()).toEqual([])
})

test('metamcp #345: of a token of somebody else one learns nothing, and cannot end it', async () => {
  const [ann, bob] = await Promise.all([holder(), holder()])
  const s = await secured({ trusted: [ann.did, bob.did] })
  const token = await s.token(ann)
  const asBob = async (): Promise<Record<string, string>> => ({
    token,
    client_assertion_type: CLIENT_ASSERTION,
    client_assertion: await bob.sign(assertionClaims(bob.did, s.base)),
  })
  expect((await s.post('/introspect', await asBob())).json).toEqual({ active: false })
  expect((await s.post('/revoke', await asBob())).status).toBe(401)
  expect((await ask(s.url, { headers: bearer(token), body: LIST })).status).toBe(200)
})

test('Azure MCP CVE-2026-26118: nothing that a stranger names is connected to inside of our networks', async () => {
  const host = await forThisTest(didHost())
  const inside = host.identity('ann')
  const s = await secured({ trusted: [inside.did, 'any'], security: { trustLoopback: false } })
  const key = nodeKey('EdDSA')
  const dids = [inside.did, 'did:web:169.254.169.254', 'did:web:10.0.0.1', 'did:web:192.168.1.1', 'did:web:localhost', 'did:web:0.0.0.0', 'did:web:100.64.0.1']
  for (const did of dids) {
    const who = did === inside.did ? inside : signerOf(did, `${did}#key`, key)
    const answer = await s.post('/token', { grant_type: JWT_BEARER, assertion: await who.sign(assertionClaims(did, s.base)) })
    expect([did, answer.status, answer.json['error']]).toEqual([did, 400, 'invalid_grant'])
    expect((await ask(s.url, { headers: bearer(await who.sign(assertionClaims(did, s.url.href))), body: LIST })).status).toBe(401)
  }
  const ann = keyHolder()
  for (const header of [{ jku: `${host.origin}/jwks` }, { x5u: `${host.origin}/cert` }, { kid: `${host.origin}/key` }, { kid: `${inside.did}#key` }]) {
    const assertion = await ann.sign(assertionClaims(ann.did, s.base), header)
    expect((await s.post('/token', { grant_type: JWT_BEARER, assertion })).status).toBe(400)
  }
  expect(host.asked).toEqual([])
})

test('openmcp 0.1, verify mode: a public identifier is no credential', async () => {
  const { s, ann } = await withAnn()
  for (const text of [ann.did, ann.kid, Buffer.from(ann.did).toString('base64url')]) {
    expect((await ask(s.url, { headers: { 'x-api-key': text }, body: LIST })).status).toBe(401)
    expect((await ask(s.url, { headers: { authorization: `Bearer ${text}` }, body: LIST })).status).toBe(401)
  }
  expect((await s.post('/token', { grant_type: 'client_credentials', client_id: ann.did })).status).toBe(401)
  expect((await s.post('/token', { grant_type: JWT_BEARER, assertion: ann.did })).status).toBe(400)
  expect(s.reached()).toEqual([])
})

test('FastMCP PR 2056, GHSA-rww4-4w9c-7733: a login is not approved by whoever was sent to it, and an unknown client has nobody redirected', async () => {
  const { s } = await withAnn()
  const query = 'response_type=code&client_id=a&redirect_uri=https://evil.example/&state=b&code_challenge=c&code_challenge_method=S256'
  const asked = await ask(new URL(`/authorize?${query}`, s.base))
  expect([asked.status, asked.headers.location, asked.headers['set-cookie']]).toEqual([400, undefined, undefined])
  expect(asked.text).not.toContain('evil.example')
  const posted = await ask(new URL(`/authorize?${query}`, s.base), {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: query,
  })
  expect([posted.status, posted.headers.location, posted.headers['set-cookie']]).toEqual([405, undefined, undefined])
  // A consent of an earlier visit is none: what a browser brings along opens no login that it did not begin (test/oauth/browser).
  for (const path of ['/login/x/approve', '/login/x/deny']) {
    expect((await ask(new URL(path, s.base), { body: {}, headers: { cookie: 'openmcp-login-x=y' } })).status).toBe(403)
  }
})
