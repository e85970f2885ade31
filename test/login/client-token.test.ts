import { describe, expect, test } from 'vitest'
import { clientToken, type ClientTokenOptions } from '../../src/login/client-token.ts'
import { createCredential, type UpstreamCredential } from '../../src/login/credential.ts'
import { fetchWith } from '../../src/login/credential-fetch.ts'
import { createLog } from '../../src/observe/log.ts'
import { forThisTest } from '../support/tidy.ts'
import { send } from './little-issuer.ts'
import { littleLogin, type LittleLogin, type WrongLogin } from './little-login.ts'
import { refusalOf } from './refusal.ts'

const SECRET = 'a secret: with +%/ canary'
const GRANTS = { grant_types_supported: ['client_credentials'] }

interface Stage {
  issuer: LittleLogin
  clock: { ms: number }
  said: string[]
  credential: UpstreamCredential
  /** One request to the resource: its status. */
  call(): Promise<number>
}

/** A client whose secret the issuer knows. */
async function staged(wrong: WrongLogin = {}, more: (origin: string) => Partial<ClientTokenOptions> = () => ({}), isEager = false): Promise<Stage> {
  const issuer = await forThisTest(littleLogin({ clients: { me: SECRET }, server: () => GRANTS, ...wrong }))
  const clock = { ms: Date.now() }
  const now = (): number => clock.ms
  const said: string[] = []
  const log = createLog({ level: 'debug', format: 'text', write: (line) => said.push(line), now })
  const source = clientToken({ id: 'me', secret: SECRET, fetch: globalThis.fetch, now, ...more(issuer.origin) })
  const credential = createCredential({ resource: issuer.resource, source, isEager, now, log })
  const ping = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' })
  const call = async (): Promise<number> => (await fetchWith(credential, globalThis.fetch)(issuer.resource, { method: 'POST', body: ping })).status
  return { issuer, clock, said, credential, call }
}

const tokenUrl = (origin: string): Partial<ClientTokenOptions> => ({ tokenUrl: new URL('/token', origin) })

describe('a client with a secret', () => {
  test('finds out from the upstream where its token is given, and shows it from then on', async () => {
    const { issuer, call } = await staged()
    expect([await call(), await call()]).toEqual([200, 200])
    expect(issuer.forms).toEqual([
      { grant_type: 'client_credentials', resource: `${issuer.origin}/mcp`, scope: 'mcp', authorization: expect.stringMatching(/^Basic /) },
    ])
    expect(issuer.asked).toEqual([
      'POST /mcp',
      'GET /.well-known/oauth-protected-resource/mcp',
      'GET /.well-known/oauth-authorization-server',
      'POST /token',
      'POST /mcp',
      'POST /mcp',
    ])
  })

  test('that says where tokens are given asks there and nowhere else, before the first request', async () => {
    const { issuer, call } = await staged({}, (origin) => ({ ...tokenUrl(origin), scope: 'a b' }), true)
    expect([await call(), await call()]).toEqual([200, 200])
    expect(issuer.asked).toEqual(['POST /token', 'POST /mcp', 'POST /mcp'])
    expect(issuer.forms).toMatchObject([{ scope: 'a b', resource: `${issuer.origin}/mcp` }])
  })

  test('that says whose tokens are taken asks what that issuer says, and nobody else', async () => {
    const { issuer, call } = await staged({}, (origin) => ({ issuer: new URL(origin) }), true)
    expect(await call()).toBe(200)
    expect(issuer.asked).toEqual(['GET /.well-known/oauth-authorization-server', 'POST /token', 'POST /mcp'])
  })

  test.each([
    ['api://app-of-mine', 'api://app-of-mine'],
    ['none', null],
  ])('asks for a token for %s where that is said', async (resource, indicator) => {
    const { issuer, call } = await staged({ indicator }, () => ({ resource }))
    expect(await call()).toBe(200)
    expect(issuer.forms.map((form) => form['resource'] ?? null)).toEqual([indicator])
  })

  test('of which many requests want a token at once asks for one', async () => {
    const { issuer, call } = await staged({}, tokenUrl, true)
    expect(await Promise.all(Array.from({ length: 12 }, call))).toEqual(Array(12).fill(200))
    expect(issuer.forms).toHaveLength(1)
  })

  test('has another token beside the calls when 80 % of its life are over', async () => {
    const stage = await staged({ lifeSeconds: 1000 })
    await stage.call()
    stage.clock.ms += 799_000
    await stage.call()
    expect(stage.issuer.forms).toHaveLength(1)
    stage.clock.ms += 2000
    expect(await stage.call()).toBe(200)
    await expect.poll(() => stage.issuer.forms).toHaveLength(2)
    await expect.poll(async () => [await stage.call(), stage.issuer.tokensSeen.size]).toEqual([200, 2])
    expect(stage.issuer.forms).toHaveLength(2)
  })

  test('whose token is refused shows another, once, and never asks in a circle', async () => {
    const stage = await staged({}, tokenUrl, true)
    await stage.call()
    stage.issuer.expire()
    expect(await stage.call()).toBe(200)
    expect(stage.issuer.forms).toHaveLength(2)
    const deaf = await staged({ at: { '/mcp': (res) => send(res, 401, {}) } }, tokenUrl, true)
    await expect(deaf.call()).rejects.toMatchObject({ code: 'login_failed', message: expect.stringContaining('does not take the token') })
    expect(deaf.issuer.asked).toEqual(['POST /token', 'POST /mcp', 'POST /token', 'POST /mcp'])
  })

  test('shows its secret in the form where the issuer takes it so alone, and from then on at once', async () => {
    const stage = await staged({ secretBy: 'post' }, tokenUrl, true)
    expect(await stage.call()).toBe(200)
    stage.issuer.expire()
    expect(await stage.call()).toBe(200)
    expect(stage.issuer.forms.map((form) => [form['client_secret'], form['authorization']?.slice(0, 5)])).toEqual([
      [undefined, 'Basic'],
      [SECRET, undefined],
      [SECRET, undefined],
    ])
  })

  test('shows its secret as the metadata say', async () => {
    const { issuer, call } = await staged({
      secretBy: 'post',
      server: () => ({ ...GRANTS, token_endpoint_auth_methods_supported: ['none', 'client_secret_post'] }),
    })
    expect(await call()).toBe(200)
    expect(issuer.forms).toHaveLength(1)
  })

  test('has its secret, and its token, in no line of the log', async () => {
    const { call, said } = await staged()
    await call()
    expect(said.join('')).toContain('there is a token')
    expect(said.join('')).not.toContain('canary')
  })
})

test('an upstream that later names another issuer is not given the secret', async () => {
  const thief = await forThisTest(littleLogin({ clients: { me: SECRET } }))
  let named: string | undefined
  const { issuer, call } = await staged({ metadata: (origin) => ({ authorization_servers: [named ?? origin] }) })
  await call()
  issuer.expire()
  named = thief.origin
  const { message } = await refusalOf(call())
  expect(message).toBe(`${issuer.origin}/mcp names another issuer than before, and the secret of me is for ${issuer.origin}`)
  expect(thief.forms).toEqual([])
})

describe('no token, and why', () => {
  test.each<[string, WrongLogin, RegExp, RegExp]>([
    [
      'a wrong secret',
      { clients: { me: 'other' }, secretBy: 'post' },
      /does not take me with its secret \(invalid_client: not \[secret\]\)$/,
      /check --client-id/,
    ],
    ['another resource', { indicator: 'https://h/x' }, /gives no token for http:\S+mcp \(invalid_target\)$/, /--resource none/],
    [
      'a resource and a scope, which is too much for Entra',
      { token: (res) => (send(res, 400, { error: 'invalid_request', error_description: 'AADSTS9010010: The resource parameter…' }), true) },
      /gives no token for http:\S+mcp \(invalid_request: AADSTS9010010/,
      /--resource none/,
    ],
    [
      'a scope that is not given',
      { token: (res) => (send(res, 400, { error: 'invalid_scope' }), true) },
      /does not give me the scope mcp \(invalid_scope\)$/,
      /--oauth-scope/,
    ],
    [
      'a client that may not',
      { token: (res) => (send(res, 400, { error: 'unauthorized_client' }), true) },
      /gives me no tokens by itself \(unauthorized_client\)$/,
      /client_credentials/,
    ],
    ['an issuer for people alone', { server: () => ({}) }, /gives no tokens to clients by themselves/, /openmcp login/],
    [
      'an issuer that wants another proof',
      { server: () => ({ ...GRANTS, token_endpoint_auth_methods_supported: ['private_key_jwt'] }) },
      /takes no secret of a client$/,
      /--id NAME/,
    ],
  ])('%s', async (_what, wrong, message, hint) => {
    const { issuer, call, said } = await staged(wrong)
    const refusal = await refusalOf(call())
    expect(refusal).toMatchObject({ code: 'login_failed', message: expect.stringMatching(message), hint: expect.stringMatching(hint) })
    expect([refusal.message, refusal.hint, ...said].join()).not.toContain('canary')
    expect([...issuer.tokensSeen]).toEqual([])
  })

  test('over a way on which a token could be read', async () => {
    const source = clientToken({
      id: 'me',
      secret: SECRET,
      fetch: () => Promise.reject(new Error('asked')),
      now: Date.now,
      tokenUrl: new URL('https://issuer.example/token'),
    })
    const { message } = await refusalOf(source({ resource: new URL('http://mcp.example.com/mcp'), challenge: undefined, instead: undefined }))
    expect(message).toContain('is not reached over https')
  })
})
