// What is open, attacked: streams that outlive the token they were opened with, and answers that nobody hears the end of.
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket, connect } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'

import { createLive } from '../../src/http/live.ts'
import { ANYBODY } from '../../src/protocol/caller.ts'
import { holder } from '../support/did.ts'
import { callMessage } from '../support/openmcp.ts'
import { bearer, secured, sessionWith, toolServer } from '../support/secured.ts'
import { until } from '../support/until.ts'
import type { Received } from '../support/upstream.ts'
import { ask, modernAsked, open } from '../support/wire.ts'

const EVENTS = { accept: 'text/event-stream' }
const LISTEN = { jsonrpc: '2.0', id: 1, method: 'subscriptions/listen', params: { notifications: { toolsListChanged: true } } }

/** Never ends a subscription or a call of `slow`. */
function listening(received: Received, res: ServerResponse): void {
  const { body } = received
  if (body['method'] === 'subscriptions/listen') return void res.writeHead(200, { 'content-type': 'text/event-stream' }).write(': open\n\n')
  if (body['id'] === 'slow') return
  toolServer(received, res)
}

test('a subscription is a stream: it ends with the time of its token', async () => {
  const [all, some] = [await holder(), await holder()]
  const s = await secured({ trusted: [all.did, { id: some.did, tools: ['echo'] }], answer: listening })
  for (const who of [all, some]) {
    const stream = await open(s.url, modernAsked({ ...LISTEN }, bearer(await s.token(who))))
    expect(stream.status).toBe(200)
    s.pass(-1)
    expect(stream.over).toBe(undefined)
    s.pass(902)
    await until('its end', () => stream.over)
    s.pass(-901)
  }
})

test('whoever stole a token listens until it ends, and not for as long as its owner has newer ones', async () => {
  const ann = await holder()
  const s = await secured({ trusted: [ann.did] })
  const stolen = await s.token(ann)
  const thiefs = await sessionWith(s, bearer(stolen))
  const hers = await sessionWith(s, bearer(stolen))
  const listen = (path: string, session: Readonly<Record<string, string>>): ReturnType<typeof open> =>
    open(new URL(path, s.url), { headers: { ...bearer(stolen), ...EVENTS, ...session } })
  const theft = [await listen('/mcp', { 'mcp-session-id': thiefs }), await listen('/mcp', {}), await listen('/sse', {})]
  const own = [await listen('/mcp', { 'mcp-session-id': hers }), await listen('/sse', {})]
  expect([...theft, ...own].map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
  const endpoint = await until('the endpoint', () => own[1]?.events.find(({ event }) => event === 'endpoint')?.data)
  s.pass(600)
  const fresh = bearer(await s.token(ann, { claims: { iat: undefined, exp: Math.floor(s.now() / 1000) + 120 } }))
  const ping = { jsonrpc: '2.0', id: 'ping', method: 'ping' }
  expect((await ask(s.url, { headers: { ...fresh, 'mcp-session-id': hers }, body: ping })).status).toBe(200)
  expect((await ask(new URL(endpoint, s.url), { headers: fresh, body: ping })).status).toBe(202)
  s.pass(301)
  for (const stream of theft) await until('its end', () => stream.over)
  expect(own.map(({ over }) => over)).toEqual([undefined, undefined])
})

test('an answer that closes twice takes nobody else out of sight', () => {
  const live = createLive(() => 0)
  const answers = Array.from({ length: 3 }, () => new ServerResponse(new IncomingMessage(new Socket())))
  for (const res of answers) live.enter(ANYBODY, res)
  for (let times = 0; times < 3; times++) answers[0]?.emit('close')
  live.sweep(() => true)
  expect(answers.map(({ destroyed }) => destroyed)).toEqual([false, true, true])
})

test('requests sent without waiting for the answer before end with their connection', async () => {
  const ann = await holder()
  let gone = 0
  const s = await secured({
    trusted: [ann.did],
    answer(received, res) {
      if (received.body['id'] === 'slow') res.once('close', () => gone++)
      listening(received, res)
    },
  })
  const { authorization = '' } = bearer(await s.token(ann))
  const session = await sessionWith(s, { authorization })
  const body = JSON.stringify(callMessage('slow', 'echo'))
  const head = `Host: ${s.url.host}\r\nAuthorization: ${authorization}\r\nMcp-Session-Id: ${session}\r\nAccept: application/json, text/event-stream\r\n`
  const call = `POST /mcp HTTP/1.1\r\n${head}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const socket = connect(Number(s.url.port), s.url.hostname)
  onTestFinished(() => void socket.destroy())
  socket.write(`GET /mcp HTTP/1.1\r\n${head}\r\n${call.repeat(3)}`)
  await until('the calls upstream', () => s.upstream.received.filter(({ body: { id } }) => id === 'slow').length === 3)
  socket.destroy()
  await until('the end of the calls upstream', () => gone > 2)
  expect(gone).toBe(3)
})
