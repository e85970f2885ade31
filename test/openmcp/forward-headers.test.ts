// Headers of a caller that an operator lets through to a remote server: those and no others, on every way in.
import { expect, onTestFinished, test } from 'vitest'

import type { NamedServer } from '../../src/openmcp/servers.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { callMessage, INITIALIZED, initializeMessage } from '../support/openmcp.ts'
import { toolServer } from '../support/secured.ts'
import { until } from '../support/until.ts'
import { upstream, type Upstream } from '../support/upstream.ts'
import { ask, open } from '../support/wire.ts'
import { child, running } from './stage.ts'

const SENT = { 'X-Tenant': 'blue', 'x-other': 'hunter2', authorization: 'Bearer hunter2', cookie: 'hunter2', 'x-ours': 'of a client' }

async function serving(more: Partial<NamedServer> = {}): Promise<{ behind: Upstream; server: NamedServer }> {
  const behind = await upstream(toolServer)
  onTestFinished(behind.stop)
  const target = { kind: 'remote', urls: [new URL('/mcp', behind.origin)], transport: 'http', headers: { 'x-ours': 'ours' } } as const
  return { behind, server: { name: 'far', target, isolation: 'session', limits: DEFAULT_LIMITS, forwardHeaders: ['x-tenant', 'x-ours'], ...more } }
}

function told({ received }: Upstream): unknown[] {
  return received
    .filter(({ method, body }) => method === 'POST' && body['method'] !== 'server/discover')
    .map(({ headers }) => [headers['x-tenant'], headers['x-ours']])
}

test.each<[string, Partial<NamedServer>]>([
  ['passed on as it comes', {}],
  ['read on its way', { tools: { block: ['secret'] } }],
])('what is %s carries what is named, and our own header is ours', async (_how, more) => {
  const { behind, server } = await serving(more)
  const { at: path } = await running([server])
  const url = path('/servers/far/mcp')
  const headers = { accept: 'application/json, text/event-stream', ...SENT }
  const { headers: answered } = await ask(url, { headers, body: initializeMessage(1) })
  const session = { ...headers, 'mcp-session-id': String(answered['mcp-session-id']) }
  await ask(url, { headers: session, body: INITIALIZED })
  await ask(url, { headers: { ...session, 'x-tenant': 'green' }, body: callMessage(2, 'echo') })
  expect(told(behind)).toEqual([
    ['blue', 'ours'],
    ['blue', 'ours'],
    ['green', 'ours'],
  ])
  expect(JSON.stringify(behind.received.map((one) => one.headers))).not.toContain('hunter2')
})

test('over HTTP+SSE, too', async () => {
  const { behind, server } = await serving()
  const { at: path } = await running([server])
  const stream = await open(path('/servers/far/sse'), { headers: SENT })
  const endpoint = await until('the endpoint', () => stream.events[0]?.data)
  await ask(path(endpoint), { headers: SENT, body: initializeMessage(1) })
  await stream.message(({ id }) => id === 1)
  expect(told(behind)).toEqual([['blue', 'ours']])
  await stream.stop()
})

test('to the server at the root the same', async () => {
  const { behind, server } = await serving()
  const { at: path } = await running([], [], { target: server.target, forwardHeaders: ['x-tenant'] })
  await ask(path('/mcp'), { headers: { accept: 'application/json, text/event-stream', ...SENT }, body: initializeMessage(1) })
  expect(told(behind)).toEqual([['blue', 'ours']])
  expect(JSON.stringify(behind.received.map((one) => one.headers))).not.toContain('hunter2')
})

test('a page that may call may send what servers are told of, as long as they are', async () => {
  const { server } = await serving()
  const command: NamedServer = { ...child('near'), target: { kind: 'command', command: 'none', args: [], env: {}, headerToEnv: { 'x-user': 'USER_NAME' } } }
  const page = 'https://app.example'
  const listen = { host: '127.0.0.1', port: 0, allowHosts: [], allowOrigins: [page], exposeHeaders: [], pathPrefix: '', insecureNoAuth: false }
  const { at: path, proxy } = await running([server, command], [], { listen })
  const allowed = async (): Promise<string> => {
    const asked = { origin: page, 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-tenant, x-other' }
    return String((await ask(path('/servers/far/mcp'), { method: 'OPTIONS', headers: asked })).headers['access-control-allow-headers'])
  }
  expect(await allowed()).toMatch(/, x-tenant, x-ours, x-user$/)
  await proxy.apply([])
  expect(await allowed()).not.toMatch(/x-tenant|x-user|x-other/)
})
