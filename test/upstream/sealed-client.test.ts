// What a client believes of somebody in between, and of a node that does not know it: what was sealed for this request, and nothing else.
import { describe, expect, onTestFinished, test } from 'vitest'

import type { OpenMcpError } from '../../src/errors.ts'
import type { TspIdentity } from '../../src/identity/tsp/piv.ts'
import { parseVid } from '../../src/identity/vid.ts'
import type { ResponseHead } from '../../src/protocol/exchange.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { tmcpPeer } from '../../src/tsp/tmcp-client.ts'
import { createHttpClient, type HttpClient } from '../../src/upstream/http-client.ts'
import type { ClientRequest } from '../../src/upstream/http-request.ts'
import { createSealedClient, findSealedRemote } from '../../src/upstream/sealed-http.ts'
import { jsonOf } from '../support/json.ts'
import { callMessage, initializeMessage } from '../support/openmcp.ts'
import { handPeer, QUIET, resolver, sealedNode, sealedPlace, someVid, type SealedNode, type SealedPlace } from '../support/sealed.ts'
import { toolServer } from '../support/secured.ts'
import { until } from '../support/until.ts'
import { modernAsked } from '../support/wire.ts'

const LIMITS = { ...DEFAULT_LIMITS, connectSeconds: 0.5 }

test('an answer that is lost fails the request, which is not done twice', async () => {
  const { client, node } = await clientOf()
  const { sessionId = '' } = (await asked(client, initializeMessage(1))).head ?? {}
  node.between.alter = () => ''
  const { length } = node.between.passed
  node.reached()
  const { error } = await asked(client, callMessage(2, 'echo'), { 'mcp-session-id': sessionId })
  expect(error).toMatchObject({ code: 'timeout' })
  expect(node.reached().map(({ body }) => body['method'])).toEqual(['tools/call'])
  expect(node.between.passed.length - length).toBeGreaterThan(1)
})

test('of two answers that are exchanged neither is believed', async () => {
  const { client, node } = await clientOf()
  await asked(client, initializeMessage(0))
  const texts: string[] = []
  node.between.hold = async (text) => {
    const mine = texts.push(text) - 1
    await until('both answers', () => texts.length === 2)
    return texts[1 - mine] ?? ''
  }
  const answers = await Promise.all([asked(client, initializeMessage(1)), asked(client, initializeMessage(1))])
  expect(answers.map(({ error, body }) => ({ code: error?.code, body }))).toEqual([
    { code: 'upstream_broke', body: '' },
    { code: 'upstream_broke', body: '' },
  ])
})

test.each<[string, (text: string) => string]>([
  ['changed in one place', (text) => `${text.slice(0, -1)}${text.endsWith('A') ? 'B' : 'A'}`],
  ['shortened', (text) => text.slice(0, -4)],
  ['in the clear', () => JSON.stringify({ jsonrpc: '2.0', id: 1, result: {} })],
])('an answer that is %s is not believed', async (_what, change) => {
  const { client, node } = await clientOf()
  await asked(client, initializeMessage(0))
  node.between.alter = change
  expect(await asked(client, initializeMessage(1))).toMatchObject({ body: '', error: { code: 'upstream_broke' } })
})

test('of a stream nothing is told after an event that is not believed', async () => {
  const { client, node } = await clientOf({
    answer: ({ method, body }, res) => {
      if (method === 'GET' || body['method'] !== 'tools/call') return toolServer({ method, url: '', headers: {}, text: '', body }, res)
      res.writeHead(200, { 'content-type': 'text/event-stream' })
      for (const n of [1, 2, 3]) res.write(`data: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: { n } })}\n\n`)
      res.end()
    },
  })
  const { sessionId = '' } = (await asked(client, initializeMessage(1))).head ?? {}
  let events = 0
  node.between.alter = (text) => text.replaceAll(/data: ([\w-]+)/g, (whole, data: string) => (++events === 3 ? `data: ${data.slice(0, -4)}` : whole))
  const { body, error } = await asked(client, callMessage(2, 'echo'), { 'mcp-session-id': sessionId })
  expect({ told: [...body.matchAll(/"n":(\d)/g)].map(([, n]) => n), code: error?.code }).toEqual({ told: ['1'], code: 'upstream_broke' })
})

test('the status, the session and the headers are those under the seal', async () => {
  const { client, node } = await clientOf()
  node.between.head = (status, headers) => ({
    status: status === 200 ? 207 : status,
    headers: { ...headers, 'mcp-session-id': 'another', 'cache-control': 'max-age=9' },
  })
  const { status, head } = await asked(client, initializeMessage(1))
  expect({ status, session: head?.sessionId, others: head?.others }).toEqual({ status: 200, session: expect.stringMatching(/^[\w-]{43}$/), others: {} })
})

test('a node that was started again, and has forgotten us, is related to anew without a word', async () => {
  const own = someVid()
  const place = await sealedPlace()
  const { client, node } = await clientOf({ own, place })
  await asked(client, initializeMessage(1))
  await node.stop()
  const after = await sealedNode({ place, trusted: [own.vid] })
  expect(await asked(client, initializeMessage(2))).toMatchObject({ status: 200 })
  expect(after.reached().map(({ body }) => body['method'])).toEqual(['initialize'])
})

test('a node that was started again before anything was asked of it is related to anew', async () => {
  const own = someVid()
  const place = await sealedPlace()
  const { client, node } = await clientOf({ own, place })
  await node.stop()
  await sealedNode({ place, trusted: [own.vid] })
  expect(await asked(client, initializeMessage(1))).toMatchObject({ status: 200 })
})

test('a node that was started again, and has kept the relationship, begins a new session without a word', async () => {
  const own = someVid()
  const place = await sealedPlace()
  const security = { store: `file:${place.keys}/store.db` }
  const { client, node } = await clientOf({ own, place, security })
  await asked(client, initializeMessage(1))
  await node.stop()
  const after = await sealedNode({ place, trusted: [own.vid], security })
  const { length } = place.between.passed
  expect(await asked(client, initializeMessage(2))).toMatchObject({ status: 200 })
  expect(after.reached()).toHaveLength(1)
  // What was refused, what began the session, and the same again: the relationship is the one that was there.
  expect(place.between.passed.length - length).toBe(3)
})

test('what was asked in a session of MCP is not asked again of a node that was started anew: the session is over, as everywhere', async () => {
  const own = someVid()
  const place = await sealedPlace()
  const security = { store: `file:${place.keys}/store.db` }
  const { client, node } = await clientOf({ own, place, security })
  const { sessionId = '' } = (await asked(client, initializeMessage(1))).head ?? {}
  await node.stop()
  const after = await sealedNode({ place, trusted: [own.vid], security })
  const answer = await asked(client, callMessage(2, 'echo'), { 'mcp-session-id': sessionId })
  expect(answer).toMatchObject({ status: 0, error: { code: 'session_ended' } })
  expect(after.reached()).toEqual([])
})

test('a call without a session is not made twice of a node that forgot the first, whoever brings it there', async () => {
  const own = someVid()
  const place = await sealedPlace()
  const security = { store: `file:${place.keys}/store.db` }
  const { client, node } = await clientOf({ own, place, security })
  await asked(client, initializeMessage(1))
  let after: SealedNode | undefined
  // The answer of the node to the call is kept back, and the same bytes are brought to the node that was started instead.
  place.between.hold = async () => {
    const { body: bytes, url } = place.between.passed.at(-1) ?? { body: '', url: '' }
    await node.stop()
    after = await sealedNode({ place, trusted: [own.vid], security })
    return (await fetch(new URL(url, after.base), { method: 'POST', body: bytes, headers: { 'content-type': 'application/json' } })).text()
  }
  const { body, headers } = modernAsked(callMessage(2, 'echo'))
  const { error } = await asked(client, jsonOf(body), headers)
  expect(error).toMatchObject({ code: 'session_ended', message: expect.stringContaining('may have been done') })
  expect(after?.reached()).toEqual([])
})

test('a node that does not trust us any more says nothing, and the request fails with what may help', async () => {
  const own = someVid()
  const { client, node } = await clientOf({ own, trusted: [{ id: own.vid, untilMs: Date.now() + 60_000 }] })
  node.pass(120)
  expect(await asked(client, initializeMessage(1))).toMatchObject({ error: { code: 'timeout', hint: expect.stringContaining(`openmcp trust add ${own.vid}`) } })
})

describe('the way to a node', () => {
  test('fails in words, within its time, where nobody trusts us', async () => {
    const node = await sealedNode({ trusted: [someVid().vid] })
    const own = someVid()
    await expect(find(own, node)).rejects.toMatchObject({ code: 'timeout', hint: expect.stringContaining(own.vid) })
  })

  test('fails in words, within its time, where nobody answers', async () => {
    const own = someVid()
    const node = await sealedNode({ trusted: [own.vid] })
    node.between.meddle = () => true
    await expect(find(own, node)).rejects.toMatchObject({ code: 'timeout', message: expect.stringContaining('within 0.5 s') })
  })

  test('fails in words where something else stands', async () => {
    const own = someVid()
    const node = await sealedNode({ trusted: [own.vid] })
    node.between.meddle = (_passed, res) => {
      res.writeHead(404).end('nothing here')
      return true
    }
    await expect(find(own, node)).rejects.toMatchObject({ code: 'upstream_broke', message: expect.stringContaining('HTTP 404') })
  })

  test.each(['http://10.0.0.1/tsp', 'http://169.254.169.254/tsp', 'http://[fd00::1]/tsp', 'http://a:b@127.0.0.1/tsp'])('leads not to %s', async (endpoint) => {
    const there = someVid({ endpoint })
    await expect(
      tmcpPeer({ own: someVid(), remote: parseVid(there.long), resolver: resolver(), near: { trustLoopback: true }, log: QUIET })(),
    ).rejects.toMatchObject({
      code: 'egress_refused',
    })
  })

  test.each(['http://127.0.0.1:1/tsp', 'http://[::1]:1/tsp'])('leads to %s only for whoever may speak to this machine', async (endpoint) => {
    const there = someVid({ endpoint })
    const peer = { own: someVid(), remote: parseVid(there.long), resolver: resolver(), log: QUIET }
    await expect(tmcpPeer({ ...peer, near: { trustLoopback: false } })()).rejects.toMatchObject({ code: 'egress_refused' })
    await expect(tmcpPeer({ ...peer, near: { trustLoopback: true } })()).resolves.toMatchObject({ url: new URL(`${endpoint}?did=${peer.own.vid}`) })
  })

  test('leads not to a name that is an address of ours by the time it is connected to', async () => {
    const there = someVid({ endpoint: 'http://rebound.example/tsp' })
    const lookup = (_name: string, _options: object, found: (error: null, addresses: { address: string; family: number }[]) => void): void =>
      found(null, [{ address: '10.1.2.3', family: 4 }])
    const peer = tmcpPeer({ own: someVid(), remote: parseVid(there.long), resolver: resolver(), near: { trustLoopback: true }, lookup, log: QUIET })
    await expect(findSealedRemote(peer, { isolation: 'session', limits: LIMITS, log: QUIET, now: Date.now, name: 'x' })).rejects.toMatchObject({
      code: 'egress_refused',
      message: expect.stringContaining('not public'),
    })
  })
})

async function find(own: TspIdentity, node: SealedNode): Promise<unknown> {
  const peer = tmcpPeer({ own, remote: parseVid(node.vid), resolver: resolver(), near: { trustLoopback: true }, log: QUIET })
  return findSealedRemote(peer, { isolation: 'session', limits: LIMITS, log: QUIET, now: Date.now, name: 'x' })
}

async function clientOf({ own = someVid(), ...options }: Parameters<typeof sealedNode>[0] & { own?: TspIdentity; place?: SealedPlace } = {}): Promise<{
  client: HttpClient
  node: SealedNode
}> {
  const node = await sealedNode({ trusted: [own.vid], ...options })
  const { url, lookup } = await tmcpPeer({ own, remote: parseVid(node.vid), resolver: resolver(), near: { trustLoopback: true }, log: QUIET })()
  const http = createHttpClient(url.origin, {}, LIMITS, { lookup })
  onTestFinished(() => http.close())
  const { way } = handPeer(own, node)
  await way.relate()
  return { client: createSealedClient({ http, url, way, limits: LIMITS, log: QUIET }), node }
}

interface Outcome {
  status: number
  head: ResponseHead | undefined
  body: string
  error: OpenMcpError | undefined
}

async function asked(client: HttpClient, message: object, headers: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const request: ClientRequest = {
    method: 'POST',
    url: new URL('http://under.the.seal/'),
    headers: { accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify(message),
  }
  const outcome: Outcome = { status: 0, head: undefined, body: '', error: undefined }
  let isOver = false
  client.request(request, {
    head: (status, head) => void Object.assign(outcome, { status, head }),
    chunk: (bytes) => void (outcome.body += bytes.toString()),
    end: () => void (isOver = true),
    failed(error) {
      outcome.error = error
      isOver = true
    },
  })
  await until('the end of the answer', () => isOver)
  return outcome
}
