// The contract with those who come from mcpo: its command line, and the MCP that is behind it. Its REST is the OpenAPI door.
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'

import { contractOf } from '../../support/contract.ts'
import { initializeMessage, typed, type Proxy } from '../../support/openmcp.ts'
import { strippingProxy } from '../../support/stripping-proxy.ts'
import { hasOpenssl, tlsHost } from '../../support/tls-host.ts'
import { forThisTest } from '../../support/tidy.ts'
import { ask, openSession } from '../../support/wire.ts'
import { CHILD, childBehind, files, remote, serves, servesQuietly } from './stage.ts'

const { works, differs } = contractOf('mcpo')
const KEY = randomBytes(32).toString('hex')

/** What a caller with these headers is told at `/mcp`. */
function statusFor(proxy: Proxy, headers: Readonly<Record<string, string>> = {}): Promise<{ status: number }> {
  return ask(proxy.url, { headers: { accept: 'application/json, text/event-stream', ...headers }, body: initializeMessage(1) })
}

for (const option of ['--api-key', '-k']) {
  test(`mcpo --port 8000 ${option} KEY -- your_mcp_server_command`, works('keys: whoever has none stays outside'), async () => {
    const proxy = await serves(['--port', '0', option, KEY, '--', ...CHILD], { OPENMCP_HOME: files({}).directory })
    expect(await statusFor(proxy)).toMatchObject({ status: 401 })
    expect(await statusFor(proxy, { authorization: 'Bearer wrong' })).toMatchObject({ status: 401 })
    expect(await statusFor(proxy, { authorization: `Bearer ${KEY}` })).toMatchObject({ status: 200 })
    expect(proxy.stderr.join('\n')).not.toContain(KEY)
  })
}

test('mcpo --strict-auth --port 8000 --api-key KEY -- CMD', works('keys: whoever has none stays outside'), async () => {
  const proxy = await serves(['--strict-auth', '--port', '0', '--api-key', KEY, '--', ...CHILD], { OPENMCP_HOME: files({}).directory })
  expect(await statusFor(proxy)).toMatchObject({ status: 401 })
})

for (const options of [
  ['--port', '0'],
  ['-p', '0'],
  ['--host', '127.0.0.1', '--port', '0'],
]) {
  test(`mcpo ${options.join(' ').replace(/\b0$/, '8000')} -- your_mcp_server_command`, works('a command over HTTP'), async () => {
    expect(await childBehind(await serves([...options, '--', ...CHILD]))).toMatchObject({ argv: [] })
  })
}

test('mcpo -- CMD (0.0.0.0 without a key there), mcpo --host 0.0.0.0 -- CMD', differs('a public address'), async () => {
  expect(await typed(['--host', '0.0.0.0', '--port', '0', '--', ...CHILD])).toMatchObject({ code: 2, stderr: expect.stringContaining('--insecure-no-auth') })
})

for (const [option, type, path, reached] of [
  ['--server-type', 'sse', '/sse', '/messages'],
  ['--type', 'sse', '/sse', '/messages'],
  ['--server-type', 'streamable-http', '/mcp', '/mcp'],
  ['--server-type', 'streamable_http', '/mcp', '/mcp'],
  ['--type', 'streamablehttp', '/mcp', '/mcp'],
] as const) {
  test(`mcpo --port 8000 ${option} "${type}" -- http://127.0.0.1:8001${path}`, works('a remote server over HTTP'), async () => {
    const there = await remote()
    const proxy = await serves(['--port', '0', option, type, '--', `${there.origin}${path}`])
    expect(await (await openSession(proxy.url)).call('echo')).toEqual({ by: 'remote' })
    expect(there.call.path).toBe(reached)
  })
}

for (const option of ['--header', '-H']) {
  test(
    `mcpo --server-type "sse" ${option} '{"Authorization": "Bearer token", "X-Custom-Header": "value"}' -- URL`,
    works('headers for the upstream'),
    async () => {
      const there = await remote()
      const header = '{"Authorization": "Bearer token", "X-Custom-Header": "value"}'
      const proxy = await serves(['--port', '0', '--server-type', 'sse', option, header, '--', `${there.origin}/sse`])
      await (await openSession(proxy.url)).call('echo')
      expect(there.call.headers).toMatchObject({ authorization: 'Bearer token', 'x-custom-header': 'value' })
    },
  )
}

test("mcpo --header '{not JSON' (dropped there, and it starts)", differs('headers for the upstream'), async () => {
  const there = await remote()
  const refused = await typed(['--port', '0', '--server-type', 'sse', '--header', '{"Authorization": "Bearer tok', '--', `${there.origin}/sse`])
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('--header') })
  expect(refused.stderr).not.toContain('Bearer tok')
  expect(there.received).toEqual([])
})

for (const option of ['--env', '-e']) {
  test(`mcpo ${option} KEY=VALUE -- CMD`, works('environment of the child'), async () => {
    expect(await childBehind(await serves(['--port', '0', option, 'KEY=VALUE', '--', ...CHILD]))).toMatchObject({ env: { KEY: 'VALUE' } })
  })
}

test('mcpo --env-path .env -- CMD', works('environment of the child'), async () => {
  const { at } = files({ '.env': 'FROM_FILE=yes\n' })
  expect(await childBehind(await serves(['--port', '0', '--env-path', at('.env'), '--', ...CHILD]))).toMatchObject({ env: { FROM_FILE: 'yes' } })
})

for (const options of [
  ['--path-prefix', '/tools/'],
  ['--path-prefix', 'tools'],
]) {
  test(`mcpo ${options.join(' ')} -- CMD`, works('other paths'), async () => {
    const proxy = await serves([...options, '--port', '0', '--', ...CHILD])
    expect(proxy.url.pathname).toBe('/tools/mcp')
    expect(await childBehind(proxy)).toMatchObject({ argv: [] })
  })
}

test('mcpo --root-path /api/mcpo -- CMD, behind a proxy that takes it off', works('other paths'), async () => {
  const openmcp = await serves(['--as', 'mcpo', '--root-path', '/api/mcpo', '--port', '0', '--', ...CHILD])
  const { base } = await forThisTest(strippingProxy('/api/mcpo', openmcp.url))
  expect((await ask(new URL(`${base}/openapi.json`))).json).toMatchObject({ servers: [{ url: '/api/mcpo' }] })
  expect((await ask(new URL(`${base}/echo`), { body: { text: 'x' } })).status).toBe(200)
})

test('mcpo --root-path /api/mcpo -- CMD, behind a proxy that leaves it (served there, too)', differs('other paths'), async () => {
  const left = await serves(['--as', 'mcpo', '--root-path', '/api/mcpo', '--port', '0', '--', ...CHILD])
  expect((await ask(left.at('/api/mcpo/echo'), { body: { text: 'x' } })).status).toBe(404)
  const ours = await serves(['--as', 'mcpo', '--path-prefix', '/api/mcpo', '--port', '0', '--', ...CHILD])
  expect((await ask(ours.at('/api/mcpo/echo'), { body: { text: 'x' } })).status).toBe(200)
})

test('mcpo --cors-allow-origins https://a.example -- CMD', works('web pages that may call'), async () => {
  const proxy = await serves(['--cors-allow-origins', 'https://a.example', '--port', '0', '--', ...CHILD])
  expect(await ask(proxy.at('/health'), { headers: { origin: 'https://a.example' } })).toMatchObject({
    headers: { 'access-control-allow-origin': 'https://a.example' },
  })
})

test('mcpo -- CMD (any page, with credentials, there)', differs('web pages that may call'), async () => {
  const proxy = await serves(['--port', '0', '--', ...CHILD])
  expect(await ask(proxy.at('/health'), { headers: { origin: 'https://evil.example' } })).toMatchObject({ status: 403 })
  const told = await serves(['--cors-allow-origins', '*', '--port', '0', '--', ...CHILD])
  await told.says(/warning: --cors-allow-origins \* is left out/)
  expect(await ask(told.at('/health'), { headers: { origin: 'https://evil.example' } })).toMatchObject({ status: 403 })
})

for (const [cert, key] of [
  ['--ssl-certfile', '--ssl-keyfile'],
  ['-t', '-K'],
] as const) {
  test.skipIf(!hasOpenssl)(`mcpo ${cert} cert.pem ${key} key.pem -- CMD`, works('TLS'), async () => {
    const host = await forThisTest(tlsHost())
    const proxy = await serves([cert, host.certificate, key, host.key, '--port', '0', '--', ...CHILD])
    expect(proxy.url.protocol).toBe('https:')
  })
}

test('mcpo --name N --description D --version V -- CMD (of several servers alone, there)', differs('tools as REST'), async () => {
  const proxy = await serves(['--name', 'mine', '--description', 'what it is', '--port', '0', '--', ...CHILD])
  for (const option of ['--name', '--description']) expect(await proxy.says(new RegExp(`warning: ${option} is left out: `))).toBeTruthy()
})

test('mcpo --log-level DEBUG, INFO, WARNING, ERROR, CRITICAL; LOG_LEVEL', works('log levels'), async () => {
  for (const level of ['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL']) {
    expect(await childBehind(await servesQuietly((port) => ['--log-level', level, '--port', port, '--', ...CHILD]))).toMatchObject({ argv: [] })
  }
  expect(await childBehind(await serves(['--port', '0', '--', ...CHILD], { LOG_LEVEL: 'DEBUG' }))).toMatchObject({ argv: [] })
})

test('CONNECTION_TIMEOUT=20 mcpo (--as mcpo) -- CMD', works('retries and time limits'), async () => {
  const proxy = await serves(['--as', 'mcpo', '--port', '0', '--', ...CHILD], { CONNECTION_TIMEOUT: '20' })
  await proxy.says(/taken as: .* --connect-timeout 20 /)
  expect(await childBehind(proxy)).toMatchObject({ argv: [] })
})

test('mcpo -h HOST (--as mcpo)', works('where to listen'), async () => {
  const { url } = await serves(['--as', 'mcpo', '-h', '127.0.0.1', '-p', '0', '--', ...CHILD])
  expect(url.hostname).toBe('127.0.0.1')
})

test('mcpo -h HOST (help here)', differs('version and help'), async () => {
  expect(await typed(['-h'])).toMatchObject({ code: 0, stdout: expect.stringContaining('openmcp run') })
})

test('mcpo --port 8000 (exit code 1 there)', differs('nothing to do'), async () => {
  expect(await typed(['--port', '0'])).toMatchObject({ code: 2, stderr: expect.stringContaining('hint: ') })
})

for (const [spelled, path, body] of [
  ['POST /TOOL', '/echo', { text: 'x' }],
  ['GET /openapi.json', '/openapi.json', undefined],
  ['GET /docs', '/docs', undefined],
] as const) {
  test(`mcpo: ${spelled}`, works('tools as REST'), async () => {
    const proxy = await serves(['--as', 'mcpo', '--port', '0', '--', ...CHILD])
    expect(await ask(proxy.at(path), body ? { body } : {})).toMatchObject({ status: 200 })
  })
}
