// Clients that register themselves: what they may say, what is made of it, and that a flood of them leaves nothing behind.
import { describe, expect, test } from 'vitest'

import { at, type Json } from '../../support/json.ts'
import { secured, type Secured } from '../../support/secured.ts'
import { ask } from '../../support/wire.ts'
import { authorizeUrl, begin, browser, registerAnswer, registered } from './stage.ts'

const LOOPBACK = ['http://127.0.0.1/callback']

/** What clients send that people use. */
const CLIENTS: readonly [string, Json, 'native' | 'web'][] = [
  [
    'VS Code',
    {
      client_name: 'Visual Studio Code',
      client_uri: 'https://code.visualstudio.com',
      grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
      response_types: ['code'],
      redirect_uris: ['https://insiders.vscode.dev/redirect', 'https://vscode.dev/redirect', 'http://127.0.0.1/', 'http://127.0.0.1:33418/'],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
    },
    'native',
  ],
  [
    'Cursor',
    {
      client_name: 'Cursor',
      redirect_uris: ['cursor://anysphere.cursor-mcp/oauth/callback', 'https://www.cursor.com/agents/mcp/oauth/callback', 'http://localhost:8787/callback'],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    },
    'native',
  ],
  [
    'Claude',
    { client_name: 'Claude', redirect_uris: ['https://claude.ai/api/mcp/auth_callback'], token_endpoint_auth_method: 'client_secret_post', scope: 'mcp' },
    'web',
  ],
  ['the Inspector', { client_name: 'MCP Inspector', redirect_uris: ['http://localhost:6274/oauth/callback'], token_endpoint_auth_method: 'none' }, 'native'],
]

test.each(CLIENTS)('%s registers as a public client and may begin at each of its redirect URIs', async (_name, sent, type) => {
  const s = await secured()
  const { status, headers, json } = await registerAnswer(s, { client_name: undefined, ...sent })
  expect([status, headers['cache-control'], headers['content-type']]).toEqual([201, 'no-store', 'application/json; charset=utf-8'])
  expect(json).toEqual({
    client_id: expect.stringMatching(/^reg\.[\w-]+\.[\w-]{43}$/),
    client_id_issued_at: expect.any(Number),
    client_name: sent['client_name'],
    application_type: type,
    redirect_uris: sent['redirect_uris'],
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
  })
  const uris = sent['redirect_uris']
  for (const uri of Array.isArray(uris) ? uris : []) await begin(s, browser(), String(json['client_id']), { redirect_uri: String(uri) })
})

describe('a redirect URI', () => {
  test.each([
    'javascript:alert(1)',
    'JavaScript:alert(1)//',
    'data:text/html,x',
    'vbscript:x',
    'file:///etc/passwd',
    'blob:https://app.example/x',
    'about:blank',
    'view-source:https://app.example',
    'filesystem:https://app.example/x',
    'intent://x#Intent;end',
    'ws://127.0.0.1/',
    'mailto:a@b.example',
    'ms-msdt:/id',
    'http://app.example/callback',
    'http://10.0.0.1/callback',
    'http://127.0.0.2/callback',
    'http://localhost.evil.example/callback',
    'http://[::2]/callback',
    'https://localhost/callback',
    'https://user@app.example/callback',
    'https://user:password@app.example/callback',
    'https://@app.example/callback',
    'https://app.example/callback#fragment',
    'https://app.example/callback#',
    'https://app.example\\callback',
    'https://app.example/call back',
    'https://app.example/\u0000',
    'https://äpp.example/callback',
    ' https://app.example/callback',
    'https://app.example/callback\n',
    '/callback',
    '//app.example/callback',
    'app.example/callback',
    '',
    `https://app.example/${'x'.repeat(500)}`,
  ])('%j is refused, also among good ones', async (uri) => {
    const s = await secured()
    for (const uris of [[uri], ['https://app.example/callback', uri, ...LOOPBACK]]) {
      const { status, json } = await registerAnswer(s, { redirect_uris: uris })
      expect([status, json['error'], 'client_id' in json]).toEqual([400, 'invalid_redirect_uri', false])
    }
  })

  test.each([
    ['none', undefined],
    ['an empty list', []],
    ['a text', 'https://app.example/callback'],
    ['numbers', [7]],
    ['too many', Array.from({ length: 17 }, () => 'https://app.example/')],
  ])('%s: nothing is registered', async (_what, uris) => {
    const s = await secured()
    expect((await registerAnswer(s, { redirect_uris: uris })).json['error']).toBe('invalid_redirect_uri')
  })
})

describe('what a client says of itself', () => {
  test.each<[string, Json]>([
    ['an application type that is none', { application_type: 'toaster' }],
    ['grants without the one there is', { grant_types: ['client_credentials'] }],
    ['grants that are no list', { grant_types: 'authorization_code' }],
    ['response types without the one there is', { response_types: ['token'] }],
    ['more than fits into a URL', { redirect_uris: Array.from({ length: 16 }, (_, index) => `https://app.example/${String(index).repeat(200)}`) }],
  ])('%s is refused', async (_what, more) => {
    const s = await secured()
    const { status, json } = await registerAnswer(s, more)
    expect([status, json['error']]).toEqual([400, 'invalid_client_metadata'])
  })

  test.each([
    ['one line', 'A\nB\r\nC\u2028D\tE', 'A B C D E'],
    ['nothing that turns it round', '\u202egnp.exe\u2066 \u200fx', 'gnp.exe x'],
    ['nothing that hides', 'Cl\u200bau\u00adde\u2060\ufeff', 'Claude'],
    ['no control', '\u0000\u001b[31mred\u0007', '[31mred'],
    ['80 characters', '\u{1f600}'.repeat(200), '\u{1f600}'.repeat(80)],
    ['no space around it', '   x   ', 'x'],
    ['markup as text', '<b>"x"&</b>', '<b>"x"&</b>'],
  ])('as its name: %s', async (_what, name, shown) => {
    const s = await secured()
    const { json } = await registerAnswer(s, { client_name: name })
    expect(json['client_name']).toBe(shown)
    const tab = browser()
    const begun = await begin(s, tab, String(json['client_id']))
    expect(at((await tab.get(begun.at)).json, 'client', 'name')).toBe(shown)
  })

  test.each([undefined, 7, '', ' \n ', ['x']])('no name, as %j, is none', async (name) => {
    const s = await secured()
    const { status, json } = await registerAnswer(s, { client_name: name })
    expect([status, 'client_name' in json]).toEqual([201, false])
    const tab = browser()
    const begun = await begin(s, tab, String(json['client_id']))
    expect(at((await tab.get(begun.at)).json, 'client', 'name')).toBe('')
  })

  test('web with a scheme of a program is a contradiction, web on loopback keeps its port', async () => {
    const s = await secured()
    expect((await registerAnswer(s, { application_type: 'web', redirect_uris: ['cursor://x/y'] })).json['error']).toBe('invalid_redirect_uri')
    expect((await registerAnswer(s, { application_type: 'web' })).json['application_type']).toBe('web')
  })

  test('a secret, a key or a URL of its own is not taken over', async () => {
    const s = await secured()
    const { json } = await registerAnswer(s, {
      client_secret: 'x',
      jwks_uri: 'https://evil.example',
      logo_uri: 'https://evil.example/x.png',
      client_id: 'mine',
      __proto__: { a: 1 },
    })
    expect(JSON.stringify(json)).not.toMatch(/evil|secret|mine/)
  })
})

describe('a client id', () => {
  test('that was changed, cut or made up is none', async () => {
    const s = await secured()
    const id = await registered(s)
    const [, text = '', seal = ''] = id.split('.')
    const other = Buffer.from(JSON.stringify({ iat: 4e9, name: '', native: true, uris: ['https://evil.example/'] })).toString('base64url')
    for (const wrong of [
      `reg.${other}.${seal}`,
      `reg.${text}.${seal.slice(0, -1)}`,
      `reg.${text}.${seal}=`,
      `reg.${text}.${seal}.`,
      `reg.${text}.`,
      `reg.${text}`,
      `${id}x`,
      `REG${id.slice(3)}`,
      `reg.${'x'.repeat(3000)}.${seal}`,
    ]) {
      const { status, text: page } = await ask(authorizeUrl(s, wrong))
      expect([status, page.includes('<code>invalid_client</code>')]).toEqual([400, true])
    }
  })

  test('is good for 90 days', async () => {
    const s = await secured()
    const id = await registered(s)
    s.pass(90 * 24 * 3600 - 5)
    await begin(s, browser(), id)
    s.pass(10)
    expect((await ask(authorizeUrl(s, id))).text).toContain('<code>invalid_client</code>')
  })
})

describe('the door', () => {
  const post = async (s: Secured, headers: Record<string, string>, body: string): Promise<number> =>
    (await ask(new URL(`${s.base}/register`), { method: 'POST', headers, body })).status

  test('takes one JSON object of a bounded size by POST', async () => {
    const s = await secured()
    const json = { 'content-type': 'application/json' }
    expect(await post(s, { 'content-type': 'application/x-www-form-urlencoded' }, 'a=b')).toBe(415)
    expect(await post(s, { ...json, 'content-encoding': 'gzip' }, 'x')).toBe(415)
    for (const body of ['{', '', 'null', '[]', '"x"', '7']) expect([body, await post(s, json, body)]).toEqual([body, 400])
    expect(await post(s, json, JSON.stringify({ redirect_uris: LOOPBACK, client_uri: 'x'.repeat(20_000) }))).toBe(413)
    const { status, headers } = await ask(new URL(`${s.base}/register`))
    expect([status, headers.allow]).toEqual([405, 'POST'])
    expect(await post(s, { ...json, origin: 'https://evil.example' }, JSON.stringify({ redirect_uris: LOOPBACK }))).toBe(403)
  })

  test('leaves nothing behind, however many come', async () => {
    const s = await secured({ durable: true })
    for (let nth = 0; nth < 100; nth++) expect((await registerAnswer(s, { client_name: `client ${nth}` })).status).toBe(201)
    const store = await s.otherProcess()
    expect([await store.list('login'), await store.list('replay')]).toEqual([[], []])
  })
})
