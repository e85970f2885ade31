// The contract with those who come from mcpo: its file, and how it is followed.
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'

import { contractOf } from '../../support/contract.ts'
import { at, type Json } from '../../support/json.ts'
import { callMessage, initializeMessage, typed, type Proxy } from '../../support/openmcp.ts'
import { gone } from '../../support/processes.ts'
import { until } from '../../support/until.ts'
import { ask, openSession } from '../../support/wire.ts'
import { CHILD, files, remote, serves } from './stage.ts'

const { works, differs } = contractOf('mcpo')
const [COMMAND = '', ...ARGS] = CHILD
const CHILD_ENTRY = { command: COMMAND, args: ARGS }

function servesFile(content: Json | string, ...options: string[]): Promise<Proxy> {
  const { at: file } = files({ 'config.json': content })
  return serves([...(options.length > 0 ? options : ['--port', '0']), '--config', file('config.json')])
}

const behind = (proxy: Proxy, name: string) => openSession(proxy.at(`/servers/${name}/mcp`))

test('mcpo --config /path/to/config.json: command, args, cwd, env; // comments', works('servers by a file'), async () => {
  const { directory } = files({})
  const proxy = await servesFile(`{
    "mcpServers": {
      "memory": { "command": ${JSON.stringify(COMMAND)}, "args": ${JSON.stringify(ARGS)}, "cwd": ${JSON.stringify(directory)} },
      "time": { "command": ${JSON.stringify(COMMAND)}, "args": ${JSON.stringify(ARGS)}, "env": { "ZONE": "UTC" } } // as in its README
    }
  }`)
  expect(await (await behind(proxy, 'memory')).call('who')).toMatchObject({ cwd: directory })
  expect(await (await behind(proxy, 'time')).call('who')).toMatchObject({ env: { ZONE: 'UTC' } })
})

for (const option of ['-c', '--config']) {
  test(`mcpo ${option} FILE --hot-reload`, works('servers by a file'), async () => {
    const { at: file } = files({ 'config.json': { mcpServers: { memory: CHILD_ENTRY } } })
    const proxy = await serves([option, file('config.json'), '--hot-reload', '--port', '0'])
    expect(await (await behind(proxy, 'memory')).call('echo', { by: 'name' })).toEqual({ by: 'name' })
  })
}

test('"type": "sse" | "streamable-http", "url", "headers"', works('a remote server of a file'), async () => {
  const there = await remote()
  const headers = { Authorization: 'Bearer token', 'X-Custom-Header': 'value' }
  const proxy = await servesFile({
    mcpServers: {
      mcp_sse: { type: 'sse', url: `${there.origin}/sse`, headers },
      mcp_streamable_http: { type: 'streamable-http', url: `${there.origin}/mcp` },
      bare: { url: `${there.origin}/sse` },
    },
  })
  expect(await (await behind(proxy, 'mcp_sse')).call('echo')).toEqual({ by: 'remote' })
  expect(there.call).toMatchObject({ path: '/messages', headers: { authorization: 'Bearer token', 'x-custom-header': 'value' } })
  expect(await (await behind(proxy, 'mcp_streamable_http')).call('echo')).toEqual({ by: 'remote' })
  expect(there.call).toMatchObject({ path: '/mcp' })
  expect(await (await behind(proxy, 'bare')).call('echo')).toEqual({ by: 'remote' })
  expect(there.call).toMatchObject({ path: '/messages' })
})

for (const member of ['disabledTools', 'disabled_tools']) {
  test(`"${member}": ["convert_time"]`, works('tools that are not there'), async () => {
    const there = await remote()
    const proxy = await servesFile({ mcpServers: { time: { url: `${there.origin}/mcp`, [member]: ['delete_all'] } } })
    const session = await behind(proxy, 'time')
    const listed = await session.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' })
    expect(at(await listed.message(({ id }) => id === 1), 'result', 'tools')).toEqual([expect.objectContaining({ name: 'echo' })])
    const called = await session.post(callMessage(2, 'delete_all'))
    expect(await called.message(({ id }) => id === 2)).toHaveProperty('error')
    expect(there.received.filter(({ body }) => body['method'] === 'tools/call')).toEqual([])
  })
}

test('"client_header_forwarding": { "enabled": true, "whitelist": ["X-User-Id"] }', works('headers of a caller go up'), async () => {
  const there = await remote()
  const forwarding = { enabled: true, whitelist: ['X-User-Id'] }
  const proxy = await servesFile({ mcpServers: { far: { url: `${there.origin}/mcp`, client_header_forwarding: forwarding } } })
  const session = await behind(proxy, 'far')
  const called = await session.post(callMessage(1, 'echo'), { 'x-user-id': 'ann', 'x-other': 'kept back' })
  await called.whole()
  expect(there.call.headers['x-user-id']).toBe('ann')
  expect(there.call.headers).not.toHaveProperty('x-other')
})

test('"oauth": { "server_url", "storage_type", "callback_port", "use_loopback", "client_metadata" }', works('members about a login'), async () => {
  const there = await remote()
  const url = `${there.origin}/mcp`
  const oauth = { server_url: there.origin, storage_type: 'file', callback_port: 3030, use_loopback: true }
  const client_metadata = { client_name: 'My MCPO Client', redirect_uris: ['http://localhost:3030/callback'] }
  const proxy = await servesFile({
    mcpServers: {
      far: { type: 'streamable-http', url, oauth },
      legacy: { type: 'streamable-http', url, oauth: { server_url: there.origin, client_metadata } },
    },
  })
  for (const name of ['far', 'legacy']) expect(await (await behind(proxy, name)).call('echo')).toEqual({ by: 'remote' })
})

test('"oauth": { "multi_user": true }', differs('members about a login'), async () => {
  const oauth = { server_url: 'https://mcp.example.com', multi_user: true }
  const { at: file } = files({ 'config.json': { mcpServers: { far: { type: 'streamable-http', url: 'https://mcp.example.com/mcp', oauth } } } })
  expect(await typed(['--port', '0', '--config', file('config.json')])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/mcpServers\.far\.oauth: each caller has a login of their own(?:.|\n)*--security/),
  })
})

test('"client_header_forwarding": { "whitelist": ["X-User-*"] }', differs('headers of a caller go up'), async () => {
  const client_header_forwarding = { enabled: true, whitelist: ['X-User-*'] }
  const { at: file } = files({ 'config.json': { mcpServers: { far: { url: 'https://mcp.example.com/mcp', client_header_forwarding } } } })
  expect(await typed(['--port', '0', '--config', file('config.json')])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/client_header_forwarding\.whitelist\[0\]: .*whole name/),
  })
})

test('--hot-reload: what was added serves, what was removed is gone', works('a changed file is followed'), async () => {
  const { at: file } = files({ 'config.json': { mcpServers: { first: CHILD_ENTRY, stays: CHILD_ENTRY } } })
  const proxy = await serves(['--config', file('config.json'), '--hot-reload', '--port', '0'])
  const [first, stays] = [await behind(proxy, 'first'), await behind(proxy, 'stays')]
  const pid = Number((await first.call('who'))['pid'])
  const same = (await stays.call('who'))['pid']
  writeFileSync(file('config.json'), JSON.stringify({ mcpServers: { stays: CHILD_ENTRY, second: CHILD_ENTRY } }))
  await until('the second', async () => (await ask(proxy.at('/servers/second/mcp'), { body: initializeMessage(1) })).status !== 404)
  await until('the end of the first', async () => (await ask(proxy.at('/servers/first/mcp'), { body: initializeMessage(1) })).status === 404)
  await gone(pid)
  expect((await stays.call('who'))['pid']).toBe(same)
  writeFileSync(file('config.json'), '{ "mcpServers": { ')
  await proxy.says(/error/)
  expect((await stays.call('who'))['pid']).toBe(same)
})

test('told all at once, exit code 2', differs('a file with mistakes'), async () => {
  const { at: file } = files({ 'config.json': { mcpServers: { one: { type: 'sse' }, two: { command: 1 }, three: { command: 'x', disabledTools: 'y' } } } })
  const { code, stderr } = await typed(['--port', '0', '--config', file('config.json')])
  expect(code).toBe(2)
  for (const path of ['mcpServers.one', 'mcpServers.two.command', 'mcpServers.three.disabledTools']) expect(stderr).toContain(path)
})

for (const [path, status] of [
  ['/far/login', 303],
  ['/oauth/far/authorize', 303],
  ['/oauth/far/status', 401],
] as const) {
  test(`mcpo --config FILE: ${path} of "multi_user": true`, works('members about a login'), async () => {
    const there = await remote()
    const far = { type: 'streamable-http', url: `${there.origin}/mcp`, oauth: { multi_user: true } }
    const { at: file, directory } = files({ 'config.json': { mcpServers: { far } } })
    const options = ['--as', 'mcpo', '--port', '0', '--api-key', randomBytes(32).toString('hex'), '--config', file('config.json')]
    const proxy = await serves(options, { OPENMCP_HOME: directory })
    expect(await ask(proxy.at(path))).toMatchObject({ status })
  })
}

for (const [path, body] of [
  ['/memory/docs', undefined],
  ['/memory/openapi.json', undefined],
  ['/memory/echo', { text: 'x' }],
] as const) {
  test(`mcpo --config FILE: ${path}`, works('tools as REST'), async () => {
    const proxy = await servesFile({ mcpServers: { memory: { ...CHILD_ENTRY, openapi: true } } })
    expect(await ask(proxy.at(path), body ? { body } : {})).toMatchObject({ status: 200 })
  })
}
