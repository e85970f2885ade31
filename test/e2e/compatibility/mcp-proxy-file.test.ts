// The contract with those who come from mcp-proxy (sparfenyuk/mcp-proxy, in Python): its file, its paths, its status.
import { expect, test } from 'vitest'

import { contractOf } from '../../support/contract.ts'
import { at, jsonOf, type Json } from '../../support/json.ts'
import { callMessage, initializeMessage, typed, type Proxy } from '../../support/openmcp.ts'
import { ask, messagesIn, open, openSession, openSse } from '../../support/wire.ts'
import { CHILD, calledOn, childBehind, files, remote, serves, speaks } from './stage.ts'

const { works, differs } = contractOf('mcp-proxy')
const [COMMAND = '', ...ARGS] = CHILD
const CHILD_ENTRY = { command: COMMAND, args: ARGS }

function servesFile(mcpServers: Json, ...more: string[]): Promise<Proxy> {
  return serves(['--port=0', '--named-server-config', files({ 'servers.json': { mcpServers } }).at('servers.json'), ...more])
}

const named = (proxy: Proxy, name: string): Proxy => Object.assign({ ...proxy }, { url: proxy.at(`/servers/${name}/mcp`) })

test('mcp-proxy --port=8080 --named-server-config ./servers.json', works('servers by a file'), async () => {
  const proxy = await servesFile({
    fetch: { disabled: false, timeout: 60, command: COMMAND, args: [...ARGS, '--', 'fetch'], transportType: 'stdio' },
    github: { enabled: true, timeout: 60, command: COMMAND, args: ARGS, env: { GITHUB_PERSONAL_ACCESS_TOKEN: '<YOUR_TOKEN>' }, transportType: 'stdio' },
  })
  expect(await childBehind(named(proxy, 'fetch'))).toMatchObject({ argv: ['--', 'fetch'] })
  expect(await childBehind(named(proxy, 'github'))).toMatchObject({ env: { GITHUB_PERSONAL_ACCESS_TOKEN: '<YOUR_TOKEN>' } })
})

test('mcp-proxy --port 8080 --named-server-config FILE -- my-default-command --arg1', works('servers by a file'), async () => {
  const proxy = await servesFile({ fetch: CHILD_ENTRY }, '--', ...CHILD, '--', '--arg1')
  expect(await childBehind(proxy)).toMatchObject({ argv: ['--', '--arg1'] })
  expect(await childBehind(named(proxy, 'fetch'))).toMatchObject({ argv: [] })
})

test('"enabled": false, "disabled": true', works('a server that is switched off'), async () => {
  const proxy = await servesFile({ here: CHILD_ENTRY, 'not-enabled': { ...CHILD_ENTRY, enabled: false }, disabled: { ...CHILD_ENTRY, disabled: true } })
  for (const name of ['not-enabled', 'disabled']) {
    expect(await ask(proxy.at(`/servers/${name}/mcp`), { body: initializeMessage(1) })).toMatchObject({ status: 404 })
  }
  expect(Object.keys((await ask(proxy.at('/status'))).json['server_instances'] as Json)).toEqual(['here']) // its shape is what is tested
})

test('"timeout": 1', works('a time limit'), async () => {
  const proxy = await servesFile({ slow: { ...CHILD_ENTRY, timeout: 0.3 } })
  const session = await openSession(proxy.at('/servers/slow/mcp'))
  const answer = await session.post(callMessage(7, 'hold', { key: 'for ever' }))
  expect(at(await answer.message(({ id }) => id === 7), 'error', 'message')).toMatch(/0\.3 s|in time|time/)
})

test.each([
  ['GITHUB_PERSONAL_ACCESS_TOKEN', ''],
  ['Authorization', 'Bearer '],
])('"headerToEnv": { "%s": "GITHUB_PERSONAL_ACCESS_TOKEN" }', works('a header becomes a variable'), async (header, scheme) => {
  const name = 'GITHUB_PERSONAL_ACCESS_TOKEN'
  const proxy = await servesFile({ github: { ...CHILD_ENTRY, env: { [name]: '<YOUR_TOKEN>' }, headerToEnv: { [header]: name } } })
  const whoFor = async (token: string): Promise<Json> => {
    const headers = { accept: 'application/json, text/event-stream', [header]: `${scheme}${token}` }
    const url = proxy.at('/servers/github/mcp')
    const begun = await ask(url, { headers, body: initializeMessage(1) })
    const session = { ...headers, 'mcp-session-id': String(begun.headers['mcp-session-id']), 'mcp-protocol-version': '2025-11-25' }
    const [message] = messagesIn(await ask(url, { headers: session, body: callMessage(2, 'who') }))
    return jsonOf(at(message, 'result', 'structuredContent'))
  }
  const [ann, ben] = [await whoFor('ghp_of_ann'), await whoFor('ghp_of_ben')]
  expect([at(ann, 'env', name), at(ben, 'env', name)]).toEqual([`${scheme}ghp_of_ann`, `${scheme}ghp_of_ben`])
  expect(ann['pid']).not.toBe(ben['pid'])
  expect(proxy.stderr.join('\n')).not.toContain('ghp_')
})

test('/sse, /messages/, /mcp, /mcp/, /servers/NAME/{sse,messages/,mcp}', works('paths'), async () => {
  const proxy = await servesFile({ fetch: CHILD_ENTRY }, '--', ...CHILD)
  for (const path of ['/mcp', '/mcp/', '/servers/fetch/mcp', '/servers/fetch/mcp/']) {
    expect(await (await openSession(proxy.at(path))).call('echo', { path })).toEqual({ path })
  }
  expect(await (await openSse(proxy.url)).call('echo', { path: '/sse' })).toEqual({ path: '/sse' })
  const stream = await open(proxy.at('/servers/fetch/sse'), { headers: { accept: 'text/event-stream' } })
  expect(stream.status).toBe(200)
  await stream.stop()
  for (const path of ['/messages/', '/servers/fetch/messages/']) {
    // A session that nobody has: so it is the place for messages that answers, and no redirect to another.
    expect((await ask(proxy.at(`${path}?sessionId=made-up`), { body: initializeMessage(1) })).status).toBe(404)
  }
})

test('an unknown session is 404 (400 there), and none at all 400', differs('sessions that are over'), async () => {
  const proxy = await servesFile({ fetch: CHILD_ENTRY }, '--', ...CHILD)
  const headers = { accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2025-11-25' }
  for (const path of ['/mcp', '/servers/fetch/mcp']) {
    expect(await ask(proxy.at(path), { headers: { ...headers, 'mcp-session-id': 'made-up' }, body: callMessage(1, 'echo') })).toMatchObject({ status: 404 })
    expect(await ask(proxy.at(path), { headers, body: callMessage(1, 'echo') })).toMatchObject({ status: 400 })
  }
})

test('mcp-proxy --named-server beside --named-server-config (left out there)', differs('servers by name'), async () => {
  const proxy = await servesFile({ fetch: CHILD_ENTRY }, '--named-server', 'typed', CHILD.join(' '), '--port=0')
  await proxy.says(/warning: --named-server beside --named-server-config/)
  for (const name of ['fetch', 'typed']) expect(await childBehind(named(proxy, name))).toMatchObject({ argv: [] })
})

test('GET /status', works('status'), async () => {
  const proxy = await servesFile({ fetch: CHILD_ENTRY }, '--', ...CHILD)
  await openSession(proxy.url)
  expect(await ask(proxy.at('/status'))).toMatchObject({
    status: 200,
    json: { api_last_activity: expect.stringMatching(/^\d{4}-\d\d-\d\dT/), server_instances: { default: expect.any(String), fetch: expect.any(String) } },
  })
})

test('a command that is not there', works('one of many fails, the others serve'), async () => {
  const proxy = await servesFile({ here: CHILD_ENTRY, gone: { command: 'openmcp-test-no-such-command' } })
  expect(await childBehind(named(proxy, 'here'))).toMatchObject({ argv: [] })
})

test('an entry without a command is skipped there, a warning said', differs('a file with mistakes'), async () => {
  const { at: file } = files({ 'servers.json': { mcpServers: { one: { args: ['x'] }, two: { command: 'x', args: 'y' } } } })
  const { code, stderr } = await typed(['--port=0', '--named-server-config', file('servers.json')])
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/mcpServers\.one[^]*mcpServers\.two/) })
})

test(
  '{ "command": "mcp-proxy", "args": ["http://example.io/sse"], "env": { "API_ACCESS_TOKEN": "…" } }',
  works('started by a client that speaks stdio'),
  async () => {
    const there = await remote()
    expect(await calledOn(await speaks([`${there.origin}/sse`], { API_ACCESS_TOKEN: 'access-token' }))).toEqual({ by: 'remote' })
    expect(there.call.headers.authorization).toBe('Bearer access-token')
  },
)
