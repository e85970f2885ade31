// Tools of servers that know no sessions any more (2026-07-28 alone) as plain HTTP: each call stands alone there.
import { toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler, fromJsonSchema, inputRequired, McpServer } from '@modelcontextprotocol/server'
import { serveStdio, StdioServerTransport } from '@modelcontextprotocol/server/stdio'
import { createServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'

import type { NamedServer } from '../../src/openmcp.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { at, type Json } from '../support/json.ts'
import { onLoopback } from '../support/loopback.ts'
import { until } from '../support/until.ts'
import { ask, open } from '../support/wire.ts'
import { running } from '../openmcp/stage.ts'

interface Behind {
  readonly target: NamedServer['target']
  readonly calls: string[]
  readonly cancelled: string[]
}

/** The official SDK v2, which refuses every client of before. */
function modern({ calls, cancelled }: Pick<Behind, 'calls' | 'cancelled'>): McpServer {
  const mcp = new McpServer({ name: 'modern', version: '9' }, { capabilities: { tools: {}, prompts: {} }, instructions: 'be kind' })
  const inputSchema = fromJsonSchema<{ text: string }>({ type: 'object', properties: { text: { type: 'string' } }, required: ['text'] })
  mcp.registerTool('echo', { inputSchema }, ({ text }) => {
    calls.push(`echo ${text}`)
    return { content: [{ type: 'text', text }] }
  })
  mcp.registerTool('steps', {}, async (context) => {
    const token = context.mcpReq._meta?.progressToken
    for (const progress of [1, 2])
      if (token !== undefined) await context.mcpReq.notify({ method: 'notifications/progress', params: { progressToken: token, progress } })
    return { content: [{ type: 'text', text: 'done' }] }
  })
  mcp.registerTool('hold', {}, (context) => {
    calls.push('hold')
    return new Promise((resolve) => {
      context.mcpReq.signal.addEventListener('abort', () => {
        cancelled.push('hold')
        resolve({ content: [] })
      })
    })
  })
  mcp.registerTool('asks', {}, () =>
    inputRequired({
      inputRequests: { name: inputRequired.elicit({ message: 'Your name?', requestedSchema: { type: 'object', properties: { name: { type: 'string' } } } }) },
    }),
  )
  return mcp
}

const BEHIND: Readonly<Record<string, () => Promise<Behind>>> = {
  async 'over HTTP'() {
    const noted = { calls: [] as string[], cancelled: [] as string[] }
    const serve = toNodeHandler(createMcpHandler(() => modern(noted), { legacy: 'reject' }))
    // Its type asks for a method and a URL, which requests of a server always have.
    const server = createServer((req, res) => void serve(Object.assign(req, { method: req.method ?? '', url: req.url ?? '' }), res))
    const { host, stop } = await onLoopback(server)
    onTestFinished(stop)
    return { ...noted, target: { kind: 'remote', urls: [new URL(`http://${host}/mcp`)], transport: 'auto', headers: {} } }
  },
  async 'over a pipe'() {
    const noted = { calls: [] as string[], cancelled: [] as string[] }
    const server = createTcpServer((socket) => void serveStdio(() => modern(noted), { legacy: 'reject', transport: new StdioServerTransport(socket, socket) }))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : 0
    return { ...noted, target: { kind: 'socket', url: new URL(`tcp://127.0.0.1:${port}`), headers: {} } }
  },
}

describe.each(Object.keys(BEHIND))('%s', (how) => {
  async function staged(): Promise<Behind & { under(path: string): URL; status(): Promise<Json> }> {
    const behind = await BEHIND[how]?.()
    if (!behind) throw new Error(how)
    const server: NamedServer = { name: 'one', target: behind.target, isolation: 'session', limits: DEFAULT_LIMITS, openapi: {} }
    const { at: under, status } = await running([server])
    return { ...behind, under, status }
  }

  test('they are in the document, with what the server says of itself', async () => {
    const { under } = await staged()
    const { status, json } = await ask(under('/servers/one/openapi.json'))
    expect([status, at(json, 'info')]).toEqual([200, { title: 'modern', version: '9', description: 'be kind' }])
    expect(Object.keys(at(json, 'paths') ?? {})).toEqual(['/tools/echo', '/tools/steps', '/tools/hold', '/tools/asks'])
  })

  test('they are called, and their arguments checked', async () => {
    const { under, calls } = await staged()
    const answers = await Promise.all(['a', 'b'].map((text) => ask(under('/one/echo'), { body: { text } })))
    expect(answers.map(({ status, text }) => [status, text])).toEqual([
      [200, '"a"'],
      [200, '"b"'],
    ])
    expect((await ask(under('/one/echo'), { body: {} })).status).toBe(422)
    expect(calls.toSorted()).toEqual(['echo a', 'echo b'])
  })

  test('progress comes as events', async () => {
    const { under } = await staged()
    const stream = await open(under('/one/steps'), { body: {}, headers: { accept: 'text/event-stream' } })
    await stream.whole()
    expect(stream.events.map(({ event, data }) => [event, JSON.parse(data)])).toEqual([
      ['progress', { progress: 1 }],
      ['progress', { progress: 2 }],
      ['result', 'done'],
    ])
  })

  test('the call of a client that left is cancelled', async () => {
    const { under, calls, cancelled } = await staged()
    const stream = await open(under('/one/hold'), { body: {}, headers: { accept: 'text/event-stream' } })
    await until('the call', () => calls.includes('hold'))
    await stream.stop()
    expect(await until('its end', () => cancelled.length > 0 && cancelled)).toEqual(['hold'])
  })

  test('one that asks its client for something is refused', async () => {
    const { under } = await staged()
    const answer = await ask(under('/one/asks'), { body: {} })
    expect([answer.status, at(answer.json, 'detail', 'code')]).toEqual([409, 'needs_client'])
  })
})
