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

for (const [feature, spelled, words] of [
  ['a login', 'URL 9696 (a port for the answer of the browser)', ['9696']],
  ['a login', '--host 127.0.0.1 (--as mcp-remote: it is where to listen, too)', ['--host', '127.0.0.1']],
  ['a login', 'URL --auth-timeout 60', ['--auth-timeout', '60']],
  ['a login', 'URL --resource https://tenant1.atlassian.net/', ['--resource', 'https://tenant1.atlassian.net/']],
  ['a login', 'URL --disable-resource-parameter', ['--disable-resource-parameter']],
  ['a login', 'URL --callback-path /custom/callback', ['--callback-path', '/custom/callback']],
  ['a login', `URL --static-oauth-client-metadata '{ "scope": "a b" }'`, ['--static-oauth-client-metadata', '{ "scope": "a b" }']],
  ['through an HTTP proxy', 'URL --enable-proxy', ['--enable-proxy']],
  ['http beyond https', 'http://internal/sse --allow-http', ['--allow-http']],
  ['log levels', 'URL --debug', ['--debug']],
  ['log levels', 'URL --silent', ['--silent']],
] as const) {
  test(`mcp-remote ${spelled}`, works(feature), async () => {
    const there = await remote()
    expect(await calledOn(await speaks([...(spelled.includes('--as') ? ['--as', 'mcp-remote'] : []), `${there.origin}/mcp`, ...words]))).toEqual({
      by: 'remote',
    })
  })
}

test('URL --static-oauth-client-info @FILE', works('a client that the issuer knows'), async () => {
  const there = await remote()
  const { at: file } = files({ 'client.json': { client_id: 'mine', client_secret: 'secret' } })
  expect(await calledOn(await speaks([`${there.origin}/mcp`, '--static-oauth-client-info', `@${file('client.json')}`]))).toEqual({ by: 'remote' })
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
