// The contract with those who come from the first openmcp, in Rust (and from cardea-cli, which is the same).
import { networkInterfaces } from 'node:os'
import { expect, test } from 'vitest'

import { contractOf } from '../../support/contract.ts'
import { at } from '../../support/json.ts'
import { nodeHome } from '../../support/node-home.ts'
import { callMessage, initializeMessage, serve, typed } from '../../support/openmcp.ts'
import { forThisTest } from '../../support/tidy.ts'
import { ask, openSession, openSse } from '../../support/wire.ts'
import { CHILD, calledOn, childBehind, remote, serves, speaks } from './stage.ts'

const { works, differs } = contractOf('openmcp (Rust)')

for (const [publish, hostname] of [
  ['0', '127.0.0.1'],
  ['127.0.0.1:0', '127.0.0.1'],
  [':0', '127.0.0.1'],
  ['localhost:0', '127.0.0.1'],
] as const) {
  test(`openmcp run -p ${publish.replace(/\b0$/, '8000')} CMD`, works('a command over HTTP'), async () => {
    const proxy = await serves(['run', '-p', publish, ...CHILD])
    expect(proxy.url.hostname).toBe(hostname)
    expect(await childBehind(proxy)).toMatchObject({ argv: [] })
  })
}

const hasIpv6 = Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === '::1'))

test.skipIf(!hasIpv6)('openmcp run -p [::1]:8000 CMD', works('a command over HTTP'), async () => {
  const proxy = await serves(['run', '-p', '[::1]:0', ...CHILD])
  expect(proxy.url.hostname).toBe('[::1]')
  expect(await childBehind(proxy)).toMatchObject({ argv: [] })
})

test('openmcp run -p 8000 -- CMD --its-own VALUE', works('a command over HTTP'), async () => {
  expect(await childBehind(await serves(['run', '-p', '0', '--', ...CHILD, '--', 'its', '--own']))).toMatchObject({ argv: ['--', 'its', '--own'] })
})

test('GET /sse, POST /message?sessionId=', works('HTTP+SSE: /sse and the address it tells'), async () => {
  const proxy = await serves(['run', '-p', '0', ...CHILD])
  const session = await openSse(proxy.url)
  expect(await session.call('echo', { said: 'by SSE' })).toEqual({ said: 'by SSE' })
  const sessionId = new URL(session.endpoint, proxy.url).searchParams.get('sessionId') ?? ''
  const posted = await ask(proxy.at(`/message?sessionId=${sessionId}`), { body: callMessage(7, 'echo', { by: 'the other path' }) })
  expect(posted.status).toBe(202)
  expect(at(await session.stream.message(({ id }) => id === 7), 'result', 'structuredContent')).toEqual({ by: 'the other path' })
  await session.stream.stop()
})

test('openmcp run -p 0.0.0.0:8080 CMD', differs('a public address'), async () => {
  const refused = await typed(['run', '-p', '0.0.0.0:0', ...CHILD])
  expect(refused).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('--insecure-no-auth') })
  const proxy = await serves(['run', '--insecure-no-auth', '-p', '0.0.0.0:0', ...CHILD])
  expect(await childBehind(Object.assign(proxy, { url: new URL(`http://127.0.0.1:${proxy.url.port}/mcp`) }))).toMatchObject({ argv: [] })
})

for (const spelled of ['http://HOST/sse', 'HOST/sse', 'HOST'] as const) {
  test(`openmcp run -p ${spelled.replace('HOST', 'remote:8000')}`, works('a remote server on stdio'), async () => {
    const there = await remote()
    expect(await calledOn(await speaks(['run', '-p', spelled.replace('HOST', there.host)]))).toEqual({ by: 'remote' })
    expect(there.call.path).toBe(spelled.endsWith('/sse') ? '/messages' : '/mcp')
  })
}

test('openmcp run -p https://host/mcp', works('a remote server on stdio'), async () => {
  const proxy = await speaks(['run', '--connect-timeout', '1', '-p', 'https://127.0.0.1/mcp'])
  proxy.send(initializeMessage(1))
  expect(at(await proxy.answerTo(1), 'error', 'message')).toContain('https://127.0.0.1')
})

for (const publish of ['0:http://HOST/sse', '127.0.0.1:0:http://HOST/sse', '127.0.0.1:0:HOST/sse'] as const) {
  test(`openmcp run -p ${publish.replace('HOST', 'remote:8000').replace(/\b0:/, '8001:')}`, works('a remote server over HTTP'), async () => {
    const there = await remote()
    const proxy = await serves(['run', '-p', publish.replace('HOST', there.host)])
    expect(await (await openSse(proxy.url)).call('echo')).toEqual({ by: 'remote' })
    expect(there.call.path).toBe('/messages')
  })
}

for (const option of ['-H', '--headers']) {
  test(`openmcp run ${option} KEY=VALUE -p 8001:URL`, works('headers for the upstream'), async () => {
    const there = await remote()
    const proxy = await serves(['run', option, 'X-First=one', option, 'X-Second=a=b', '-p', `0:${there.origin}/sse`])
    await (await openSse(proxy.url)).call('echo')
    expect(there.call.headers).toMatchObject({ 'x-first': 'one', 'x-second': 'a=b' })
  })
}

for (const option of ['-e', '--env']) {
  test(`openmcp run -p 8000 ${option} KEY=VALUE CMD`, works('environment of the child'), async () => {
    const proxy = await serves(['run', '-p', '0', option, 'FIRST=one', option, 'SECOND=a=b', ...CHILD])
    expect(await childBehind(proxy)).toMatchObject({ env: { FIRST: 'one', SECOND: 'a=b' } })
  })
}

test('all of ours, without a word', differs('environment of the child'), async () => {
  const { env } = await childBehind(await serves(['run', '-p', '0', ...CHILD], { OPENMCP_TEST_SECRET: 'ours' }))
  expect(env).not.toHaveProperty('OPENMCP_TEST_SECRET')
})

test('openmcp run --security -p 8000 CMD', works('keys: whoever has none stays outside'), async () => {
  const home = await nodeHome()
  const { did } = await home.identity('ann')
  await home.run('trust', 'add', did)
  const key = await home.run('key', 'create', did)
  const proxy = await serves(['run', '--security', '-p', '0', ...CHILD], home.env)
  const asked = (headers: Record<string, string>) =>
    ask(proxy.url, { headers: { accept: 'application/json, text/event-stream', ...headers }, body: initializeMessage(1) })
  expect(await asked({})).toMatchObject({ status: 401, headers: { 'www-authenticate': expect.stringContaining('resource_metadata=') } })
  expect(await asked({ authorization: 'Bearer sk_made_up' })).toMatchObject({ status: 401 })
  expect(await asked({ authorization: `Bearer ${key.trim()}` })).toMatchObject({ status: 200 })
})

test('openmcp run --security CMD on stdio (nobody is asked there)', differs('keys: whoever has none stays outside'), async () => {
  expect(await typed(['run', '--security', '--', ...CHILD])).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('--security') })
})

test('GET /get-api-key?hex_string=, POST /gen-api-key', differs('keys: how one gets one'), async () => {
  const home = await nodeHome()
  const proxy = await serves(['run', '--security', '-p', '0', ...CHILD], home.env)
  expect(await ask(proxy.at('/get-api-key?hex_string=0xab5801a7d398351b8be11c439e05c5b3259aec9b'))).toMatchObject({ status: 401 })
  const body = { hex_string: '0xab5801a7d398351b8be11c439e05c5b3259aec9b' }
  expect((await ask(proxy.at('/gen-api-key'), { body })).status).toBeGreaterThanOrEqual(400)
  expect(await ask(proxy.at('/challenge'), { body })).toMatchObject({ status: 200, json: { message: expect.stringContaining('wants you to sign in') } })
})

for (const words of [['--tsp', 'verify'], ['--tsp=verify'], ['--tsp', 'verify,message']]) {
  test(`openmcp run -p 8000 ${words.join(' ')} CMD`, works('TSP'), async () => {
    const home = await nodeHome()
    const proxy = await forThisTest(serve({ command: CHILD, options: words, env: home.env }))
    await proxy.says(/TSP endpoint listening for incoming messages to: did:peer:/)
    expect(await ask(proxy.url, { body: initializeMessage(1) })).toMatchObject({ status: 401 })
  })
}

test('a VID as bearer token', differs('TSP'), async () => {
  const home = await nodeHome()
  const { did } = await home.identity('ann')
  await home.run('trust', 'add', did)
  const proxy = await forThisTest(serve({ command: CHILD, options: ['--tsp', 'verify'], env: home.env }))
  expect(await ask(proxy.url, { headers: { authorization: `Bearer ${did}` }, body: initializeMessage(1) })).toMatchObject({ status: 401 })
})

test('openmcp run CMD (STDIO > STDIO, not there yet)', works('a command on stdio'), async () => {
  expect(await calledOn(await speaks(['run', '--', ...CHILD]), 'echo', { said: 'on stdio' })).toEqual({ said: 'on stdio' })
})

test('openmcp --version, openmcp --help, openmcp', works('version and help'), async () => {
  expect(await typed(['--version'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^openmcp \d+\.\d+\.\d+$/) })
  expect(await typed(['--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('openmcp run') })
  expect(await typed([])).toMatchObject({ stdout: '', stderr: expect.stringContaining('openmcp') })
})

test('RUST_LOG=debug openmcp run -p URL', works('stdout belongs to the protocol'), async () => {
  const there = await remote()
  const proxy = await speaks(['run', '-p', `${there.origin}/mcp`], { RUST_LOG: 'debug' })
  await calledOn(proxy)
  expect(proxy.messages().map((message) => message['jsonrpc'])).toEqual(proxy.stdout.map(() => '2.0'))
})

test('two clients (one shared child there)', works('sessions of their own over Streamable HTTP'), async () => {
  const proxy = await serves(['run', '-p', '0', ...CHILD])
  const pids = await Promise.all([1, 2].map(async () => (await (await openSession(proxy.url)).call('who'))['pid']))
  expect(new Set(pids).size).toBe(2)
})
