// `openmcp login URL` as people type it, against a node of ours: Chromium is the browser that it opens, or one on another computer.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { get } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'

import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { logInByBrowser } from '../support/browser-login.ts'
import { nodeHome } from '../support/node-home.ts'
import { PROGRAM, serve, typed, type Proxy } from '../support/openmcp.ts'
import { startProgram, type Program } from '../support/program.ts'
import { secured, toolServer, type Secured } from '../support/secured.ts'
import { forThisTest } from '../support/tidy.ts'
import { hasOpenssl, tlsHost } from '../support/tls-host.ts'
import { until } from '../support/until.ts'
import { upstream } from '../support/upstream.ts'
import { chromium, secretKey, SKIPPED, visits, wallet } from './visit.ts'

const REQUIRED = process.env['OPENMCP_TEST_REQUIRE_ALL'] === '1'
const ECHOED = { content: [{ type: 'text', text: 'echo' }] }

describe.skipIf(chromium.missing !== undefined)(`a login at the terminal${SKIPPED}`, () => {
  const { browser } = visits()

  interface Person {
    readonly env: Readonly<Record<string, string>>
    /** What the program had a browser open. */
    opened(): Promise<string>
    /** The access token that is kept. */
    token(): Promise<string>
  }

  /** Somebody with a home of their own, whose browser notes what it is to open. */
  async function person(): Promise<Person> {
    const directory = await mkdtemp(join(tmpdir(), 'openmcp-'))
    onTestFinished(() => rm(directory, { recursive: true, force: true }))
    const [script, noted] = [join(directory, 'browser.cjs'), join(directory, 'url')]
    const lines = [`const { renameSync, writeFileSync } = require('node:fs')`, `const noted = ${JSON.stringify(noted)}`]
    await writeFile(script, [...lines, 'writeFileSync(`${noted}.part`, process.argv[2])', 'renameSync(`${noted}.part`, noted)'].join('\n'))
    const logins = join(directory, 'home', 'logins')
    return {
      env: { OPENMCP_HOME: join(directory, 'home'), BROWSER: `${process.execPath} ${script}` },
      opened: () => until('a browser that is opened', () => readFile(noted, 'utf8').catch(() => undefined)),
      async token() {
        const [file = ''] = await readdir(logins)
        return /eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+/.exec(await readFile(join(logins, file), 'utf8'))?.[0] ?? 'no token'
      },
    }
  }

  const startLogin = ({ env }: Pick<Person, 'env'>, ...args: string[]): Promise<Program> =>
    forThisTest(Object.assign(startProgram(process.execPath, [PROGRAM, 'login', ...args], { env })))

  /** A client that knows nothing of all this, behind an openmcp that is logged in. */
  async function clientOf({ env }: Person, { url }: Secured): Promise<{ proxy: Proxy; client: Client }> {
    const proxy = await forThisTest(serve({ upstream: url.href, env }))
    const client = new Client({ name: 'test', version: '1' })
    await client.connect(new StreamableHTTPClientTransport(proxy.url))
    onTestFinished(() => client.close())
    return { proxy, client }
  }

  function expectNothingTold(said: readonly string[]): void {
    // A token, or an address with a code.
    expect(said.join('\n')).not.toMatch(/eyJ[\w-]+\.eyJ|[?&]code=|refresh_token/)
  }

  test.each(['optional', 'required'] as const)(
    'opens the browser; then test and run are let in, also when the token is over, until reset (DPoP: %s)',
    async (dpop) => {
      const node = await secured({ trusted: [wallet.did], security: { dpop } })
      const ann = await person()
      expect(await typed(['test', node.url.href], { env: ann.env })).toMatchObject({ code: 1, stderr: expect.stringContaining('openmcp login') })
      const program = await startLogin(ann, node.url.href, ...(dpop === 'required' ? ['--dpop', 'required'] : []))
      const authorize = await ann.opened()
      await logInByBrowser(authorize, { browser: browser(), wallet: { secretKey } })
      expect(await program.ended).toEqual({ code: 0, signal: null })
      expect(program.stderr.at(-1)).toBe(`openmcp: logged in at ${node.base} for ${node.url.href}; it is renewed by itself`)
      expect(program.stdout).toEqual([])
      expectNothingTold(program.stderr)

      const { proxy, client } = await clientOf(ann, node)
      expect(await client.callTool({ name: 'echo' })).toEqual(ECHOED)
      // A proof says when it was made, and the clock of who makes it cannot be moved from here.
      if (dpop === 'optional') node.pass(901)
      expect(await client.callTool({ name: 'echo' })).toEqual(ECHOED)
      await node.post('/revoke', { token: await ann.token() })
      expect(await typed(['test', node.url.href], { env: ann.env })).toMatchObject({ code: 0 })
      expect(node.log.filter((line) => line.includes('a token was issued'))).toHaveLength(dpop === 'optional' ? 3 : 2)
      expectNothingTold([...proxy.stderr, ...node.log, JSON.stringify(node.upstream.received)])

      const forgotten = `openmcp: forgotten: the login for ${node.url.href} at ${node.base}`
      expect(await typed(['reset', node.url.href], { env: ann.env })).toMatchObject({ code: 0, stderr: forgotten })
      node.reached()
      // Its session ends with the login, which it may have heard before it asks again.
      await expect(client.callTool({ name: 'echo' })).rejects.toThrow(/wants a login|does not take the token|session not found/)
      expect(await typed(['test', node.url.href], { env: ann.env })).toMatchObject({ code: 1, stderr: expect.stringContaining('openmcp login') })
      expect(node.reached().filter(({ method }) => method === 'POST')).toEqual([])
    },
  )

  test('takes the address that a browser on another computer was sent to', async () => {
    const node = await secured({ trusted: [wallet.did] })
    const ann = await person()
    const program = await startLogin(ann, '--no-browser', node.url.href)
    const [authorize] = await program.says(/^http\S+\/authorize\?\S+$/)
    const back = await logInByBrowser(authorize, { browser: browser(), wallet: { secretKey }, elsewhere: true })
    program.write('https://example.com/?code=of-somebody-else\n')
    await program.says(/what was pasted is no answer to this login/)
    program.write(`${back.href}\n`)
    expect(await program.ended).toEqual({ code: 0, signal: null })
    expectNothingTold(program.stderr)
    const { client } = await clientOf(ann, node)
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['echo', 'secret'])
  })

  test('says that the person said no, and keeps nothing', async () => {
    const node = await secured({ trusted: [wallet.did] })
    const ann = await person()
    const program = await startLogin(ann, node.url.href)
    await logInByBrowser(await ann.opened(), { browser: browser(), deny: true })
    expect(await program.ended).toEqual({ code: 1, signal: null })
    expect(program.stderr.slice(-2)).toEqual([
      `openmcp: error: the login was refused at ${node.base} (access_denied: the person said no)`,
      'openmcp: hint: log in and allow it',
    ])
    expect(await typed(['login', '--list'], { env: ann.env })).toMatchObject({ code: 0, stdout: '' })
    expect(node.reached()).toEqual([])
  })

  test.skipIf(!hasOpenssl && !REQUIRED)(
    `goes the same way by https and below a path, where the browser keeps a cookie that no other host can set${hasOpenssl ? '' : ' (skipped: there is no openssl)'}`,
    async () => {
      const [home, ann, behind, { certificate, key }] = await Promise.all([nodeHome(), person(), forThisTest(upstream(toolServer)), forThisTest(tlsHost())])
      await home.run('trust', 'add', wallet.did)
      const options = ['--security', '--tls-cert', certificate, '--tls-key', key, '--path-prefix', '/below']
      const node = await forThisTest(serve({ options, upstream: `${behind.origin}/mcp`, env: home.env }))
      expect(node.url.href).toMatch(/^https:.*\/below\/mcp$/)
      const env = { ...ann.env, NODE_EXTRA_CA_CERTS: certificate }
      const program = await startLogin({ env }, node.url.href)
      const authorize = await ann.opened()
      await logInByBrowser(authorize, { browser: browser(), wallet: { secretKey }, anyCertificate: true })
      expect(await program.ended).toEqual({ code: 0, signal: null })
      expect(await cookiesAt(authorize, await readFile(certificate))).toEqual([expect.stringMatching(/^__Host-openmcp-login-[\w-]+=.*; Secure/)])
      expect(await typed(['test', node.url.href], { env })).toMatchObject({ code: 0 })
      expect(behind.received.filter(({ headers }) => headers.authorization !== undefined)).toEqual([])
    },
  )
})

/** What a browser that goes there is told to keep. */
function cookiesAt(url: string, ca: Buffer): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    get(url, { ca, agent: false }, (res) => resolve(res.resume().headers['set-cookie'] ?? [])).once('error', reject)
  })
}
