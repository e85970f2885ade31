// Clients of callers who have no login of their own yet: they connect, learn where to have one, and go on in the same session.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  ElicitRequestSchema,
  ElicitationCompleteNotificationSchema,
  ToolListChangedNotificationSchema,
  type ClientCapabilities,
} from '@modelcontextprotocol/sdk/types.js'
import { describe, expect, onTestFinished, test } from 'vitest'

import { keyOf, walletProver, type Prover } from '../api-keys/stage.ts'
import { at } from '../support/json.ts'
import { logInAsOwn, surfer } from '../support/own-login.ts'
import { ownStage, type OwnStage } from '../support/own-login-stage.ts'
import { bearer } from '../support/secured.ts'
import { until } from '../support/until.ts'
import { testWallet } from '../support/wallet.ts'
import { ask, modernAsked, type Answer } from '../support/wire.ts'

const ANN = walletProver(testWallet())
const BOB = walletProver(testWallet())
const WORDS = 'the server far wants a login of your own'

interface Person {
  readonly client: Client
  /** What it was told without asking. */
  readonly told: unknown[]
  /** What it was asked. */
  readonly asked: unknown[]
}

async function connected(s: OwnStage, who: Prover, capabilities: ClientCapabilities = {}, path = '/servers/far/mcp'): Promise<Person> {
  const isSse = path.endsWith('/sse')
  const { secret } = await keyOf(s, who)
  const client = new Client({ name: 'test', version: '1' }, { capabilities })
  const told: unknown[] = []
  const asked: unknown[] = []
  client.setNotificationHandler(ToolListChangedNotificationSchema, ({ method }) => void told.push(method))
  client.setNotificationHandler(ElicitationCompleteNotificationSchema, ({ params }) => void told.push(params.elicitationId))
  if (capabilities.elicitation)
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      asked.push(params)
      return { action: 'accept' }
    })
  const Transport = isSse ? SSEClientTransport : StreamableHTTPClientTransport
  const transport = new Transport(new URL(`${s.base}${path}`), { requestInit: { headers: { authorization: `Bearer ${secret}` } } })
  onTestFinished(() => client.close())
  await client.connect(transport)
  return { client, told, asked }
}

const whoamiSlowly = ({ client }: Person): Promise<unknown> => client.callTool({ name: 'wait', arguments: {} })

const whoami = async ({ client }: Person): Promise<unknown> => at(await client.callTool({ name: 'whoami', arguments: {} }), 'content', 0, 'text')

test('a client connects, hears in words where the login is, and goes on in the same session after it', async () => {
  const s = await ownStage([ANN.did, BOB.did])
  const ann = await connected(s, ANN)
  const url = `${s.base}/oauth/far/authorize`
  expect(ann.client.getInstructions()).toBe(`${WORDS}, and has nothing to offer before it: ${url}`)
  expect(await ann.client.listTools()).toEqual({ tools: [] })
  expect(await ann.client.callTool({ name: 'whoami', arguments: {} })).toEqual({
    content: [{ type: 'text', text: `${WORDS}: open ${url} in a browser, then try again` }],
    isError: true,
  })
  expect([s.far.tokens.size, ann.told]).toEqual([0, []])
  await logInAsOwn(s, surfer('amy'), 'far', ANN)
  await until('news for Ann', () => ann.told.length > 0)
  expect(ann.told).toEqual(['notifications/tools/list_changed'])
  expect((await ann.client.listTools()).tools.map(({ name }) => name)).toContain('whoami')
  expect(await whoami(ann)).toBe('amy')
  // What it was promised, and the server has not, is empty.
  expect(await ann.client.listPrompts()).toEqual({ prompts: [] })
})

test('the login of one caller is no news to another, and opens nothing for them', async () => {
  const s = await ownStage([ANN.did, BOB.did])
  const [ann, bob] = await Promise.all([connected(s, ANN), connected(s, BOB)])
  await logInAsOwn(s, surfer('amy'), 'far', ANN)
  await until('news for Ann', () => ann.told.length > 0)
  expect(await whoami(ann)).toBe('amy')
  expect(await whoami(bob)).toContain(WORDS)
  await logInAsOwn(s, surfer('ben'), 'far', BOB)
  await until('news for Bob', () => bob.told.length > 0)
  expect([await whoami(ann), await whoami(bob)]).toEqual(['amy', 'ben'])
  expect([ann.told.length, bob.told.length]).toEqual([1, 1])
})

test('a client that opens addresses is asked to, once, and told when it is done', async () => {
  const s = await ownStage([ANN.did])
  const ann = await connected(s, ANN, { elicitation: { url: {} } })
  const url = `${s.base}/oauth/far/authorize`
  expect(await ann.client.listTools()).toEqual({ tools: [] })
  await until('a question', () => ann.asked.length > 0)
  expect(ann.asked).toEqual([{ mode: 'url', elicitationId: expect.any(String), url, message: WORDS }])
  await ann.client.listTools()
  const elicitationId = at(ann.asked, 0, 'elicitationId')
  await expect(ann.client.callTool({ name: 'whoami', arguments: {} })).rejects.toMatchObject({
    code: -32042,
    data: { elicitations: [{ mode: 'url', elicitationId, url, message: WORDS }] },
  })
  expect([s.far.tokens.size, ann.asked.length]).toEqual([0, 1])
  await logInAsOwn(s, surfer('amy'), 'far', ANN)
  await until('both news', () => ann.told.length > 1)
  expect(ann.told).toEqual([elicitationId, 'notifications/tools/list_changed'])
  expect(await whoami(ann)).toBe('amy')
})

test('so does a client of HTTP+SSE', async () => {
  const s = await ownStage([ANN.did])
  const ann = await connected(s, ANN, { elicitation: { url: {} } }, '/servers/far/sse')
  expect(await ann.client.listTools()).toEqual({ tools: [] })
  await until('a question', () => ann.asked.length > 0)
  await logInAsOwn(s, surfer('amy'), 'far', ANN)
  await until('both news', () => ann.told.length > 1)
  expect(await whoami(ann)).toBe('amy')
})

test('what is asked without a session is refused with the address', async () => {
  const s = await ownStage([ANN.did])
  const asked = modernAsked({ jsonrpc: '2.0', id: 1, method: 'tools/list' }, bearer((await keyOf(s, ANN)).secret))
  const { json } = await ask(new URL(`${s.base}/servers/far/mcp`), asked)
  expect(json).toMatchObject({ error: { code: -32042, data: { elicitations: [{ url: `${s.base}/oauth/far/authorize` }] } } })
  expect(s.far.tokens.size).toBe(0)
})

test('a client that begins with very much is told by the error alone, and later has no session that outlives a login', async () => {
  const s = await ownStage([ANN.did])
  const headers = bearer((await keyOf(s, ANN)).secret)
  const url = new URL(`${s.base}/servers/far/mcp`)
  const params = { protocolVersion: '2025-11-25', capabilities: { experimental: { x: { y: 'z'.repeat(70_000) } } }, clientInfo: { name: 'x', version: '1' } }
  const begin = async (): Promise<Answer> => ask(url, { headers, body: { jsonrpc: '2.0', id: 1, method: 'initialize', params } })
  expect((await begin()).json).toMatchObject({ error: { code: -32042 } })
  await logInAsOwn(s, surfer('amy'), 'far', ANN)
  const session = String((await begin()).headers['mcp-session-id'])
  await logInAsOwn(s, surfer('amelia'), 'far', ANN)
  expect((await ask(url, { headers: { ...headers, 'mcp-session-id': session }, body: { jsonrpc: '2.0', id: 2, method: 'ping' } })).status).toBe(404)
})

test('what else is asked before the login is refused by its name', async () => {
  const s = await ownStage([ANN.did])
  const ann = await connected(s, ANN)
  await expect(ann.client.readResource({ uri: 'x://y' })).rejects.toMatchObject({ code: -32042, message: expect.stringContaining(`${s.base}/oauth/far`) })
  await expect(ann.client.ping()).resolves.toEqual({})
  expect(s.far.tokens.size).toBe(0)
})

test('a login that ends is told in words, in the session in which it ends, and that goes on with the next', async () => {
  const s = await ownStage([ANN.did])
  await logInAsOwn(s, surfer('amy'), 'far', ANN)
  const ann = await connected(s, ANN)
  expect(await whoami(ann)).toBe('amy')
  await rm(join(s.directory, 'callers'), { recursive: true })
  s.far.expire()
  expect(await whoami(ann)).toContain(WORDS)
  await logInAsOwn(s, surfer('amelia'), 'far', ANN)
  await until('news for Ann', () => ann.told.length > 0)
  expect(await whoami(ann)).toBe('amelia')
})

test('a session goes on as whoever the caller is there by then, and with none as nobody', async () => {
  const s = await ownStage([ANN.did])
  const headers = bearer((await keyOf(s, ANN)).secret)
  await logInAsOwn(s, surfer('amy'), 'far', ANN)
  const ann = await connected(s, ANN)
  expect(await whoami(ann)).toBe('amy')
  await logInAsOwn(s, surfer('amelia'), 'far', ANN)
  expect(await whoami(ann)).toBe('amelia')
  const shown = s.far.tokens.size
  await ask(new URL(`${s.base}/oauth/far/forget`), { method: 'POST', headers })
  expect(await whoami(ann)).toContain(WORDS)
  expect(await ann.client.listTools()).toEqual({ tools: [] })
  expect(s.far.tokens.size).toBe(shown)
})

test('a call that is under way when the login ends is not waited for', async () => {
  const s = await ownStage([ANN.did])
  const headers = bearer((await keyOf(s, ANN)).secret)
  await logInAsOwn(s, surfer('amy'), 'far', ANN)
  const ann = await connected(s, ANN)
  const call = whoamiSlowly(ann)
  call.catch(() => {})
  await until('the call is there', () => s.far.waiting > 0)
  await ask(new URL(`${s.base}/oauth/far/forget`), { method: 'POST', headers })
  await expect(call).rejects.toThrow('your login at the server far ended')
})

describe('among all servers as one', () => {
  test('the tools of a server are there as soon as the caller has a login there', async () => {
    const s = await ownStage([ANN.did], { options: { target: undefined, aggregate: { name: 'all', version: '1' } } as object })
    const ann = await connected(s, ANN, {}, '/mcp')
    expect(await ann.client.listTools()).toEqual({ tools: [] })
    expect(ann.client.getInstructions()).toContain(`${s.base}/oauth/far/authorize`)
    await logInAsOwn(s, surfer('amy'), 'far', ANN)
    await until('news for Ann', () => ann.told.length > 0)
    expect((await ann.client.listTools()).tools).not.toEqual([])
  })
})
