// Several servers as one, for callers who may use some of them, or some of their tools.
import type { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import { expect, test } from 'vitest'

import type { TrustRule } from '../../src/policy/shapes.ts'
import { addTrust } from '../../src/policy/rules.ts'
import { clientAt, member, tools, type Member } from '../openmcp/several.ts'
import { child } from '../openmcp/stage.ts'
import { holder, type Holder } from '../support/did.ts'
import { at, isJson } from '../support/json.ts'
import { callMessage, initializeMessage, INITIALIZED } from '../support/openmcp.ts'
import { bearer, secured, type Secured } from '../support/secured.ts'
import { until } from '../support/until.ts'
import { ask, messagesIn, type Answer } from '../support/wire.ts'

interface Stage {
  s: Secured
  ann: Holder
  members: Readonly<Record<'git' | 'mail', Member>>
  headers: Readonly<Record<string, string>>
  client(): Promise<Client>
}

/** git and mail as one, each with the tools echo and secret; Ann may what `rule` says. */
async function stage(rule: Omit<TrustRule, 'id'>, more: Parameters<typeof secured>[0] = {}): Promise<Stage> {
  const members = { git: await member('git', tools(['echo', 'secret'])), mail: await member('mail', tools(['echo', 'secret'])) }
  const ann = await holder()
  const s = await secured({
    durable: true,
    ...more,
    trusted: [],
    options: {
      target: undefined,
      aggregate: { name: 'openmcp', version: '1' },
      servers: Object.values(members).map(({ server }) => server),
      ...more.options,
    } as object,
  })
  await s.otherProcess().then((store) => addTrust(store, { id: ann.did, ...rule }))
  let token: string | undefined
  await until('the rule', async () => {
    token = await s.token(ann, { form: { resource: s.base } }).catch(() => undefined)
    return token !== undefined
  })
  const headers = bearer(token ?? '')
  return { s, ann, members, headers, client: () => clientAt(s.url, headers) }
}

const namesOf = async (client: Client): Promise<string[]> => (await client.listTools()).tools.map(({ name }) => name)

test('who may use one server sees its tools alone, and reaches no other', async () => {
  const { client, members } = await stage({ servers: ['git'] })
  const ann = await client()
  expect(await namesOf(ann)).toEqual(['git__echo', 'git__secret'])
  expect(await ann.callTool({ name: 'git__echo' })).toMatchObject({ content: [{ text: 'echo' }] })
  for (const name of ['mail__echo', 'mail__none', 'none__echo']) await expect(ann.callTool({ name })).rejects.toMatchObject({ code: -32602 })
  await expect(ann.readResource({ uri: 'mail+file:///x' })).rejects.toMatchObject({ code: -32602, message: expect.stringContaining('Unknown resource') })
  expect(members.mail.behind.received.filter(({ body }) => body['method'] !== 'server/discover' && body['method'] !== undefined)).toEqual([])
})

test('who may use no server has a session in which there is nothing', async () => {
  const { client, members } = await stage({ servers: [] })
  expect(await namesOf(await client())).toEqual([])
  for (const { asked } of Object.values(members)) expect(asked('initialize')).toEqual([])
})

test('tools are allowed by their own names, as at the door of their server', async () => {
  const { client, members } = await stage({ tools: ['ec*', 'mail__secret'] })
  const ann = await client()
  expect(await namesOf(ann)).toEqual(['git__echo', 'mail__echo'])
  for (const name of ['git__secret', 'mail__secret']) {
    await expect(ann.callTool({ name })).rejects.toMatchObject({ code: -32602, message: expect.stringContaining(`Unknown tool: ${name}`) })
  }
  expect([...members.git.asked('tools/call'), ...members.mail.asked('tools/call')]).toEqual([])
})

test('a call whose name some readers take from another member reaches nobody who is limited', async () => {
  const { s, headers, members } = await stage({ tools: ['echo'] })
  const opened = await ask(s.url, { headers, body: initializeMessage(1) })
  const own = { ...headers, 'mcp-session-id': String(opened.headers['mcp-session-id']) }
  await ask(s.url, { headers: own, body: INITIALIZED })
  const post = (body: object): Promise<Answer> => ask(s.url, { headers: { ...own, accept: 'application/json, text/event-stream' }, body: JSON.stringify(body) })
  const json = { ...own, 'content-type': 'application/json' }
  const twin = await ask(s.url, { headers: json, body: JSON.stringify({ ...callMessage(2, 'git__echo'), params: { name: 'git__echo', Name: 'secret' } }) })
  const [answer] = messagesIn(twin)
  expect(at(answer ?? {}, 'error', 'message')).toContain('can be taken for one another')
  await post({ jsonrpc: '2.0', method: 'notifications/x', Method: 'tools/call', params: { name: 'secret' } }).catch(() => undefined)
  await ask(s.url, { headers: json, body: JSON.stringify({ jsonrpc: '2.0', method: 'tools/call', params: { name: 'secret' } }) })
  expect(
    members.git.behind.received.map(({ body }) => [body['method'], body['Method']]).filter(([method, twofold]) => method === 'tools/call' || twofold),
  ).toEqual([])
})

test('when trust at a server ends, it leaves the session with the calls that it had, and the session goes on', async () => {
  const { s, ann, headers } = await stage({}, { options: { servers: [child('git'), child('mail')] } })
  const client = await clientAt(s.url, headers)
  let changes = 0
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void changes++)
  expect(await namesOf(client)).toEqual(expect.arrayContaining(['git__echo', 'mail__echo']))
  const held = client.callTool({ name: 'mail__hold', arguments: { key: 'k' } })
  const refused = held.then(
    () => ({}),
    (error: unknown) => error,
  )
  await until('the call', async () => JSON.stringify(await client.callTool({ name: 'mail__seen', arguments: {} })).includes('"hold"'))
  const store = await s.otherProcess()
  await addTrust(store, { id: ann.did, servers: ['git'] })
  expect(await refused).toMatchObject({ code: -32001, message: expect.stringContaining('not served any more') })
  await until('news', () => changes > 0)
  expect((await namesOf(client)).every((name) => name.startsWith('git__'))).toBe(true)
  expect(await client.callTool({ name: 'git__echo', arguments: { a: 1 } })).toMatchObject({ structuredContent: { a: 1 } })
  expect(at((await ask(new URL(`${s.base}/status`), { headers })).json, 'server_instances')).toEqual({ git: 'running' })
  await addTrust(store, { id: ann.did })
  await until('it to be back', async () => (await namesOf(client)).includes('mail__echo'))
})

test('what an identity has of a server goes on for as long as its credential, though it came by all of them as one', async () => {
  const { s, headers } = await stage({}, { options: { servers: [{ ...child('git'), isolation: 'identity' }] } })
  const client = await clientAt(s.url, headers)
  const pid = async (): Promise<unknown> => {
    const { structuredContent } = await client.callTool({ name: 'git__who', arguments: {} })
    return isJson(structuredContent) ? structuredContent['pid'] : undefined
  }
  const before = await pid()
  // Everything that is open is looked through with each news of trust.
  const [bob, store] = [await holder(), await s.otherProcess()]
  await addTrust(store, { id: bob.did })
  await until('the news', () => s.token(bob, { form: { resource: s.base } }).catch(() => undefined))
  expect(await pid()).toBe(before)
})
