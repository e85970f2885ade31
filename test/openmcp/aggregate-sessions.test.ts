// Sessions with several servers as one: who joins late, who leaves, and that what each of them says comes to the right client.
import { Client as ClientV2, StreamableHTTPClientTransport as HttpTransportV2 } from '@modelcontextprotocol/client'
import type { Client } from '@modelcontextprotocol/sdk/client/index.js'
import {
  CallToolResultSchema,
  CreateTaskResultSchema,
  ElicitRequestSchema,
  GetTaskResultSchema,
  ListRootsRequestSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js'
import { expect, onTestFinished, test } from 'vitest'
import * as z from 'zod'

import { at, isJson, type Json } from '../support/json.ts'
import { initializeMessage, INITIALIZED } from '../support/openmcp.ts'
import { until } from '../support/until.ts'
import { ask, modernAsked } from '../support/wire.ts'
import { asOne, clientAt, member, tools } from './several.ts'
import { child, onStdio } from './stage.ts'

const namesOf = async (client: Client): Promise<string[]> => (await client.listTools()).tools.map(({ name }) => name)

function changesHeardBy(client: Client): () => number {
  let heard = 0
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void heard++)
  return () => heard
}

/** What the scripted server was told, with its pid. */
async function seen(client: Client, server: string): Promise<Json[]> {
  const { structuredContent } = await client.callTool({ name: `${server}__seen`, arguments: {} })
  const all = isJson(structuredContent) ? structuredContent['seen'] : []
  return Array.isArray(all) ? all.filter(isJson) : []
}

test('one that answers late holds up no session for longer than it may, and joins when it comes', async () => {
  let isAwake = false
  const late = await member('late', {
    ...tools(['echo']),
    initialize: ({ protocolVersion }) => (isAwake ? { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'late', version: '1' } } : undefined),
  })
  const { at: path } = await asOne([(await member('good', tools(['echo']))).server, { ...late.server, limits: { ...late.server.limits, timeoutSeconds: 1 } }], {
    connectSeconds: 0.3,
  })
  const client = await clientAt(path('/mcp'))
  const changes = changesHeardBy(client)
  // The good one may be slow, too, on a machine that is.
  await until('the other', async () => (await namesOf(client)).join() === 'good__echo')
  const before = changes()
  isAwake = true
  await until('it to join', async () => changes() > before && (await namesOf(client)).join() === 'good__echo,late__echo')
  expect(late.asked('notifications/initialized').length).toBe(1)
  expect(await client.callTool({ name: 'late__echo' })).toMatchObject({ content: [{ text: 'echo' }] })
})

test('one that is there only later joins sessions that are open, and one that comes by another configuration does, too', async () => {
  const { at: path, proxy } = await asOne([child('one')])
  const client = await clientAt(path('/mcp'))
  const changes = changesHeardBy(client)
  expect((await namesOf(client)).every((name) => name.startsWith('one__'))).toBe(true)
  const gone = await member('two', tools(['echo']))
  await gone.behind.stop()
  await proxy.apply([child('one'), gone.server])
  expect(changes()).toBe(0)
  const there = await member('two', tools(['echo']))
  await proxy.apply([child('one'), there.server])
  await until('it to join', () => changes() > 0)
  expect(await namesOf(client)).toContain('two__echo')
})

test('without any server a session begins, and has nothing', async () => {
  const { at: path, proxy } = await asOne([])
  const client = await clientAt(path('/mcp'))
  const changes = changesHeardBy(client)
  expect(await namesOf(client)).toEqual([])
  await proxy.apply([child('one')])
  await until('it to join', () => changes() > 0)
  expect((await namesOf(client)).length).toBeGreaterThan(0)
})

test('one that dies leaves the others, takes its calls with it, and comes back with what the client had said', async () => {
  const { at: path } = await asOne([child('one'), child('two')])
  const client = await clientAt(path('/mcp'))
  const changes = changesHeardBy(client)
  await client.setLoggingLevel('error')
  for (const uri of ['one+file:///kept', 'two+file:///other', 'one+file:///left']) await client.subscribeResource({ uri })
  await client.unsubscribeResource({ uri: 'one+file:///left' })
  const held = client.callTool({ name: 'one__hold', arguments: { key: 'k' } })
  const dying = client.callTool({ name: 'one__die', arguments: { code: 3 } })
  for (const { status } of await Promise.allSettled([held, dying])) expect(status).toBe('rejected')
  expect((await seen(client, 'two')).length).toBeGreaterThan(0)
  await until('it to be back', async () => changes() > 0 && (await namesOf(client)).includes('one__echo'))
  const told = await until('all that it missed', async () => {
    const all = await seen(client, 'one')
    return all.some(({ method }) => method === 'resources/subscribe') && all
  })
  expect(told.map(({ method }) => method)).toEqual(expect.arrayContaining(['initialize', 'notifications/initialized', 'logging/setLevel']))
  expect(told.flatMap((message) => (message['method'] === 'resources/subscribe' ? [at(message, 'params', 'uri')] : []))).toEqual(['file:///kept'])
})

test('a server that is changed answers what it was asked, and what is asked then goes to the new one', async () => {
  const limits = { drainSeconds: 10 }
  const { at: path, proxy } = await asOne([child('one', [], limits)])
  const client = await clientAt(path('/mcp'))
  const changes = changesHeardBy(client)
  const held = client.callTool({ name: 'one__count', arguments: { marker: 'old', steps: 300 } })
  await until('the call', async () => JSON.stringify(await seen(client, 'one')).includes('"old"'))
  await proxy.apply([child('one', ['--start-words', 'new'], limits)])
  await until('the new one', () => changes() > 1)
  expect(await held).toMatchObject({ structuredContent: { marker: 'old' } })
  expect(at((await client.callTool({ name: 'one__who', arguments: {} })).structuredContent as Json, 'argv')).toEqual(['--start-words', 'new'])
})

test('progress, changes of resources and cancelling are between a client and the server that it asked', async () => {
  const { at: path } = await asOne([child('one'), child('two')].map((server) => ({ ...server, isolation: 'shared' as const })))
  const [ann, bob] = [await clientAt(path('/mcp')), await clientAt(path('/mcp'))]
  const updated: Record<string, string[]> = { ann: [], bob: [] }
  for (const [name, client] of [
    ['ann', ann],
    ['bob', bob],
  ] as const) {
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void updated[name]?.push(params.uri))
  }
  const counted = async (client: Client, name: string, marker: string): Promise<unknown[]> => {
    const steps: unknown[] = []
    await client.callTool({ name, arguments: { marker, steps: 5 } }, CallToolResultSchema, { onprogress: ({ message }) => void steps.push(message) })
    return steps
  }
  expect(await Promise.all([counted(ann, 'one__count', 'a1'), counted(bob, 'one__count', 'b1'), counted(ann, 'two__count', 'a2')])).toEqual([
    Array(5).fill('a1'),
    Array(5).fill('b1'),
    Array(5).fill('a2'),
  ])
  await ann.subscribeResource({ uri: 'two+file:///x' })
  const notices = { messages: [{ method: 'notifications/resources/updated', params: { uri: 'file:///x' } }] }
  await bob.callTool({ name: 'two__notify', arguments: notices })
  await until('the update', () => updated['ann']?.includes('two+file:///x') ?? false)
  expect(updated).toEqual({ ann: ['two+file:///x'], bob: [] })
  await expect(ann.subscribeResource({ uri: 'three+file:///x' })).rejects.toMatchObject({ code: -32602 })
  const given = new AbortController()
  const held = ann.callTool({ name: 'one__hold', arguments: { key: 'k' } }, CallToolResultSchema, { signal: given.signal })
  await until('the call', async () => JSON.stringify(await seen(ann, 'one')).includes('"hold"'))
  given.abort('enough')
  await expect(held).rejects.toThrow('enough')
  await until('the word', async () => JSON.stringify(await seen(ann, 'one')).includes('notifications/cancelled'))
  expect(JSON.stringify(await seen(ann, 'two'))).not.toContain('notifications/cancelled')
})

test('a server can speak of the progress of its own calls alone', async () => {
  const { at: path } = await asOne([child('evil'), child('good')])
  const client = await clientAt(path('/mcp'))
  const heard: number[] = []
  let token: unknown
  const counting = client.callTool({ name: 'good__hold', arguments: { key: 'k' } }, CallToolResultSchema, {
    onprogress: ({ progress }) => void heard.push(progress),
  })
  await until('the call', async () => {
    const call = (await seen(client, 'good')).find((message) => at(message, 'params', 'name') === 'hold')
    token = call && at(call, 'params', '_meta', 'progressToken')
    return token !== undefined
  })
  const forged = { method: 'notifications/progress', params: { progressToken: token, progress: 99 } }
  await client.callTool({ name: 'evil__notify', arguments: { messages: [forged, { method: 'notifications/cancelled', params: { requestId: 1 } }] } })
  await client.callTool({ name: 'good__report', arguments: { key: 'k', from: 1, to: 2 } })
  await client.callTool({ name: 'good__release', arguments: { key: 'k' } })
  await counting
  expect(heard).toEqual([1, 2])
})

test('elicitation and roots are asked of the client, and each answer goes to the one that asked', async () => {
  const { at: path } = await asOne([child('one'), child('two')])
  const client = await clientAt(path('/mcp'))
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => ({ action: 'accept', content: { said: params.message } }))
  client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: 'file:///work' }] }))
  const schema = { type: 'object', properties: {} }
  const asking = (server: string): Promise<unknown> =>
    client.callTool({ name: `${server}__ask`, arguments: { method: 'elicitation/create', params: { message: server, requestedSchema: schema } } })
  expect(await Promise.all([asking('one'), asking('two')])).toEqual([
    expect.objectContaining({ structuredContent: { result: { action: 'accept', content: { said: 'one' } }, error: null } }),
    expect.objectContaining({ structuredContent: { result: { action: 'accept', content: { said: 'two' } }, error: null } }),
  ])
  expect(await client.callTool({ name: 'two__ask', arguments: { method: 'roots/list', params: {} } })).toMatchObject({
    structuredContent: { result: { roots: [{ uri: 'file:///work' }] } },
  })
  await client.sendRootsListChanged()
  for (const server of ['one', 'two']) await until('news of roots', async () => JSON.stringify(await seen(client, server)).includes('roots/list_changed'))
})

test('tasks are asked for at the server that made them, though two have the same names for theirs', async () => {
  const capabilities = { tools: {}, tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } }
  const task = (status: string): Json => ({ taskId: 'task-1', status, ttl: 60_000, createdAt: '2026-01-01T00:00:00Z', lastUpdatedAt: '2026-01-01T00:00:00Z' })
  const working = (name: string) =>
    member(
      name,
      {
        ...tools(['work']),
        'tools/call': () => ({ task: task('working') }),
        'tasks/get': ({ taskId }) => (taskId === 'task-1' ? { ...task('completed'), statusMessage: name } : undefined),
        'tasks/list': () => ({ tasks: [task('working')] }),
        'tasks/result': ({ taskId }) => ({ content: [{ type: 'text', text: name }], _meta: { 'io.modelcontextprotocol/related-task': { taskId } } }),
      },
      capabilities,
    )
  const [one, two] = [await working('one'), await working('two')]
  const { at: path } = await asOne([one.server, two.server])
  const client = await clientAt(path('/mcp'))
  expect(client.getServerCapabilities()).toMatchObject({ tasks: { list: {}, requests: { tools: { call: {} } } } })
  const made = await client.request({ method: 'tools/call', params: { name: 'two__work', arguments: {}, task: { ttl: 60_000 } } }, CreateTaskResultSchema)
  const { taskId } = made.task
  expect(await client.request({ method: 'tasks/get', params: { taskId } }, GetTaskResultSchema)).toMatchObject({
    taskId,
    status: 'completed',
    statusMessage: 'two',
  })
  expect(await client.request({ method: 'tasks/result', params: { taskId } }, z.looseObject({}))).toMatchObject({
    content: [{ text: 'two' }],
    _meta: { 'io.modelcontextprotocol/related-task': { taskId } },
  })
  const { tasks } = await client.request({ method: 'tasks/list' }, z.looseObject({ tasks: z.array(z.looseObject({ taskId: z.string() })) }))
  expect(tasks.map((each) => each.taskId)).toEqual(['one+task-1', 'two+task-1'])
  expect([one.asked('tasks/get').length, two.asked('tasks/get').length]).toEqual([0, 1])
})

test('a client of the revision without sessions is told what is spoken here, and goes on with that', async () => {
  const one = await member('one', tools(['echo']))
  const { at: path } = await asOne([one.server])
  const refused = await ask(path('/mcp'), modernAsked({ jsonrpc: '2.0', id: 7, method: 'tools/list' }))
  expect([refused.status, refused.json]).toEqual([
    400,
    {
      jsonrpc: '2.0',
      id: 7,
      error: { code: -32022, message: expect.any(String), data: { supported: expect.arrayContaining(['2025-11-25']), requested: '2026-07-28' } },
    },
  ])
  expect(one.asked('tools/list')).toEqual([])
  const client = new ClientV2({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } })
  await client.connect(new HttpTransportV2(path('/mcp')))
  onTestFinished(() => client.close())
  expect(client.getNegotiatedProtocolVersion()).toBe('2025-11-25')
  expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['one__echo'])
})

test('on stdio all of them are one, too', async () => {
  const { proxy, stdin, heard, say, answerTo } = await onStdio({ servers: [child('one'), child('two')], aggregate: { name: 'openmcp', version: '1' } })
  // As a client of both eras begins.
  say({ jsonrpc: '2.0', id: 0, method: 'server/discover', params: { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } } })
  expect(at(await answerTo(0), 'error', 'code')).toBe(-32022)
  say(initializeMessage(1))
  await answerTo(1)
  say(INITIALIZED)
  say({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'two__echo', arguments: { a: 1 } } })
  expect(at(await answerTo(2), 'result', 'structuredContent')).toEqual({ a: 1 })
  await proxy.apply([child('one')])
  await until('news', () => heard.some(({ method }) => method === 'notifications/tools/list_changed'))
  say({ jsonrpc: '2.0', id: 3, method: 'tools/call', params: { name: 'two__echo', arguments: {} } })
  expect(at(await answerTo(3), 'error', 'code')).toBe(-32602)
  stdin.end()
  expect(await proxy.ended).toBeUndefined()
})

test('headers that one server is told of are told to no other', async () => {
  const { at: path } = await asOne([
    { ...child('keyed'), target: { kind: 'command', command: 'none', args: [], env: {}, headerToEnv: { 'x-key': 'KEY' } } },
    child('one'),
  ])
  const client = await clientAt(path('/mcp'), { 'x-key': 'secret' })
  expect((await namesOf(client)).every((name) => name.startsWith('one__'))).toBe(true)
  expect(JSON.stringify(await seen(client, 'one'))).not.toContain('secret')
})
