// A server of a file at which each caller logs in themselves, by the built program: with the official client, and by plain HTTP.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { expect, onTestFinished, test } from 'vitest'

import { keyOf, walletProver, type Prover } from '../api-keys/stage.ts'
import { at } from '../support/json.ts'
import { oidcUpstream } from '../support/oidc-upstream.ts'
import { listening, typed, type Proxy } from '../support/openmcp.ts'
import { logInAsOwn, surfer } from '../support/own-login.ts'
import { forThisTest } from '../support/tidy.ts'
import { testWallet } from '../support/wallet.ts'
import { ask } from '../support/wire.ts'
import { blocksOf, section } from './documents.ts'

const ANN = walletProver(testWallet())
const BOB = walletProver(testWallet())

test('the example of docs/upstream-login.md is a file that asks each caller', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'openmcp-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const file = join(directory, 'config.json')
  writeFileSync(file, blocksOf(section('docs/upstream-login.md', 'A login of each caller'), 'json')[0] ?? '')
  expect(await typed(['config', 'validate', file])).toMatchObject({ code: 0 })
  const env = { OPENMCP_HOME: join(directory, 'home') }
  expect(await typed(['run', '--config', file, '-p', '0'], { env })).toMatchObject({ code: 2, stderr: expect.stringContaining('each caller has a login') })
})

test('"multi_user": true: two people with official clients, each with an account of their own, also after a restart', async () => {
  const far = await forThisTest(oidcUpstream())
  const directory = mkdtempSync(join(tmpdir(), 'openmcp-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const file = join(directory, 'config.json')
  const oauth = { server_url: new URL(far.url).origin, multi_user: true }
  const trust = { identities: [ANN, BOB].map(({ did }) => ({ id: did })) }
  writeFileSync(file, JSON.stringify({ mcpServers: { far: { type: 'streamable-http', url: far.url.href, oauth } }, trust }))
  const env = { OPENMCP_HOME: join(directory, 'home') }
  const start = (): Promise<Proxy> => forThisTest(listening(['run', '--config', file, '--security', '--openapi', '-p', '0'], { env }))

  expect(await typed(['run', '--config', file, '-p', '0'], { env })).toMatchObject({ code: 2, stderr: expect.stringContaining('--security') })
  expect(await typed(['login', 'far', '--config', file], { env })).toMatchObject({ code: 2, stderr: expect.stringContaining('each of its callers') })

  const proxy = await start()
  const base = proxy.url.origin
  const keys = new Map<Prover, string>()
  for (const who of [ANN, BOB]) keys.set(who, (await keyOf({ base }, who)).secret)
  const whoami = async (who: Prover, from = base): Promise<unknown> => {
    const client = new Client({ name: 'test', version: '1' })
    const headers = { authorization: `Bearer ${keys.get(who) ?? ''}` }
    try {
      await client.connect(new StreamableHTTPClientTransport(new URL('/servers/far/mcp', from), { requestInit: { headers } }))
      return at(await client.callTool({ name: 'whoami', arguments: {} }), 'content', 0, 'text')
    } finally {
      await client.close()
    }
  }
  /** The same by plain HTTP, where Open WebUI looks for a tool of a server. */
  const plainly = async (who: Prover): Promise<[number, unknown]> => {
    const headers = { authorization: `Bearer ${keys.get(who) ?? ''}` }
    const { status, text } = await ask(new URL('/far/whoami', base), { headers, body: {} })
    return [status, JSON.parse(text)]
  }
  expect(await whoami(ANN)).toContain(`${base}/oauth/far/authorize`)
  expect(await plainly(ANN)).toMatchObject([401, { detail: { authorization_url: `${base}/oauth/far/authorize`, server: 'far' } }])
  expect((await logInAsOwn({ base }, surfer('amy'), 'far', ANN)).status).toBe(200)
  expect(await plainly(BOB)).toMatchObject([401, { detail: { error: 'authentication_required' } }])
  expect((await logInAsOwn({ base }, surfer('ben'), 'far', BOB)).status).toBe(200)
  expect(await Promise.all([whoami(ANN), whoami(BOB)])).toEqual(['amy', 'ben'])
  expect(await Promise.all([plainly(ANN), plainly(BOB)])).toEqual([
    [200, 'amy'],
    [200, 'ben'],
  ])
  expect((await typed(['login', '--list'], { env })).stdout).toContain(`renewed of ${ANN.did} at far`)
  await proxy.stop()
  const again = await start()
  far.expire()
  expect(await Promise.all([whoami(ANN, again.url.origin), whoami(BOB, again.url.origin)])).toEqual(['amy', 'ben'])
  expect(far.given.filter((grant) => grant === 'refresh_token')).toHaveLength(2)
  const reset = await typed(['reset'], { env })
  expect(reset).toMatchObject({ code: 0, stderr: expect.stringContaining(`forgotten: the login of ${ANN.did} for ${far.url.href}`) })
  expect((await typed(['reset'], { env })).stderr).toContain('there is no login to forget')
  // What was taken back is refused there by now.
  expect(await whoami(ANN, again.url.origin).catch(String)).not.toBe('amy')
  await again.stop()
  const { origin } = (await start()).url
  expect(await whoami(ANN, origin)).toContain('wants a login of your own')
  expect([...proxy.stderr, ...again.stderr].join('\n')).not.toMatch(/access_token|refresh_token|code=/)
})
