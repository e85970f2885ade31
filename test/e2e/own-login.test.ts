// A server of a file at which each caller logs in themselves, by the built program and with the official client.
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
  const start = (): Promise<Proxy> => forThisTest(listening(['run', '--config', file, '--security', '-p', '0'], { env }))

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
  await expect(whoami(ANN)).rejects.toMatchObject({ code: -32042, message: expect.stringContaining(`${base}/oauth/far/authorize`) })
  expect((await logInAsOwn({ base }, surfer('amy'), 'far', ANN)).status).toBe(200)
  expect((await logInAsOwn({ base }, surfer('ben'), 'far', BOB)).status).toBe(200)
  expect(await Promise.all([whoami(ANN), whoami(BOB)])).toEqual(['amy', 'ben'])
  await proxy.stop()
  const again = await start()
  far.expire()
  expect(await Promise.all([whoami(ANN, again.url.origin), whoami(BOB, again.url.origin)])).toEqual(['amy', 'ben'])
  expect(far.given.filter((grant) => grant === 'refresh_token')).toHaveLength(2)
  const reset = await typed(['reset'], { env })
  expect(reset).toMatchObject({ code: 0, stderr: expect.stringContaining(`forgotten: the login of ${ANN.did} for ${far.url.href}`) })
  expect((await typed(['reset'], { env })).stderr).toContain('there is no login to forget')
  await expect(whoami(ANN, again.url.origin)).rejects.toThrow(Error)
  await again.stop()
  const { origin } = (await start()).url
  await expect(whoami(ANN, origin)).rejects.toMatchObject({ code: -32042 })
  expect([...proxy.stderr, ...again.stderr].join('\n')).not.toMatch(/access_token|refresh_token|code=/)
})
