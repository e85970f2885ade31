// A remote server that is behind something: a proxy of the organisation, or another path.
import { expect, onTestFinished, test } from 'vitest'

import { readArguments } from '../../src/cli/arguments.ts'
import { RUN_OPTIONS } from '../../src/cli/option-table.ts'
import { runOptions } from '../../src/cli/run-options.ts'
import { machineWith } from '../cli/machine.ts'
import { forwardProxy } from '../support/forward-proxy.ts'
import { callMessage, INITIALIZED, initializeMessage } from '../support/openmcp.ts'
import { toolServer } from '../support/secured.ts'
import { upstream } from '../support/upstream.ts'
import { ask, openSession } from '../support/wire.ts'
import { running } from './stage.ts'

const ACCEPT = { accept: 'application/json, text/event-stream' }

test('the proxy that the environment names is what a server is reached through, and its password is in no log', async () => {
  const behind = await upstream(toolServer)
  onTestFinished(behind.stop)
  const proxy = await forwardProxy({ to: Number(new URL(behind.origin).port) })
  onTestFinished(proxy.stop)
  const machine = machineWith({ env: { http_proxy: `http://u:hunter2@${proxy.host}`, HTTP_PROXY: 'http://127.0.0.1:1' } })
  const { target } = runOptions(readArguments(['http://mcp.example.test/mcp'], RUN_OPTIONS), machine).options
  const log: string[] = []
  const { at } = await running([], log, { ...(target && { target }) })
  const { status, headers } = await ask(at('/mcp'), { headers: ACCEPT, body: initializeMessage(1) })
  expect([status, proxy.asked[0]]).toEqual([200, 'mcp.example.test:80'])
  await ask(at('/mcp'), { headers: { ...ACCEPT, 'mcp-session-id': String(headers['mcp-session-id']) }, body: INITIALIZED })
  expect(proxy.headers.every((one) => one['proxy-authorization'] === `Basic ${Buffer.from('u:hunter2').toString('base64')}`)).toBe(true)
  expect(JSON.stringify([log, behind.received])).not.toMatch(/hunter2|proxy-authorization/)
})

test('a proxy that refuses us is told to the client in words, and the server hears nothing', async () => {
  const behind = await upstream(toolServer)
  onTestFinished(behind.stop)
  const proxy = await forwardProxy({ to: Number(new URL(behind.origin).port), refuse: 407 })
  onTestFinished(proxy.stop)
  const way = { proxies: { http: new URL(`http://u:hunter2@${proxy.host}`), except: '' } }
  const log: string[] = []
  const { at } = await running([], log, {
    target: { kind: 'remote', urls: [new URL('http://mcp.example.test/mcp')], transport: 'auto', headers: {}, way },
  })
  const { status, text } = await ask(at('/mcp'), { headers: ACCEPT, body: initializeMessage(1) })
  expect([status, text]).toEqual([502, expect.stringContaining(`the proxy ${proxy.host} wants to know who we are (HTTP 407)`)])
  expect(JSON.stringify([log, text])).not.toContain('hunter2')
  expect(behind.received).toEqual([])
})

test('a server that sends us from /mcp to /mcp/ is served as it is, and asked there from then on', async () => {
  const behind = await upstream((one, res) => (one.url === '/mcp' ? void res.writeHead(307, { location: '/mcp/' }).end() : toolServer(one, res)), undefined)
  onTestFinished(behind.stop)
  const { at } = await running([], [], { target: { kind: 'remote', urls: [new URL('/mcp', behind.origin)], transport: 'http', headers: {} } })
  const session = await openSession(at('/mcp'))
  const call = await session.post(callMessage(2, 'echo'))
  expect(await call.message(({ id }) => id === 2)).toMatchObject({ result: { content: [{ text: 'echo' }] } })
  expect(behind.received.filter(({ url }) => url === '/mcp')).toHaveLength(1)
})

test('one that sends us to another server is not followed, and the client is told', async () => {
  const other = await upstream(toolServer)
  onTestFinished(other.stop)
  const behind = await upstream((_one, res) => void res.writeHead(307, { location: `${other.origin}/mcp?token=hunter2` }).end())
  onTestFinished(behind.stop)
  const { at } = await running([], [], { target: { kind: 'remote', urls: [new URL('/mcp', behind.origin)], transport: 'http', headers: { 'x-key': 'ours' } } })
  const { status, text } = await ask(at('/mcp'), { headers: ACCEPT, body: initializeMessage(1) })
  expect([status, text]).toEqual([502, expect.stringContaining(`redirects to ${other.origin}/mcp (HTTP 307), which is not followed`)])
  expect(text).not.toContain('hunter2')
  expect(other.received).toEqual([])
})
