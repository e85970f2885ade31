// What may be asked at /authorize: what is wrong in a way that makes the client or its address doubtful is told to the person, everything
// else to the client.
import { describe, expect, test } from 'vitest'

import { keyProver } from '../../api-keys/stage.ts'
import { secured, type Secured } from '../../support/secured.ts'
import { ask, type Answer } from '../../support/wire.ts'
import { BACK, CHALLENGE, authorizeUrl, begin, browser, codeFor, exchange, logIn, registered, type Query } from './stage.ts'

const APP = 'https://app.example/callback'

async function stage(): Promise<{ s: Secured; client: string }> {
  const s = await secured()
  return { s, client: await registered(s, { redirect_uris: ['http://127.0.0.1/callback', APP, 'cursor://anysphere.cursor-mcp/oauth/callback'] }) }
}

function ask1(s: Secured, client: string, more: Query): Promise<Answer> {
  return ask(authorizeUrl(s, client, more))
}

/** What the client was told by the redirect, which must go to where it was registered. */
function toldClient({ status, headers }: Answer, redirect = BACK): Record<string, string> {
  const to = new URL(headers.location ?? 'none:')
  expect([status, to.href.split('?')[0]]).toEqual([303, redirect])
  return Object.fromEntries(to.searchParams)
}

/** Words for a person, in a page that nobody frames, and no way on. */
function toldPerson({ status, headers, text }: Answer): string {
  expect([status, headers.location, headers['set-cookie']]).toEqual([400, undefined, undefined])
  expect(headers).toMatchObject({
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none';frame-ancestors 'none'",
    'x-frame-options': 'DENY',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  })
  return /<code>(\w+)<\/code>/.exec(text)?.[1] ?? text
}

describe('PKCE', () => {
  test.each<[string, Query]>([
    ['is missing', { code_challenge: undefined, code_challenge_method: undefined }],
    ['is empty', { code_challenge: '' }],
    ['is plain', { code_challenge_method: 'plain' }],
    ['says no method, which means plain', { code_challenge_method: undefined }],
    ['has a method that is none', { code_challenge_method: 'S512' }],
    ['has a challenge that is no hash', { code_challenge: 'short' }],
    ['has a challenge of other characters', { code_challenge: `${CHALLENGE.slice(1)}+` }],
  ])('%s: the client is told, and nothing is begun', async (_what, more) => {
    const { s, client } = await stage()
    const answer = await ask1(s, client, more)
    expect(toldClient(answer)).toMatchObject({ error: 'invalid_request', state: 'the-state', iss: s.base })
    expect(answer.headers['set-cookie']).toBe(undefined)
  })
})

describe('a redirect URI', () => {
  test.each<[string, string | readonly string[] | undefined]>([
    ['that is missing', undefined],
    ['that is there twice', [BACK, BACK]],
    ['with a slash at its end', `${BACK}/`],
    ['without its path', 'http://127.0.0.1:9'],
    ['with another path', 'http://127.0.0.1:9/other'],
    ['with a longer path', `${BACK}/more`],
    ['with a path that goes up', 'http://127.0.0.1:9/other/../callback'],
    ['with a path that goes up and back', 'http://127.0.0.1:9/callback/../callback'],
    ['in another case', 'http://127.0.0.1:9/Callback'],
    ['with a query', `${BACK}?x=1`],
    ['with an empty query', `${BACK}?`],
    ['with a fragment', `${BACK}#x`],
    ['percent-encoded', 'http://127.0.0.1:9/%63allback'],
    ['with a user name', 'http://user@127.0.0.1:9/callback'],
    ['with a host as its user name', 'http://127.0.0.1:9@evil.example/callback'],
    ['by another name of loopback', 'http://localhost:9/callback'],
    ['by another loopback address', 'http://127.0.0.2:9/callback'],
    ['by another spelling of the address', 'http://127.1:9/callback'],
    ['of a port that is none', 'http://127.0.0.1:99999/callback'],
    ['by https on loopback', 'https://127.0.0.1:9/callback'],
    ['with a backslash', 'http://127.0.0.1:9\\callback'],
    ['with a tab', 'http://127.0.0.1:9/call\tback'],
    ['with a space before it', ` ${BACK}`],
    ['of a sub-domain', 'https://a.app.example/callback'],
    ['of a domain with more before it', 'https://evilapp.example/callback'],
    ['of a domain with more behind it', 'https://app.example.evil.example/callback'],
    ['with a dot behind the domain', 'https://app.example./callback'],
    ['with a port', 'https://app.example:8443/callback'],
    ['with its own port', 'https://app.example:443/callback'],
    ['by http', 'http://app.example/callback'],
    ['with the host in other letters', 'https://APP.example/callback'],
    ['of somebody else', 'https://evil.example/callback'],
    ['without a scheme', '//evil.example/callback'],
    ['that is a script', 'javascript:alert(1)//127.0.0.1/callback'],
    ['that is data', 'data:text/html,<script>alert(1)</script>'],
    ['of a scheme with another host', 'cursor://evil/oauth/callback'],
    ['of another scheme', 'cursor2://anysphere.cursor-mcp/oauth/callback'],
  ])('%s is followed by nobody, and the person reads why', async (_what, redirect) => {
    const { s, client } = await stage()
    // Also when something else is wrong that the client would be told.
    for (const more of [{}, { response_type: 'token' }, { code_challenge: undefined }, { resource: 'https://evil.example/mcp' }, { prompt: 'none' }]) {
      expect(toldPerson(await ask1(s, client, { redirect_uri: redirect, ...more }))).toMatch(/^invalid_(?:request|redirect_uri)$/)
    }
  })

  test.each([
    ['on loopback with any port', BACK, BACK.replace(':9', ':53123')],
    ['on loopback without one', BACK, BACK.replace(':9', '')],
    ['by https, exactly', APP, APP],
    ['of a program, exactly', 'cursor://anysphere.cursor-mcp/oauth/callback', 'cursor://anysphere.cursor-mcp/oauth/callback'],
  ])('%s is one', async (_what, _registered, redirect) => {
    const { s, client } = await stage()
    expect((await begin(s, browser(), client, { redirect_uri: redirect })).uid).not.toBe('')
  })

  test.each(['http://127.0.0.1/cb', 'http://[::1]/cb', 'http://localhost/cb', 'http://localhost:33418/cb'])(
    '%s is registered: its port is free, and nothing else',
    async (uri) => {
      const s = await secured()
      const client = await registered(s, { redirect_uris: [uri] })
      const { hostname } = new URL(uri)
      for (const port of ['', ':1', ':33418', ':65535']) await begin(s, browser(), client, { redirect_uri: `http://${hostname}${port}/cb` })
      for (const other of ['127.0.0.1', '[::1]', 'localhost'].filter((name) => name !== hostname)) {
        expect(toldPerson(await ask1(s, client, { redirect_uri: `http://${other}:1/cb` }))).toBe('invalid_redirect_uri')
      }
    },
  )

  test('of a client that says that it is a web client keeps its port', async () => {
    const s = await secured()
    const client = await registered(s, { application_type: 'web', redirect_uris: ['http://127.0.0.1:9/callback'] })
    await begin(s, browser(), client)
    expect(toldPerson(await ask1(s, client, { redirect_uri: 'http://127.0.0.1:10/callback' }))).toBe('invalid_redirect_uri')
  })
})

describe('a client', () => {
  test.each<[string, string | undefined]>([
    ['without an id', undefined],
    ['that is not registered', 'reg.e30.e30'],
    ['with any text as its id', '<script>alert(1)</script>'],
    ['with an id that is a prototype', '__proto__'],
    ['with a DID as its id', 'did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK'],
  ])('%s is not known: the person reads it, whatever the redirect URI', async (_what, id) => {
    const { s } = await stage()
    for (const redirect of [BACK, 'https://evil.example/', undefined]) {
      expect(toldPerson(await ask1(s, id ?? '', { client_id: id, redirect_uri: redirect }))).toMatch(/^invalid_(?:client|request)$/)
    }
  })
})

describe('what is told to the client', () => {
  test.each<[string, Query, string]>([
    ['another response type', { response_type: 'token' }, 'unsupported_response_type'],
    ['a response type beside ours', { response_type: 'code id_token' }, 'unsupported_response_type'],
    ['no response type', { response_type: undefined }, 'invalid_request'],
    ['a response mode that is a form', { response_mode: 'form_post' }, 'unsupported_response_mode'],
    ['a response mode that is a fragment', { response_mode: 'fragment' }, 'unsupported_response_mode'],
    ['a response mode that is none', { response_mode: 'carrier_pigeon' }, 'unsupported_response_mode'],
    ['a request object', { request: 'e30.e30.' }, 'request_not_supported'],
    ['the URL of a request object', { request_uri: 'https://evil.example/r' }, 'request_uri_not_supported'],
    ['a registration', { registration: '{}' }, 'registration_not_supported'],
    ['a login without a person', { prompt: 'none' }, 'login_required'],
    ['a resource of somebody else', { resource: 'https://evil.example/mcp' }, 'invalid_target'],
    ['a resource that is none', { resource: 'mcp' }, 'invalid_target'],
    ['two resources', { resource: ['https://evil.example/mcp', 'https://other.example/mcp'] }, 'invalid_target'],
    ['scopes that are none of ours', { scope: 'admin root' }, 'invalid_scope'],
    ['the scope that asks about others', { scope: 'introspect' }, 'invalid_scope'],
    ['a scope twice', { scope: ['mcp', 'mcp:tools'] }, 'invalid_request'],
  ])('%s', async (_what, more, error) => {
    const { s, client } = await stage()
    const answer = await ask1(s, client, more)
    const told = answer.headers.location?.includes('#') ? Object.fromEntries(new URLSearchParams(answer.headers.location.split('#')[1])) : toldClient(answer)
    expect(told).toMatchObject({ error, state: 'the-state', iss: s.base })
    expect(answer.headers['set-cookie']).toBe(undefined)
  })

  test.each<[string, Query]>([
    ['a login without a person', { prompt: 'none' }],
    ['no PKCE', { code_challenge: undefined }],
    ['a fragment', { response_type: 'token', state: 'x'.repeat(2000) }],
  ])('of a site is told to the person first: whoever likes registers one, and %s would send people there', async (_what, more) => {
    const { s, client } = await stage()
    expect(toldPerson(await ask1(s, client, { redirect_uri: APP, ...more }))).toBe('invalid_request')
  })

  test('two resources, both ours', async () => {
    const { s, client } = await stage()
    expect(toldClient(await ask1(s, client, { resource: [`${s.base}/mcp`, `${s.base}/sse`] }))).toMatchObject({ error: 'invalid_target' })
  })
})

describe('what is asked for', () => {
  test.each<[string, string | undefined, readonly string[]]>([
    ['nothing', undefined, ['mcp']],
    ['the empty text', '', ['mcp']],
    ['what OpenID Connect knows', 'openid offline_access', ['mcp']],
    ['ours and more', 'mcp:tools openid offline_access admin introspect', ['mcp:tools']],
    ['two of ours', 'mcp:tools mcp:resources', ['mcp:tools', 'mcp:resources']],
  ])('by scope, %s', async (_what, scope, scopes) => {
    const { s, client } = await stage()
    const tab = browser()
    const { at } = await begin(s, tab, client, { scope })
    expect((await tab.get(at)).json['scopes']).toEqual(scopes)
  })

  test.each<[string, (s: Secured) => string | undefined, (s: Secured) => string]>([
    ['none: where MCP is served', () => undefined, (s) => `${s.base}/mcp`],
    ['with a slash at its end', (s) => `${s.base}/mcp/`, (s) => `${s.base}/mcp`],
    ['the base', (s) => s.base, (s) => s.base],
    ['the base with a slash at its end', (s) => `${s.base}/`, (s) => s.base],
    ['the older way in', (s) => `${s.base}/sse`, (s) => `${s.base}/sse`],
  ])('as resource, %s', async (_what, resource, found) => {
    const who = keyProver()
    const s = await secured({ trusted: [who.did] })
    const client = await registered(s)
    const tab = browser()
    const { at } = await begin(s, tab, client, { resource: resource(s) })
    expect((await tab.get(at)).json['resource']).toBe(found(s))
    const answer = await exchange(s, client, await codeFor(s, who, client, { resource: resource(s) }), { resource: resource(s) })
    const [, claims = ''] = String(answer.json['access_token']).split('.')
    expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({ aud: found(s), sub: who.did, client_id: client, iss: s.base })
  })

  test('a wish to log in anew or to be asked is granted anyway', async () => {
    const { s, client } = await stage()
    for (const prompt of ['login', 'consent', 'select_account', 'login consent']) expect((await begin(s, browser(), client, { prompt })).uid).not.toBe('')
  })

  test('the state comes back as it was sent, and so does none', async () => {
    const who = keyProver()
    const s = await secured({ trusted: [who.did] })
    const client = await registered(s)
    const state = '"><script>alert(1)</script>&code=x#\u{1f600} +%20'
    expect(Object.fromEntries((await logIn(s, who, client, { state })).searchParams)).toEqual({ code: expect.any(String), state, iss: s.base })
    expect(Object.fromEntries((await logIn(s, who, client, { state: undefined })).searchParams)).toEqual({ code: expect.any(String), iss: s.base })
  })

  test('what is longer than any client makes it is refused before it is read', async () => {
    const { s, client } = await stage()
    expect(toldPerson(await ask1(s, client, { state: 'x'.repeat(8200) }))).toBe('invalid_request')
  })
})

test('a script in any parameter stays a text, in pages and in what the page asks', async () => {
  const s = await secured()
  const script = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
  const client = await registered(s, { client_name: script })
  for (const name of [
    'client_id',
    'redirect_uri',
    'response_type',
    'scope',
    'state',
    'resource',
    'code_challenge',
    'code_challenge_method',
    'prompt',
    'request',
    'unknown',
  ]) {
    const { text, headers } = await ask1(s, client, { [name]: script })
    expect(text).not.toContain('<script')
    expect(headers.location ?? '').not.toMatch(/[<>"]/)
  }
  const tab = browser()
  const { at } = await begin(s, tab, client)
  const { headers, json } = await tab.get(at)
  expect([headers['content-type'], headers['x-content-type-options']]).toEqual(['application/json; charset=utf-8', 'nosniff'])
  expect(json['client']).toMatchObject({ name: script })
})

test('other methods are refused, and nothing is begun', async () => {
  const { s, client } = await stage()
  for (const method of ['POST', 'PUT', 'HEAD', 'DELETE']) {
    const { status, headers } = await ask(authorizeUrl(s, client), { method })
    expect([method, status, headers.allow, headers['set-cookie']]).toEqual([method, 405, 'GET', undefined])
  }
})
