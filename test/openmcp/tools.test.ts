// Tools that are switched off in a server: through its doors, where nobody is asked and where everybody is.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { expect, onTestFinished, test } from 'vitest'

import type { NamedServer } from '../../src/openmcp/servers.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import type { ToolRules } from '../../src/relay/tools-gate.ts'
import { holder } from '../support/did.ts'
import { at, jsonOf, type Json } from '../support/json.ts'
import { callMessage, INITIALIZED, initializeMessage } from '../support/openmcp.ts'
import { bearer, secured, sessionWith, toolServer } from '../support/secured.ts'
import { until } from '../support/until.ts'
import { upstream, type Upstream } from '../support/upstream.ts'
import { messagesIn, ask } from '../support/wire.ts'
import { child, onStdio, running } from './stage.ts'

/** A server with the tools `echo` and `secret`. */
async function serving(tools: ToolRules): Promise<{ behind: Upstream; server: NamedServer }> {
  const behind = await upstream(toolServer)
  onTestFinished(behind.stop)
  const target = { kind: 'remote', urls: [new URL('/mcp', behind.origin)], transport: 'http', headers: {} } as const
  return { behind, server: { name: 'git', target, isolation: 'session', limits: DEFAULT_LIMITS, tools } }
}

async function answerTo(url: URL, headers: Readonly<Record<string, string>>, body: Json): Promise<Json> {
  const [message] = messagesIn(await ask(url, { headers: { accept: 'application/json, text/event-stream', ...headers }, body }))
  return jsonOf(message)
}

test.each<[string, ToolRules, string[]]>([
  ['a blocked one', { block: ['secret'] }, ['echo']],
  ['all but an allowed one', { allow: ['ec*'] }, ['echo']],
  ['one that is allowed and blocked', { allow: ['*'], block: ['s*t'] }, ['echo']],
  ['all, by an empty list', { allow: [] }, []],
  ['none, by an empty list of those', { block: [] }, ['echo', 'secret']],
])('%s is neither listed nor called', async (_what, tools, left) => {
  const { behind, server } = await serving(tools)
  const { at: path } = await running([server])
  const url = path('/servers/git/mcp')
  const headers = { 'mcp-session-id': await sessionWith({ url }, { accept: 'application/json, text/event-stream' }) }
  const listed = at(await answerTo(url, headers, { jsonrpc: '2.0', id: 1, method: 'tools/list' }), 'result', 'tools')
  expect(Array.isArray(listed) && listed.map((tool) => at(jsonOf(tool), 'name'))).toEqual(left)
  for (const name of ['echo', 'secret']) {
    const answer = await answerTo(url, headers, callMessage(2, name))
    const refused = { error: expect.objectContaining({ code: -32602, message: `Unknown tool: ${name}` }) }
    expect(answer).toMatchObject(left.includes(name) ? { result: { content: [{ text: name }] } } : refused)
  }
  expect(behind.received.filter(({ body }) => body['method'] === 'tools/call').map(({ body }) => at(body, 'params', 'name'))).toEqual(left)
})

test('what the operator has switched off no trust brings back, and what trust denies no server does', async () => {
  const people = await Promise.all([holder(), holder()])
  const { server } = await serving({ block: ['secret'] })
  const [ann, bob] = people
  const s = await secured({
    trusted: [
      { id: ann.did, tools: ['*'] },
      { id: bob.did, tools: ['secret'] },
    ],
    options: { servers: [server] },
  })
  const url = new URL(`${s.base}/servers/git/mcp`)
  const seen: unknown[] = []
  for (const person of people) {
    const headers = { ...bearer(await s.token(person, { form: { resource: url.href } })), accept: 'application/json, text/event-stream' }
    const session = { ...headers, 'mcp-session-id': await sessionWith({ url }, headers) }
    seen.push(at(await answerTo(url, session, { jsonrpc: '2.0', id: 1, method: 'tools/list' }), 'result', 'tools'))
  }
  expect(seen).toEqual([[expect.objectContaining({ name: 'echo' })], []])
})

test('of the server at the root they are switched off over HTTP, older HTTP and stdio alike', async () => {
  const tools = { allow: ['e*', 'seen'], block: ['s*t'] }
  const { target } = child('default')
  const { at: path } = await running([], [], { target, tools })
  const client = new Client({ name: 'test', version: '1' })
  await client.connect(new StreamableHTTPClientTransport(path('/mcp')))
  onTestFinished(() => client.close())
  const older = new Client({ name: 'test', version: '1' })
  await older.connect(new SSEClientTransport(path('/sse')))
  onTestFinished(() => older.close())
  for (const one of [client, older]) {
    expect((await one.listTools()).tools.map(({ name }) => name)).toEqual(['echo', 'seen'])
    await expect(one.callTool({ name: 'who', arguments: {} })).rejects.toMatchObject({ code: -32602, message: expect.stringContaining('Unknown tool: who') })
    const { structuredContent } = await one.callTool({ name: 'seen', arguments: {} })
    expect(JSON.stringify(structuredContent)).not.toContain('"who"')
  }
})

test('of a server on our stdio they are switched off, too', async () => {
  const { target } = child('default')
  const { heard, say } = await onStdio({ target, tools: { block: ['who', 'd?e'] } })
  for (const message of [initializeMessage(1), INITIALIZED, callMessage(2, 'who'), { jsonrpc: '2.0', id: 3, method: 'tools/list' }, callMessage(4, 'seen')]) {
    say(message)
  }
  const answers = await until('all answers', () => heard.length === 4 && new Map(heard.map((answer) => [answer['id'], answer])))
  expect(at(jsonOf(answers.get(2)), 'error')).toMatchObject({ code: -32602, message: 'Unknown tool: who' })
  expect(JSON.stringify(answers.get(3))).not.toMatch(/"(?:who|die)"/)
  expect(JSON.stringify(answers.get(3))).toContain('"echo"')
  expect(JSON.stringify(answers.get(4))).not.toContain('"name\\":\\"who')
})
