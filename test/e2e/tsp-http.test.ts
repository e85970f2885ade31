// `--tsp message` over HTTP as people run it: a node, another openmcp in front of official clients, and somebody in between who sees
// every byte.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { CreateMessageRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { describe, expect, onTestFinished, test } from 'vitest'

import { MODERN_WAYS_IN } from '../support/clients.ts'
import { at } from '../support/json.ts'
import { middleman, type Middleman, type Passed } from '../support/middleman.ts'
import { nodeHome, type NodeHome } from '../support/node-home.ts'
import { initializeMessage, PROGRAM, serve, serveOnStdio, typed, type Proxy } from '../support/openmcp.ts'
import { fixture, sdkServerFile } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { ask } from '../support/wire.ts'

interface Stage {
  readonly node: NodeHome
  readonly proxy: Proxy
  readonly between: Middleman
  /** As the node says it on stderr. */
  readonly remote: string
  readonly client: NodeHome
  readonly vid: string
  /** The node, started again. */
  restarted(): Promise<Proxy>
}

const SDK_SERVER = [process.execPath, sdkServerFile(), 'stdio']

async function stage({ trusted = true, command = SDK_SERVER } = {}): Promise<Stage> {
  const [node, client] = [await nodeHome(), await nodeHome()]
  let target: URL | undefined
  const between = await forThisTest(middleman(() => target ?? new URL('http://127.0.0.1:9')))
  await node.run('id', 'create', 'tsp', '--tsp', '--endpoint', `${between.origin}/tsp`)
  const vid = shortOf(await client.run('id', 'create', 'me', '--tsp'))
  const keeper = await client.identity('keeper')
  await node.run('trust', 'add', trusted ? vid : keeper.did)
  const start = async (): Promise<Proxy> => {
    const proxy = await forThisTest(serve({ command, options: ['--tsp', 'message'], env: node.env }))
    target = proxy.url
    return proxy
  }
  const proxy = await start()
  const [, remote = ''] = await proxy.says(/TSP endpoint listening for incoming messages to: (did:peer:4zQm\w+:z\w+)$/)
  return { node, proxy, between, remote, client, vid, restarted: start }
}

const FRONTS = {
  async stdio({ remote, client: { env } }: Stage): Promise<Transport> {
    return new StdioClientTransport({ command: process.execPath, args: [PROGRAM, 'run', '--id', 'me', '-p', remote], env: { ...env }, stderr: 'ignore' })
  },
  async HTTP({ remote, client: { env } }: Stage): Promise<Transport> {
    const { url } = await forThisTest(serve({ upstream: remote, options: ['--id', 'me'], env }))
    return new StreamableHTTPClientTransport(url)
  },
} as const

interface Connected {
  readonly client: Client
  /** What came of progress, as it came: the client forgets what follows an answer too closely. */
  readonly progress: number[]
}

async function connected(transport: Transport, onProgress = (_progress: number): void => {}): Promise<Connected> {
  const client = new Client({ name: 'official', version: '1.0.0' }, { capabilities: { sampling: {} } })
  client.setRequestHandler(CreateMessageRequestSchema, async () => ({ role: 'assistant', model: 'none', content: { type: 'text', text: 'four' } }))
  await client.connect(transport)
  onTestFinished(() => client.close())
  const progress: number[] = []
  const deliver = transport.onmessage
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- a transport is no EventTarget
  transport.onmessage = (message, extra) => {
    if (at(message, 'method') === 'notifications/progress') {
      progress.push(Number(at(message, 'params', 'progress')))
      onProgress(progress.length)
    }
    deliver?.(message, extra)
  }
  return { client, progress }
}

const NOTED = { onprogress: () => {} }

describe.each(['stdio', 'HTTP'] as const)('an official client on %s', (front) => {
  test('calls tools, hears progress, is asked, and sends a mebibyte; nobody in between reads a word of it', async () => {
    const stands = await stage()
    const { client, progress } = await connected(await FRONTS[front](stands))
    await client.callTool({ name: 'progress', arguments: { steps: 3 } }, undefined, NOTED)
    expect(progress).toEqual([1, 2, 3])
    const question = { method: 'sampling/createMessage', params: { messages: [{ role: 'user', content: { type: 'text', text: '2+2?' } }], maxTokens: 9 } }
    expect(await client.callTool({ name: 'ask', arguments: question })).toMatchObject({ structuredContent: { answer: { content: { text: 'four' } } } })
    const text = 'x'.repeat(1024 * 1024)
    const answer = await client.callTool({ name: 'echo', arguments: { text } })
    expect(at(answer, 'structuredContent', 'request', 'params', 'arguments', 'text')).toBe(text)
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => client.callTool({ name: 'echo', arguments: { n } })))
    expect(answers.map((one) => at(one, 'structuredContent', 'request', 'params', 'arguments', 'n'))).toEqual(Array.from({ length: 20 }, (_, n) => n))
    for (const passed of stands.between.passed) looksAsTmcpSays(passed, stands.vid)
  })

  test('goes on where its stream was cut', async () => {
    const stands = await stage()
    const { client, progress } = await connected(await FRONTS[front](stands), (count) => {
      if (count === 2) stands.between.passed.findLast(({ answer }) => answer.includes('id: '))?.cut()
    })
    await client.callTool({ name: 'progress', arguments: { steps: 5, everyMs: 50 } }, undefined, NOTED)
    expect(progress).toEqual([1, 2, 3, 4, 5])
  })

  test('is not heard any more within a second of the end of the trust', async () => {
    const stands = await stage()
    const { client } = await connected(await FRONTS[front](stands))
    await client.callTool({ name: 'echo', arguments: {} })
    await stands.node.run('trust', 'remove', stands.vid)
    await stands.proxy.says(/a TSP relationship has ended/)
    await expect(client.callTool({ name: 'echo', arguments: {} }, undefined, { timeout: 5000 })).rejects.toThrow(/does not answer|ended|closed|timed out/i)
  })
})

test('the revision of 2026-07-28, which says in headers what is called, says it under the seal', async () => {
  const { served } = await fixture('stdio child')
  const { between, remote, client, vid } = await stage({ command: [...(served.command ?? [])] })
  const [way] = MODERN_WAYS_IN
  const caller = await forThisTest(way?.connect({ upstream: remote, options: ['--id', 'me'], env: client.env }) ?? Promise.reject(new Error('a way in')))
  expect(caller.revision).toBe('2026-07-28')
  const { tools } = await caller.request('tools/list')
  expect(Array.isArray(tools) && tools.length).toBeGreaterThan(0)
  for (const passed of between.passed) looksAsTmcpSays(passed, vid)
})

test('a node that is started again is found again by a client over HTTP', async () => {
  const stands = await stage()
  const { url } = await forThisTest(serve({ upstream: stands.remote, options: ['--id', 'me'], env: stands.client.env }))
  const { client: before } = await connected(new StreamableHTTPClientTransport(url))
  await stands.proxy.stop()
  const after = await stands.restarted()
  await expect(before.callTool({ name: 'echo', arguments: {} })).rejects.toThrow(/session/i)
  const { client } = await connected(new StreamableHTTPClientTransport(url))
  expect(await client.callTool({ name: 'echo', arguments: { a: 1 } })).toHaveProperty('structuredContent')
  expect(after.stderr.join('\n')).not.toMatch(/error/)
})

test('a stranger learns nothing from the node, and from its own openmcp whom the other must trust', async () => {
  const { proxy, between, remote, client, vid } = await stage({ trusted: false })
  const front = await forThisTest(Promise.resolve(serveOnStdio({ upstream: remote, options: ['--id', 'me'], env: client.env })))
  front.send(initializeMessage(1))
  const answer = await front.answerTo(1)
  expect(answer).toMatchObject({ error: { message: expect.stringContaining(`openmcp trust add ${vid}`) } })
  expect(between.passed.map(({ status, answer: text }) => ({ status, text }))).toEqual(between.passed.map(() => ({ status: 202, text: '' })))
  await proxy.says(new RegExp(`a TSP message was not taken .*${vid} is not trusted`))
  const { code, stdout, stderr } = await typed(['test', remote, '--id', 'me'], { env: client.env })
  expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(`^openmcp: error: .*openmcp trust add ${vid}`) })
})

test('without a tool behind the seal there is a closed door: /mcp wants a token', async () => {
  const { proxy } = await stage()
  expect((await ask(proxy.url, { body: initializeMessage(1) })).status).toBe(401)
})

test('what is typed and does not fit is said', async () => {
  const { remote, client } = await stage()
  const { code, stderr } = await typed(['run', '--id', 'me', '-H', 'x: y', '-p', remote], { env: client.env })
  expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('-H') })
})

/** The carriage of TMCP, to the letter, and in the clear nothing but what it names. */
function looksAsTmcpSays({ method, url, headers, body, status, answerHeaders, answer }: Passed, vid: string): void {
  expect({ method, url, type: headers['content-type'] }).toEqual({ method: 'POST', url: `/tsp?did=${vid}`, type: 'application/json' })
  expect(Object.keys(headers).filter((name) => !IN_THE_CLEAR.has(name))).toEqual([])
  isMessage(body)
  expect(status).toBeLessThan(300)
  expect(Object.keys(answerHeaders).filter((name) => !ANSWERED_IN_THE_CLEAR.has(name))).toEqual([])
  if (!answerHeaders['content-type']?.startsWith('text/event-stream')) return isMessage(answer)
  for (const line of answer.split('\n').slice(0, -2)) {
    expect(line).toMatch(/^(?:|: \w+|event: message|id: \d+_\d+|retry: \d+|data: [\w-]+)$/)
    if (line.startsWith('data: ')) isMessage(line.slice('data: '.length))
  }
}

const IN_THE_CLEAR = new Set(['host', 'connection', 'content-type', 'content-length', 'accept', 'mcp-session-id', 'mcp-protocol-version'])
const ANSWERED_IN_THE_CLEAR = new Set([
  'content-type',
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'date',
  'cache-control',
  'x-accel-buffering',
  'mcp-session-id',
  'mcp-protocol-version',
  // Of every answer of openmcp.
  'content-security-policy',
  'cross-origin-resource-policy',
  'referrer-policy',
  'x-content-type-options',
  'x-frame-options',
])

/** Base64url without padding of one message of TSP, sealed by HPKE, in which nothing of MCP can be read. */
function isMessage(text: string): void {
  expect(text).toMatch(/^-E[\w-]{2}YTSP-AAC|^--E[\w-]{5}YTSP-AAC/)
  expect(text).toMatch(/^[\w-]+$/)
  const bytes = Buffer.from(text, 'base64url')
  expect(bytes.length % 3).toBe(0)
  expect(bytes.toString('latin1')).not.toMatch(/jsonrpc|method|params|result|tools|echo|progress|sampling|xxxxxxxx|"http"|openmcp/)
}

function shortOf(long: string): string {
  return long.trim().slice(0, long.trim().lastIndexOf(':'))
}
