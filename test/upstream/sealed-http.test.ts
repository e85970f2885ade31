// Official clients in front of a node that is asked under a seal: what they see is what they see of a server that stands next to them.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { CreateMessageRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { createServer } from 'node:http'
import { PassThrough } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'

import { createEventWriters } from '../../src/downstream/event-writer.ts'
import { createMcpDoor } from '../../src/downstream/mcp.ts'
import { createPassThrough, type PassedSession } from '../../src/downstream/pass-through.ts'
import { createStdioDoor } from '../../src/downstream/stdio.ts'
import { createPipeDoor, type HttpSession } from '../../src/downstream/streamable-http.ts'
import type { OpenMcpOptions } from '../../src/openmcp.ts'
import { ANYBODY } from '../../src/protocol/caller.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { OPEN_GATE } from '../../src/relay/gate.ts'
import { createSessions } from '../../src/relay/sessions.ts'
import type { Remote } from '../../src/upstream/over-http.ts'
import { at } from '../support/json.ts'
import { onLoopback } from '../support/loopback.ts'
import { overLines } from '../support/message-client.ts'
import { QUIET, reachSealed, sealedNode, someVid, type SealedNode } from '../support/sealed.ts'
import { listening, sdkServerFile } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'

const FRONTS = { stdio: onStdio, HTTP: overHttp } as const
const BEHINDS = { 'a stdio child': aChild, 'an HTTP server': anHttpServer } as const
const WAYS = (['stdio', 'HTTP'] as const).flatMap((front) => (['a stdio child', 'an HTTP server'] as const).map((behind) => ({ front, behind })))

describe.each(WAYS)('a client on $front, and $behind behind the seal', ({ front, behind }) => {
  test('a tool is called, its progress is heard, and the server asks the client', async () => {
    const { client, node } = await clientOf(front, behind)
    client.setRequestHandler(CreateMessageRequestSchema, async () => ({ role: 'assistant', model: 'none', content: { type: 'text', text: 'four' } }))
    expect(await client.callTool({ name: 'echo', arguments: { a: 1 } })).toMatchObject({ structuredContent: { request: { params: { arguments: { a: 1 } } } } })
    const heard: number[] = []
    await client.callTool({ name: 'progress', arguments: { steps: 3 } }, undefined, { onprogress: ({ progress }) => heard.push(progress) })
    expect(heard).toEqual([1, 2, 3])
    const question = { method: 'sampling/createMessage', params: { messages: [{ role: 'user', content: { type: 'text', text: '2+2?' } }], maxTokens: 9 } }
    expect(await client.callTool({ name: 'ask', arguments: question })).toMatchObject({ structuredContent: { answer: { content: { text: 'four' } } } })
    expect(readable(node)).not.toMatch(/echo|progress|sampling|four|jsonrpc|initialize|tools/)
  })

  test('a message of more than a mebibyte passes as it is', async () => {
    const { client } = await clientOf(front, behind)
    const text = 'é"\\\n'.repeat(280_000)
    const answer = await client.callTool({ name: 'echo', arguments: { text } })
    expect(at(answer, 'structuredContent', 'request', 'params', 'arguments', 'text')).toBe(text)
  })

  test('twenty calls at once are all answered, each with its own answer', async () => {
    const { client } = await clientOf(front, behind)
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => client.callTool({ name: 'echo', arguments: { n } })))
    expect(answers.map((answer) => at(answer, 'structuredContent', 'request', 'params', 'arguments', 'n'))).toEqual(Array.from({ length: 20 }, (_, n) => n))
  })

  test('an error of the server comes as it is', async () => {
    const { client } = await clientOf(front, behind)
    await expect(client.callTool({ name: 'nowhere', arguments: {} })).rejects.toThrow(/never heard of it/)
  })

  test('what belongs to no call comes too', async () => {
    const { client } = await clientOf(front, behind)
    const heard: string[] = []
    client.fallbackNotificationHandler = async ({ method }) => void heard.push(method)
    await until('the stream of the session', async () => at(await client.callTool({ name: 'heard', arguments: {} }), 'structuredContent', 'listening'))
    await client.callTool({ name: 'announce', arguments: { method: 'notifications/tools/list_changed' } })
    expect(await until('the news', () => heard.at(-1))).toBe('notifications/tools/list_changed')
  })

  test('a client that leaves ends its session', async () => {
    const { client, node, leave } = await clientOf(front, behind)
    await client.callTool({ name: 'echo', arguments: {} })
    expect(await sessionsOf(node)).toBe(1)
    await leave()
    await until('the end of the session', async () => (await sessionsOf(node)) === 0)
  })
})

describe.each(['stdio', 'HTTP'] as const)('a client on %s', (front) => {
  test('a stream that is cut goes on where it was, and nothing of it is lost or comes twice', async () => {
    const { client, node } = await clientOf(front, 'a stdio child')
    const heard: number[] = []
    let cuts = 0
    const options = {
      onprogress({ progress }: { progress: number }) {
        heard.push(progress)
        if (progress !== 2) return
        cuts++
        node.between.passed.findLast(({ answer }) => answer.includes('id: '))?.cut()
      },
    }
    expect(await client.callTool({ name: 'progress', arguments: { steps: 6, everyMs: 50 } }, undefined, options)).toMatchObject({
      structuredContent: { steps: 6 },
    })
    expect({ heard, cuts }).toEqual({ heard: [1, 2, 3, 4, 5, 6], cuts: 1 })
  })
})

type Target = NonNullable<OpenMcpOptions['target']>

async function clientOf(front: keyof typeof FRONTS, behind: keyof typeof BEHINDS): Promise<{ client: Client; node: SealedNode; leave(): Promise<void> }> {
  const own = someVid()
  const node = await sealedNode({ trusted: [own.vid], options: { target: await BEHINDS[behind]() } })
  const { transport, leave } = await FRONTS[front](await reachSealed(own, node.vid))
  const client = new Client({ name: 'official', version: '1.0.0' }, { capabilities: { sampling: {} } })
  await client.connect(transport)
  onTestFinished(() => client.close())
  return { client, node, leave }
}

async function aChild(): Promise<Target> {
  return { kind: 'command', command: process.execPath, args: [sdkServerFile(), 'stdio'], env: { PATH: process.env['PATH'] ?? '' } }
}

async function anHttpServer(): Promise<Target> {
  const { origin } = await forThisTest(listening([sdkServerFile(), 'http']))
  return { kind: 'remote', urls: [new URL('/mcp', origin)], transport: 'http', headers: {} }
}

interface Front {
  transport: Transport
  leave(): Promise<void>
}

async function onStdio(remote: Remote): Promise<Front> {
  const [stdin, stdout] = [new PassThrough(), new PassThrough()]
  const door = createStdioDoor({ upstream: () => remote.messages, gate: OPEN_GATE, stdin, stdout, limits: DEFAULT_LIMITS })
  onTestFinished(() => door.close())
  return { transport: overLines(stdin, stdout), leave: () => door.close() }
}

async function overHttp(remote: Remote): Promise<Front> {
  const own = { limits: DEFAULT_LIMITS, log: QUIET, now: Date.now }
  const writers = createEventWriters(DEFAULT_LIMITS)
  const passThrough = createPassThrough({ sessions: createSessions<PassedSession>(own), limits: DEFAULT_LIMITS, log: QUIET })
  const pipe = createPipeDoor({ sessions: createSessions<HttpSession>(own), writers, gate: OPEN_GATE, ...own })
  const door = createMcpDoor({
    upstream: () => remote.upstream,
    messages: () => remote.messages,
    callerOf: () => ANYBODY,
    gate: OPEN_GATE,
    pipe,
    passThrough,
    ...own,
  })
  const { host, stop } = await onLoopback(createServer(door))
  onTestFinished(async () => {
    await stop()
    writers.close()
    passThrough.close()
  })
  const transport = new StreamableHTTPClientTransport(new URL(`http://${host}/mcp`))
  return { transport, leave: () => transport.terminateSession() }
}

/** What somebody in between can read: addresses, headers and bodies, both ways. */
function readable({ between }: SealedNode): string {
  return between.passed.map(({ url, headers, body, answerHeaders, answer }) => JSON.stringify({ url, headers, body, answerHeaders, answer })).join('\n')
}

async function sessionsOf({ url }: SealedNode): Promise<unknown> {
  return at(await (await fetch(new URL('/status', url))).json(), 'sessions')
}
