// What a caller may, attacked: by saying one thing to the gate and another to the server, and by doors that take no message.
import express from 'express'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'

import { addTrust } from '../../src/policy/rules.ts'
import { holder } from '../support/did.ts'
import { isJson, type Json } from '../support/json.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { bearer, secured, sessionWith } from '../support/secured.ts'
import { until } from '../support/until.ts'
import { ask, modernAsked, open } from '../support/wire.ts'

const EVENTS = { accept: 'text/event-stream' }

test('a charset of its own does not make another message of what was checked', async () => {
  // Express reads a body as its Content-Type says, and as the official SDK does it knows utf-7.
  const seen: string[] = []
  const app = express()
  app.post('/mcp', express.json(), (req, res) => {
    const body: unknown = req.body
    const message: Json = isJson(body) ? body : {}
    seen.push(String(message['method']))
    res.json({ jsonrpc: '2.0', id: message['id'] ?? null, result: {} })
  })
  const server = createServer(app)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  onTestFinished(() => void server.close())
  const urls = [new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`)] // a TCP listener has one
  const reader = await holder()
  const s = await secured({
    trusted: [{ id: reader.did, scopes: ['mcp:resources'] }],
    options: { target: { kind: 'remote', urls, transport: 'http', headers: {} } },
  })
  const headers = bearer(await s.token(reader, { form: { scope: 'mcp:resources' } }))
  const smuggled =
    '{"jsonrpc":"2.0","id":1,"method":"resources/list","params":{"x":"+ACIAfQ-,+ACI-method+ACI-:+ACI-tools/call+ACI-,+ACI-y+ACI-:+AHsAIg-z+ACI-:+ACI-"}}'
  for (const type of [
    'application/json; charset=utf-7',
    'application/json;charset="UTF-7"',
    'application/json; charset=utf-8; charset=utf-7',
    'application/json; charset=utf-16le',
  ])
    await ask(s.url, { headers: { ...headers, 'content-type': type }, body: smuggled })
  expect(seen.filter((method) => method !== 'resources/list')).toEqual([])
  for (const type of ['application/json; charset=utf-8', 'application/json;charset="UTF-8"', 'application/json'])
    expect((await ask(s.url, { headers: { ...headers, 'content-type': type }, body: smuggled })).status).toBe(200)
})

test('a member that a server might read in the place of what was checked holds the message back', async () => {
  // The MCP Go SDK matched names without regard to case (GHSA-wvj2-96wp-fq3f) and to NUL at their end (GHSA-q382-vc8q-7jhj), and the last one counted.
  const [some, reader] = [await holder(), await holder()]
  const s = await secured({
    trusted: [
      { id: some.did, tools: ['echo'] },
      { id: reader.did, scopes: ['mcp:resources'] },
    ],
  })
  const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'echo', arguments: {} } }
  const twoFaced: readonly Json[] = [
    { ...call, params: { name: 'echo', Name: 'secret' } },
    { ...call, params: { NAME: 'secret', name: 'echo' } },
    { ...call, params: { name: 'echo', 'name\u0000': 'secret' } },
    { ...call, params: { name: 'echo', '\u200bname ': 'secret' } },
    { ...call, 'params\u0000': { name: 'secret' } },
    { ...call, Params: { name: 'secret' } },
    { ...call, paramſ: { name: 'secret' } },
    { jsonrpc: '2.0', id: 1, method: 'ping', Method: 'tools/call', params: { name: 'secret' } },
    { jsonrpc: '2.0', id: 1, result: {}, Method: 'tools/call', params: { name: 'secret' } },
    { jsonrpc: '2.0', method: 'notifications/x', ID: 1, METHOD: 'tools/call', params: { name: 'secret' } },
  ]
  const headers = bearer(await s.token(some))
  const session = { ...headers, 'mcp-session-id': await sessionWith(s, headers) }
  const reads = bearer(await s.token(reader, { form: { scope: 'mcp:resources' } }))
  s.reached()
  for (const body of twoFaced) {
    expect.soft((await ask(s.url, { headers: session, body })).status, JSON.stringify(body)).toBe(400)
    expect.soft((await ask(s.url, { headers: session, body: [body, call] })).status, JSON.stringify(body)).toBe(400)
    expect.soft((await ask(s.url, modernAsked(body, headers))).status, JSON.stringify(body)).toBe(400)
  }
  expect(
    (await ask(s.url, { headers: reads, body: { jsonrpc: '2.0', id: 1, method: 'resources/list', Method: 'tools/call', params: { name: 'secret' } } })).status,
  ).toBe(400)
  expect(s.reached()).toEqual([])
  expect((await ask(s.url, { headers: session, body: { ...call, params: { name: 'echo', arguments: { Name: 'secret', name: 1 } } } })).status).toBe(200)
})

test('whoever may do nothing of MCP opens no stream, reaches nothing and starts nothing', async () => {
  const [asker, nothing] = [await holder(), await holder()]
  const s = await secured({
    trusted: [
      { id: asker.did, scopes: ['introspect'] },
      { id: nothing.did, scopes: [] },
    ],
  })
  const issued = await s.token(asker, { form: { scope: 'introspect' } })
  const seconds = Math.floor(s.now() / 1000)
  const own = await nothing.sign({ iss: nothing.did, sub: nothing.did, aud: s.url.href, exp: seconds + 300 })
  for (const token of [issued, own]) {
    s.reached()
    for (const path of ['/mcp', '/sse']) {
      const stream = await open(new URL(path, s.url), { headers: { ...bearer(token), ...EVENTS } })
      expect.soft(stream.status, path).toBe(403)
      expect.soft(stream.headers['www-authenticate'], path).toContain('error="insufficient_scope"')
      await stream.stop()
    }
    expect.soft((await ask(s.url, { method: 'DELETE', headers: bearer(token) })).status).toBe(403)
    expect(s.reached()).toEqual([])
  }
})

test('what is open ends when its identity may do nothing of MCP any more', async () => {
  const ann = await holder()
  const s = await secured({ durable: true })
  const store = await s.otherProcess()
  await addTrust(store, { id: ann.did })
  const token = await until('trust', () => s.token(ann).catch(() => undefined))
  const session = await sessionWith(s, bearer(token))
  const streams = [
    await open(s.url, { headers: { ...bearer(token), ...EVENTS, 'mcp-session-id': session } }),
    await open(new URL('/sse', s.url), { headers: { ...bearer(token), ...EVENTS } }),
  ]
  expect(streams.map(({ status }) => status)).toEqual([200, 200])
  await addTrust(store, { id: ann.did, scopes: [] })
  for (const stream of streams) await until('its end', () => stream.over)
  await addTrust(store, { id: ann.did })
  await until('trust', async () => (await ask(s.url, { headers: bearer(token), body: initializeMessage(1) })).status === 200)
  expect((await ask(s.url, { headers: { ...bearer(token), 'mcp-session-id': session }, body: { jsonrpc: '2.0', id: 2, method: 'ping' } })).status).toBe(404)
})
