// The contract with those who come from mcp-connect (dreygur/mcp-connect, in Rust).
import { expect, test } from 'vitest'

import { contractOf } from '../../support/contract.ts'
import { at } from '../../support/json.ts'
import { linePeer } from '../../support/line-peer.ts'
import { INITIALIZED, callMessage, initializeMessage, typed } from '../../support/openmcp.ts'
import { freePort } from '../../support/servers.ts'
import { forThisTest } from '../../support/tidy.ts'
import { until } from '../../support/until.ts'
import { openSession } from '../../support/wire.ts'
import { CHILD, CHILD_LINE, answerOf, calledOn, remote, serves, speaks } from './stage.ts'

const { works, differs } = contractOf('mcp-connect')

test('mcp-connect proxy --endpoint "http://remote-server:8080/mcp" --debug', works('a remote server on stdio'), async () => {
  const there = await remote()
  expect(await calledOn(await speaks(['proxy', '--endpoint', `${there.origin}/mcp`, '--debug']))).toEqual({ by: 'remote' })
})

for (const [option, value, name, arrives] of [
  ['--auth-token', 'your-bearer-token', 'authorization', 'Bearer your-bearer-token'],
  ['--api-key', 'your-api-key', 'x-api-key', 'your-api-key'],
  ['--user-agent', 'mine/1.0', 'user-agent', 'mine/1.0'],
] as const) {
  test(`mcp-connect proxy --endpoint URL ${option} ${value}`, works('a token for the upstream'), async () => {
    const there = await remote()
    await calledOn(await speaks(['proxy', '--endpoint', `${there.origin}/mcp`, option, value]))
    expect(there.call.headers[name]).toBe(arrives)
  })
}

test('mcp-connect proxy --endpoint URL --headers "Authorization:Bearer token123,X-Custom:value"', works('headers for the upstream'), async () => {
  const there = await remote()
  await calledOn(await speaks(['proxy', '--endpoint', `${there.origin}/mcp`, '--headers', 'Authorization:Bearer token123,X-Custom:value']))
  expect(there.call.headers).toMatchObject({ authorization: 'Bearer token123', 'x-custom': 'value' })
})

test('mcp-connect proxy --endpoint URL --headers "\\"Authorization: Bearer ${PAT}\\""', works('headers for the upstream'), async () => {
  const there = await remote()
  await calledOn(
    await speaks(['proxy', '--endpoint', `${there.origin}/mcp`, '--headers', '"Authorization: Bearer ${PAT_GITHUB}"'], { PAT_GITHUB: 'from-the-environment' }),
  )
  expect(there.call.headers.authorization).toBe('Bearer from-the-environment')
})

test('mcp-connect proxy --endpoint URL --timeout 30 --retry-attempts 3 --retry-delay 1000', works('retries and time limits'), async () => {
  const there = await remote()
  const limits = ['--timeout', '30', '--retry-attempts', '3', '--retry-delay', '10']
  const proxy = await speaks(['proxy', '--endpoint', `${there.origin}/flaky`, ...limits])
  expect(await calledOn(proxy)).toEqual({ by: 'remote' })
  proxy.send({ jsonrpc: '2.0', id: 'list', method: 'tools/list' })
  expect(await proxy.answerTo('list')).toHaveProperty('result')
  expect(there.received.filter(({ body }) => body['method'] === 'tools/list')).toHaveLength(2)
})

test('mcp-connect proxy --endpoint URL --fallback URL', works('fall-backs'), async () => {
  const there = await remote('the other')
  const nobody = `http://127.0.0.1:${await freePort()}/mcp`
  expect(await calledOn(await speaks(['proxy', '--endpoint', nobody, '--fallback', `${there.origin}/mcp`, '--retry-delay', '10']))).toEqual({ by: 'the other' })
})

test('mcp-connect proxy --endpoint URL --fallbacks "stdio,tcp" (runs mcp-server, asks port 8080 there)', differs('fall-backs'), async () => {
  const nobody = `http://127.0.0.1:${await freePort()}/mcp`
  const proxy = await speaks(['proxy', '--endpoint', nobody, '--fallbacks', 'stdio,tcp', '--retry-attempts', '1'])
  await proxy.says(/warning: --fallbacks stdio,tcp is left out: .*mcp-server.*--fallback UPSTREAM/)
  proxy.send(initializeMessage(1))
  expect(at(await proxy.answerTo(1), 'error', 'message')).toContain(new URL(nobody).host)
})

test('mcp-connect load-balance --endpoints "http://server1/mcp,http://server2/mcp" --transport "http"', works('several that are one'), async () => {
  const [one, two] = [await remote('one'), await remote('two')]
  const endpoints = `${one.origin}/mcp,${two.origin}/mcp`
  const proxy = await speaks([
    'load-balance',
    '--endpoints',
    endpoints,
    '--transport',
    'http',
    '--timeout',
    '30',
    '--retry-attempts',
    '3',
    '--auth-token',
    'your-token',
  ])
  expect(['one', 'two']).toContain((await calledOn(proxy))['by'])
  expect([...one.received, ...two.received].find(({ body }) => body['method'] === 'tools/call')?.headers.authorization).toBe('Bearer your-token')
})

test('sessions are shared out, each stays where it began (call by call there)', works('several that are one'), async () => {
  const [one, two] = [await remote('one'), await remote('two')]
  const proxy = await serves(['run', '--endpoints', `${one.origin}/mcp,${two.origin}/mcp`, '-p', '0'])
  const sessions = [await openSession(proxy.url), await openSession(proxy.url)]
  const by = await Promise.all(sessions.map(async (session) => [await session.call('echo'), await session.call('echo')].map((answer) => answer['by']).join()))
  expect(new Set(by)).toEqual(new Set(['one,one', 'two,two']))
})

test('mcp-connect auth-proxy --endpoint URL --client-id ID --token-url URL … (documentation only there)', works('a login'), async () => {
  const there = await remote()
  const credentials = ['--client-id', 'your-client-id', '--client-secret', 'your-client-secret', '--token-url', `${there.origin}/token`]
  await calledOn(await speaks(['auth-proxy', '--endpoint', `${there.origin}/mcp`, ...credentials, '--scopes', 'read,write']))
  expect(there.call.headers.authorization).toBe('Bearer by-client-credentials')
})

test('mcp-connect test --endpoint "http://remote-server:8080/mcp" --transport "http" --auth-token "your-token"', works('a look at a server'), async () => {
  const there = await remote()
  const looked = await typed(['test', '--endpoint', `${there.origin}/mcp`, '--transport', 'http', '--auth-token', 'your-token'])
  expect(looked).toMatchObject({ code: 0, stdout: expect.stringContaining('remote') })
  expect(there.received.map(({ headers }) => headers.authorization)).toContain('Bearer your-token')
})

test('mcp-connect test --endpoint "localhost:9090" --transport "tcp"', works('a look at a server'), async () => {
  const there = await forThisTest(linePeer({ onLine: (line, say) => answers(line, say) }))
  expect(await typed(['test', '--endpoint', `localhost:${there.port}`, '--transport', 'tcp'])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('by lines'),
  })
})

test('mcp-connect test --endpoint "python my-server.py" --transport "stdio"', works('a look at a server'), async () => {
  expect(await typed(['test', '--endpoint', CHILD_LINE, '--transport', 'stdio', '--timeout', '10'])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('scripted'),
  })
})

test('mcp-connect test --endpoint URL, and nobody there: exit code 1', works('a look at a server'), async () => {
  expect(await typed(['test', '--endpoint', `http://127.0.0.1:${await freePort()}/mcp`])).toMatchObject({ code: 1, stderr: expect.stringContaining('hint: ') })
})

test('tcp://localhost:9090 (numbers only there)', works('TCP with lines'), async () => {
  const there = await forThisTest(linePeer({ onLine: (line, say) => answers(line, say) }))
  expect(await calledOn(await speaks(['proxy', '--endpoint', `tcp://localhost:${there.port}`]))).toEqual({ by: 'by lines' })
})

test('mcp-connect notification-demo --count 3', works('notifications to try a client with'), async () => {
  const demo = await speaks(['notification-demo', '--count', '3'])
  demo.send(initializeMessage(1))
  await demo.answerTo(1)
  demo.send(INITIALIZED)
  await until('three of them', () => demo.messages().filter(({ method }) => method === 'notifications/message').length === 3)
  expect(at(demo.messages()[0], 'id')).toBe(1)
})

test('mcp-connect proxy --endpoint URL --log-level trace, debug, info, warn, error', works('log levels'), async () => {
  const there = await remote()
  for (const level of ['trace', 'debug', 'info', 'warn', 'error']) {
    expect(await calledOn(await speaks(['proxy', '--endpoint', `${there.origin}/mcp`, '--log-level', level]))).toEqual({ by: 'remote' })
  }
})

test('--endpoint "${NAME}" --auth-token "${NAME}" (as Zed and the Inspector write them)', works('variables in what is typed'), async () => {
  const there = await remote()
  const words = ['proxy', '--endpoint', `${there.origin}/mcp`, '--auth-token', '${PAT_CONTEXT7}']
  await calledOn(await speaks(words, { PAT_CONTEXT7: 'your-api-key' }))
  expect(there.call.headers.authorization).toBe('Bearer your-api-key')
})

test('tools/call three times three there', differs('a call is never repeated'), async () => {
  const there = await remote('drops')
  const proxy = await speaks(['proxy', '--endpoint', `${there.origin}/mcp`, '--retry-attempts', '3', '--retry-delay', '1'])
  proxy.send(initializeMessage(1))
  await proxy.answerTo(1)
  proxy.send(callMessage(2, 'dropped'))
  expect(at(await proxy.answerTo(2), 'error')).toBeDefined()
  expect(there.received.filter(({ body }) => body['method'] === 'tools/call')).toHaveLength(1)
})

test('a 202 is no message ("{}" there), nothing comes before initialize', works('nothing but answers on stdout'), async () => {
  const there = await remote()
  const proxy = await speaks(['proxy', '--endpoint', `${there.origin}/mcp`])
  await calledOn(proxy)
  expect(proxy.messages().map(({ id }) => id)).toEqual(['first', 'call'])
})

test('mcp-connect proxy --endpoint "python my-server.py" --transport stdio', works('a command on stdio'), async () => {
  expect(await calledOn(await speaks(['run', '--', ...CHILD]), 'echo', { on: 'stdio' })).toEqual({ on: 'stdio' })
})

function answers(line: string, say: (text: string) => void): void {
  const parsed: unknown = JSON.parse(line)
  const answer = answerOf('by lines', parsed)
  if (answer) say(JSON.stringify(answer))
}
