// What a node does that is asked over HTTP under a seal: whoever may not ask gets one and the same silence, and nothing behind is reached.
import { describe, expect, onTestFinished, test } from 'vitest'

import type { TspIdentity } from '../../src/identity/tsp/piv.ts'
import { removeTrust } from '../../src/policy/rules.ts'
import type { CarriedPiece, CarriedRequest } from '../../src/protocol/carried.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { openStore } from '../../src/store/open-store.ts'
import { at, type Json } from '../support/json.ts'
import { callMessage, INITIALIZED, initializeMessage } from '../support/openmcp.ts'
import { toolServer } from '../support/secured.ts'
import { handPeer, sealedNode, sealedPlace, someVid, type HandPeer, type SealedNode } from '../support/sealed.ts'
import { until } from '../support/until.ts'
import { json } from '../support/upstream.ts'
import { open, type Answer } from '../support/wire.ts'

/** Nothing in it tells one refusal from another. */
const SILENCE = { status: 202, text: '' }
const silenceOf = ({ status, text }: Answer): { status: number; text: string } => ({ status, text })

describe('silence, and nothing reached, for', () => {
  test('a VID that nobody trusts, which is not even answered when it invites', async () => {
    const node = await sealedNode({ trusted: [someVid().vid] })
    const stranger = handPeer(someVid(), node)
    expect(await stranger.relate()).toBe(false)
    expect(node.between.passed.map(({ status, answer }) => ({ status, text: answer }))).toEqual([SILENCE])
    expect(node.reached()).toEqual([])
  })

  test('the VID of another with a key of its own', async () => {
    const [own, other] = [someVid(), someVid()]
    const node = await sealedNode({ trusted: [own.vid] })
    await related(own, node)
    const thief = handPeer({ ...own, secrets: other.secrets }, node)
    expect(await thief.relate()).toBe(false)
    // Not even in the relationship that the other has.
    const { text } = await sealedCall(handPeer(own, node))
    const forged = await forgedFrom(text, other)
    expect(silenceOf(await thief.post(forged))).toEqual(SILENCE)
    expect(methodsIn(node)).toEqual([])
  })

  test('a message under the name of another', async () => {
    const [own, other] = [someVid(), someVid()]
    const node = await sealedNode({ trusted: [own.vid, other.vid] })
    const peer = await related(own, node)
    await related(other, node)
    const { text } = await sealedCall(peer)
    for (const did of [other.vid, node.vid, '', 'did:nobody', `${own.vid}&did=${own.vid}`])
      expect({ did, ...silenceOf(await peer.post(text, { did })) }).toEqual({ did, ...SILENCE })
    expect(methodsIn(node)).toEqual([])
    // It was not spent: under its own name it is taken.
    expect((await peer.post(text)).status).toBe(200)
    expect(methodsIn(node)).toEqual(['initialize'])
  })

  test('what is no text of a message', async () => {
    const own = someVid()
    const node = await sealedNode({ trusted: [own.vid] })
    const peer = await related(own, node)
    const { text } = await sealedCall(peer)
    const wrong = ['', '=', ' ', 'a', `${text}!`, ` ${text}`, `"${text}"`, text.slice(0, -4), `${text}AAAA`, Buffer.from(text, 'base64url').toString('latin1')]
    for (const body of wrong) expect({ body, ...silenceOf(await peer.post(body)) }).toEqual({ body, ...SILENCE })
    expect(methodsIn(node)).toEqual([])
  })

  test('a message of which one character is another', async () => {
    const own = someVid()
    const node = await sealedNode({ trusted: [own.vid] })
    const peer = await related(own, node)
    const { text } = await sealedCall(peer)
    const places = Array.from({ length: Math.ceil(text.length / 7) }, (_, n) => n * 7)
    const answers = await Promise.all(places.map((place) => peer.post(`${text.slice(0, place)}${text[place] === 'x' ? 'y' : 'x'}${text.slice(place + 1)}`)))
    expect(answers.map(silenceOf)).toEqual(answers.map(() => SILENCE))
    expect(methodsIn(node)).toEqual([])
    expect((await peer.post(text)).status).toBe(200)
  })

  test.each(['GET', 'DELETE'])('a bare %s with the name of a session: it proves nothing', async (method) => {
    const own = someVid()
    const node = await sealedNode({ trusted: [own.vid] })
    const peer = await related(own, node)
    const session = await sessionOf(peer)
    node.reached()
    const stream = await open(new URL(`/tsp?did=${own.vid}`, node.between.origin), {
      method,
      headers: { accept: 'text/event-stream', 'mcp-session-id': session },
    })
    await stream.whole()
    expect({ status: stream.status, text: stream.text }).toEqual(SILENCE)
    expect(node.reached()).toEqual([])
    expect((await asked(peer, { method: 'POST', headers: { 'mcp-session-id': session }, body: callMessage(7, 'echo') })).status).toBe(200)
  })

  test('a message that is sent again, also into another session', async () => {
    const own = someVid()
    const node = await sealedNode({ trusted: [own.vid] })
    const peer = await related(own, node)
    const session = await sessionOf(peer)
    const { text } = await sealedCall(peer, callMessage(7, 'echo'), session)
    expect((await peer.post(text)).status).toBe(200)
    node.reached()
    expect(silenceOf(await peer.post(text))).toEqual(SILENCE)
    await sessionOf(handPeer(own, node))
    expect(silenceOf(await peer.post(text))).toEqual(SILENCE)
    expect(methodsIn(node)).toEqual(['initialize', 'notifications/initialized'])
  })

  test('a message of before a restart: its sender learns that the session is over, and nobody else learns anything', async () => {
    const own = someVid()
    const place = await sealedPlace()
    const store = `file:${place.keys}/store.db`
    const before = await sealedNode({ place, trusted: [own.vid], security: { store } })
    const peer = await related(own, before)
    const { text } = await sealedCall(peer, callMessage(7, 'echo'), await sessionOf(peer))
    await before.stop()
    const after = await sealedNode({ place, trusted: [own.vid], security: { store } })
    const answer = await peer.post(text)
    expect(await peer.open(answer.text)).toMatch(/^\{"http":"forgotten","session":"[\w-]{40}","n":3,"why":"session_unknown"\}\n$/)
    expect(methodsIn(after)).toEqual([])
  })

  test('a JSON-RPC message alone; who sent it learns, sealed, what is missing', async () => {
    const own = someVid()
    const node = await sealedNode({ trusted: [own.vid] })
    const peer = await related(own, node)
    const answer = await peer.post(await peer.seal(JSON.stringify(initializeMessage(5))))
    expect(JSON.parse((await peer.open(answer.text)) ?? '')).toMatchObject({ jsonrpc: '2.0', id: 5, error: { code: -32600 } })
    expect(methodsIn(node)).toEqual([])
  })

  test('a message of what is no HTTP', async () => {
    const own = someVid()
    const node = await sealedNode({ trusted: [own.vid] })
    const peer = await related(own, node)
    const opened = await peer.open((await peer.post(await peer.seal('{"openmcp":"open","nonce":"AAAAAAAAAAAAAAAAAAAAAA"}'))).text)
    const session = String(at(JSON.parse(opened ?? ''), 'session'))
    const heads = [
      '{}',
      '{"http":"PUT","id":1,"headers":{}}',
      '{"http":"POST","id":-1,"headers":{}}',
      '{"http":"POST","id":1,"headers":{"accept":"a\\nb"}}',
      'no JSON',
    ]
    for (const [n, head] of heads.entries()) {
      const body = JSON.stringify(initializeMessage(1))
      const data = `{"openmcp":"message","session":"${session}","n":${n + 1}}\n${head}\n${body}`
      expect({ head, ...silenceOf(await peer.post(await peer.seal(data))) }).toEqual({ head, ...SILENCE })
    }
    expect(methodsIn(node)).toEqual([])
  })

  test('whoever is asked to verify alone', async () => {
    const own = someVid()
    const node = await sealedNode({ trusted: [own.vid], security: { tsp: { modes: ['verify'], id: 'tsp' } } })
    await expect(handPeer(own, node).relate()).resolves.toBe(false)
    expect(methodsIn(node)).toEqual([])
  })
})

test('a VID that is told the URL is served there, also by a node whose document names a TCP port', async () => {
  const own = someVid()
  const node = await sealedNode({ place: await sealedPlace({ endpoint: 'tcp://127.0.0.1:0' }), trusted: [own.vid] })
  expect(await asked(await related(own, node), { method: 'POST', headers: {}, body: initializeMessage(1) })).toMatchObject({ status: 200 })
})

describe('a session', () => {
  test('is invisible to another VID that has its name', async () => {
    const [own, other] = [someVid(), someVid()]
    const node = await sealedNode({ trusted: [own.vid, other.vid] })
    const session = await sessionOf(await related(own, node))
    node.reached()
    const thief = await related(other, node)
    for (const method of ['POST', 'GET', 'DELETE'] as const) {
      const body = method === 'POST' ? callMessage(1, 'echo') : undefined
      expect({ method, ...(await asked(thief, { method, headers: { 'mcp-session-id': session }, body })) }).toMatchObject({ method, status: 404 })
    }
    expect(methodsIn(node)).toEqual([])
  })

  test('is the one that is named under the seal, whatever the headers around it say', async () => {
    const own = someVid()
    const node = await sealedNode({ trusted: [own.vid] })
    const peer = await related(own, node)
    const session = await sessionOf(peer)
    node.between.meddle = (passed) => {
      Object.assign(passed.headers, { 'mcp-session-id': 'another', 'mcp-protocol-version': '1999-01-01', accept: 'text/plain', 'last-event-id': '0_1' })
      return false
    }
    expect(await asked(peer, { method: 'POST', headers: { 'mcp-session-id': session }, body: callMessage(7, 'echo') })).toMatchObject({ status: 200 })
  })

  test('ends when its client says so', async () => {
    const own = someVid()
    const node = await sealedNode({ trusted: [own.vid] })
    const peer = await related(own, node)
    const session = await sessionOf(peer)
    expect(await asked(peer, { method: 'DELETE', headers: { 'mcp-session-id': session } })).toMatchObject({ status: 200 })
    expect(await asked(peer, { method: 'POST', headers: { 'mcp-session-id': session }, body: callMessage(7, 'echo') })).toMatchObject({ status: 404 })
  })
})

describe('what is open ends', () => {
  test('when the relationship does', async () => {
    const { peer, stream, node } = await listening()
    const { text } = await sealedCall(peer)
    await peer.cancel()
    await until('the end of the stream', () => stream.over)
    expect(silenceOf(await peer.post(text))).toEqual(SILENCE)
    expect(methodsIn(node)).toEqual([])
  })

  test('when the trust does', async () => {
    const { peer, own, stream, node, store } = await listening()
    const { text } = await sealedCall(peer)
    await removeTrust(store, own.vid)
    await until('the end of the stream', () => stream.over)
    expect(silenceOf(await peer.post(text))).toEqual(SILENCE)
    expect(methodsIn(node)).toEqual([])
  })
})

test('who is trusted at other servers is told that there is none here, and has nothing open any more', async () => {
  const { peer, own, stream, node, store, session } = await listening()
  const { addTrust } = await import('../../src/policy/rules.ts')
  await addTrust(store, { id: own.vid, servers: ['none'] })
  await until('the end of the stream', () => stream.over)
  expect(methodsIn(node)).toEqual([])
  for (const headers of [{}, { 'mcp-session-id': session }]) {
    const answer = await asked(peer, { method: 'POST', headers, body: callMessage(7, 'echo') })
    expect([answer.status, answer.body]).toEqual([404, expect.stringContaining('there is no such server here')])
  }
  expect(methodsIn(node)).toEqual([])
})

test('what is open goes on for as long as the relationship is renewed', async () => {
  const [own, other] = [someVid(), someVid()]
  const node = await sealedNode({ trusted: [own.vid, other.vid] })
  const [renewed, left] = [await listeningAs(own, node), await listeningAs(other, node)]
  for (const hours of [13, 13]) {
    node.pass(hours * 3600)
    await renewed.peer.way.relate()
  }
  expect(await until('the end of the other stream', () => left.stream.over)).toBe('cut')
  expect(renewed.stream.over).toBeUndefined()
  const { session } = renewed
  expect(await asked(renewed.peer, { method: 'POST', headers: { 'mcp-session-id': session }, body: callMessage(7, 'echo') })).toMatchObject({ status: 200 })
})

describe('an answer is sealed', () => {
  test.each<[string, Partial<CarriedRequest> & { json?: Json }, number]>([
    ['that refuses what is no JSON', { body: Buffer.from('{') }, 400],
    ['that refuses what is no JSON-RPC', { json: { hello: 1 } }, 400],
    ['that knows no such session', { json: callMessage(1, 'echo'), headers: { 'mcp-session-id': 'none' } }, 404],
  ])('%s', async (_what, request, status) => {
    const own = someVid()
    const node = await sealedNode({ trusted: [own.vid] })
    const peer = await related(own, node)
    const { text, open: opened } = await peer.way.seal({ method: 'POST', headers: {}, body: Buffer.from(JSON.stringify(request.json ?? {})), ...request })
    const answer = await peer.post(text)
    expect(answer).toMatchObject({ status, headers: { 'content-type': 'application/json' }, text: expect.stringMatching(/^[\w-]+$/) })
    const piece = await opened(answer.text)
    expect(JSON.parse(bodyIn(piece))).toMatchObject({ jsonrpc: '2.0', error: {} })
    expect(methodsIn(node)).toEqual([])
  })

  test('that says that a tool is not there for this VID', async () => {
    const own = someVid()
    const node = await sealedNode({ trusted: [{ id: own.vid, tools: ['echo'] }] })
    const peer = await related(own, node)
    const session = await sessionOf(peer)
    node.reached()
    const refused = await asked(peer, { method: 'POST', headers: { 'mcp-session-id': session }, body: callMessage(7, 'secret') })
    expect(JSON.parse(refused.body)).toMatchObject({ id: 7, error: { code: -32602 } })
    expect(methodsIn(node)).toEqual([])
    expect(await asked(peer, { method: 'POST', headers: { 'mcp-session-id': session }, body: callMessage(8, 'echo') })).toMatchObject({ status: 200 })
  })

  test('that has no body where HTTP has none', async () => {
    const own = someVid()
    const node = await sealedNode({
      trusted: [own.vid],
      answer: (received, res) => (received.method === 'DELETE' ? res.writeHead(204).end() : toolServer(received, res)),
    })
    const peer = await related(own, node)
    expect(await asked(peer, { method: 'DELETE', headers: { 'mcp-session-id': await sessionOf(peer) } })).toMatchObject({ status: 204, body: '' })
  })

  test('that refuses a body that is larger than it may be', async () => {
    const own = someVid()
    const node = await sealedNode({ trusted: [own.vid], options: { limits: { ...DEFAULT_LIMITS, drainSeconds: 0, bodyBytes: 100 } } })
    const answer = await asked(await related(own, node), { method: 'POST', headers: {}, body: initializeMessage(3) })
    expect({ status: answer.status, body: JSON.parse(answer.body) }).toMatchObject({
      status: 413,
      body: { error: { message: expect.stringContaining('100 bytes') } },
    })
    expect(methodsIn(node)).toEqual([])
  })

  test('that says, in its place in the stream, that an event is larger than a TSP message may be', async () => {
    const own = someVid()
    const node = await sealedNode({
      trusted: [own.vid],
      answer({ body }, res) {
        res.writeHead(200, { 'content-type': 'text/event-stream', 'mcp-session-id': 'one' })
        res.write(`: a comment\n\ndata: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: {} })}\n\n`)
        res.end(`id: 7\ndata: ${JSON.stringify({ jsonrpc: '2.0', id: body['id'], result: { text: 'x'.repeat(5 * 1024 * 1024) } })}\n\n`)
      },
    })
    const answer = await asked(await related(own, node), { method: 'POST', headers: {}, body: initializeMessage(3) })
    expect(answer.body).toMatch(/^\{"jsonrpc":"2.0","method":"notifications\/message","params":\{\}\}\{"jsonrpc":"2.0","id":3,"error":\{.{1,200}\}\}$/)
  })

  test('that says that the answer is larger than a TSP message may be', async () => {
    const own = someVid()
    const node = await sealedNode({
      trusted: [own.vid],
      answer: ({ body }, res) => json(res, 200, { jsonrpc: '2.0', id: body['id'], result: { text: 'x'.repeat(5 * 1024 * 1024) } }, { 'mcp-session-id': 'one' }),
    })
    const answer = await asked(await related(own, node), { method: 'POST', headers: {}, body: initializeMessage(3) })
    expect(JSON.parse(answer.body)).toMatchObject({ id: 3, error: { message: expect.stringMatching(/large|bytes/) } })
  })
})

async function related(own: TspIdentity, node: SealedNode): Promise<HandPeer> {
  const peer = handPeer(own, node)
  if (!(await peer.relate())) throw new Error('no relationship')
  return peer
}

async function sealedCall(peer: HandPeer, body: Json = initializeMessage(1), session?: string): ReturnType<HandPeer['way']['seal']> {
  return peer.way.seal({
    method: 'POST',
    headers: { accept: 'application/json, text/event-stream', ...(session !== undefined && { 'mcp-session-id': session }) },
    body: Buffer.from(JSON.stringify(body)),
  })
}

/** Asks, and opens the answer. */
async function asked(
  peer: HandPeer,
  { method, headers, body }: { method: CarriedRequest['method']; headers: Record<string, string>; body?: Json | undefined },
): Promise<{ status: number; headers: Readonly<Record<string, string>>; body: string }> {
  const sealed = await peer.way.seal({
    method,
    headers: { accept: 'application/json, text/event-stream', ...headers },
    body: Buffer.from(body === undefined ? '' : JSON.stringify(body)),
  })
  const { text } = await peer.post(sealed.text)
  const pieces: CarriedPiece[] = []
  for (const one of text.startsWith('data: ') ? dataIn(text) : [text]) {
    const piece = await sealed.open(one)
    if (!piece || piece.kind === 'forgotten') throw new Error(`no sealed answer: ${text}`)
    pieces.push(piece)
  }
  const [head] = pieces
  if (head?.kind !== 'head') throw new Error(`no sealed head: ${text}`)
  return { status: head.status, headers: head.headers, body: pieces.map((piece) => piece.body.toString()).join('') }
}

function dataIn(events: string): string[] {
  return events.split('\n').flatMap((line) => (line.startsWith('data: ') ? [line.slice('data: '.length)] : []))
}

async function sessionOf(peer: HandPeer): Promise<string> {
  const { headers } = await asked(peer, { method: 'POST', headers: {}, body: initializeMessage(1) })
  const session = String(headers['mcp-session-id'])
  await asked(peer, { method: 'POST', headers: { 'mcp-session-id': session }, body: INITIALIZED })
  return session
}

/** A node with somebody who listens, trusted by a rule in its store. */
async function listening() {
  const own = someVid()
  const node = await sealedNode({ durable: true, trusted: [someVid().vid] })
  const store = await openStore(`file:${node.home}/store.db`, { now: Date.now })
  onTestFinished(() => store.close())
  const { addTrust } = await import('../../src/policy/rules.ts')
  await addTrust(store, { id: own.vid })
  await until('trust to be heard of', () => handPeer(own, node).relate())
  return { own, node, store, ...(await listeningAs(own, node)) }
}

async function listeningAs(own: TspIdentity, node: SealedNode) {
  const peer = await related(own, node)
  const session = await sessionOf(peer)
  const { text, open: opened } = await peer.way.seal({
    method: 'GET',
    headers: { accept: 'text/event-stream', 'mcp-session-id': session },
    body: Buffer.alloc(0),
  })
  const stream = await open(new URL(`/tsp?did=${own.vid}`, node.between.origin), { method: 'POST', body: text })
  await until('the head of the stream', () => stream.events.length > 0)
  expect(await opened(stream.events[0]?.data ?? '')).toMatchObject({ kind: 'head', status: 200 })
  node.reached()
  return { peer, stream, session }
}

/** The methods of MCP that reached the server behind since the last look. */
function methodsIn(node: SealedNode): unknown[] {
  return node
    .reached()
    .filter(({ method }) => method === 'POST')
    .map(({ body }) => body['method'])
}

function bodyIn(piece: CarriedPiece | { kind: 'forgotten' } | undefined): string {
  return piece?.kind === 'head' ? piece.body.toString() : ''
}

/** The same frame, signed by another. */
async function forgedFrom(text: string, { secrets }: TspIdentity): Promise<string> {
  const { sign } = await import('node:crypto')
  const { ownKeysOf } = await import('../../src/tsp/keys.ts')
  const bytes = Buffer.from(text, 'base64url')
  const frame = bytes.subarray(0, -72)
  return Buffer.concat([frame, bytes.subarray(-72, -64), sign(null, frame, ownKeysOf(secrets).signing)]).toString('base64url')
}
