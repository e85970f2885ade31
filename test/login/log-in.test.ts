import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { OpenMcpError } from '../../src/errors.ts'
import { LOGIN_BOUNDS, boundedFetch } from '../../src/login/bounded-fetch.ts'
import { refresh } from '../../src/login/code-grant.ts'
import { logIn, type LogInOptions } from '../../src/login/log-in.ts'
import { parseLogin, textOf, type Login } from '../../src/login/login.ts'
import type { Invitation } from '../../src/login/wait-for-code.ts'
import { forThisTest } from '../support/tidy.ts'
import { ask, raw } from '../support/wire.ts'
import { send } from './little-issuer.ts'
import { browse, littleLogin, type LittleLogin, type WrongLogin } from './little-login.ts'
import { refusalOf } from './refusal.ts'

interface Stage {
  issuer: LittleLogin
  /** Where the person is sent, once they are. */
  shown: Promise<Invitation>
  made: Promise<Login>
  /** What the person was told of a wrong paste. */
  told: string[]
  paste(line: string): void
  end(reason: unknown): void
}

async function staged(wrong: WrongLogin = {}, more: Partial<LogInOptions> = {}): Promise<Stage> {
  const issuer = await forThisTest(littleLogin(wrong))
  const ending = new AbortController()
  const told: string[] = []
  let show: (invitation: Invitation) => void = () => {}
  let hear: (line: string) => void = () => {}
  const shown = new Promise<Invitation>((resolve) => {
    show = resolve
  })
  const made = logIn({
    resource: issuer.resource,
    client: {},
    bound: false,
    person: {
      show: (invitation) => show(invitation),
      onPasted: (take) => ((hear = take), () => (hear = () => {})),
      tellWrong: (why) => void told.push(why),
    },
    fetch: globalThis.fetch,
    now: () => 1_000_000,
    signal: ending.signal,
    ...more,
  })
  made.catch(() => {})
  return { issuer, shown, made, told, paste: (line) => hear(line), end: (reason) => ending.abort(reason) }
}

/** A login in which the person does what they are shown. */
async function through(wrong: WrongLogin = {}, more: Partial<LogInOptions> = {}): Promise<Stage & { browsed: Awaited<ReturnType<typeof browse>> }> {
  const stage = await staged(wrong, more)
  const { url } = await stage.shown
  return { ...stage, browsed: await browse(url.href) }
}

/** The issuer was never asked to let anybody in, and nobody was sent to it. */
async function refusedBeforehand(wrong: WrongLogin, more: Partial<LogInOptions> = {}): Promise<OpenMcpError & { issuer: LittleLogin }> {
  let isShown = false
  const stage = await staged(wrong, more)
  void stage.shown.then(() => (isShown = true))
  const refusal = await refusalOf(stage.made)
  expect({ isShown, forms: stage.issuer.forms }).toEqual({ isShown: false, forms: [] })
  return Object.assign(refusal, { issuer: stage.issuer })
}

describe('a person who logs in', () => {
  test('is sent to the issuer that the resource names, and what comes back is a login', async () => {
    const { issuer, made, browsed } = await through()
    const login = await made
    expect(login).toEqual({
      address: issuer.resource.href,
      resource: `${issuer.origin}/mcp`,
      scope: 'mcp',
      issuer: issuer.origin,
      tokenEndpoint: `${issuer.origin}/token`,
      revocationEndpoint: `${issuer.origin}/revoke`,
      client: { id: 'client-1', auth: 'none' },
      accessToken: 'access-2-canary',
      tokenType: 'Bearer',
      refreshToken: 'refresh-2-canary',
      obtainedAtMs: 1_000_000,
      expiresAtMs: 4_600_000,
    })
    expect(browsed.status).toBe(200)
    expect(issuer.asked).toEqual([
      'POST /mcp',
      'GET /.well-known/oauth-protected-resource/mcp',
      'GET /.well-known/oauth-authorization-server',
      'POST /register',
      'GET /authorize',
      'POST /token',
    ])
  })

  test('brings a request with PKCE, state and resource, and the code is changed with the same', async () => {
    const { issuer, made } = await through()
    await made
    const [query] = issuer.authorizations
    const [form] = issuer.forms
    expect(Object.fromEntries(query ?? [])).toEqual({
      response_type: 'code',
      client_id: 'client-1',
      redirect_uri: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/callback$/),
      state: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge: createHash('sha256')
        .update(form?.['code_verifier'] ?? '')
        .digest('base64url'),
      code_challenge_method: 'S256',
      resource: issuer.resource.href,
      scope: 'mcp',
    })
    expect(form).toEqual({
      grant_type: 'authorization_code',
      client_id: 'client-1',
      code: 'code-1-canary',
      code_verifier: expect.stringMatching(/^[\w-]{43}$/),
      redirect_uri: query?.get('redirect_uri'),
      resource: issuer.resource.href,
    })
  })

  test('is asked for no less than the challenge says, and for leave to come back where the issuer knows of it', async () => {
    const offline = { server: () => ({ scopes_supported: ['mcp', 'offline_access'] }) }
    const both = await through(offline)
    const listed = await through({ challenge: () => 'Bearer', metadata: () => ({ scopes_supported: ['a', 'b'] }) })
    const silent = await through({ challenge: () => 'Bearer' })
    const chosen = await through(offline, { scope: 'mcp:read' })
    const odd = await through({ challenge: () => 'Bearer scope="mcp  a\tb \\"x"' })
    const scopes = [both, listed, silent, chosen, odd].map(({ issuer }) => issuer.authorizations[0]?.get('scope'))
    expect(scopes).toEqual(['mcp offline_access', 'a b', null, 'mcp:read', 'mcp'])
    expect(both.issuer.authorizations[0]?.get('prompt')).toBe('consent')
  })

  test('has none of a resource beside the address', async () => {
    const { issuer, made } = await staged({ metadata: (origin) => ({ resource: `${origin}/other` }) })
    expect((await refusalOf(made)).message).toContain('speaks of another resource than')
    expect(issuer.authorizations).toEqual([])
  })
})

describe('what tokens are for', () => {
  test.each([
    ['https://known.example/api', 'https://known.example/api'],
    ['none', null],
  ])('is said as the person says (%s), at every place where it is said, and kept', async (indicator, sent) => {
    const { issuer, made } = await through({ indicator: sent }, { indicator })
    const login = await made
    expect(login).toMatchObject({ indicator, resource: `${issuer.origin}/mcp` })
    expect(parseLogin(textOf(login))).toEqual(login)
    await refresh(login, { fetch: boundedFetch(globalThis.fetch, LOGIN_BOUNDS), dpop: undefined, now: Date.now })
    expect(issuer.authorizations.map((query) => query.get('resource'))).toEqual([sent])
    expect(issuer.forms.map((form) => [form['grant_type'], form['resource'] ?? null])).toEqual([
      ['authorization_code', sent],
      ['refresh_token', sent],
    ])
  })
})

describe('who openmcp is', () => {
  test('is registered as a native client for the very port that listens', async () => {
    const { issuer, made } = await through()
    await made
    expect(issuer.registrations).toEqual([
      {
        client_name: 'openmcp',
        application_type: 'native',
        redirect_uris: [issuer.authorizations[0]?.get('redirect_uri')],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
      },
    ])
  })

  test('is what the person says, before anything else', async () => {
    const { issuer, made } = await through({ server: () => ({ client_id_metadata_document_supported: true }) }, { client: { id: 'mine' } })
    expect((await made).client).toEqual({ id: 'mine', auth: 'none' })
    expect(issuer.registrations).toEqual([])
  })

  test.each([
    [undefined, { authorization: `Basic ${Buffer.from('mine:s%3Acanary').toString('base64')}` }],
    [['client_secret_post'], { client_id: 'mine', client_secret: 's:canary' }],
  ])('with a secret is proved in the way the issuer takes (%j)', async (methods, proof) => {
    const { issuer, made } = await through(
      { server: () => ({ token_endpoint_auth_methods_supported: methods }) },
      { client: { id: 'mine', secret: 's:canary' } },
    )
    await made
    expect(issuer.forms).toMatchObject([proof])
  })

  test('is a document of theirs where the issuer takes one, and registered where it does not', async () => {
    const client = { metadataUrl: new URL('https://ann.example/openmcp.json') }
    const taken = await through({ server: () => ({ client_id_metadata_document_supported: true }) }, { client })
    expect((await taken.made).client).toEqual({ id: 'https://ann.example/openmcp.json', auth: 'none' })
    const other = await through({}, { client })
    expect((await other.made).client).toEqual({ id: 'client-1', auth: 'none' })
  })

  test('may be given a secret with its registration', async () => {
    const registered = { client_id: 'c', client_secret: 'canary', client_secret_expires_at: 0, token_endpoint_auth_method: 'client_secret_post' }
    const { issuer, made } = await through({ at: { '/register': (res) => send(res, 201, registered) } })
    expect((await made).client).toEqual({ id: 'c', secret: 'canary', auth: 'client_secret_post' })
    expect(issuer.forms).toMatchObject([{ client_id: 'c', client_secret: 'canary' }])
  })

  test.each<[string, WrongLogin, string, string]>([
    ['no registration', { server: () => ({ registration_endpoint: undefined }) }, 'registers no clients by itself', '--client-id ID'],
    [
      'no registration, and documents',
      { server: () => ({ registration_endpoint: undefined, client_id_metadata_document_supported: true }) },
      'registers no clients by itself',
      '--client-metadata-url URL',
    ],
    [
      'a refusal',
      { at: { '/register': (res) => send(res, 400, { error: 'invalid_redirect_uri', error_description: 'no\u001b[2J' }) } },
      'does not register openmcp (invalid_redirect_uri: no\\u001b[2J)',
      '--client-id ID',
    ],
    ['a page', { at: { '/register': (res) => send(res, 403, '<h1>no</h1>') } }, 'does not register openmcp (HTTP 403)', '--client-id ID'],
    ['a name of nothing', { at: { '/register': (res) => send(res, 201, { client_id: 7 }) } }, 'without a name that can be used', ''],
    [
      'a way to prove itself that nobody knows',
      { at: { '/register': (res) => send(res, 201, { client_id: 'c', client_secret: 's', token_endpoint_auth_method: 'tls_client_auth' }) } },
      'in a way that openmcp does not know',
      '',
    ],
    ['a registration elsewhere', { server: () => ({ registration_endpoint: 'http://10.0.0.1/register' }) }, 'is not reached over https', ''],
    ['a redirect', { at: { '/register': (res) => send(res, 307, {}, { location: '/elsewhere' }) } }, 'follows no redirect', ''],
  ])('is refused in words by an issuer with %s', async (_what, wrong, words, hint) => {
    const { message, hint: told = '', issuer } = await refusedBeforehand(wrong)
    expect(message).toContain(words)
    expect(told).toContain(hint)
    expect(issuer.asked).not.toContain('POST /elsewhere')
  })
})

describe('nobody is sent to an issuer', () => {
  test.each<[string, WrongLogin, string | RegExp]>([
    ['that has no PKCE', { server: () => ({ code_challenge_methods_supported: undefined }) }, 'PKCE S256'],
    ['that has PKCE in its plain form alone', { server: () => ({ code_challenge_methods_supported: ['plain'] }) }, 'PKCE S256'],
    ['that speaks of another issuer', { server: () => ({ issuer: 'https://victim.example' }) }, 'speaks of another issuer than'],
    ['whose metadata redirect', { at: { '/.well-known/oauth-authorization-server': (res) => send(res, 302, {}, { location: '/x' }) } }, 'no redirect'],
    ['that is reached over http', { metadata: () => ({ authorization_servers: ['http://issuer.example'] }) }, 'is not reached over https'],
    ['that is for another resource', { metadata: () => ({ resource: 'https://victim.example/mcp' }) }, 'speaks of another resource than'],
    ['that counts other resources', { server: () => ({ protected_resources: ['https://victim.example/mcp'] }) }, 'among its resources'],
    ['that has no login for people', { server: () => ({ authorization_endpoint: undefined }) }, 'has no login for people'],
    ['that gives no codes', { server: () => ({ response_types_supported: ['token'] }) }, 'gives no codes'],
    ['that changes no codes', { server: () => ({ grant_types_supported: ['implicit'] }) }, 'gives no codes'],
    ['whose token endpoint is reached over http', { server: () => ({ token_endpoint: 'http://issuer.example/token' }) }, 'is not reached over https'],
    ['whose tokens are taken back over http', { server: () => ({ revocation_endpoint: 'http://issuer.example/revoke' }) }, 'is not reached over https'],
    ['by a script', { server: () => ({ authorization_endpoint: 'javascript:alert(1)' }) }, 'is not reached over https'],
    ['by a file', { server: () => ({ authorization_endpoint: 'file:///etc/passwd' }) }, 'is not reached over https'],
    ['by a program of the desktop', { server: () => ({ authorization_endpoint: 'ms-msdt:/id' }) }, 'is not reached over https'],
    ['whose token endpoint has a user in its address', { server: () => ({ token_endpoint: 'https://a:b@issuer.example/' }) }, 'no URL of an endpoint'],
    ['with a user in its address', { server: () => ({ authorization_endpoint: 'https://a:b@issuer.example/' }) }, 'no URL of an endpoint'],
    ['with a fragment in its address', { server: () => ({ authorization_endpoint: 'https://issuer.example/#x' }) }, 'no URL of an endpoint'],
    ['with no address', { server: () => ({ authorization_endpoint: ['https://issuer.example/'] }) }, 'no URL of an endpoint'],
    ['without a resource that asks', { at: { '/mcp': (res) => send(res, 200, {}) } }, 'asks nobody for a token'],
  ])('%s', async (_what, wrong, words) => {
    expect((await refusedBeforehand(wrong)).message).toContain(words)
  })

  test('over a way on which a token could be read', async () => {
    const { message } = await refusedBeforehand({}, { resource: new URL('http://mcp.example.com/mcp') })
    expect(message).toContain('a token would be read on its way')
  })
})

test('an address full of what shells mean something by is one that no shell would', async () => {
  const stage = await staged({ server: (origin) => ({ authorization_endpoint: `${origin}/a$(id)\`id\`;&|'!*^{}%22?x=$(id)&y=';|"` }) })
  const { url } = await stage.shown
  expect(url.href).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w./~%-]+\?[\w.*&=%+-]+$/)
  expect(decodeURIComponent(url.pathname)).toBe(`/a$(id)\`id\`;&|'!*^{}"`)
  expect(url.searchParams.get('x')).toBe('$(id)')
  stage.end(new OpenMcpError('timeout', 'over'))
  expect(await refusalOf(stage.made)).toMatchObject({ code: 'timeout' })
})

describe('an answer', () => {
  const set =
    (name: string, value: string) =>
    (to: URL): void =>
      to.searchParams.set(name, value)
  const without =
    (name: string) =>
    (to: URL): void =>
      to.searchParams.delete(name)

  test.each<[string, WrongLogin, string, string]>([
    ['that names another issuer', { redirect: set('iss', 'https://evil.example') }, 'comes from another issuer than', ''],
    ['that names its issuer with a slash more', { redirect: (to) => to.searchParams.set('iss', `${to.searchParams.get('iss')}/`) }, 'another issuer', ''],
    ['that does not name its issuer, which always does', { redirect: without('iss') }, 'does not say that it comes from', ''],
    [
      'of an issuer that does not announce its name, with a wrong one',
      { redirect: set('iss', 'https://evil.example'), server: () => ({ authorization_response_iss_parameter_supported: undefined }) },
      'another issuer',
      '',
    ],
    ['that says its issuer twice', { redirect: (to) => to.searchParams.append('iss', 'x') }, "says 'iss' twice", ''],
    ['that says its code twice', { redirect: (to) => to.searchParams.append('code', 'x') }, "says 'code' twice", ''],
    ['without a code', { redirect: without('code') }, 'holds no code', ''],
    ['with a code of line ends', { redirect: set('code', 'a\r\nb') }, 'holds no code', ''],
    ['that somebody refused', { redirect: (to) => (without('code')(to), set('error', 'access_denied')(to)) }, 'the login was refused at', 'allow it'],
    ['about a scope', { redirect: (to) => (without('code')(to), set('error', 'invalid_scope')(to)) }, 'does not give this scope', '--scope'],
    [
      'of another refusal',
      { redirect: (to) => (set('error', 'server_error')(to), set('error_description', 'a\u001b[2J<script>')(to)) },
      'did not log anybody in (server_error: a\\u001b[2J<script>)',
      'try again',
    ],
  ])('%s ends the login, and its code is not used', async (_what, wrong, words, hint) => {
    const { issuer, made, browsed } = await through(wrong)
    const refusal = await refusalOf(made)
    expect(refusal.message).toContain(words)
    expect(refusal.hint ?? '').toContain(hint)
    expect(JSON.stringify([refusal.message, refusal.hint])).not.toContain('canary')
    expect(browsed.status).toBe(400)
    expect(issuer.forms).toEqual([])
  })

  test('of an issuer that does not announce its name may be without it', async () => {
    const { made } = await through({ redirect: without('iss'), server: () => ({ authorization_response_iss_parameter_supported: undefined }) })
    expect(await made).toMatchObject({ accessToken: 'access-2-canary' })
  })

  test.each<[string, (to: URL) => void]>([
    ['of another state', set('state', 'x'.repeat(43))],
    ['without a state', without('state')],
    ['with two states', (to) => to.searchParams.append('state', 'x')],
  ])('%s is none: the right one may still come', async (_what, redirect) => {
    let isWrong = true
    const { issuer, made, browsed, shown } = await through({ redirect: (to) => (isWrong ? redirect(to) : undefined) })
    expect(browsed.status).toBe(400)
    expect(browsed.page).toContain('This is not the answer to the login that openmcp waits for.')
    expect(issuer.forms).toEqual([])
    isWrong = false
    await browse((await shown).url.href)
    expect(await made).toMatchObject({ accessToken: expect.stringMatching(/^access-/) })
  })

  test('is taken once: what comes second finds nobody, or is told that it is over', async () => {
    const { issuer, made, browsed } = await through({ token: (res) => (send(res, 400, { error: 'invalid_grant' }), true) })
    const second = await fetch(browsed.location).then(
      (response) => response.status,
      () => 'nobody',
    )
    expect([410, 'nobody']).toContain(second)
    await refusalOf(made)
    await expect(fetch(browsed.location)).rejects.toThrow('fetch failed')
    expect(issuer.forms).toHaveLength(1)
  })

  test('is answered with a page that runs nothing, loads nothing, and repeats nothing', async () => {
    const { browsed, made } = await through({ redirect: (to) => to.searchParams.set('x', '<script>alert(1)</script>') })
    await made
    expect(Object.fromEntries(browsed.headers)).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
    })
    expect(browsed.page).not.toMatch(/script|canary|code=/)
  })
})

describe('where the answer is waited for', () => {
  test('is loopback, one path, by GET, under its own name', async () => {
    const { shown, made, issuer, end } = await staged()
    const { redirectUri, url } = await shown
    const state = url.searchParams.get('state') ?? ''
    const answer = `${redirectUri}?code=c&state=${state}&iss=${encodeURIComponent(issuer.origin)}`
    expect((await ask(new URL('/', redirectUri))).status).toBe(404)
    expect(await ask(new URL(answer.replace('/callback', '/callback/')))).toMatchObject({ status: 404 })
    expect((await ask(new URL(answer), { method: 'POST', body: '' })).status).toBe(405)
    expect((await ask(new URL(answer), { headers: { host: 'evil.example' } })).status).toBe(403)
    expect((await ask(new URL(`${answer}&x=${'x'.repeat(9000)}`))).status).toBe(400)
    expect(
      await raw(new URL(redirectUri), `GET http://evil.example/callback?code=c&state=${state} HTTP/1.1\r\nhost: ${new URL(redirectUri).host}\r\n\r\n`),
    ).toMatch(/^HTTP\/1.1 404/)
    expect(issuer.forms).toEqual([])
    end(new OpenMcpError('timeout', 'over'))
    await refusalOf(made)
  })

  test('is left when nobody comes', async () => {
    const { shown, made, end, issuer } = await staged()
    const { redirectUri } = await shown
    end(new OpenMcpError('timeout', 'nobody logged in within 300 s'))
    expect(await refusalOf(made)).toMatchObject({ code: 'timeout', message: 'nobody logged in within 300 s' })
    await expect(fetch(redirectUri)).rejects.toThrow('fetch failed')
    expect(issuer.forms).toEqual([])
  })

  test('is not opened when the time is over before', async () => {
    const over = AbortSignal.abort(new OpenMcpError('timeout', 'over'))
    const { made, issuer } = await staged({}, { signal: over })
    expect(await refusalOf(made)).toMatchObject({ code: 'timeout' })
    expect(issuer.forms).toEqual([])
  })
})

describe('a person whose browser is elsewhere', () => {
  const SILENT_ISSUER: WrongLogin = { server: () => ({ authorization_response_iss_parameter_supported: undefined }) }

  async function sentTo(stage: Stage): Promise<URL> {
    const response = await fetch((await stage.shown).url, { redirect: 'manual' })
    return new URL(response.headers.get('location') ?? '')
  }

  test('pastes the address that it was sent to', async () => {
    const stage = await staged()
    stage.paste(`  ${(await sentTo(stage)).href}\r`)
    expect(await stage.made).toMatchObject({ accessToken: 'access-2-canary' })
  })

  test('pastes what stands behind the question mark', async () => {
    const stage = await staged()
    stage.paste((await sentTo(stage)).search)
    expect(await stage.made).toMatchObject({ accessToken: 'access-2-canary' })
  })

  test('pastes the code alone, where its issuer does not name itself', async () => {
    const stage = await staged(SILENT_ISSUER)
    stage.paste((await sentTo(stage)).searchParams.get('code') ?? '')
    expect(await stage.made).toMatchObject({ accessToken: 'access-2-canary' })
  })

  test('is told what is wrong, and may try again', async () => {
    const stage = await staged()
    const address = await sentTo(stage)
    stage.paste('')
    stage.paste('hello')
    stage.paste('https://evil.example/callback?code=x')
    stage.paste(address.searchParams.get('code') ?? '')
    stage.paste(address.href.replace('state=', 'state=x'))
    expect(stage.told).toEqual([
      'it is neither an address nor a code',
      expect.stringContaining('it does not begin with http://127.0.0.1:'),
      expect.stringContaining('all of the address is needed'),
      'it belongs to another login',
    ])
    expect(stage.issuer.forms).toEqual([])
    stage.paste(address.href)
    expect(await stage.made).toMatchObject({ accessToken: 'access-2-canary' })
  })

  test('is not heard any more after five wrong ones; the browser still is', async () => {
    const stage = await staged()
    const address = await sentTo(stage)
    for (const wrong of ['a', 'b', 'c', 'd', 'e'.repeat(9000)]) stage.paste(wrong)
    stage.paste(address.href)
    expect(stage.told).toHaveLength(5)
    expect(stage.issuer.forms).toEqual([])
    // The first answer that is heard.
    expect((await fetch(address)).status).toBe(200)
    expect(await stage.made).toMatchObject({ accessToken: 'access-2-canary' })
  })

  test('has the login ended by a pasted refusal', async () => {
    const stage = await staged({ redirect: (to) => (to.searchParams.delete('code'), to.searchParams.set('error', 'access_denied')) })
    stage.paste((await sentTo(stage)).href)
    expect((await refusalOf(stage.made)).message).toContain('the login was refused at')
  })
})

describe('a token endpoint', () => {
  const answering =
    (status: number, body: object | string, headers = {}): NonNullable<WrongLogin['token']> =>
    (res) => (send(res, status, body, headers), true)

  test.each<[string, NonNullable<WrongLogin['token']>, string]>([
    ['a refusal of the code', answering(400, { error: 'invalid_grant' }), 'does not take its own code (invalid_grant)'],
    ['a refusal of the client', answering(401, { error: 'invalid_client' }, { 'www-authenticate': 'Basic' }), 'does not take openmcp for the client'],
    ['another refusal', answering(400, { error: 'unsupported_grant_type' }), 'gives no token for the login (unsupported_grant_type)'],
    ['another name of the server', answering(400, { error: 'invalid_target' }), '/mcp (invalid_target)'],
    ['our own code', (res, { form }) => (send(res, 400, { error: 'invalid_grant', error_description: form['code'] }), true), '[secret]'],
    ['our own verifier', (res, { form }) => (send(res, 400, { error: 'x', error_description: form['code_verifier'] }), true), '[secret]'],
    ['a web page', answering(200, '<html>'), 'something that is no token'],
    ['an error of its own', answering(503, 'oops'), 'cannot give tokens now (HTTP 503)'],
    ['no token', answering(200, { token_type: 'Bearer' }), 'something that is no token'],
    ['a token of an unknown type', answering(200, { access_token: 'canary', token_type: 'mac' }), 'something that is no token'],
    ['a token that would break a header', answering(200, { access_token: 'canary\r\nx: y', token_type: 'Bearer' }), 'that a header can carry'],
    ['a token that is very long', answering(200, { access_token: 'a'.repeat(20_000), token_type: 'Bearer' }), 'that a header can carry'],
    ['a refresh token of line ends', answering(200, { access_token: 'a', token_type: 'Bearer', refresh_token: 'canary\n' }), 'not one that can be kept'],
    ['a token bound to a key of nobody', answering(200, { access_token: 'canary', token_type: 'DPoP' }), 'bound the token to a key that nobody named'],
    ['a redirect', answering(307, {}, { location: '/elsewhere' }), 'follows no redirect'],
    ['more than can be read', answering(200, { access_token: 'x', token_type: 'Bearer', more: 'x'.repeat(100_000) }), 'more than 64 KiB'],
  ])('that answers with %s has logged nobody in, and its answer is not repeated', async (_what, token, words) => {
    const { issuer, made } = await through({ token })
    const { code, message, hint, detail, cause } = await refusalOf(made)
    expect(code).toBe('login_failed')
    expect(message).toContain(words)
    expect(JSON.stringify([message, hint, detail, cause])).not.toContain('canary')
    expect(JSON.stringify([message, hint])).not.toContain(issuer.forms[0]?.['code_verifier'])
    expect(issuer.asked).not.toContain('POST /elsewhere')
  })

  test('that does not answer ends the wait', async () => {
    const { issuer, made } = await through({ token: () => true }, { bounds: { waitMs: 300, bytes: 65536 } })
    expect((await refusalOf(made)).message).toBe(`${issuer.origin}/token did not answer within 0.3 s`)
  })

  test('that tells who the person is, and wrongly, does no harm: nobody reads it', async () => {
    const { made } = await through({ token: answering(200, { access_token: 'a', token_type: 'bearer', id_token: 'not.a.token' }) })
    expect(await made).toMatchObject({ accessToken: 'a', tokenType: 'Bearer', expiresAtMs: undefined })
  })
})

describe('a login that is bound to a key', () => {
  test('names the key before there is a token, proves it, and keeps it', async () => {
    const { issuer, made } = await through({ server: () => ({ dpop_signing_alg_values_supported: ['ES256'] }) }, { bound: true })
    expect(await made).toMatchObject({ tokenType: 'DPoP', dpopJwk: { kty: 'EC', crv: 'P-256', d: expect.any(String) } })
    expect(issuer.authorizations[0]?.get('dpop_jkt')).toMatch(/^[\w-]{43}$/)
  })

  test('is refused by an issuer that binds none, before anybody is sent there', async () => {
    expect((await refusedBeforehand({}, { bound: true })).message).toContain('does not bind tokens to a key')
  })

  test('is refused when the token is not bound', async () => {
    const { made } = await through(
      {
        server: () => ({ dpop_signing_alg_values_supported: ['ES256'] }),
        token: (res) => (send(res, 200, { access_token: 'canary', token_type: 'Bearer' }), true),
      },
      { bound: true },
    )
    expect((await refusalOf(made)).message).toContain('does not bind tokens to a key')
  })
})
