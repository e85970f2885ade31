// The contract with those who come from supergateway.
import { expect, test } from 'vitest'

import { contractOf } from '../../support/contract.ts'
import { initializeMessage, typed } from '../../support/openmcp.ts'
import { ask, open, openSession, openSse } from '../../support/wire.ts'
import { CHILD_LINE, calledOn, childBehind, remote, serves, servesQuietly, speaks } from './stage.ts'

const { works, differs } = contractOf('supergateway')
const STDIO = ['--stdio', CHILD_LINE, '--port', '0']

for (const [spelled, options] of [
  ['--stdio "CMD" --port 8000', []],
  [
    '--stdio "CMD" --port 8000 --baseUrl http://localhost:8000 --ssePath /sse --messagePath /message',
    ['--baseUrl', 'http://localhost:8000', '--ssePath', '/sse', '--messagePath', '/message'],
  ],
  ['--stdio "CMD" --outputTransport sse --port 8000', ['--outputTransport', 'sse']],
] as const) {
  test(`supergateway ${spelled}`, works('a command over HTTP'), async () => {
    const proxy = await serves([...STDIO, ...options])
    expect(await (await openSse(proxy.url)).call('echo', { over: 'SSE' })).toEqual({ over: 'SSE' })
  })
}

test('--stdio "CMD \'two words\'"', works('a command over HTTP'), async () => {
  expect(await childBehind(await serves(['--stdio', `${CHILD_LINE} -- 'two words'`, '--port', '0']))).toMatchObject({ argv: ['--', 'two words'] })
})

test('--stdio "CMD" --outputTransport streamableHttp --port 8000', works('stateless'), async () => {
  const proxy = await serves([...STDIO, '--outputTransport', 'streamableHttp'])
  const initialized = await ask(proxy.url, { headers: { accept: 'application/json, text/event-stream' }, body: initializeMessage(1) })
  expect(initialized.status).toBe(200)
  expect(initialized.headers).not.toHaveProperty('mcp-session-id')
})

test(
  '--stdio "CMD" --outputTransport streamableHttp --stateful --sessionTimeout 60000 --port 8000',
  works('sessions of their own over Streamable HTTP'),
  async () => {
    const proxy = await serves([...STDIO, '--outputTransport', 'streamableHttp', '--stateful', '--sessionTimeout', '60000'])
    const pids = await Promise.all([1, 2].map(async () => (await (await openSession(proxy.url)).call('who'))['pid']))
    expect(new Set(pids).size).toBe(2)
  },
)

test('supergateway --stdio "CMD" --outputTransport stdio', works('a command on stdio'), async () => {
  expect(await calledOn(await speaks(['--stdio', CHILD_LINE, '--outputTransport', 'stdio']), 'echo', { on: 'stdio' })).toEqual({ on: 'stdio' })
})

test('supergateway --stdio "CMD" --ssePath /prefix/sse', works('other paths'), async () => {
  const proxy = await serves([...STDIO, '--ssePath', '/prefix/sse'])
  const stream = await open(proxy.at('/prefix/sse'), { headers: { accept: 'text/event-stream' } })
  expect(stream.status).toBe(200)
  await stream.stop()
})

for (const [option, path] of [
  ['--sse', '/sse'],
  ['--streamableHttp', '/mcp'],
] as const) {
  test(`supergateway ${option} URL`, works('a remote server on stdio'), async () => {
    const there = await remote()
    expect(await calledOn(await speaks([option, `${there.origin}${path}`]))).toEqual({ by: 'remote' })
  })

  test(`supergateway ${option} URL --oauth2Bearer TOKEN --header "X-My-Header: another-header-value"`, works('headers for the upstream'), async () => {
    const there = await remote()
    await calledOn(await speaks([option, `${there.origin}${path}`, '--oauth2Bearer', 'some-access-token', '--header', 'X-My-Header: another-header-value']))
    expect(there.call.headers).toMatchObject({ authorization: 'Bearer some-access-token', 'x-my-header': 'another-header-value' })
  })
}

test('supergateway --stdio "CMD" --healthEndpoint /healthz', works('health'), async () => {
  const proxy = await serves([...STDIO, '--healthEndpoint', '/healthz'])
  expect(await ask(proxy.at('/healthz'))).toMatchObject({ status: 200 })
})

test('supergateway --stdio "CMD" --cors "https://a.example"', works('web pages that may call'), async () => {
  const proxy = await serves([...STDIO, '--cors', 'https://a.example'])
  expect(await ask(proxy.at('/healthz'), { headers: { origin: 'https://a.example' } })).toMatchObject({
    headers: { 'access-control-allow-origin': 'https://a.example' },
  })
})

for (const level of ['debug', 'info']) {
  test(`supergateway --stdio "CMD" --logLevel ${level}`, works('log levels'), async () => {
    expect(await childBehind(await serves([...STDIO, '--logLevel', level]))).toMatchObject({ argv: [] })
  })
}

test('supergateway --stdio "CMD" --logLevel none', works('log levels'), async () => {
  const proxy = await servesQuietly((port) => ['--stdio', CHILD_LINE, '--port', port, '--logLevel', 'none'])
  expect(await childBehind(proxy)).toMatchObject({ argv: [] })
})

test('supergateway --stdio "CMD" --cors (any page)', differs('web pages that may call'), async () => {
  const proxy = await serves([...STDIO, '--cors'])
  await proxy.says(/warning: --cors is left out: .*--allow-origin/)
  expect(await ask(proxy.at('/healthz'), { headers: { origin: 'https://evil.example' } })).toMatchObject({ status: 403 })
})

test('supergateway --stdio "CMD" --messagePath /post', differs('other paths'), async () => {
  const proxy = await serves([...STDIO, '--messagePath', '/post'])
  await proxy.says(/warning: --messagePath is left out: .*\/messages/)
  expect((await openSse(proxy.url)).endpoint).toMatch(/^\/messages/)
})

for (const [feature, spelled, words] of [
  ['web pages that may call', '--cors "/example\\.com$/"', ['--cors', '/example\\.com$/']],
  ['other paths', '--ssePath /events', ['--ssePath', '/events']],
  ['other paths', '--streamableHttpPath /here', ['--outputTransport', 'streamableHttp', '--streamableHttpPath', '/here']],
  ['health', '--healthEndpoint /anywhere', ['--healthEndpoint', '/anywhere']],
  ['WebSocket to clients', '--outputTransport ws', ['--outputTransport', 'ws']],
  ['a token that protects nothing', '--stdio CMD --oauth2Bearer TOKEN', ['--oauth2Bearer', 'a-token']],
] as const) {
  test(`supergateway --stdio "CMD" ${spelled}`, differs(feature), async () => {
    const [option = ''] = words.filter((word) => word.startsWith('--')).slice(-1)
    const refused = await typed([...STDIO, ...words])
    expect(refused).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(option) })
    expect(refused.stderr).toContain('openmcp: hint: ')
    expect(refused.stderr).not.toContain('a-token')
  })
}
