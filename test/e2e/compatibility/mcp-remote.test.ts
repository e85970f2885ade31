// The contract with those who come from mcp-remote.
import { chmodSync, mkdirSync } from 'node:fs'
import { expect, test } from 'vitest'

import { contractOf } from '../../support/contract.ts'
import { at } from '../../support/json.ts'
import { callMessage, initializeMessage, typed } from '../../support/openmcp.ts'
import { CHILD, calledOn, files, remote, speaks } from './stage.ts'

const { works, differs } = contractOf('mcp-remote')

test('mcp-remote https://remote.mcp.server/sse', works('a remote server on stdio'), async () => {
  const there = await remote()
  expect(await calledOn(await speaks([`${there.origin}/sse`]))).toEqual({ by: 'remote' })
  expect(there.call.path).toBe('/messages')
})

for (const [strategy, path, reached] of [
  ['http-first', '/mcp', '/mcp'],
  ['http-first', '/sse', '/messages'],
  ['sse-first', '/sse', '/messages'],
  ['sse-first', '/mcp', '/mcp'],
  ['http-only', '/mcp', '/mcp'],
  ['sse-only', '/sse', '/messages'],
] as const) {
  test(`mcp-remote https://example.remote${path} --transport ${strategy}`, works('how to talk to it'), async () => {
    const there = await remote()
    expect(await calledOn(await speaks([`${there.origin}${path}`, '--transport', strategy]))).toEqual({ by: 'remote' })
    expect(there.call.path).toBe(reached)
  })
}

for (const [strategy, path] of [
  ['http-only', '/sse'],
  ['sse-only', '/mcp'],
] as const) {
  test(`mcp-remote https://example.remote${path} --transport ${strategy}, and it speaks the other`, works('how to talk to it'), async () => {
    const there = await remote()
    const proxy = await speaks([`${there.origin}${path}`, '--transport', strategy])
    proxy.send(initializeMessage(1))
    expect(at(await proxy.answerTo(1), 'error', 'message')).toBeDefined()
  })
}

for (const [spelled, header] of [
  ['"Authorization: Bearer ${AUTH_TOKEN}"', 'Authorization: Bearer ${AUTH_TOKEN}'],
  ['"Authorization:${AUTH_HEADER}" (no space)', 'Authorization:${AUTH_HEADER}'],
] as const) {
  test(`mcp-remote URL --header ${spelled}`, works('headers for the upstream'), async () => {
    const there = await remote()
    await calledOn(await speaks([`${there.origin}/sse`, '--header', header], { AUTH_TOKEN: 'from-env', AUTH_HEADER: 'Bearer from-env' }))
    expect(there.call.headers.authorization).toBe('Bearer from-env')
  })
}

test('mcp-remote URL --header-file FILE', works('headers for the upstream'), async () => {
  const there = await remote()
  await calledOn(await speaks([`${there.origin}/mcp`, '--header-file', files({ headers: 'X-From: a file\n' }).at('headers')]))
  expect(there.call.headers['x-from']).toBe('a file')
})

test('mcp-remote URL --ignore-tool "delete*" --ignore-tool "remove*"', works('tools that are not there'), async () => {
  const there = await remote()
  const proxy = await speaks([`${there.origin}/mcp`, '--ignore-tool', 'delete*', '--ignore-tool', 'remove*'])
  expect(await calledOn(proxy)).toEqual({ by: 'remote' })
  proxy.send({ jsonrpc: '2.0', id: 'list', method: 'tools/list' })
  expect(at(await proxy.answerTo('list'), 'result', 'tools')).toEqual([expect.objectContaining({ name: 'echo' })])
  proxy.send(callMessage('blocked', 'delete_all'))
  expect(await proxy.answerTo('blocked')).toHaveProperty('error')
  expect(there.received.map(({ body }) => at(body, 'params', 'name'))).not.toContain('delete_all')
})

for (const [words, instead] of [
  [['9696'], 'finds a free port'],
  [['--callback-path', '/custom/callback'], 'finds a free port'],
  [['--auth-timeout', '60'], 'openmcp login .* --timeout 60'],
  [['--resource', 'https://tenant1.atlassian.net/'], 'openmcp login .* --resource https://tenant1.atlassian.net/'],
  [['--disable-resource-parameter'], 'openmcp login .* --resource none'],
  [['--static-oauth-client-metadata', '{ "scope": "a b" }'], "openmcp login .* --scope 'a b'"],
  [['--static-oauth-client-info', '{ "client_id": "mine", "client_secret": "the-secret" }'], 'openmcp login .* --client-id mine --client-secret-file FILE'],
] as const) {
  test(`mcp-remote URL ${words.join(' ')}: said once, before, with openmcp login`, differs('a login'), async () => {
    const there = await remote()
    const proxy = await speaks([`${there.origin}/mcp`, ...words])
    expect(await calledOn(proxy)).toEqual({ by: 'remote' })
    await proxy.says(new RegExp(`warning: .*${words[0]} is left out: .*${instead}`))
    expect(proxy.stderr.join('\n')).not.toContain('the-secret')
  })
}

test('mcp-remote URL --host 127.0.0.1 (--as mcp-remote: it is where to listen, too)', differs('a login'), async () => {
  const there = await remote()
  const proxy = await speaks(['--as', 'mcp-remote', `${there.origin}/mcp`, '--host', '127.0.0.1'])
  expect(await calledOn(proxy)).toEqual({ by: 'remote' })
  await proxy.says(/warning: --host is left out: openmcp login finds a free port/)
})

test('mcp-remote URL --static-oauth-client-info @FILE --client-credentials', works('client credentials'), async () => {
  const there = await remote()
  const { at: file } = files({ 'client.json': { client_id: 'mine', client_secret: 'secret-of-the-file' } })
  const client = ['--client-credentials', '--token-endpoint', `${there.origin}/token`, '--static-oauth-client-info', `@${file('client.json')}`]
  const proxy = await speaks([`${there.origin}/mcp`, ...client])
  await calledOn(proxy)
  expect(there.call.headers.authorization).toBe('Bearer by-client-credentials')
  expect(proxy.stderr.join('\n')).not.toContain('secret-of-the-file')
})

test('mcp-remote http://internal-service.vpc/mcp --allow-http --enable-proxy', works('through an HTTP proxy'), async () => {
  const there = await remote('behind a proxy')
  const env = { HTTP_PROXY: there.origin, NO_PROXY: '', http_proxy: there.origin, no_proxy: '' }
  expect(await calledOn(await speaks(['http://internal-service.vpc/mcp', '--allow-http', '--enable-proxy'], env))).toEqual({ by: 'behind a proxy' })
  expect(there.call.headers.host).toBe('internal-service.vpc')
})

test('mcp-remote http://internal-service.vpc/mcp without --allow-http', works('http beyond loopback'), async () => {
  const refused = await typed(['--as', 'mcp-remote', 'http://internal-service.vpc/mcp'])
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringMatching(/unencrypted[^]*--allow-http/) })
})

test('mcp-remote URL --debug, --silent', works('log levels'), async () => {
  const there = await remote()
  const silent = await speaks([`${there.origin}/mcp`, '--silent'])
  await calledOn(silent)
  expect(silent.stderr.filter((words) => !words.includes('taken as'))).toEqual([])
  expect(await calledOn(await speaks([`${there.origin}/mcp`, '--debug']))).toEqual({ by: 'remote' })
})

test('MCP_REMOTE_CONFIG_DIR=DIR mcp-remote URL', works('where logins are kept'), async () => {
  const { directory, at: file } = files({})
  mkdirSync(file('openmcp'))
  chmodSync(file('openmcp'), 0o777)
  // It is looked at, and others could look too: that is refused, by its name.
  const listed = await typed(['login', '--list'], { env: { MCP_REMOTE_CONFIG_DIR: directory, OPENMCP_HOME: '' } })
  expect(listed.code).not.toBe(0)
  expect(listed.stderr).toContain(file('openmcp'))
})

test('a browser opens when a client connects there; here once, by openmcp login', differs('a login'), async () => {
  expect(await typed(['login'])).toMatchObject({ code: 2, stderr: expect.stringContaining('openmcp login') })
})

test('mcp-remote-client URL', works('a look at a server'), async () => {
  const there = await remote()
  expect(await typed(['test', `${there.origin}/mcp`])).toMatchObject({ code: 0, stdout: expect.stringContaining('remote') })
  expect(await typed(['test', '--', ...CHILD])).toMatchObject({ code: 0, stdout: expect.stringContaining('scripted') })
})
