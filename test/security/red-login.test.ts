// Logins in a browser, attacked: places that lie about themselves, floods, a browser that is made to begin too much, mixed names of ours.
import { createHash, sign } from 'node:crypto'
import { describe, expect, onTestFinished, test } from 'vitest'

import { addTrust, removeTrust } from '../../src/policy/rules.ts'
import { keyProver, postJson, walletProver, type Prover } from '../api-keys/stage.ts'
import {
  BACK,
  VERIFIER,
  approve,
  authorizeUrl,
  begin,
  browser,
  codeFor,
  exchange,
  refresh,
  registerAnswer,
  registered,
  tokensIn,
  type Browser,
} from '../oauth/browser/stage.ts'
import { didHost } from '../support/did-host.ts'
import { assertionClaims, holder, nodeKey } from '../support/did.ts'
import { CLIENT_ASSERTION, bearer, secured, type Secured, type SecuredOptions } from '../support/secured.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { testWallet } from '../support/wallet.ts'
import { ask, type Answer } from '../support/wire.ts'

const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' }
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'

/** Behind it nothing was reached when the test ends. */
async function unreached(options: SecuredOptions = {}): Promise<Secured> {
  const s = await secured(options)
  onTestFinished(() => expect(s.reached()).toEqual([]))
  return s
}

async function statusWith(s: Secured, token: string): Promise<number> {
  return (await ask(s.url, { headers: bearer(token), body: LIST })).status
}

describe('a redirect URI', () => {
  test.each([
    'https://claude.ai(nobody-else),evil.example/cb',
    "https://this-computer'.evil.example/cb",
    'https://a-program-on-this-computer(127.0.0.1:9).evil.example/cb',
    'https://claude.ai!evil.example/cb',
    'https://claude.ai;evil.example/cb',
    'https://claude.ai*evil.example/cb',
    'https://claude.ai$evil.example/cb',
    'https://claude.ai&evil.example/cb',
    'https://claude.ai=evil.example/cb',
    'https://claude.ai+evil.example/cb',
    'https://claude.ai~evil.example/cb',
    'https://claude.ai"evil.example/cb',
    'https://claude.ai`evil.example/cb',
    'https://{claude.ai}.evil.example/cb',
    'https://claude%2eai%28%29.evil.example/cb',
    'https://cl%61ude.ai@evil.example/cb',
    `https://${'a'.repeat(64)}.example/cb`,
    `https://${'a.'.repeat(130)}example/cb`,
    'https:evil.example/cb',
    'https:/evil.example/cb',
    'https:///evil.example/cb',
    'http:127.0.0.1/cb',
    'http:/127.0.0.1/cb',
    'http:///127.0.0.1/cb',
    'https://claude.ai\u3002evil.example/cb',
    'https://cl\u0430ude.ai/cb',
    'HTTPS://evil.example\\@claude.ai/cb',
    'http://localhost@evil.example/cb',
    'http://127.0.0.1.evil.example/cb',
    'http://localhost.evil.example/cb',
    'http://localhost./cb',
    'http://[::ffff:127.0.0.1]/cb',
    'http://[::]/cb',
    'http://0.0.0.0/cb',
    'http://0/cb',
    'http://127.0.0.2/cb',
    'https://127.0.0.1/cb',
    'https://localhost/cb',
  ])('that does not say plainly where it leads is not registered: %s', async (uri) => {
    const s = await unreached()
    expect((await registerAnswer(s, { redirect_uris: [uri] })).json).toMatchObject({ error: 'invalid_redirect_uri' })
    // Nor beside one that does.
    expect((await registerAnswer(s, { redirect_uris: ['http://127.0.0.1/cb', uri] })).json).not.toHaveProperty('client_id')
  })

  test.each(
    `javascript:alert(1) JavaScript://x/%0aalert(1) data:text/html,x vbscript:x file:///etc/passwd blob:https://x/y filesystem:https://x/y
     view-source:https://x/ about:blank intent://x#Intent;end intent://x/ content://x/y chrome://settings edge://settings devtools://x/
     ms-msdt:/id%20PCWDiagnostic search-ms:query=x search:query=x ms-officecmd:x ms-word:ofe|u|https://x/y.docx ms-excel:ofv|u|https://x/y
     ms-appinstaller:?source=https://x/y.msix ms-settings:x ms-screenclip:x microsoft-edge:https://x/ onenote:https://x/ ms-its:x mk:@x hcp://x
     itms-services://?action=download-manifest&url=https://x/y itms-apps://x market://x android-app://x x-apple.systempreferences:x help:x x-man-page://ls
     afp://x/y nfs://x/y smb://x/y ftp://x/y ssh://x telnet://x vnc://x rdp://x ldap://x webdav://x davs://x/y mailto:x tel:1 sms:1 magnet:?x steam://run/1
     ws://x/ wss://x/ gopher://x shell:startup res://x jar:https://x!/ wyciwyg://x`.split(/\s+/),
  )('of a scheme that does something by itself is not registered: %s', async (uri) => {
    const s = await unreached()
    expect((await registerAnswer(s, { redirect_uris: [uri] })).json).toMatchObject({ error: 'invalid_redirect_uri' })
  })

  test.each([
    'cursor://anysphere.cursor-mcp/oauth/callback',
    'vscode://x/y',
    'com.example.app:/callback',
    'warp://mcp/oauth2callback',
    'zed://x',
    'raycast://oauth',
  ])('of a program is: %s', async (uri) => {
    const s = await unreached()
    expect((await registerAnswer(s, { redirect_uris: [uri] })).status).toBe(201)
  })
})

test.each(['https://claude.ai(known),evil.example/client', 'https://claude.ai!evil.example/client', "https://claude'.evil.example/client"])(
  'no client is named by a host that does not read as one, and nothing is fetched from it: %s',
  async (id) => {
    const s = await unreached()
    const { status, headers, text } = await ask(authorizeUrl(s, id))
    expect([status, headers.location, /<code>(\w+)/.exec(text)?.[1]]).toEqual([400, undefined, 'invalid_client'])
    expect(s.log.join('')).not.toContain('client metadata document')
  },
)

describe('a page that sends a browser here again and again', () => {
  test('does not make its requests grow: of many logins that were begun the newest go on, and the oldest are over for it', async () => {
    const s = await unreached()
    const client = await registered(s)
    const tab = browser()
    const begun = []
    for (let count = 0; count < 25; count++) begun.push(await begin(s, tab, client))
    expect(tab.cookie().split('; ').length).toBeLessThanOrEqual(16)
    expect(tab.cookie().length).toBeLessThan(2500)
    const [first, last] = [begun[0], begun.at(-1)]
    expect((await tab.get(first?.at ?? '')).json['error']).toBe('another_browser')
    expect((await tab.get(last?.at ?? '')).status).toBe(200)
  })

  test('does not have those of another server on this host ended, nor what only looks like one', async () => {
    const s = await unreached()
    const client = await registered(s)
    const others = Array.from({ length: 30 }, (_, index) => `session${index}=x; openmcp-login-=y; openmcp-login-short${index}=z`).join('; ')
    const { headers } = await ask(authorizeUrl(s, client), { headers: { cookie: others } })
    expect(headers['set-cookie']).toHaveLength(1)
  })
})

describe('a registered name', () => {
  test('cannot be changed, mixed, shortened or taken to another node', async () => {
    const [s, other] = [await unreached(), await unreached()]
    const [mine, evil] = [await registered(s), await registered(s, { redirect_uris: ['https://evil.example/cb'] })]
    const [, text = '', seal = ''] = mine.split('.')
    const [, evilText = '', evilSeal = ''] = evil.split('.')
    const changed = Buffer.from(Buffer.from(text, 'base64url').toString().replace('127.0.0.1/callback', 'evil.example/callbk')).toString('base64url')
    const names = [
      `reg.${evilText}.${seal}`,
      `reg.${text}.${evilSeal}`,
      `reg.${changed}.${seal}`,
      `reg.${text}.${seal.slice(0, -1)}`,
      `reg.${text}.${seal}A`,
      `reg.${text}.${seal}=`,
      `reg.${text}=.${seal}`,
      `reg.${text}.`,
      `reg.${text}`,
      `reg..${seal}`,
      `reg.${text}.${seal}.${seal}`,
      ` ${mine}`,
      `${mine}\n`,
      `REG.${text}.${seal}`,
      await registered(other),
    ]
    for (const name of names) {
      const { status, headers } = await ask(authorizeUrl(s, name))
      expect([name, status, headers.location, headers['set-cookie']]).toEqual([name, 400, undefined, undefined])
    }
  })

  test.each([
    ['a list', '[]'],
    ['a text', '"x"'],
    ['nothing', 'null'],
    ['nested without end', `${'['.repeat(8000)}${']'.repeat(8000)}`],
    ['a prototype', '{"__proto__":{"redirect_uris":["http://127.0.0.1/cb"]}}'],
    ['a URI in a list', '{"redirect_uris":[["http://127.0.0.1/cb"]]}'],
    ['a URI in an object', '{"redirect_uris":{"0":"http://127.0.0.1/cb","length":1}}'],
    ['too many URIs', JSON.stringify({ redirect_uris: Array.from({ length: 17 }, (_, index) => `http://127.0.0.1/${index}`) })],
    ['URIs too long together', JSON.stringify({ redirect_uris: Array.from({ length: 16 }, (_, index) => `http://127.0.0.1/${'x'.repeat(400)}${index}`) })],
    ['a body too long', JSON.stringify({ redirect_uris: ['http://127.0.0.1/cb'], x: 'x'.repeat(20_000) })],
    ['half a text', '{"redirect_uris":["http://127.0.0.1/cb"'],
  ])('is given for no %s', async (_what, body) => {
    const s = await unreached()
    const { status, json, text } = await postJson(s, '/register', body)
    expect([400, 413]).toContain(status)
    expect(json).toEqual({ error: expect.any(String), error_description: expect.any(String) })
    expect(text).not.toMatch(/\.[jt]s:\d|node_modules|SyntaxError/)
  })

  test.each([
    { 'content-type': 'application/json; charset=iso-8859-1' },
    { 'content-type': 'application/json', 'content-encoding': 'gzip' },
    { 'content-type': 'text/plain' },
    { 'content-type': 'application/x-www-form-urlencoded' },
    { 'content-type': '' },
  ])('is given for no body that is written in another way: %j', async (headers) => {
    const s = await unreached()
    expect((await postJson(s, '/register', { redirect_uris: ['http://127.0.0.1/cb'] }, headers)).status).toBe(415)
  })
})

describe('by two names of ours', () => {
  test('a login that was begun under one goes on under no other', async () => {
    const who = keyProver()
    const s = await unreached({ trusted: [who.did], listen: { allowHosts: ['mcp.example.com'] } })
    const client = await registered(s)
    const tab = browser()
    const { uid, at: login } = await begin(s, tab, client)
    for (const host of [`localhost:${s.url.port}`, 'mcp.example.com']) {
      // As a browser would not send it, but whoever has it may.
      const headers = { host, cookie: tab.cookie() }
      expect((await ask(new URL(login), { headers })).json['error']).toBe('another_browser')
      expect((await ask(new URL(`${s.base}/authorize/${uid}`), { headers })).status).toBe(403)
      expect((await ask(new URL(`${login}/approve`), { headers, body: {} })).json['error']).toBe('another_browser')
    }
  })

  test('there is room for few at once, and a login outlives those that push its own away', async () => {
    const who = keyProver()
    const hosts = Array.from({ length: 12 }, (_, index) => `h${index}.example.com`)
    const s = await unreached({ trusted: [who.did], listen: { allowHosts: hosts } })
    const client = await registered(s)
    const tab = browser()
    const begun = await begin(s, tab, client)
    for (const host of hosts) {
      const { status, headers } = await ask(authorizeUrl(s, client), { headers: { host } })
      expect([status, headers.location]).toEqual([303, expect.stringContaining(`http://${host}/keys?login=`)])
    }
    const to = String((await approve(tab, begun, who)).json['redirect_to'])
    const code = new URL((await tab.get(to)).headers.location ?? '').searchParams.get('code') ?? ''
    expect((await exchange(s, client, code)).status).toBe(200)
  })
})

describe('what is written at /authorize', () => {
  test.each([
    ['a line that would be a header', 'state=x%0d%0aset-cookie:%20a=b'],
    ['bytes that are no text', 'state=%ff%fe%00'],
    ['half a sign', 'state=%'],
    ['half a character', 'state=%ed%a0%80'],
    ['a prototype', '__proto__=x&constructor=y&state=z'],
    ['names with brackets', 'state[]=x&state[a]=y&client_id[]=z'],
    ['many names', Array.from({ length: 1500 }, (_, index) => `a${index}=`).join('&')],
    ['a name many times', 'ui_locales=x&'.repeat(500)],
  ])('stays what it is: %s', async (_what, more) => {
    const s = await unreached()
    const client = await registered(s)
    const url = new URL(`${authorizeUrl(s, client, { state: undefined }).href}&${more}`)
    const { status, headers, text } = await ask(url)
    expect([303, 400]).toContain(status)
    expect(headers['set-cookie']?.length ?? 0).toBeLessThanOrEqual(1)
    expect(headers['set-cookie']?.[0] ?? 'openmcp-login-').toMatch(/^openmcp-login-/)
    expect(text).not.toMatch(/node_modules|\.[jt]s:\d|oidc-provider|koa/i)
    expect(s.log.join('')).not.toContain('internal error')
  })

  test.each(['x', 'x'.repeat(3000), `${'x'.repeat(43)}=`, '__proto__', `${'x'.repeat(42)} `])('as a key that is none begins nothing: %s', async (key) => {
    const s = await unreached({ durable: true })
    const { status, headers } = await ask(authorizeUrl(s, await registered(s), { dpop_jkt: key }))
    expect([status, headers.location, headers['set-cookie']]).toEqual([400, undefined, undefined])
    expect(await (await s.otherProcess()).list('login')).toEqual([])
  })

  test('as another client, another way in or another key does not get past the one who approved', async () => {
    const who = keyProver()
    const s = await unreached({ trusted: [who.did], durable: true })
    const [client, evil] = [await registered(s), await registered(s, { client_name: 'Evil' })]
    const code = await codeFor(s, who, client)
    const verifier = createHash('sha256').update('another').digest('base64url')
    const wrong: [string, Answer][] = [
      ['another client', await exchange(s, evil, code)],
      ['another verifier', await exchange(s, client, code, { code_verifier: verifier })],
      ['another resource', await exchange(s, client, code, { resource: `${s.base}/sse` })],
    ]
    for (const [what, { json }] of wrong) expect([what, 'access_token' in json]).toEqual([what, false])
    expect(s.reached()).toEqual([])
  })
})

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

describe('a login', () => {
  async function loggedIn(s: Secured, who: Prover, more = {}): Promise<{ client: string; access: string; refresh: string }> {
    const client = await registered(s)
    return { client, ...tokensIn(await exchange(s, client, await codeFor(s, who, client, more))) }
  }

  test('gives no more than was said yes to, by no word at the end', async () => {
    const who = keyProver()
    const s = await secured({ trusted: [who.did] })
    const { client, refresh: token } = await loggedIn(s, who, { scope: 'mcp:tools' })
    for (const more of [{ scope: 'mcp' }, { scope: 'mcp:tools mcp:resources' }, { scope: 'introspect' }, { resource: `${s.base}/sse` }, { resource: s.base }]) {
      expect((await refresh(s, client, token, more)).json).not.toHaveProperty('access_token')
    }
    const { access } = tokensIn(await refresh(s, client, token))
    expect((await ask(s.url, { headers: bearer(access), body: { ...LIST, method: 'resources/list' } })).status).toBe(403)
    expect(await statusWith(s, access)).toBe(200)
  })

  test('ends what was made of it, also by those who act for its person', async () => {
    const [who, bot] = [keyProver(), await holder()]
    const s = await secured({ trusted: [who.did, bot.did] })
    const { access, refresh: token } = await loggedIn(s, who)
    const client = { client_assertion_type: CLIENT_ASSERTION, client_assertion: await bot.sign(assertionClaims(bot.did, s.base)) }
    const exchanged = await s.post('/token', { grant_type: EXCHANGE, subject_token: access, subject_token_type: ACCESS_TOKEN, ...client })
    const delegated = String(exchanged.json['access_token'])
    expect(await statusWith(s, delegated)).toBe(200)
    await s.post('/revoke', { token })
    s.reached()
    for (const one of [access, delegated]) expect(await statusWith(s, one)).toBe(401)
    expect(s.reached()).toEqual([])
  })

  test('of an identity whose document is withdrawn is renewed for nobody, at the first try or later', async () => {
    const host = await forThisTest(didHost())
    const key = nodeKey('EdDSA')
    const did = host.did('ann')
    const method = { id: `${did}#key`, type: 'JsonWebKey', controller: did, publicKeyJwk: { ...key.publicJwk } }
    const document = { id: did, verificationMethod: [method], authentication: [method.id] }
    host.host('ann', document)
    const ann: Prover = { asked: { did }, did, sign: (message) => sign(null, Buffer.from(message), key.privateKey).toString('base64url') }
    const s = await unreached({ trusted: [did] })
    const { client, refresh: token } = await loggedIn(s, ann)
    host.host('ann', 410)
    for (let minutes = 0; minutes < 5; minutes++) {
      s.pass(61)
      expect((await refresh(s, client, token)).json).toMatchObject({ error: 'invalid_grant' })
    }
    host.host('ann', document)
    s.pass(121)
    expect((await refresh(s, client, token)).status).toBe(200)
  })

  test('of whoever was trusted again lives no longer by it than they are trusted', async () => {
    const who = keyProver()
    const s = await secured({ durable: true, trusted: [keyProver().did] })
    const store = await s.otherProcess()
    await addTrust(store, { id: who.did })
    const { client, access, refresh: token } = await until('trust', () => loggedIn(s, who).catch(() => undefined))
    await removeTrust(store, who.did)
    // What is in flight just then is cut.
    await until('the end', async () => (await statusWith(s, access).catch(() => 0)) === 401)
    s.reached()
    expect((await refresh(s, client, token)).json).toMatchObject({ error: 'invalid_grant' })
    expect(s.reached()).toEqual([])
  })

  test('that two people answer at once is of one of them, and gives one code', async () => {
    const [ann, bob] = [keyProver(), walletProver(testWallet())]
    const s = await unreached({ trusted: [ann.did, bob.did] })
    const client = await registered(s)
    const tab = browser()
    const begun = await begin(s, tab, client)
    const answers = await Promise.all([approve(tab, begun, ann), approve(tab, begun, bob), tab.post(`${begun.at}/deny`, {})])
    const ways = await Promise.all(answers.map((answer) => tab.get(textOf(answer.json['redirect_to']) ?? `${s.base}/authorize/${begun.uid}`)))
    const codes = ways.flatMap(({ headers }) => new URL(headers.location ?? 'none:').searchParams.get('code') ?? [])
    expect(codes.length).toBeLessThanOrEqual(1)
    for (const code of codes) {
      const [, claims = ''] = tokensIn(await exchange(s, client, code)).access.split('.')
      expect([ann.did, bob.did]).toContain(JSON.parse(Buffer.from(claims, 'base64url').toString())['sub'])
    }
  })

  test('leads nowhere after no, whatever is approved then', async () => {
    const who = keyProver()
    const s = await unreached({ trusted: [who.did] })
    const client = await registered(s)
    const tab: Browser = browser()
    const begun = await begin(s, tab, client)
    const to = String((await tab.post(`${begun.at}/deny`, {})).json['redirect_to'])
    const { headers } = await tab.get(to)
    expect(new URL(headers.location ?? '').searchParams.get('error')).toBe('access_denied')
    const later = await tab.post(`${begun.at}/challenge`, who.asked)
    expect(later.json).not.toHaveProperty('message')
    expect((await tab.get(to)).headers.location).toBe(undefined)
  })
})

test('no door of a login says who we are made of, or what went wrong inside', async () => {
  const s = await unreached()
  const client = await registered(s)
  const answers = await Promise.all([
    ask(new URL(`${s.base}/authorize`)),
    ask(authorizeUrl(s, client, { redirect_uri: 'https://evil.example/' })),
    ask(new URL(`${s.base}/authorize/${'a'.repeat(43)}`)),
    ask(new URL(`${s.base}/authorize/%E0%A4%A`)),
    ask(new URL(`${s.base}/login/%E0%A4%A`)),
    ask(new URL(`${s.base}/login/..%2f..%2fkeys`)),
    ask(new URL(`${s.base}/keys/%E0%A4%A`)),
    postJson(s, `/login/${'a'.repeat(43)}/approve`, '{'),
    postJson(s, `/login/${'a'.repeat(43)}/approve`, '['.repeat(15_000)),
    postJson(s, `/login/${'a'.repeat(43)}/deny`, '{"a":'.repeat(3000)),
    s.post('/token', { grant_type: 'authorization_code', code: 'x', client_id: client, redirect_uri: BACK, code_verifier: VERIFIER }),
    s.post('/token', { grant_type: 'refresh_token', refresh_token: 'x', client_id: client }),
  ])
  for (const { status, headers, text } of answers) {
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(500)
    expect(text + JSON.stringify(headers)).not.toMatch(/oidc|koa|express|node_modules|\.[jt]s:\d|x-powered-by/i)
    expect(headers).toMatchObject({ 'x-frame-options': 'DENY', 'x-content-type-options': 'nosniff' })
    expect(String(headers['content-security-policy'])).toContain("frame-ancestors 'none'")
  }
  expect(s.log.join('')).not.toContain('internal error')
  expect(s.reached()).toEqual([])
})
