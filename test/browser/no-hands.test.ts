// From the 401 to the tool and on after the token is over: programs as they are published, and a browser in which somebody signs.
import { DpopSession } from '@modelcontextprotocol/client'
import { decodeJwt } from 'jose'
import { describe, expect, test } from 'vitest'

import { addTrust } from '../../src/policy/rules.ts'
import { HTTP_PROGRAMS, PROGRAMS, type Connected } from '../interop/programs.ts'
import { logInByBrowser } from '../support/browser-login.ts'
import { nodeHome } from '../support/node-home.ts'
import { initializeMessage, serve } from '../support/openmcp.ts'
import { bearer, secured, toolServer, type Secured } from '../support/secured.ts'
import { forThisTest } from '../support/tidy.ts'
import { hasOpenssl, tlsHost } from '../support/tls-host.ts'
import { upstream, type Received } from '../support/upstream.ts'
import { testWallet } from '../support/wallet.ts'
import { ask } from '../support/wire.ts'
import { chromium, secretKey, SKIPPED, visits, wallet } from './visit.ts'

const ECHOED = [{ type: 'text', text: 'echo' }]
const otherSecretKey = '2'.repeat(64)
const otherWallet = testWallet(Uint8Array.from({ length: 32 }, () => 0x22))
const REQUIRED = process.env['OPENMCP_TEST_REQUIRE_ALL'] === '1'

describe.skipIf(chromium.missing !== undefined)(`programs that log in through a browser${SKIPPED}`, () => {
  const { browser } = visits()
  const withWallet = (authorize: URL): Promise<URL> => logInByBrowser(authorize, { browser: browser(), wallet: { secretKey } })
  const withOtherWallet = (authorize: URL): Promise<URL> => logInByBrowser(authorize, { browser: browser(), wallet: { secretKey: otherSecretKey } })

  /** Somebody with a key that the browser keeps, whom the operator lets in when asked. */
  const withBrowserKey =
    (trust: (did: string) => Promise<void>) =>
    (authorize: URL): Promise<URL> =>
      logInByBrowser(authorize, { browser: browser(), trust })

  async function trustAt(stage: Secured, did: string): Promise<void> {
    const store = await stage.otherProcess()
    await addTrust(store, { id: did, scopes: ['mcp'] })
  }

  /** Nothing that the program holds has come further than to the issuer and the door. */
  function expectKept(secrets: readonly string[], { received, log }: { received: readonly Received[]; log: readonly string[] }): void {
    expect(secrets.length).toBeGreaterThan(3)
    expect(log.length).toBeGreaterThan(3)
    const seen = [JSON.stringify(received), log.join('\n')]
    for (const secret of secrets) for (const text of seen) expect(text).not.toContain(secret)
    for (const { headers } of received) expect(Object.keys(headers).filter((name) => /authorization|dpop|cookie/.test(name))).toEqual([])
  }

  /** The token is replaced without the person, by the refresh token, which is replaced too. */
  async function expectRefreshed(client: Connected, expire: () => unknown): Promise<void> {
    const { access_token: access, refresh_token: refresh } = client.tokens()
    await expire()
    expect(await client.callTool('echo')).toEqual(ECHOED)
    expect(client.tokens().access_token).not.toBe(access)
    expect(client.tokens().refresh_token).not.toBe(refresh)
    expect(client.sent).toHaveLength(1)
  }

  describe.each(PROGRAMS)('$name', ({ name, connect }) => {
    /** Over SSE the stream is the session, and it ends with its token. */
    const afterItsToken = async (s: Secured, client: Connected): Promise<void> => {
      s.pass(901)
      if (name.endsWith('SSE')) await client.reconnect()
    }

    test('registers, and somebody with a wallet lets it call a tool', async () => {
      const s = await secured({ trusted: [wallet.did] })
      const client = await connect({ url: s.url, person: withWallet })
      expect(await client.callTool('echo')).toEqual(ECHOED)
      const { access_token: token, token_type: type, scope } = client.tokens()
      expect({ type, scope }).toEqual({ type: 'Bearer', scope: 'mcp' })
      const claims = decodeJwt(token)
      expect(claims).toMatchObject({ iss: s.base, sub: wallet.did, scope: 'mcp', client_id: client.sent[0]?.searchParams.get('client_id') })
      expect(claims['client_id']).toMatch(/^reg\./)
      expect(s.log.filter((line) => line.includes('a client registered'))).toHaveLength(1)
      await expectRefreshed(client, () => afterItsToken(s, client))
      expectKept(client.secrets(), { received: s.upstream.received, log: s.log })
    })

    test('registers, and somebody with a key that the browser keeps lets it call a tool', async () => {
      const s = await secured({ durable: true, trusted: [wallet.did] })
      const client = await connect({ url: s.url, person: withBrowserKey((did) => trustAt(s, did)) })
      expect(await client.callTool('echo')).toEqual(ECHOED)
      expect(decodeJwt(client.tokens().access_token).sub).toMatch(/^did:key:z6Mk/)
      await expectRefreshed(client, () => afterItsToken(s, client))
      expectKept(client.secrets(), { received: s.upstream.received, log: s.log })
    })
  })

  test.each(['required', 'nonce'] as const)('the SDK v2 binds what it gets to a key of its own (DPoP: %s), also when it is renewed', async (dpop) => {
    const s = await secured({ trusted: [wallet.did], security: { dpop } })
    const [, program] = HTTP_PROGRAMS
    const client = await program.connect({ url: s.url, person: withWallet, dpop: await DpopSession.create() })
    expect(await client.callTool('echo')).toEqual(ECHOED)
    const boundTo = (): unknown => decodeJwt(client.tokens().access_token)['cnf']
    const first = boundTo()
    expect([client.tokens().token_type, first]).toEqual(['DPoP', { jkt: expect.stringMatching(/^[\w-]{43}$/) }])
    await expectRefreshed(client, () => s.pass(901))
    expect(boundTo()).toEqual(first)
    expectKept(client.secrets(), { received: s.upstream.received, log: s.log })
  })

  describe.skipIf(!hasOpenssl && !REQUIRED)(`with a document about itself${hasOpenssl ? '' : ' (skipped: there is no openssl to make a certificate)'}`, () => {
    const PATH = '/programs/interop.json'

    /** Any port of loopback is the program's. */
    async function documentHost(): Promise<Awaited<ReturnType<typeof tlsHost>> & { id: string }> {
      const host = await forThisTest(tlsHost())
      const id = `${host.origin}${PATH}`
      const described = { client_id: id, client_name: 'Interop', redirect_uris: ['http://127.0.0.1/callback'], token_endpoint_auth_method: 'none' }
      host.host(PATH, { ...described, grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'] })
      return Object.assign(host, { id })
    }

    test.each(HTTP_PROGRAMS)('$name is known by it and registers nowhere', async ({ connect }) => {
      const [host, home, behind] = [await documentHost(), await nodeHome(), await forThisTest(upstream(toolServer))]
      await home.run('trust', 'add', wallet.did)
      const proxy = await forThisTest(
        serve({
          options: ['--security', '--trust-loopback', '--log-level', 'debug'],
          upstream: `${behind.origin}/mcp`,
          env: { ...home.env, NODE_EXTRA_CA_CERTS: host.certificate },
        }),
      )
      const client = await connect({ url: proxy.url, person: withWallet, documentUrl: host.id })
      expect(await client.callTool('echo')).toEqual(ECHOED)
      expect(host.asked).toEqual([PATH])
      expect(client.sent[0]?.searchParams.get('client_id')).toBe(host.id)
      expect(decodeJwt(client.tokens().access_token)).toMatchObject({ sub: wallet.did, client_id: host.id })
      await expectRefreshed(client, async () => {
        const body = new URLSearchParams({ token: client.tokens().access_token }).toString()
        const ended = await ask(proxy.at('/revoke'), { body, headers: { 'content-type': 'application/x-www-form-urlencoded' } })
        expect(ended.status).toBe(200)
        // What is taken back ends its session too.
        await client.reconnect()
      })
      expect(proxy.stderr.join('\n')).not.toContain('a client registered')
      expectKept(client.secrets(), { received: behind.received, log: proxy.stderr })
    })

    test('whose host nobody vouches for, the login is not begun, and the program is told nothing', async () => {
      const host = await documentHost()
      const s = await secured({ trusted: [wallet.did] })
      const query = { client_id: host.id, redirect_uri: 'http://127.0.0.1/callback', response_type: 'code', code_challenge_method: 'S256' }
      const authorize = new URL(`${s.base}/authorize`)
      authorize.search = new URLSearchParams({ ...query, code_challenge: 'a'.repeat(43) }).toString()
      const { status, headers } = await ask(authorize)
      expect([status, headers.location, headers['content-type']]).toEqual([400, undefined, expect.stringContaining('text/html')])
      expect(host.asked).toEqual([])
    })
  })

  test('two people with two wallets are two identities, and neither sees the session of the other', async () => {
    const s = await secured({ trusted: [wallet.did, { id: otherWallet.did, tools: ['echo'] }] })
    const [program] = HTTP_PROGRAMS
    const ann = await program.connect({ url: s.url, person: withWallet })
    const bob = await program.connect({ url: s.url, person: withOtherWallet })
    const subjectOf = (client: Connected): unknown => decodeJwt(client.tokens().access_token).sub
    expect([subjectOf(ann), subjectOf(bob)]).toEqual([wallet.did, otherWallet.did])
    expect(await ann.callTool('secret')).toEqual([{ type: 'text', text: 'secret' }])
    await expect(bob.callTool('secret')).rejects.toThrow('Unknown tool: secret')
    expect(ann.sessionId).toMatch(/./)
    expect(ann.sessionId).not.toBe(bob.sessionId)
    const statusOf = async (session: string | undefined, of: Connected): Promise<number> => {
      const headers = { ...bearer(of.tokens().access_token), 'mcp-session-id': session ?? '', accept: 'application/json, text/event-stream' }
      return (await ask(s.url, { headers, body: { jsonrpc: '2.0', id: 7, method: 'tools/list' } })).status
    }
    expect(await statusOf(ann.sessionId, ann)).toBe(200)
    expect(await statusOf(ann.sessionId, bob)).toBe(404)
    expect(await statusOf(bob.sessionId, ann)).toBe(404)
  })

  test('a program whose person says no is told so, and has nothing', async () => {
    const s = await secured({ trusted: [wallet.did] })
    const [, program] = HTTP_PROGRAMS
    const saysNo = (authorize: URL): Promise<URL> => logInByBrowser(authorize, { browser: browser(), deny: true })
    await expect(program.connect({ url: s.url, person: saysNo })).rejects.toThrow('the person said no')
    expect((await ask(s.url, { body: initializeMessage(1) })).status).toBe(401)
    expect(s.reached()).toEqual([])
  })
})
