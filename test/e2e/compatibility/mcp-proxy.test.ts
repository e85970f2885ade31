// The contract with those who come from mcp-proxy (sparfenyuk/mcp-proxy, in Python): what is typed.
import { expect, test } from 'vitest'

import { contractOf } from '../../support/contract.ts'
import { at } from '../../support/json.ts'
import { initializeMessage, typed } from '../../support/openmcp.ts'
import { hasOpenssl, tlsHost } from '../../support/tls-host.ts'
import { forThisTest } from '../../support/tidy.ts'
import { ask, openSession, openSse } from '../../support/wire.ts'
import { CHILD, CHILD_LINE, calledOn, childBehind, files, remote, serves, servesQuietly, speaks } from './stage.ts'

const { works, differs } = contractOf('mcp-proxy')

for (const [spelled, options, path, reached] of [
  ['http://localhost:8080/sse', [], '/sse', '/messages'],
  ['--transport streamablehttp http://localhost:8080/mcp', ['--transport', 'streamablehttp'], '/mcp', '/mcp'],
  ['--transport=sse http://localhost:8080/events', ['--transport=sse'], '/events', '/messages'],
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
  test(`mcp-proxy ${option} Authorization 'Bearer YOUR_TOKEN' http://localhost:8080/sse`, works('headers for the upstream'), async () => {
    const there = await remote()
    await calledOn(await speaks([option, 'Authorization', 'Bearer YOUR_TOKEN', option, 'X-Second', 'two', `${there.origin}/sse`]))
    expect(there.call.headers).toMatchObject({ authorization: 'Bearer YOUR_TOKEN', 'x-second': 'two' })
  })
}

test('API_ACCESS_TOKEN=access-token mcp-proxy http://example.io/sse', works('a token for the upstream'), async () => {
  const there = await remote()
  await calledOn(await speaks([`${there.origin}/sse`], { API_ACCESS_TOKEN: 'access-token' }))
  expect(there.call.headers).toMatchObject({ authorization: 'Bearer access-token' })
})

test('API_ACCESS_TOKEN beside -H Authorization: it goes before it', works('a token for the upstream'), async () => {
  const there = await remote()
  await calledOn(await speaks(['-H', 'Authorization', 'Bearer typed', `${there.origin}/sse`], { API_ACCESS_TOKEN: 'access-token' }))
  expect(there.call.headers.authorization).toBe('Bearer access-token')
})

for (const spelled of [['--port=0'], ['--port', '0'], ['--sse-port=0'], ['--sse-port', '0', '--sse-host', '127.0.0.1'], ['--host=127.0.0.1', '--port=0']]) {
  test(`mcp-proxy ${spelled.join(' ').replaceAll(/\b0\b(?!\.)/g, '8080')} uvx mcp-server-fetch`, works('a command over HTTP'), async () => {
    const proxy = await serves([...spelled, ...CHILD])
    expect(proxy.url.hostname).toBe('127.0.0.1')
    expect(await childBehind(proxy)).toMatchObject({ argv: [] })
    expect(await (await openSse(proxy.url)).call('echo', { over: 'SSE' })).toEqual({ over: 'SSE' })
  })
}

test('mcp-proxy --port=8080 -- uvx mcp-server-fetch --user-agent=YourUserAgent', works('a command over HTTP'), async () => {
  const proxy = await serves(['--port=0', '--', ...CHILD, '--', '--user-agent=YourUserAgent'])
  expect(await childBehind(proxy)).toMatchObject({ argv: ['--', '--user-agent=YourUserAgent'] })
})

test('mcp-proxy uvx mcp-server-fetch (a random port there)', differs('a command without a port'), async () => {
  expect(await calledOn(await speaks(CHILD), 'echo', { on: 'stdio' })).toEqual({ on: 'stdio' })
})

test('mcp-proxy --host=0.0.0.0 --port=8080 uvx mcp-server-fetch', differs('a public address'), async () => {
  for (const option of ['--host=0.0.0.0', '--sse-host=0.0.0.0']) {
    expect(await typed([option, '--port=0', ...CHILD])).toMatchObject({ code: 2, stderr: expect.stringContaining('--insecure-no-auth') })
  }
})

for (const option of ['-e', '--env']) {
  test(`mcp-proxy --port 8080 ${option} KEY VALUE ${option} ANOTHER_KEY ANOTHER_VALUE -- CMD`, works('environment of the child'), async () => {
    const proxy = await serves(['--port', '0', option, 'KEY', 'VALUE', option, 'ANOTHER_KEY', 'ANOTHER VALUE', '--', ...CHILD])
    expect(await childBehind(proxy)).toMatchObject({ env: { KEY: 'VALUE', ANOTHER_KEY: 'ANOTHER VALUE' } })
  })
}

test('mcp-proxy --port 8080 --cwd DIR -- CMD', works('directory of the child'), async () => {
  const { directory } = files({})
  expect(await childBehind(await serves(['--port', '0', '--cwd', directory, '--', ...CHILD]))).toMatchObject({ cwd: directory })
})

test('mcp-proxy --pass-environment --port=8096 --sse-host 127.0.0.1 CMD', works('all of our environment for the child, when asked'), async () => {
  const proxy = await serves(['--pass-environment', '--port=0', '--sse-host', '127.0.0.1', ...CHILD], { MY_TEST_VARIABLE: 'passed on' })
  expect(await childBehind(proxy)).toMatchObject({ env: { MY_TEST_VARIABLE: 'passed on' } })
})

test('mcp-proxy --no-pass-environment --port 8080 -- CMD', works('environment of the child'), async () => {
  const { env } = await childBehind(await serves(['--no-pass-environment', '--port', '0', '--', ...CHILD], { MY_TEST_VARIABLE: 'ours' }))
  expect(env).not.toHaveProperty('MY_TEST_VARIABLE')
})

test('mcp-proxy --log-level DEBUG, INFO; --debug, --no-debug', works('log levels'), async () => {
  for (const options of [['--log-level', 'DEBUG'], ['--log-level=INFO'], ['--debug'], ['--no-debug']]) {
    expect(await childBehind(await serves([...options, '--port', '0', '--', ...CHILD]))).toMatchObject({ argv: [] })
  }
})

test('mcp-proxy --log-level WARNING, ERROR, CRITICAL', works('log levels'), async () => {
  for (const level of ['WARNING', 'ERROR', 'CRITICAL'])
    expect(await childBehind(await servesQuietly((port) => ['--log-level', level, '--port', port, '--', ...CHILD]))).toMatchObject({ argv: [] })
})

test("mcp-proxy --port=8080 --named-server fetch 'uvx mcp-server-fetch' --named-server fetch2 '…'", works('servers by name'), async () => {
  const proxy = await serves(['--port=0', '--named-server', 'fetch', CHILD_LINE, '--named-server', 'fetch2', `${CHILD_LINE} -- 'two words' --verbose`])
  expect(await childBehind(Object.assign(proxy, { url: proxy.at('/servers/fetch2/mcp') }))).toMatchObject({ argv: ['--', 'two words', '--verbose'] })
  expect(await (await openSession(proxy.at('/servers/fetch/mcp'))).call('echo', { by: 'name' })).toEqual({ by: 'name' })
  expect(await ask(proxy.at('/servers/nobody/mcp'), { body: initializeMessage(1) })).toMatchObject({ status: 404 })
})

test("mcp-proxy --port 8080 --named-server fetch1 'CMD' -- my-default-command --arg1", works('servers by name'), async () => {
  const proxy = await serves(['--port', '0', '--named-server', 'fetch1', CHILD_LINE, '--', ...CHILD, '--', '--arg1'])
  expect(await childBehind(proxy)).toMatchObject({ argv: ['--', '--arg1'] })
  expect(await (await openSession(proxy.at('/servers/fetch1/mcp'))).call('echo', { by: 'name' })).toEqual({ by: 'name' })
  expect(at((await ask(proxy.at('/status'))).json, 'server_instances')).toMatchObject({ default: expect.any(String), fetch1: expect.any(String) })
})

test('mcp-proxy --port 8080 --stateless -- CMD', works('stateless'), async () => {
  const proxy = await serves(['--port', '0', '--stateless', '--', ...CHILD])
  const headers = { accept: 'application/json, text/event-stream' }
  const initialized = await ask(proxy.url, { headers, body: initializeMessage(1) })
  expect(initialized.status).toBe(200)
  expect(initialized.headers).not.toHaveProperty('mcp-session-id')
  const listed = await ask(proxy.url, { headers, body: { jsonrpc: '2.0', id: 2, method: 'tools/list' } })
  expect(listed.status).toBe(200)
  expect(listed.text).toContain('"echo"')
})

test('mcp-proxy --port 8080 --no-stateless -- CMD', works('stateless'), async () => {
  expect((await openSession((await serves(['--port', '0', '--no-stateless', '--', ...CHILD])).url)).id).not.toBe('')
})

test('mcp-proxy --port 8080 --allow-origin https://a.example https://b.example -- CMD', works('web pages that may call'), async () => {
  const proxy = await serves(['--port', '0', '--allow-origin', 'https://a.example', 'https://b.example', '--expose-header', 'x-mine', '--', ...CHILD])
  for (const origin of ['https://a.example', 'https://b.example']) {
    expect(await ask(proxy.at('/health'), { headers: { origin } })).toMatchObject({ headers: { 'access-control-allow-origin': origin } })
  }
  expect(await ask(proxy.at('/health'), { headers: { origin: 'https://c.example' } })).toMatchObject({ status: 403 })
})

test('mcp-proxy --port 8080 --allow-origin ORIGIN --expose-header NAME -- CMD', works('headers web pages may read'), async () => {
  const proxy = await serves(['--port', '0', '--allow-origin', 'https://a.example', '--expose-header', 'x-mine', '--', ...CHILD])
  const { headers } = await ask(proxy.at('/health'), { headers: { origin: 'https://a.example' } })
  expect(String(headers['access-control-expose-headers']).toLowerCase()).toContain('x-mine')
})

test("mcp-proxy --port 8080 --allow-origin='*' -- CMD", differs('web pages that may call'), async () => {
  const proxy = await serves(['--port', '0', '--allow-origin=*', '--', ...CHILD])
  await proxy.says(/warning: --allow-origin \* is left out: .*--allow-origin ORIGIN/)
  expect(await ask(proxy.at('/health'), { headers: { origin: 'https://evil.example' } })).toMatchObject({ status: 403 })
})

test.skipIf(!hasOpenssl)('mcp-proxy --verify-ssl CA.pem, --verify-ssl, --verify-ssl false, --no-verify-ssl URL', works('certificates'), async () => {
  const host = await forThisTest(tlsHost())
  const failure = async (...options: string[]): Promise<string> => {
    const proxy = await speaks([...options, '--transport', 'streamablehttp', '--connect-timeout', '5', `${host.origin}/mcp`])
    proxy.send(initializeMessage(1))
    return JSON.stringify((await proxy.answerTo(1))['error'])
  }
  // Whoever is believed there answers 404, and whoever is not has no answer at all.
  for (const options of [[], ['--verify-ssl'], ['--verify-ssl', 'true']]) expect(await failure(...options)).toMatch(/certificate/i)
  const asked = host.asked.length
  expect(asked).toBe(0)
  for (const options of [['--verify-ssl', host.certificate], ['--verify-ssl', 'false'], ['--no-verify-ssl']]) expect(await failure(...options)).toContain('404')
  expect(host.asked.length).toBeGreaterThan(0)
})

test('mcp-proxy --client-id ID --client-secret SECRET --token-url URL URL', works('client credentials'), async () => {
  const there = await remote()
  const issuer = await remote('issuer')
  const proxy = await speaks([
    '--client-id',
    'me',
    '--client-secret',
    'mine',
    '--token-url',
    `${issuer.origin}/token`,
    '--transport',
    'streamablehttp',
    `${there.origin}/mcp`,
  ])
  await calledOn(proxy)
  expect(issuer.received.map(({ path }) => path)).toContain('/token')
  expect(there.call.headers.authorization).toBe('Bearer by-client-credentials')
})

test('mcp-proxy --client-id ID URL (silently none there)', differs('client credentials'), async () => {
  const there = await remote()
  expect(await typed(['--client-id', 'me', '--transport', 'streamablehttp', `${there.origin}/mcp`])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--client-secret-file'),
  })
  expect(there.received).toEqual([])
})

test('mcp-proxy (usage, exit code 1 there)', differs('nothing to do'), async () => {
  expect(await typed([])).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('openmcp: error: ') })
})

test('mcp-proxy --version, -h, --help', works('version and help'), async () => {
  expect(await typed(['--version'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^openmcp \d/) })
  for (const word of ['-h', '--help']) expect(await typed([word])).toMatchObject({ code: 0, stdout: expect.stringContaining('openmcp run') })
})
