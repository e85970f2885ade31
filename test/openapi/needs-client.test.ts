// Tools of the official SDK that want their client to do its part: whoever calls by plain HTTP hears that this is so.
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js'
import { createServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'

import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { at, type Json } from '../support/json.ts'
import { ask } from '../support/wire.ts'
import { member } from '../openmcp/several.ts'
import { running } from '../openmcp/stage.ts'

const SAMPLE = { messages: [], maxTokens: 1 }
const FORM = { message: 'Who?', requestedSchema: { type: 'object', properties: {} } } as const

function asking(isStrict: boolean): McpServer {
  const mcp = new McpServer({ name: 'asking', version: '1' }, { enforceStrictCapabilities: isStrict })
  const tool = (name: string, act: () => Promise<unknown>): void =>
    void mcp.registerTool(name, {}, async () => ({ content: [{ type: 'text', text: JSON.stringify(await act()) }] }))
  tool('samples', () => mcp.server.createMessage(SAMPLE))
  tool('samples-with-tools', () => mcp.server.createMessage({ ...SAMPLE, tools: [] }))
  tool('elicits', () => mcp.server.elicitInput(FORM))
  tool('opens', () => mcp.server.elicitInput({ mode: 'url', message: 'Log in', url: 'https://a.example', elicitationId: 'a' }))
  tool('lists-roots', () => mcp.server.listRoots())
  tool('quotes', () => Promise.reject(new Error('The agent said: Client does not support form elicitation.')))
  return mcp
}

async function staged(isStrict: boolean): Promise<(path: string) => URL> {
  const server = createServer((socket) => void asking(isStrict).connect(new StdioServerTransport(socket, socket)))
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  onTestFinished(() => void server.close())
  const address = server.address()
  const url = new URL(`tcp://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`)
  const { at: under } = await running([
    { name: 'one', target: { kind: 'socket', url, headers: {} }, isolation: 'session', limits: DEFAULT_LIMITS, openapi: {} },
  ])
  return under
}

describe.each([true, false])('with capabilities enforced: %s', (isStrict) => {
  test('a tool that asks its client for something is 409, also beside others', async () => {
    const under = await staged(isStrict)
    const names = ['samples', 'samples-with-tools', 'elicits', 'opens', 'lists-roots']
    const call = async (name: string): Promise<unknown[]> => {
      const { status, json } = await ask(under(`/one/${name}`), { body: {} })
      return [name, status, at(json, 'detail', 'code'), at(json, 'detail', 'server')]
    }
    const expected = names.map((name) => [name, 409, 'needs_client', 'one'])
    expect(await Promise.all(names.map(call))).toEqual(expected)
    const alone: unknown[] = []
    for (const name of names) alone.push(await call(name))
    expect(alone).toEqual(expected)
  })

  test('one that speaks of that in words of its own has failed', async () => {
    const under = await staged(isStrict)
    const { status, json } = await ask(under('/one/quotes'), { body: {} })
    expect([status, at(json, 'detail', 'code')]).toEqual([500, 'tool_failed'])
  })
})

test.each<[string, string, number]>([
  ['as an error of JSON-RPC, too', 'Client does not support sampling (required for sampling/createMessage)', 409],
  ['not when more is said', 'Client does not support sampling (required for sampling/createMessage), so 3 files were written', 500],
  ['not of another thing', 'Client does not support UTF-16.', 500],
])('the words of the SDK are told from others: %s', async (_what, message, status) => {
  const { server } = await member('one', {
    'tools/list': () => ({ tools: [{ name: 'it', inputSchema: { type: 'object' } }] }),
    'tools/call': (_params, { body }, res): Json | undefined => {
      res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id: body['id'], error: { code: -32_603, message } }))
      return undefined
    },
  })
  const { at: under } = await running([{ ...server, openapi: {} }])
  const answer = await ask(under('/one/it'), { body: {} })
  expect([answer.status, at(answer.json, 'detail', 'message')]).toEqual([status, message])
})
