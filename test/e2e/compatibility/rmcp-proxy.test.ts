// The contract with those who come from rmcp-proxy (stephenlacy/mcp-proxy, in Rust).
import { chmodSync, mkdirSync } from 'node:fs'
import { expect, test } from 'vitest'

import { createOpenMcp } from '../../../src/index.ts'
import { contractOf } from '../../support/contract.ts'
import { nodeHome } from '../../support/node-home.ts'
import { typed } from '../../support/openmcp.ts'
import { forThisTest } from '../../support/tidy.ts'
import { ask, openSession, openSse } from '../../support/wire.ts'
import { CHILD, calledOn, childBehind, files, remote, serves, speaks } from './stage.ts'

const { works, differs } = contractOf('rmcp-proxy')

for (const [spelled, options, path, reached] of [
  ['http://localhost:9090/mcp/instances_abc123', [], '/mcp/instances_abc123', '/mcp/instances_abc123'],
  ['http://localhost:8080/sse', [], '/sse', '/messages'],
  ['--transport sse http://localhost:8080/events', ['--transport', 'sse'], '/events', '/messages'],
  ['--transport streamable-http http://localhost:9090/api', ['--transport', 'streamable-http'], '/api', '/api'],
  ['--transport auto http://localhost:9090/mcp', ['--transport', 'auto'], '/mcp', '/mcp'],
] as const) {
  test(`mcp-proxy ${spelled}`, works('a remote server on stdio'), async () => {
    const there = await remote()
    expect(await calledOn(await speaks([...options, `${there.origin}${path}`]))).toEqual({ by: 'remote' })
    expect(there.call.path).toBe(reached)
  })
}

test('SSE_URL=http://localhost:8080/sse mcp-proxy', works('a remote server on stdio'), async () => {
  const there = await remote()
  expect(await calledOn(await speaks([], { SSE_URL: `${there.origin}/sse` }))).toEqual({ by: 'remote' })
})

for (const option of ['-H', '--headers']) {
  test(`mcp-proxy ${option} KEY VALUE URL`, works('headers for the upstream'), async () => {
    const there = await remote()
    await calledOn(await speaks([option, 'Authorization', 'Bearer a-token', option, 'X-Second', 'two', `${there.origin}/mcp`]))
    expect(there.call.headers).toMatchObject({ authorization: 'Bearer a-token', 'x-second': 'two' })
  })
}

test('mcp-proxy --port 8080 -- your-command --arg1 value1', works('a command over HTTP'), async () => {
  const proxy = await serves(['--port', '0', '--', ...CHILD, '--', '--arg1', 'value1'])
  expect(proxy.url.hostname).toBe('127.0.0.1')
  expect(await childBehind(proxy)).toMatchObject({ argv: ['--', '--arg1', 'value1'] })
  expect(await (await openSse(proxy.url)).call('echo', { over: 'SSE' })).toEqual({ over: 'SSE' })
})

test('mcp-proxy --port 8080 python mcp_server.py', works('a command over HTTP'), async () => {
  expect(await childBehind(await serves(['--port', '0', ...CHILD]))).toMatchObject({ argv: [] })
})

for (const transport of ['streamable-http', 'sse', 'auto']) {
  test(`mcp-proxy --port 9090 --transport ${transport} -- CMD`, works('a command over HTTP'), async () => {
    const proxy = await serves(['--port', '0', '--transport', transport, '--', ...CHILD])
    expect(await childBehind(proxy)).toMatchObject({ argv: [] })
    expect(await (await openSse(proxy.url)).call('echo', { over: 'SSE' })).toEqual({ over: 'SSE' })
  })
}

test('mcp-proxy --host 127.0.0.1 --port 0 -- CMD', works('where to listen'), async () => {
  const { url } = await serves(['--host', '127.0.0.1', '--port', '0', '--', ...CHILD])
  expect([url.hostname, url.port]).toEqual(['127.0.0.1', expect.not.stringMatching(/^0?$/)])
})

test('mcp-proxy --host 0.0.0.0 --port 8080 -- CMD', differs('a public address'), async () => {
  const refused = await typed(['--host', '0.0.0.0', '--port', '0', '--', ...CHILD])
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('--insecure-no-auth') })
})

for (const option of ['-e', '--env']) {
  test(`mcp-proxy --port 8080 ${option} KEY VALUE ${option} ANOTHER_KEY ANOTHER_VALUE -- CMD`, works('environment of the child'), async () => {
    const proxy = await serves(['--port', '0', option, 'KEY', 'VALUE', option, 'ANOTHER_KEY', 'ANOTHER VALUE', '--', ...CHILD])
    expect(await childBehind(proxy)).toMatchObject({ env: { KEY: 'VALUE', ANOTHER_KEY: 'ANOTHER VALUE' } })
  })
}

test('mcp-proxy --port 8080 --pass-environment -- CMD', works('all of our environment for the child, when asked'), async () => {
  const proxy = await serves(['--port', '0', '--pass-environment', '--', ...CHILD], { MY_TEST_VARIABLE: 'passed on' })
  expect(await childBehind(proxy)).toMatchObject({ env: { MY_TEST_VARIABLE: 'passed on' } })
  expect(proxy.stderr.join('\n')).toMatch(/warning.*environment/i)
})

test('all of ours, also without --pass-environment', differs('environment of the child'), async () => {
  const { env } = await childBehind(await serves(['--port', '0', '--', ...CHILD], { MY_TEST_VARIABLE: 'ours' }))
  expect(env).not.toHaveProperty('MY_TEST_VARIABLE')
})

test('GET /health', works('health'), async () => {
  const proxy = await serves(['--port', '0', '--', ...CHILD])
  expect(await ask(proxy.at('/health'))).toMatchObject({ status: 200 })
})

test('at any path', differs('Streamable HTTP'), async () => {
  const proxy = await serves(['--port', '0', '--transport', 'streamable-http', '--', ...CHILD])
  await expect(openSession(proxy.at('/anything'))).rejects.toThrow('HTTP 404')
})

test('rmcp_proxy::run_sse_client, run_streamable_http_client', works('a library'), async () => {
  const there = await remote()
  const proxy = await createOpenMcp({ server: { url: `${there.origin}/mcp`, headers: { 'X-From': 'a program' } }, listen: { port: 0 } })
  await forThisTest({ stop: () => proxy.close() })
  expect(await (await openSession(new URL(proxy.url ?? ''))).call('echo')).toEqual({ by: 'remote' })
  expect(there.call.headers['x-from']).toBe('a program')
})

test('mcp-proxy reset', works('logins forgotten'), async () => {
  const home = await nodeHome()
  expect(await typed(['reset'], { env: home.env })).toMatchObject({ code: 0 })
})

test('MCP_REMOTE_CONFIG_DIR=DIR mcp-proxy URL', works('where logins are kept'), async () => {
  const { directory, at: file } = files({})
  mkdirSync(file('openmcp'))
  chmodSync(file('openmcp'), 0o777)
  // It is looked at, and others could look too: that is refused, by its name.
  const listed = await typed(['login', '--list'], { env: { MCP_REMOTE_CONFIG_DIR: directory, OPENMCP_HOME: '' } })
  expect(listed.code).not.toBe(0)
  expect(listed.stderr).toContain(file('openmcp'))
})

test('mcp-proxy -V, --version, -h, --help', works('version and help'), async () => {
  for (const word of ['-V', '--version']) expect(await typed([word])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^openmcp \d/) })
  for (const word of ['-h', '--help']) expect(await typed([word])).toMatchObject({ code: 0, stdout: expect.stringContaining('openmcp run') })
})

test('RUST_LOG=debug mcp-proxy URL (logs go to stdout there)', works('stdout belongs to the protocol'), async () => {
  const there = await remote()
  const proxy = await speaks([`${there.origin}/mcp`], { RUST_LOG: 'debug' })
  await calledOn(proxy)
  expect(proxy.messages().map((message) => message['jsonrpc'])).toEqual(proxy.stdout.map(() => '2.0'))
})
