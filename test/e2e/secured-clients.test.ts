// --security as people run it: an identity, trust and a proxy from the command line, the official SDK in front, a tool behind.
import { describe, expect, test } from 'vitest'

import { BEARER_LOGINS, DPOP_LOGINS, type Door, type KeyOwner } from '../interop/logins.ts'
import { at, type Json } from '../support/json.ts'
import { callMessage, initializeMessage, returned, serve, serveOnStdio, type Proxy, type Served } from '../support/openmcp.ts'
import { nodeHome, type NodeHome } from '../support/node-home.ts'
import { bearer, toolServer } from '../support/secured.ts'
import { fixture, scripted } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { upstream } from '../support/upstream.ts'
import { ask, modernAsked, open } from '../support/wire.ts'

const CURVES = [
  { alg: 'EdDSA', curve: 'Ed25519' },
  { alg: 'ES256', curve: 'P-256' },
] as const
const LOGINS = [...BEARER_LOGINS, ...DPOP_LOGINS]

const doorOf = ({ url }: Proxy): Door => ({ mcp: url, issuer: url.origin })

/** A client with an identity, and a home that trusts it. */
async function trusted(home: NodeHome, { alg, curve }: (typeof CURVES)[number] = CURVES[0], ...trust: string[]): Promise<KeyOwner> {
  const { did, privateJwk } = await home.identity('client', '--curve', curve)
  await home.run('trust', 'add', did, ...trust)
  return { did, alg, privateJwk }
}

function secured(home: NodeHome, { options = [], env = {}, ...served }: Served): Promise<Proxy> {
  return forThisTest(serve({ ...served, options: ['--security', ...options], env: { ...home.env, ...env } }))
}

describe.each(CURVES)('an identity of $curve', (kind) => {
  test.each(LOGINS)('$name: logs in and calls a tool of a stdio child, which sees no token', async ({ connect }) => {
    const home = await nodeHome()
    const who = await trusted(home, kind)
    const proxy = await secured(home, { command: scripted(), env: { OPENMCP_API_KEY: 'k3yXv8Qw-7Zr2Lm9Tn4Bs6Hd1Fg5Jp0C' } })
    const client = await connect(doorOf(proxy), who)
    const told = await client.callTool('who')
    const seen = JSON.stringify([told, await client.callTool('seen')])
    const { value } = client.token()
    expect(seen).toContain('tools/call')
    expect(seen).not.toContain(value.split('.')[2])
    expect(seen).not.toContain(who.did)
    // Nor does it learn where keys and trust are kept, or what else lets callers in.
    expect(JSON.stringify(at(told, 'structuredContent', 'env'))).not.toMatch(/OPENMCP/)
    expect(proxy.stderr.join('\n')).not.toContain(value.split('.')[2])
  })

  test.each(LOGINS)('$name: logs in and calls a tool of an HTTP upstream, which sees no token', async ({ connect }) => {
    const home = await nodeHome()
    const who = await trusted(home, kind)
    const behind = await forThisTest(upstream(toolServer))
    const client = await connect(doorOf(await secured(home, { upstream: new URL('/mcp', behind.origin).href, options: ['--debug'] })), who)
    expect(await client.callTool('echo')).toMatchObject({ content: [{ type: 'text', text: 'echo' }] })
    expect(behind.received.map(({ body }) => body['method'])).toContain('tools/call')
    for (const { headers } of behind.received) expect(Object.keys(headers).filter((name) => /authorization|dpop|cookie/.test(name))).toEqual([])
    expect(JSON.stringify(behind.received)).not.toContain(client.token().value.split('.')[2])
  })
})

describe('the first minute', () => {
  test('a proxy that trusts nobody prints a link that lets one identity in, once', async () => {
    const [node, client] = [await nodeHome(), await nodeHome()]
    const proxy = await secured(node, { command: scripted() })
    const [, link = ''] = await proxy.says(/--enrol '([^']+)'/)
    await client.run('id', 'create', 'me')
    const token = await client.run('token', proxy.url.href, '--enrol', link)
    const { status } = await ask(proxy.url, { headers: bearer(token), body: initializeMessage(1) })
    expect(status).toBe(200)
    expect(await node.run('trust', 'list')).toContain(await client.run('id', 'list').then((line) => /did:\S+/.exec(line)?.[0]))

    const second = await nodeHome()
    await second.run('id', 'create', 'me')
    await expect(second.run('token', proxy.url.href, '--enrol', link)).rejects.toThrow('exit code 1')
  })
})

describe('a running proxy follows what is said on its store', () => {
  test('trust that is taken back ends the open stream and the session of its identity, and nobody else’s', async () => {
    const home = await nodeHome()
    const proxy = await secured(home, { command: scripted() })
    const [ann, bob] = [await home.identity('ann'), await home.identity('bob')]
    const opened: Record<string, { headers: Readonly<Record<string, string>>; stream: Awaited<ReturnType<typeof open>> }> = {}
    for (const [name, { did }] of Object.entries({ ann, bob })) {
      await home.run('trust', 'add', did)
      const token = await until('trust to be heard of', () => home.run('token', proxy.url.href, '--id', name).catch(() => undefined))
      const { headers: answered } = await ask(proxy.url, { headers: bearer(token), body: initializeMessage(1) })
      const headers = { ...bearer(token), 'mcp-session-id': String(answered['mcp-session-id']) }
      const stream = await open(proxy.url, { headers: { ...headers, accept: 'text/event-stream' } })
      expect(stream.status).toBe(200)
      opened[name] = { headers, stream }
    }
    await home.run('trust', 'remove', ann.did)
    await until('the end of the stream', () => opened['ann']?.stream.over)
    expect((await ask(proxy.url, { headers: opened['ann']?.headers ?? {}, body: callMessage(2, 'echo') })).status).toBe(401)
    expect(opened['bob']?.stream.over).toBeUndefined()
    const answer = await open(proxy.url, {
      headers: { accept: 'application/json, text/event-stream', ...opened['bob']?.headers },
      body: callMessage(2, 'echo', { text: 'still here' }),
    })
    expect(returned(await answer.message(({ id }) => id === 2))).toEqual({ text: 'still here' })
    await opened['bob']?.stream.stop()
  })
})

describe('a client that knows no logins', () => {
  test('reaches a secured server through openmcp on stdio, which proves an identity for it', async () => {
    const [node, mine] = [await nodeHome(), await nodeHome()]
    const { did } = await mine.identity('desktop')
    await node.run('trust', 'add', did)
    const proxy = await secured(node, { command: scripted() })
    const stdio = await forThisTest(serveOnStdio({ upstream: proxy.url.href, options: ['--id', 'desktop'], env: mine.env }))
    stdio.send(initializeMessage('initialize'))
    await stdio.answerTo('initialize')
    stdio.send({ jsonrpc: '2.0', method: 'notifications/initialized' })
    stdio.send(callMessage(1, 'echo', { text: 'hello' }))
    expect(returned(await stdio.answerTo(1))).toEqual({ text: 'hello' })
    expect([...stdio.stdout, ...stdio.stderr].join('\n')).not.toContain('eyJ')
  })
})

describe('the revision of 2026-07-28', () => {
  test('a stateless request carries its token, and a tool that may not be used does not exist', async () => {
    const home = await nodeHome()
    await trusted(home, CURVES[0], '--tools', 'test_simple_*')
    const proxy = await secured(home, { ...(await forThisTest(fixture('Streamable HTTP'))).served })
    const headers = bearer(await home.run('token', proxy.url.href, '--id', 'client'))
    const call = (name: string): Json => ({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } })
    const answered = async (body: Json, more: Readonly<Record<string, string>>): Promise<[number, Json]> => {
      const stream = await open(proxy.url, modernAsked(body, more))
      return [stream.status, stream.status === 401 ? {} : await stream.message(({ id }) => id === 1)]
    }
    expect((await answered(call('test_simple_text'), {}))[0]).toBe(401)
    expect(await answered(call('test_simple_text'), headers)).toMatchObject([200, { result: { content: [{ type: 'text' }] } }])
    expect(await answered(call('test_image_content'), headers)).toMatchObject([expect.any(Number), { error: { message: 'Unknown tool: test_image_content' } }])
    const listed = await answered({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} }, headers)
    expect(JSON.stringify(listed)).not.toContain('test_image_content')
  })
})
