// The relay: our doors in a server of somebody else, through that server.
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { networkInterfaces } from 'node:os'
import express from 'express'
import { describe, expect, onTestFinished, test } from 'vitest'

import { createLog } from '../../src/observe/log.ts'
import { createRelay, type Relay, type RelaySettings } from '../../src/index.ts'
import { callMessage, initializeMessage } from '../support/openmcp.ts'
import { gone, isAlive } from '../support/processes.ts'
import { scripted } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { json, upstream, type Upstream } from '../support/upstream.ts'
import { ask, open, openSession } from '../support/wire.ts'

const [command = '', ...args] = scripted()
const SERVER = { command, args }

/** Whoever says who they are is believed: what a server of somebody else does to know it is theirs. */
const callerOf = ({ headers, url }: IncomingMessage): string | undefined =>
  headers['x-user']?.toString() ?? new URLSearchParams(url?.split('?')[1]).get('user') ?? undefined
const as = (user: string): Record<string, string> => ({ 'x-user': user })

interface Mounted extends Relay {
  under(path: string): URL
  readonly log: readonly string[]
}

type Mount = (relay: Relay) => RequestListener

async function mounted(settings: Partial<RelaySettings>, mount: Mount = (relay) => relay.handler, host = '127.0.0.1'): Promise<Mounted> {
  const log: string[] = []
  const relay = await createRelay({
    server: SERVER,
    limits: { drainSeconds: 0 },
    log: createLog({ level: 'debug', format: 'text', write: (line) => log.push(line), now: Date.now }),
    ...settings,
  })
  onTestFinished(() => relay.close())
  const server = createServer(mount(relay))
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  onTestFinished(() => server.close().closeAllConnections())
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  return { ...relay, log, under: (path) => new URL(path, `http://${host}:${port}`) }
}

/** An upstream that answers everything. */
async function behind(): Promise<Upstream> {
  const server = await upstream(({ body }, res) => json(res, 200, { jsonrpc: '2.0', id: Number(body['id'] ?? 0), result: {} }))
  onTestFinished(server.stop)
  return server
}

describe('the relay', () => {
  test.each<[string, Partial<RelaySettings>, Mount, string]>([
    ['as a server of its own', {}, (relay) => relay.handler, ''],
    ['below a path', { path: '/tools' }, (relay) => relay.handler, '/tools'],
    ['in express, which takes the path off', {}, (relay) => express().use('/deep/tools', relay.handler), '/deep/tools'],
  ])('serves both transports %s', async (_where, settings, mount, path) => {
    const { under } = await mounted(settings, mount)
    expect(await (await openSession(under(`${path}/mcp`))).call('who')).toMatchObject({ argv: [] })
    const stream = await open(under(`${path}/sse`))
    const endpoint = await until('the endpoint', () => stream.events[0]?.data)
    expect(endpoint.startsWith(`${path}/messages?sessionId=`)).toBe(true)
    expect((await ask(under(endpoint), { body: initializeMessage(1) })).status).toBe(202)
    expect(await stream.message(({ id }) => id === 1)).toMatchObject({ result: {} })
    await stream.stop()
  })

  test('answers what is for none of its doors', async () => {
    const { under } = await mounted({ path: '/tools' })
    expect((await ask(under('/mcp'), { body: initializeMessage(1) })).status).toBe(404)
    expect((await ask(under('/tools/sse'), { method: 'DELETE' })).status).toBe(405)
    expect((await ask(under('/tools/%ff'))).status).toBe(404)
  })

  test('leaves out the tools that are blocked', async () => {
    const { under } = await mounted({ tools: { block: ['who'] } })
    await expect((await openSession(under('/mcp'))).call('who')).rejects.toThrow(/who/)
  })

  test('says that a body was read before, where it would wait for ever', async () => {
    const { under } = await mounted({}, (relay) => express().use(express.json()).use(relay.handler))
    const { status, text } = await ask(under('/mcp'), { body: initializeMessage(1) })
    expect({ status, text }).toEqual({ status: 500, text: expect.stringContaining('was read before') })
  })
})

describe('a caller', () => {
  test('that your server does not know reaches nothing', async () => {
    const server = await behind()
    const { under } = await mounted({ server: { url: `${server.origin}/mcp` }, callerOf })
    const before = server.received.length
    expect((await ask(under('/mcp'), { body: initializeMessage(1) })).headers['www-authenticate']).toBe('Bearer')
    for (const [method, path] of [
      ['POST', '/mcp'],
      ['GET', '/mcp'],
      ['DELETE', '/mcp'],
      ['GET', '/sse'],
      ['POST', '/messages?sessionId=x'],
    ] as const) {
      expect((await ask(under(path), { method, ...(method === 'POST' && { body: initializeMessage(1) }) })).status).toBe(401)
    }
    expect((await ask(under('/mcp'), { headers: as(''), body: initializeMessage(1) })).status).toBe(401)
    expect(server.received.length).toBe(before)
  })

  test('whose name cannot be found out is not let in', async () => {
    const { under, log } = await mounted({ callerOf: () => Promise.reject(new Error('the database is away')) })
    const { status, text } = await ask(under('/mcp'), { body: initializeMessage(1) })
    expect({ status, text }).toEqual({ status: 500, text: expect.not.stringContaining('database') })
    expect(log.join('')).toContain('database')
  })

  test('has sessions that are invisible to another', async () => {
    const { under } = await mounted({ callerOf })
    const session = await openSession(under('/mcp?user=ada'))
    const asked = (user: string) => ask(under('/mcp'), { headers: { ...as(user), 'mcp-session-id': session.id }, body: callMessage(2, 'who') })
    expect((await asked('eve')).status).toBe(404)
    expect((await asked('ada')).status).toBe(200)
  })

  test('that is ended has nothing open any more, and the others have', async () => {
    const { under, end } = await mounted({ callerOf, isolation: 'identity' })
    const [ada, eve] = [await openSession(under('/mcp?user=ada')), await openSession(under('/mcp?user=eve'))]
    const pids = [Number((await ada.call('who'))['pid']), Number((await eve.call('who'))['pid'])] as const
    end('eve')
    await gone(pids[1])
    expect((await ask(under('/mcp'), { headers: { ...as('eve'), 'mcp-session-id': eve.id }, body: callMessage(2, 'who') })).status).toBe(404)
    expect(isAlive(pids[0])).toBe(true)
    expect(await ada.call('who')).toMatchObject({ pid: pids[0] })
  })

  test('says nothing to the server behind about how it is known', async () => {
    const server = await behind()
    const { under } = await mounted({ server: { url: `${server.origin}/mcp` }, callerOf })
    const headers = { ...as('ada'), authorization: 'Bearer theirs', cookie: 'session=theirs' }
    expect((await ask(under('/mcp'), { headers, body: initializeMessage(1) })).status).toBe(200)
    expect(JSON.stringify(server.received.map((one) => one.headers))).not.toMatch(/theirs|ada/)
  })
})

describe('without somebody who tells who calls', () => {
  const elsewhere = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address

  test.skipIf(elsewhere === undefined)('only this machine may call', async () => {
    const server = await behind()
    const { under } = await mounted({ server: { url: `${server.origin}/mcp` } }, undefined, elsewhere)
    const before = server.received.length
    expect((await ask(under('/mcp'), { body: initializeMessage(1) })).status).toBe(401)
    expect(server.received.length).toBe(before)
  })

  test('a page that points its name at us is refused, and so is a page of elsewhere', async () => {
    const { under } = await mounted({})
    expect((await ask(under('/mcp'), { headers: { host: 'evil.example' }, body: initializeMessage(1) })).status).toBe(403)
    expect((await ask(under('/mcp'), { headers: { origin: 'https://evil.example' }, body: initializeMessage(1) })).status).toBe(403)
  })

  test.each<[string, Partial<RelaySettings>]>([
    ['a host that others can reach', { allowHosts: ['mcp.example.com'] }],
    ['a child for each caller', { isolation: 'identity' }],
    ['an option that there is not', { allowHost: [] } as object],
  ])('%s is refused', async (_what, settings) => {
    await expect(createRelay({ server: SERVER, ...settings })).rejects.toMatchObject({ code: 'usage' })
  })
})

describe('closing', () => {
  test('ends sessions and children, and answers 503 from then on', async () => {
    const { under, close } = await mounted({})
    const session = await openSession(under('/mcp'))
    const pid = Number((await session.call('who'))['pid'])
    await Promise.all([close(), close()])
    await gone(pid)
    expect((await ask(under('/mcp'), { body: initializeMessage(1) })).status).toBe(503)
  })

  test('a command that is not there is said at the start', async () => {
    await expect(createRelay({ server: { command: 'openmcp-no-such-program' } })).rejects.toMatchObject({ code: 'command_not_found' })
  })
})
