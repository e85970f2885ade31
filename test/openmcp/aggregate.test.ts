// Several servers as one: real servers and the official client, and what each of them hears.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { CreateMessageRequestSchema, LoggingMessageNotificationSchema, ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import { expect, onTestFinished, test } from 'vitest'

import type { NamedServer } from '../../src/openmcp/servers.ts'
import { everything } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { child, running } from './stage.ts'

const AGGREGATE = { aggregate: { name: 'openmcp', version: '1' } }

async function serverEverything(name: string): Promise<NamedServer> {
  const { served } = await everything('stdio child')
  const [command = '', ...args] = served.command ?? []
  return { ...child(name), target: { kind: 'command', command, args, env: {} } }
}

async function clientOf(servers: readonly NamedServer[], log: string[] = []): Promise<{ client: Client; proxy: Awaited<ReturnType<typeof running>> }> {
  const proxy = await running(servers, log, AGGREGATE)
  const client = new Client({ name: 'test', version: '1' }, { capabilities: { sampling: {} } })
  await client.connect(new StreamableHTTPClientTransport(proxy.at('/mcp')))
  onTestFinished(() => client.close())
  return { client, proxy }
}

test('tools, prompts and resources of all are there under joined names, and each is asked for at its own server', async () => {
  const { client } = await clientOf([await serverEverything('one'), await serverEverything('two')])
  expect(client.getServerVersion()).toMatchObject({ name: 'openmcp' })
  const tools = (await client.listTools()).tools.map(({ name }) => name)
  expect(tools).toEqual(expect.arrayContaining(['one__echo', 'two__echo']))
  expect(tools.every((name) => /^(?:one|two)__/.test(name))).toBe(true)
  expect(await client.callTool({ name: 'two__echo', arguments: { message: 'hello' } })).toMatchObject({ content: [{ text: 'Echo: hello' }] })
  const prompts = (await client.listPrompts()).prompts.map(({ name }) => name)
  expect(prompts.length).toBeGreaterThan(1)
  const prompt = prompts.find((name) => name.startsWith('one__simple'))
  expect((await client.getPrompt({ name: prompt ?? '' })).messages.length).toBeGreaterThan(0)
  const [resource] = (await client.listResources()).resources
  expect(resource?.uri).toMatch(/^one\+/)
  expect((await client.readResource({ uri: resource?.uri ?? '' })).contents[0]?.uri).toBe(resource?.uri)
})

test('questions of a server come to the client and its answers back to the one that asked, though both use the same ids', async () => {
  const { client } = await clientOf([await serverEverything('one'), await serverEverything('two')])
  client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => {
    const [message] = params.messages
    const content = [message?.content].flat()[0]
    return { model: 'm', role: 'assistant', content: { type: 'text', text: `heard ${content?.type === 'text' ? content.text : ''}` } }
  })
  const tool = (await client.listTools()).tools.map(({ name }) => name).find((name) => /sampl/i.test(name) && name.startsWith('one__'))
  expect(tool).toBeDefined()
  const names = [tool ?? '', (tool ?? '').replace('one__', 'two__')]
  const answers = await Promise.all(names.map((name) => client.callTool({ name, arguments: { prompt: `of ${name}`, maxTokens: 10 } })))
  expect(answers.map((answer) => JSON.stringify(answer))).toEqual(names.map((name) => expect.stringContaining(`of ${name}`)))
})

test('one that does not start leaves the others as they are', async () => {
  const missing: NamedServer = { ...child('missing'), target: { kind: 'command', command: 'openmcp-no-such-program', args: [], env: {} } }
  const { client } = await clientOf([missing, await serverEverything('one')])
  expect((await client.listTools()).tools.every(({ name }) => name.startsWith('one__'))).toBe(true)
})

test('what is switched off in a server is not there either, and what is not there is told as every unknown tool', async () => {
  const { client } = await clientOf([{ ...(await serverEverything('one')), tools: { allow: ['echo', 'get-sum'], block: ['get-*'] } }])
  expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['one__echo'])
  for (const name of ['one__get-sum', 'two__echo', 'echo']) await expect(client.callTool({ name })).rejects.toMatchObject({ code: -32602 })
})

test.each(['session', 'shared'] as const)(
  'one that is removed is gone from sessions that are open, with isolation %s, and its calls fail',
  async (isolation) => {
    const { client, proxy } = await clientOf([
      { ...child('one'), isolation },
      { ...child('two'), isolation },
    ])
    let changes = 0
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => void changes++)
    const held = client.callTool({ name: 'two__hold', arguments: { key: 'k' } })
    const seen = async (): Promise<string> => JSON.stringify(await client.callTool({ name: 'two__seen', arguments: {} }))
    await until('the call', async () => (await seen()).includes('"hold"'))
    await proxy.proxy.apply([{ ...child('one'), isolation }])
    await expect(held).rejects.toThrow(/not served any more|SIG|exit code/)
    await until('news of it', () => changes > 0)
    expect((await client.listTools()).tools.every(({ name }) => name.startsWith('one__'))).toBe(true)
    await expect(client.callTool({ name: 'two__echo', arguments: {} })).rejects.toMatchObject({ code: -32602 })
    expect(await client.callTool({ name: 'one__echo', arguments: { a: 1 } })).toMatchObject({ structuredContent: { a: 1 } })
  },
)

test('log lines say whose they are', async () => {
  const { client } = await clientOf([child('one')])
  const loggers: unknown[] = []
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void loggers.push(params.logger))
  const tools = (await client.listTools()).tools
  expect(tools.every(({ name }) => name.startsWith('one__'))).toBe(true)
  expect(loggers.every((logger) => logger === 'one')).toBe(true)
})
