// `--tsp message` over TCP as people run it: a node, another openmcp in front of a client, each with a home of its own.
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

import { ELICITED, LEGACY_WAYS_IN, MODERN_WAYS_IN, SAMPLED, type Caller } from '../support/clients.ts'
import { at, type Json } from '../support/json.ts'
import { nodeHome, type NodeHome } from '../support/node-home.ts'
import {
  callMessage,
  INITIALIZED,
  initializeMessage,
  returned,
  serve,
  serveOnStdio,
  typed,
  type Proxy,
  type Served,
  type StdioProxy,
} from '../support/openmcp.ts'
import { fixture, scripted, sdkServerFile } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { ask } from '../support/wire.ts'

const SDK_SERVER = [process.execPath, sdkServerFile(), 'stdio']

interface Stage {
  readonly node: NodeHome
  readonly proxy: Proxy
  /** As the node says it on stderr. */
  readonly remote: string
  readonly client: NodeHome
  readonly vid: string
  /** What is typed to be in front of it. */
  readonly front: Served & { readonly upstream: string; readonly options: readonly string[] }
  /** The node, started again. */
  restarted(): Promise<Proxy>
}

async function stage({ command = SDK_SERVER, trusted = true, modes = 'message' } = {}): Promise<Stage> {
  const [node, client] = [await nodeHome(), await nodeHome()]
  const vid = shortOf(await client.run('id', 'create', 'me', '--tsp'))
  const keeper = await client.identity('keeper')
  await node.run('trust', 'add', trusted ? vid : keeper.did)
  const start = (): Promise<Proxy> => forThisTest(serve({ command, options: ['--tsp', modes], env: node.env }))
  const proxy = await start()
  const [, remote = ''] = await proxy.says(/TSP endpoint listening for incoming messages to: (did:peer:4zQm\w+:z\w+)$/)
  const options = ['--id', 'me', '--keys', join(client.env['OPENMCP_HOME'] ?? '', 'keys')]
  return { node, proxy, remote, client, vid, front: { upstream: remote, options }, restarted: start }
}

function shortOf(long: string): string {
  return long.trim().split(':').slice(0, 3).join(':')
}

describe.each(LEGACY_WAYS_IN)('$name, in front of a VID', ({ connect }) => {
  test('calls tools, hears progress, is asked, and cancels', async () => {
    const { front } = await stage()
    const client = await forThisTest(connect(front))
    const call = (name: string, args: Json = {}, more: Json = {}): Promise<Json> => client.request('tools/call', { name, arguments: args, ...more })
    expect(at(await call('echo', { a: 1 }), 'structuredContent', 'request', 'params', 'arguments')).toEqual({ a: 1 })
    await call('progress', { steps: 3 }, { _meta: { progressToken: 'p' } })
    await until('its progress', () => client.messages.filter(({ method }) => method === 'notifications/progress').length === 3)
    const sampled = await call('ask', { method: 'sampling/createMessage', params: { messages: [], maxTokens: 9 } })
    expect(at(sampled, 'structuredContent', 'answer')).toMatchObject(SAMPLED)
    const form = { type: 'object', properties: { name: { type: 'string' } } }
    const elicited = await call('ask', { method: 'elicitation/create', params: { message: 'who?', requestedSchema: form } })
    expect(at(elicited, 'structuredContent', 'answer')).toMatchObject(ELICITED)
    await cancelled(client)
  })
})

describe.each(MODERN_WAYS_IN)('$name of 2026-07-28, in front of a VID', ({ connect }) => {
  test('calls tools', async () => {
    const { served } = await forThisTest(fixture('stdio child'))
    const { front } = await stage({ command: [...(served.command ?? [])] })
    const client = await forThisTest(connect(front))
    expect(client.revision).toBe('2026-07-28')
    await client.request('tools/list')
    expect(await client.request('tools/call', { name: 'test_simple_text', arguments: {} })).toMatchObject({ content: [{ type: 'text' }] })
  })
})

async function cancelled(client: Caller): Promise<void> {
  const leaving = new AbortController()
  const hanging = client.request('tools/call', { name: 'hang', arguments: { key: 'it' } }, { signal: leaving.signal })
  const heard = async (): Promise<string> => JSON.stringify(await client.request('tools/call', { name: 'heard', arguments: {} }))
  await until('the call to hang', async () => (await heard()).includes('"hanging":["it"]'))
  leaving.abort('not needed')
  await expect(hanging).rejects.toThrow('not needed')
  await until('the end of it', async () => (await heard()).includes('"cancelled":[{"key":"it"'))
}

async function onStdio(front: Served): Promise<StdioProxy> {
  const proxy = await forThisTest(serveOnStdio(front))
  proxy.send(initializeMessage('initialize'))
  await proxy.answerTo('initialize')
  proxy.send(INITIALIZED)
  return proxy
}

describe('messages', () => {
  test('of a megabyte, and a hundred at once, come whole and each to its own', async () => {
    const { front } = await stage({ command: scripted() })
    const proxy = await onStdio(front)
    const text = 'é'.repeat(524_288)
    proxy.send(callMessage('large', 'echo', { text }))
    expect(returned(await proxy.answerTo('large'))).toEqual({ text })
    for (let id = 0; id < 100; id++) proxy.send(callMessage(id, 'echo', { id }))
    for (let id = 0; id < 100; id++) expect(returned(await proxy.answerTo(id))).toEqual({ id })
  })
})

describe('who is not trusted', () => {
  test('hears nothing, is told in words, and reaches nothing', async () => {
    const { front, proxy, vid } = await stage({ trusted: false })
    const stdio = await forThisTest(serveOnStdio({ ...front, options: [...front.options, '--connect-timeout', '1'] }))
    stdio.send(initializeMessage(1))
    expect(await stdio.ended).toEqual({ code: 1, signal: null })
    const hint = `is it running, does it trust us \\(openmcp trust add ${vid}\\), can it reach us at tcp://127.0.0.1:\\d+, and does it speak revision 3\\?`
    expect(stdio.stderr.at(-1)).toMatch(new RegExp(`^openmcp: error: no answer by TSP within 1 s hint="${hint}"$`))
    expect((await ask(proxy.at('/status'))).json).toMatchObject({ sessions: 0, upstreams: 0 })
    await proxy.says(new RegExp(`a TSP message was not taken reason=untrusted why="${vid} is not trusted"`))
  })

  test('any more is out within a second, and a client on stdio ends with the reason', async () => {
    const { front, node, vid, proxy } = await stage()
    const stdio = await onStdio(front)
    await node.run('trust', 'remove', vid)
    expect(await stdio.ended).toEqual({ code: 1, signal: null })
    expect(stdio.stderr.at(-1)).toMatch(/^openmcp: error: (the TSP relationship with did:peer:4\w+ has ended|the other side has ended the session.*)$/)
    expect((await ask(proxy.at('/status'))).json).toMatchObject({ sessions: 0 })
  })
})

describe('a node that is started again', () => {
  test('ends a client on stdio with words, and one that starts anew is served', async () => {
    const { front, proxy, restarted } = await stage()
    const stdio = await onStdio(front)
    await proxy.stop()
    expect(await stdio.ended).toEqual({ code: 1, signal: null })
    expect(stdio.stderr.at(-1)).toBe('openmcp: error: the other side is stopping')
    await restarted()
    const again = await onStdio(front)
    again.send(callMessage(1, 'echo', { a: 1 }))
    await again.answerTo(1)
  })

  test('without a word is noticed by the next message, and over HTTP a client begins a new session', async () => {
    const { front, proxy, restarted } = await stage({ command: scripted() })
    const http = await forThisTest(serve(front))
    const first = await ask(http.url, { body: initializeMessage(1) })
    const session = { 'mcp-session-id': String(first.headers['mcp-session-id']) }
    proxy.signal('SIGKILL')
    await proxy.ended
    await restarted()
    const lost = await ask(http.url, { headers: session, body: callMessage(2, 'echo') })
    expect(lost.text).toContain('does not know the session any more')
    expect((await ask(http.url, { headers: session, body: callMessage(3, 'echo') })).status).toBe(404)
    const second = await ask(http.url, { body: initializeMessage(1) })
    expect(second.status).toBe(200)
    const answer = await ask(http.url, { headers: { 'mcp-session-id': String(second.headers['mcp-session-id']) }, body: callMessage(4, 'echo', { a: 1 }) })
    expect(answer.text).toContain('{"a":1}')
  })
})

describe('a client that is started again', () => {
  test('is the same VID in a new session; what it left behind ends', async () => {
    const { front, proxy } = await stage()
    for (let run = 0; run < 3; run++) {
      const stdio = await onStdio(front)
      stdio.send(callMessage(1, 'echo', { run }))
      await stdio.answerTo(1)
      stdio.endInput()
      expect(await stdio.ended).toEqual({ code: 0, signal: null })
    }
    await until('the end of the sessions', async () => at((await ask(proxy.at('/status'))).json, 'sessions') === 0)
  })

  test('twice at once is told that it is one already', async () => {
    const { front } = await stage()
    await onStdio(front)
    const second = await forThisTest(serveOnStdio(front))
    expect(await second.ended).toEqual({ code: 1, signal: null })
    expect(second.stderr.join('\n')).toMatch(
      /cannot be listened at, and answers to did:peer:4\w+ come there\nopenmcp: hint: perhaps another openmcp runs as this identity/,
    )
  })
})

test('openmcp test looks at what is behind a VID', async () => {
  const { front, remote } = await stage()
  const { code, stdout } = await typed(['test', remote, ...front.options])
  expect([code, stdout.split('\n').slice(0, 4)]).toEqual([0, ['server: sdk-server 1.0.0', 'transport: tsp', 'protocol: 2025-11-25', 'revisions: 2025-11-25']])
})
