import { beforeAll, describe, expect, test } from 'vitest'
import type { OpenMcpError } from '../../src/errors.ts'
import { createDpopKey } from '../../src/login/dpop-key.ts'
import { obtainToken, type LoginOptions } from '../../src/login/obtain-token.ts'
import type { ObtainedToken } from '../../src/login/token-endpoint.ts'
import { forThisTest } from '../support/tidy.ts'
import { littleIssuer, send, type LittleIssuer, type Misbehaviour, type TokenAnswer } from './little-issuer.ts'
import { refusalOf } from './refusal.ts'
import { testSigner, type TestSigner } from './signer.ts'

let signer: TestSigner
beforeAll(async () => {
  signer = await testSigner()
})

const started = (wrong: Misbehaviour = {}): Promise<LittleIssuer> => forThisTest(littleIssuer(signer.publicKey, wrong))

function obtain(resource: URL, more: Partial<LoginOptions> = {}): Promise<ObtainedToken> {
  return obtainToken({ resource, signer, fetch: globalThis.fetch, now: Date.now, ...more })
}

async function refusedWith(wrong: Misbehaviour, more: Partial<LoginOptions> = {}): Promise<OpenMcpError & { issuer: LittleIssuer }> {
  const issuer = await started(wrong)
  return Object.assign(await refusalOf(obtain(issuer.resource, more)), { issuer })
}

describe('a login', () => {
  test('asks the resource, reads who gives tokens for it, proves the identity, and has a token', async () => {
    const issuer = await started()
    expect(await obtain(issuer.resource)).toEqual({
      accessToken: 'token-1',
      tokenType: 'Bearer',
      expiresInSeconds: 900,
      scope: 'mcp',
      resource: issuer.resource.href,
      issuer: issuer.origin,
    })
    expect(issuer.asked).toEqual(['POST /mcp', 'GET /.well-known/oauth-protected-resource/mcp', 'GET /.well-known/oauth-authorization-server', 'POST /token'])
    expect(issuer.assertions).toMatchObject([{ iss: signer.identity.vid, sub: signer.identity.vid, aud: issuer.origin }])
    expect(issuer.forms).toEqual([
      {
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion: expect.any(String),
        resource: issuer.resource.href,
        scope: 'mcp',
      },
    ])
  })

  test('asks for what the user said, else for what the challenge says, else for what the resource knows', async () => {
    const both: Misbehaviour = { metadata: () => ({ scopes_supported: ['a', 'b'] }) }
    const challenged = await started(both)
    await obtain(challenged.resource, { scope: 'mcp:read' })
    await obtain(challenged.resource)
    const bare = await started({ ...both, challenge: () => 'Bearer' })
    await obtain(bare.resource)
    const silent = await started({ challenge: () => 'Bearer' })
    await obtain(silent.resource)
    expect([...challenged.forms, ...bare.forms, ...silent.forms].map(({ scope }) => scope)).toEqual(['mcp:read', 'mcp', 'a b', undefined])
  })

  test('does not ask a resource again whose challenge is known', async () => {
    const issuer = await started()
    await obtain(issuer.resource, { challenge: 'Bearer scope="x"' })
    expect(issuer.asked[0]).toBe('GET /.well-known/oauth-protected-resource/mcp')
    expect(issuer.forms).toMatchObject([{ scope: 'x' }])
  })

  test('of a resource at a path finds metadata at the root too, when it speaks of a path above', async () => {
    const issuer = await started({
      path: '/servers/a/mcp',
      challenge: () => 'Bearer',
      at: {
        '/.well-known/oauth-protected-resource/servers/a/mcp': (res) => send(res, 404, {}),
        '/.well-known/oauth-protected-resource': (res, { origin }) => send(res, 200, { resource: `${origin}/servers`, authorization_servers: [origin] }),
      },
    })
    expect(await obtain(issuer.resource)).toMatchObject({ resource: `${issuer.origin}/servers` })
  })

  test('finds an issuer with a path at either place that the standards give it', async () => {
    const oauth = await started({ issuerPath: '/tenant' })
    expect(await obtain(oauth.resource)).toMatchObject({ issuer: `${oauth.origin}/tenant` })
    const oidc = await started({
      issuerPath: '/tenant',
      at: {
        '/.well-known/oauth-authorization-server/tenant': (res) => send(res, 404, {}),
        '/tenant/.well-known/openid-configuration': (res, { origin }) => send(res, 200, { issuer: `${origin}/tenant`, token_endpoint: `${origin}/token` }),
      },
    })
    expect(await obtain(oidc.resource)).toMatchObject({ accessToken: 'token-1' })
  })

  test('asks an address of HTTP+SSE the way it is asked', async () => {
    let count = 0
    const issuer = await started({
      path: '/sse',
      at: { '/sse': (res) => (count++ === 0 ? send(res, 405, {}) : send(res, 401, {}, { 'www-authenticate': 'Bearer' })) },
    })
    await obtain(issuer.resource)
    expect(issuer.asked.slice(0, 2)).toEqual(['POST /sse', 'GET /sse'])
  })
})

describe('a key that the token is bound to', () => {
  test('is proved to the issuer, for its token endpoint', async () => {
    const issuer = await started()
    const dpop = await createDpopKey({ now: Date.now })
    expect(await obtain(issuer.resource, { dpop })).toMatchObject({ tokenType: 'DPoP' })
    expect(issuer.proofs).toMatchObject([{ htm: 'POST', htu: `${issuer.origin}/token` }])
  })

  test('is proved again with the nonce that the issuer wants, and with a new assertion', async () => {
    const issuer = await started({
      token: (res, count) => (count === 0 ? (send(res, 400, { error: 'use_dpop_nonce' }, { 'dpop-nonce': 'once' }), true) : undefined),
    })
    await obtain(issuer.resource, { dpop: await createDpopKey({ now: Date.now }) })
    expect(issuer.proofs.map(({ nonce }) => nonce)).toEqual([undefined, 'once'])
    expect(new Set(issuer.assertions.map(({ jti }) => jti)).size).toBe(2)
  })

  test('is proved twice at most', async () => {
    const { message, issuer } = await refusedWith(
      { token: (res) => (send(res, 400, { error: 'use_dpop_nonce' }, { 'dpop-nonce': 'again' }), true) },
      { dpop: await createDpopKey({ now: Date.now }) },
    )
    expect(message).toContain('did not accept the proof of the key (use_dpop_nonce)')
    expect(issuer.forms).toHaveLength(2)
  })

  test('that the issuer ignores is not ignored: its token is not taken', async () => {
    const { message } = await refusedWith(
      { token: (res) => (send(res, 200, { access_token: 'x', token_type: 'Bearer' }), true) },
      { dpop: await createDpopKey({ now: Date.now }) },
    )
    expect(message).toMatch(/does not bind tokens to a key$/)
  })
})

describe('an enrolment link', () => {
  const SECRET = 'canary-enrolment-secret'

  test('is redeemed at the issuer that made it', async () => {
    const issuer = await started()
    await obtain(issuer.resource, { enrolment: `${issuer.origin}/keys#enrol=${SECRET}` })
    expect(issuer.forms).toMatchObject([{ enrolment: SECRET }])
  })

  test('of another node is told to nobody', async () => {
    const { code, message, issuer } = await refusedWith({}, { enrolment: `http://127.0.0.1:1/keys#enrol=${SECRET}` })
    expect({ code, forms: issuer.forms }).toEqual({ code: 'login_failed', forms: [] })
    expect(message).not.toContain(SECRET)
  })

  test.each(['', 'x', 'http://127.0.0.1/keys', 'http://127.0.0.1/keys#enrol=', 'file:///keys#enrol=canary-enrolment-secret', 'canary-enrolment-secret'])(
    "'%s' is none, and nobody is asked",
    async (enrolment) => {
      const { code, message, hint, issuer } = await refusedWith({}, { enrolment })
      expect({ code, asked: issuer.asked }).toEqual({ code: 'usage', asked: [] })
      expect(`${message} ${hint}`).not.toContain(SECRET)
    },
  )

  test('that the issuer repeats in its refusal is not repeated', async () => {
    const issuer = await started({ token: (res) => (send(res, 400, { error: 'invalid_grant', error_description: `used: ${SECRET}` }), true) })
    const { message, hint } = await refusalOf(obtain(issuer.resource, { enrolment: `${issuer.origin}/keys#enrol=${SECRET}` }))
    expect(message).toContain('(invalid_grant: used: [secret])')
    expect(hint).toContain('good once')
  })
})

describe('a resource', () => {
  test.each<[string, number, string]>([
    ['that asks nobody for a token', 200, 'asks nobody for a token (HTTP 200)'],
    ['that redirects', 307, 'redirects (HTTP 307)'],
    ['that refuses without asking', 403, 'answers HTTP 403, and does not ask for a token'],
    ['that is not there', 404, 'answers HTTP 404, and does not ask for a token'],
  ])('%s is told as it is', async (_what, status, words) => {
    const { code, message, issuer } = await refusedWith({ at: { '/mcp': (res) => send(res, status, {}, { location: 'http://127.0.0.1:1/' }) } })
    expect({ code, message }).toEqual({ code: 'login_failed', message: `${issuer.resource.href} ${words}` })
  })

  test('whose stream has no end is not read to it', async () => {
    const { message } = await refusedWith({ at: { '/mcp': (res) => void res.writeHead(200, { 'content-type': 'text/event-stream' }).write(': hello\n\n') } })
    expect(message).toContain('asks nobody')
  })

  test('that cannot be reached is told as such', async () => {
    const issuer = await littleIssuer(signer.publicKey)
    await issuer.stop()
    expect((await refusalOf(obtain(issuer.resource))).message).toBe(`${issuer.resource.href} cannot be reached: nothing listens there`)
  })

  test.each<[string, (origin: string) => object]>([
    ['another path', (origin) => ({ resource: `${origin}/other` })],
    ['a path that only begins alike', (origin) => ({ resource: `${origin}/mc` })],
    ['a path below', (origin) => ({ resource: `${origin}/mcp/more` })],
    ['another origin', () => ({ resource: 'http://127.0.0.1:1/mcp' })],
    ['a query of its own', (origin) => ({ resource: `${origin}/mcp?a=1` })],
    ['nothing', () => ({ resource: undefined })],
    ['no text', () => ({ resource: 1 })],
    ['a name that is very long', (origin) => ({ resource: `${origin}/mcp?${'a'.repeat(3000)}` })],
  ])('whose metadata speak of %s is not believed, and nothing is proved', async (_what, metadata) => {
    const { message, issuer } = await refusedWith({ metadata })
    expect(message).toMatch(/speaks of another resource than/)
    expect(issuer.forms).toEqual([])
  })

  test('that names metadata at another origin has us fetch nothing there', async () => {
    const other = await started()
    const { message, issuer } = await refusedWith({
      challenge: () => `Bearer resource_metadata="${other.origin}/.well-known/oauth-protected-resource/mcp"`,
      at: { '/.well-known/oauth-protected-resource/mcp': (res) => send(res, 404, {}), '/.well-known/oauth-authorization-server': (res) => send(res, 404, {}) },
    })
    expect(message).toBe(`${issuer.resource.href} asks for a token, and does not say who gives one`)
    expect(other.asked).toEqual([])
  })

  test.each<[string, unknown, RegExp]>([
    ['no issuer', undefined, /names no issuer$/],
    ['an empty list of issuers', [], /names no issuer$/],
    ['an issuer that is no URL', ['issuer'], /is not the URL of an issuer$/],
    ['an issuer with a query', ['https://issuer.example/?x=1'], /is not the URL of an issuer$/],
    ['an issuer with a password', ['https://a:b@issuer.example/'], /is not the URL of an issuer$/],
    ['an issuer that is not reached over https', ['http://issuer.example'], /is not reached over https, so nothing is proved to it$/],
    ['an issuer of another scheme', ['ftp://issuer.example'], /is not reached over https, so nothing is proved to it$/],
  ])('that names %s is refused', async (_what, servers, words) => {
    const { message } = await refusedWith({ metadata: () => ({ authorization_servers: servers }) })
    expect(message).toMatch(words)
  })

  test('beyond loopback does not lead us to our own machine', async () => {
    const mine = await started()
    const asked: string[] = []
    const fetch = async (input: string | URL | Request): Promise<Response> => {
      const url = input instanceof Request ? input.url : String(input)
      asked.push(url)
      if (url === 'https://far.example/mcp') return new Response(null, { status: 401, headers: { 'www-authenticate': 'Bearer' } })
      return Response.json({ resource: 'https://far.example/mcp', authorization_servers: [mine.origin] })
    }
    const { message } = await refusalOf(obtain(new URL('https://far.example/mcp'), { fetch }))
    expect(message).toBe(`the issuer ${mine.origin} would be on this machine, and far.example is not`)
    expect(asked.filter((url) => url.startsWith(mine.origin))).toEqual([])
  })
})

describe('metadata', () => {
  const RESOURCE = '/.well-known/oauth-protected-resource/mcp'
  const ISSUER = '/.well-known/oauth-authorization-server'

  test.each([RESOURCE, ISSUER])('at %s that redirect are not followed', async (path) => {
    const { message, issuer } = await refusedWith({ at: { [path]: (res) => send(res, 302, {}, { location: '/elsewhere' }) } })
    expect(message).toBe(`${issuer.origin}${path} redirects (HTTP 302), and a login follows no redirect`)
    expect(issuer.asked).not.toContain('GET /elsewhere')
  })

  test.each([RESOURCE, ISSUER])('at %s that are a web page are none', async (path) => {
    const { message, issuer } = await refusedWith({ at: { [path]: (res) => send(res, 200, '<html>hello</html>') } })
    expect(message).toBe(`${issuer.origin}${path} answers with something that is not metadata`)
  })

  test.each([RESOURCE, ISSUER])('at %s that are very long are not read to their end', async (path) => {
    const { message, issuer } = await refusedWith({ at: { [path]: (res) => send(res, 200, { long: 'x'.repeat(1024 * 1024) }) } })
    expect(message).toBe(`${issuer.origin}${path} answers with more than 64 KiB`)
  })

  test.each([RESOURCE, ISSUER])('at %s that do not come end the wait', async (path) => {
    const { message, issuer } = await refusedWith({ at: { [path]: () => {} } }, { bounds: { waitMs: 200, bytes: 65536 } })
    expect(message).toBe(`${issuer.origin}${path} did not answer within 0.2 s`)
  })

  test.each([RESOURCE, ISSUER])('at %s that come drop by drop end the wait', async (path) => {
    const drip = (res: { write(text: string): unknown; once(event: 'close', then: () => void): unknown }): void => {
      res.write('{')
      const drops = setInterval(() => res.write(' '), 20)
      res.once('close', () => clearInterval(drops))
    }
    const { message, issuer } = await refusedWith({ at: { [path]: drip } }, { bounds: { waitMs: 200, bytes: 65536 } })
    expect(message).toBe(`${issuer.origin}${path} did not answer within 0.2 s`)
  })

  test('that are nowhere leave nobody to ask', async () => {
    const none = (res: Parameters<typeof send>[0]): void => send(res, 404, {})
    const { message, issuer } = await refusedWith({ at: { [ISSUER]: none } })
    expect(message).toBe(`the issuer ${issuer.origin} does not say where it gives tokens`)
  })

  test.each<[string, (origin: string) => object, RegExp]>([
    ['another issuer', () => ({ issuer: 'https://victim.example' }), /speaks of another issuer than/],
    ['no issuer', () => ({ issuer: undefined }), /speaks of another issuer than/],
    ['no token endpoint', () => ({ token_endpoint: undefined }), /does not say where it gives tokens$/],
    ['a token endpoint without https', () => ({ token_endpoint: 'http://issuer.example/token' }), /is not reached over https/],
    ['other grants', () => ({ grant_types_supported: ['authorization_code'] }), /gives no token for the proof of an identity/],
    ['other resources', () => ({ protected_resources: ['https://other.example/mcp'] }), /does not count .* among its resources$/],
  ])('of an issuer that tell of %s are refused, and nothing is proved', async (_what, server, words) => {
    const { message, issuer } = await refusedWith({ server })
    expect(message).toMatch(words)
    expect(issuer.forms).toEqual([])
  })
})

describe('an issuer', () => {
  const refusing =
    (status: number, body: object | string, headers = {}): TokenAnswer =>
    (res) => (send(res, status, body, headers), true)

  test.each<[object, string, string]>([
    [{ error: 'invalid_grant' }, 'did not accept the proof of did:web:ann.example (invalid_grant)', 'openmcp trust add did:web:ann.example'],
    [{ error: 'invalid_grant', error_description: 'who?' }, '(invalid_grant: who?)', 'openmcp trust add did:web:ann.example'],
    [{ error: 'invalid_scope' }, 'does not give did:web:ann.example the scope mcp (invalid_scope)', '--scope'],
    [{ error: 'invalid_target' }, '(invalid_target)', 'the address under which the server knows itself'],
    [{ error: 'invalid_dpop_proof' }, '(invalid_dpop_proof)', '--dpop'],
    [{ error: 'unsupported_grant_type' }, 'gives no token for the proof of an identity', ''],
    [{ error: 'temporarily_unavailable' }, 'gives no token now (temporarily_unavailable)', 'try again later'],
  ])('that answers %j is told in words, with a thing to try', async (body, words, hint) => {
    const refusal = await refusedWith({ token: refusing(400, body) })
    expect(refusal.code).toBe('login_failed')
    expect(refusal.message).toContain(words)
    expect(refusal.hint ?? '').toContain(hint)
  })

  test('that challenges at its token endpoint is told the same way', async () => {
    const { message } = await refusedWith({ token: refusing(401, { error: 'invalid_client' }, { 'www-authenticate': 'Bearer' }) })
    expect(message).toContain('did not accept the proof of did:web:ann.example (invalid_client)')
  })

  test.each<[string, TokenAnswer]>([
    ['a web page', refusing(200, '<html>')],
    ['an error without a name', refusing(500, 'oops')],
    ['no token', refusing(200, { token_type: 'Bearer' })],
    ['a token of no type', refusing(200, { access_token: 'canary-token-value' })],
    ['a token of an unknown type', refusing(200, { access_token: 'canary-token-value', token_type: 'mac' })],
    ['a token that would break a header', refusing(200, { access_token: 'canary-token-value\r\nx: y', token_type: 'Bearer' })],
    ['a token that is very long', refusing(200, { access_token: 'a'.repeat(20_000), token_type: 'Bearer' })],
    ['a token that is bound to another key', refusing(200, { access_token: 'canary-token-value', token_type: 'DPoP' })],
    ['a redirect', refusing(307, {}, { location: '/elsewhere' })],
    ['more than can be read', refusing(200, { access_token: 'x', token_type: 'Bearer', more: 'x'.repeat(100_000) })],
  ])('that answers with %s has given none, and its answer is not repeated', async (_what, token) => {
    const { code, message, hint, detail, cause, issuer } = await refusedWith({ token })
    expect(code).toBe('login_failed')
    expect(JSON.stringify([message, hint, detail, cause])).not.toContain('canary')
    expect(issuer.asked).not.toContain('POST /elsewhere')
  })

  test('whose words move the cursor is quoted harmlessly, and briefly', async () => {
    const { message } = await refusedWith({ token: refusing(400, { error: 'invalid_grant', error_description: `\u001b[2J${'a'.repeat(5000)}` }) })
    expect(message).not.toContain('\u001b')
    expect(message.length).toBeLessThan(400)
  })

  test('that repeats the assertion has it blanked', async () => {
    let sent = ''
    const issuer = await started({
      token: (res) => {
        sent = issuer.forms[0]?.['assertion'] ?? ''
        send(res, 400, { error: 'invalid_grant', error_description: `not this: ${sent.slice(0, 100)}` })
        return true
      },
    })
    const { message } = await refusalOf(obtain(issuer.resource))
    expect(sent).not.toBe('')
    expect(message).not.toContain(sent.slice(0, 50))
  })
})
