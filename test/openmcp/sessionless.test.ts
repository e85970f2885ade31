// `stateless`: clients of the revisions that have sessions are served without one, every POST by itself.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { describe, expect, onTestFinished, test } from 'vitest'

import type { NamedServer } from '../../src/openmcp/servers.ts'
import { DEFAULT_LIMITS, type Limits } from '../../src/protocol/limits.ts'
import { holder } from '../support/did.ts'
import { at, jsonOf, type Json } from '../support/json.ts'
import { callMessage, INITIALIZED, initializeMessage, returned } from '../support/openmcp.ts'
import { restartable } from '../support/restartable.ts'
import { bearer, secured } from '../support/secured.ts'
import { until } from '../support/until.ts'
import { ask, messagesIn, open } from '../support/wire.ts'
import { child, running } from './stage.ts'

const BOTH = { accept: 'application/json, text/event-stream' }

function alone(): NamedServer {
  return { ...child('one'), stateless: true }
}

async function served(server: NamedServer = alone(), limits: Partial<Limits> = {}): Promise<{ url: URL; status(): Promise<Json> }> {
  const { at: under, status } = await running([server], [], { limits: { ...DEFAULT_LIMITS, drainSeconds: 0, ...limits } })
  return { url: under('/servers/one/mcp'), status }
}

/** One tool call, by itself. */
async function called(url: URL, name: string, args: Json = {}, headers: Record<string, string> = {}): Promise<Json> {
  const answer = await ask(url, { headers: { ...BOTH, ...headers }, body: callMessage(7, name, args) })
  expect([answer.status, answer.headers['mcp-session-id']]).toEqual([200, undefined])
  return returned(jsonOf(messagesIn(answer).find(({ id }) => id === 7)))
}

describe('the official client', () => {
  test.each(['2025-03-26', '2025-06-18', '2025-11-25'])('of %s is served, and never hears of a session', async (version) => {
    const { url } = await served()
    const transport = new StreamableHTTPClientTransport(url)
    const client = new Client({ name: 'test', version: '1' })
    // What it asks for is the newest it knows; the wire says another.
    const send = transport.send.bind(transport)
    transport.send = (message, options) => {
      const asked = jsonOf(message)
      if (asked['method'] === 'initialize') Object.assign(jsonOf(asked['params']), { protocolVersion: version })
      return send(message, options)
    }
    await client.connect(transport)
    onTestFinished(() => client.close())
    expect([transport.sessionId, transport.protocolVersion]).toEqual([undefined, version])
    expect((await client.listTools()).tools.length).toBeGreaterThan(5)
    const steps: number[] = []
    const result = await client.callTool({ name: 'count', arguments: { marker: 'm', steps: 3 } }, undefined, {
      onprogress: ({ progress }) => void steps.push(progress),
    })
    expect([result.structuredContent, steps]).toEqual([{ marker: 'm' }, [1, 2, 3]])
  })

  test('is not promised what it could not be told', async () => {
    const { url } = await served()
    const client = new Client({ name: 'test', version: '1' }, { capabilities: { sampling: {} } })
    await client.connect(new StreamableHTTPClientTransport(url))
    onTestFinished(() => client.close())
    expect(client.getServerCapabilities()).toEqual({ tools: {}, resources: {}, logging: {} })
    expect(client.getServerVersion()).toEqual({ name: 'scripted', version: '1' })
  })
})

test('any request comes first: whichever replica it reaches, the server was initialised there', async () => {
  const { url } = await served()
  const { seen } = await called(url, 'seen')
  expect(Array.isArray(seen) && seen.map((message) => at(message, 'method'))).toEqual(['initialize', 'notifications/initialized', 'tools/call'])
})

test('many at once, with one id for all, each get their own answer from one child that is initialised once', async () => {
  const { url, status } = await served()
  const echoed = await Promise.all(Array.from({ length: 40 }, (_, n) => called(url, 'echo', { n })))
  expect(echoed).toEqual(Array.from({ length: 40 }, (_, n) => ({ n })))
  const { seen } = await called(url, 'seen')
  expect(Array.isArray(seen) && seen.filter((message) => at(message, 'method') === 'initialize')).toHaveLength(1)
  expect(await status()).toMatchObject({ upstreams: 1, sessions: 0 })
})

test('a session id of before is no matter', async () => {
  const { url } = await served()
  expect(await called(url, 'echo', { n: 1 }, { 'mcp-session-id': 'of-another-time' })).toEqual({ n: 1 })
})

test('there is nothing to listen to and nothing to end', async () => {
  const { url, status } = await served()
  for (const method of ['GET', 'DELETE']) {
    const answer = await ask(url, { method, headers: { accept: 'text/event-stream', 'mcp-session-id': 'x' } })
    expect([answer.status, answer.headers.allow]).toEqual([405, 'POST'])
  }
  expect(await status()).toMatchObject({ streams: 0, sessions: 0 })
})

test('what is for sessions alone is taken, and starts nothing', async () => {
  const { url, status } = await served({ ...alone(), target: restartableTarget(await restartable('a')) })
  expect((await ask(url, { headers: BOTH, body: INITIALIZED })).status).toBe(202)
  expect(await status()).toMatchObject({ upstreams: 0 })
})

test('a server that asks its client something is refused, though the client offers it', async () => {
  const { url } = await served()
  await ask(url, { headers: BOTH, body: initializeMessage(1, '2025-11-25', { sampling: {}, roots: {} }) })
  const { error } = await called(url, 'ask', { method: 'sampling/createMessage', params: {} })
  expect(error).toMatchObject({ code: -32601, message: 'the client does not offer this' })
})

test('a batch of 2025-03-26 is answered as one', async () => {
  const { url } = await served()
  const answer = await ask(url, { headers: { accept: 'application/json' }, body: [callMessage(1, 'echo', { n: 1 }), callMessage(2, 'echo', { n: 2 })] })
  expect(messagesIn(answer).map(({ id }) => id)).toEqual([1, 2])
})

test('a revision that is none is refused, and nothing hears of it', async () => {
  const { url, status } = await served({ ...alone(), target: restartableTarget(await restartable('a')) })
  expect((await ask(url, { headers: { ...BOTH, 'mcp-protocol-version': '2024-01-01' }, body: callMessage(1, 'echo') })).status).toBe(400)
  expect(await status()).toMatchObject({ upstreams: 0 })
})

test('whoever leaves cancels what was asked: nobody could come back for the answer', async () => {
  const { url } = await served()
  // What is not sent yet needs no cancelling.
  await called(url, 'echo')
  const stream = await open(url, { headers: BOTH, body: callMessage(7, 'hold', { key: 'k' }) })
  await stream.stop()
  const cancelled = await until('the cancellation', async () => {
    const { seen } = await called(url, 'seen')
    return Array.isArray(seen) && seen.find((message) => at(message, 'method') === 'notifications/cancelled')
  })
  expect(at(cancelled, 'params', 'reason')).toBe('the client left')
})

test('there are no more at once than there may be sessions, and one more when one is over', async () => {
  const { url } = await served(alone(), { sessions: 2 })
  await called(url, 'echo')
  const held = await Promise.all(['a', 'b'].map((key) => open(url, { headers: BOTH, body: callMessage(key, 'hold', { key }) })))
  const refused = await ask(url, { headers: BOTH, body: callMessage(1, 'echo') })
  expect([refused.status, refused.headers['retry-after']]).toEqual([503, '5'])
  await held[0]?.stop()
  await until('a place', async () => (await ask(url, { headers: BOTH, body: callMessage(1, 'echo') })).status === 200)
})

test('a child that dies has another in its place, which is initialised before it is asked', async () => {
  const { url } = await served()
  const first = await called(url, 'who')
  const died = await ask(url, { headers: BOTH, body: callMessage(7, 'die', { code: 3 }) })
  expect(at(messagesIn(died)[0], 'error', 'message')).toContain('ended with exit code 3')
  expect((await called(url, 'who'))['pid']).not.toBe(first['pid'])
})

describe('a remote server', () => {
  test('that keeps sessions has one for all POSTs of an owner, in which equal ids do not meet', async () => {
    const server = await restartable('a')
    const { url } = await served({ ...alone(), target: restartableTarget(server) })
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(url, { headers: BOTH, body: { jsonrpc: '2.0', id: 1, method: 'tools/list' } })))
    expect(answers.map((answer) => messagesIn(answer)[0]?.['result'])).toEqual(Array.from({ length: 20 }, () => ({ by: 'a', session: 'a-1' })))
    expect(server.asked.filter((one) => one === 'initialize')).toHaveLength(1)
  })

  test('that was started anew is initialised anew, unseen', async () => {
    const server = await restartable('a')
    const { url } = await served({ ...alone(), target: restartableTarget(server) })
    const list = async (): Promise<unknown> =>
      messagesIn(await ask(url, { headers: BOTH, body: { jsonrpc: '2.0', id: 1, method: 'tools/list' } }))[0]?.['result']
    await list()
    server.forget()
    expect(await list()).toEqual({ by: 'a', session: 'a-2' })
  })

  test('that answers nothing is told of in words', async () => {
    const server = await restartable('a')
    const { url } = await served({ ...alone(), target: { ...restartableTarget(server), retry: { attempts: 0, delayMs: 0 } } })
    await server.stop()
    const answer = await ask(url, { headers: BOTH, body: callMessage(1, 'echo') })
    expect([answer.status, answer.text]).toEqual([502, expect.stringContaining('cannot be reached')])
  })
})

test('with --security nobody shares a child with another identity, and a stranger starts none', async () => {
  const people = await Promise.all([holder(), holder()])
  const s = await secured({ trusted: people.map(({ did }) => did), options: { servers: [alone()] } })
  const url = new URL(`${s.base}/servers/one/mcp`)
  const [ann, bob] = await Promise.all(people.map(async (person) => bearer(await s.token(person, { form: { resource: url.href } }))))
  if (!ann || !bob) throw new Error('both are there')
  const who = async (headers: Record<string, string>): Promise<unknown> => (await called(url, 'who', {}, headers))['pid']
  const [first, again, other] = [await who(ann), await who(ann), await who(bob)]
  expect(again).toBe(first)
  expect(other).not.toBe(first)
  for (const method of ['POST', 'GET', 'DELETE'])
    expect((await ask(url, { method, headers: BOTH, ...(method === 'POST' && { body: callMessage(1, 'who') }) })).status).toBe(401)
})

function restartableTarget({ url }: { url: URL }): NamedServer['target'] & { kind: 'remote' } {
  return { kind: 'remote', urls: [url], transport: 'http', headers: {} }
}
