// TMCP's carriage in text, and what a node keeps for those who ask it so.
import { describe, expect, onTestFinished, test } from 'vitest'

import type { Ask, CarriedPiece, CarriedRequest, SealedRequest, SealedWay } from '../../src/protocol/carried.ts'
import { frameOf, messageFrame, openFrame } from '../../src/tsp/session-frame.ts'
import { createHostedSessions } from '../../src/tsp/session.ts'
import { createTmcp, type Taken } from '../../src/tsp/tmcp.ts'
import { createTmcpClient, tmcpUrl } from '../../src/tsp/tmcp-client.ts'
import { messageIn, MOST_TEXT_CHARACTERS, pieceIn, pieceText, requestIn, requestText } from '../../src/tsp/tmcp-text.ts'
import { QUIET, resolver, someVid } from '../support/sealed.ts'
import { network, related, type Node } from './network.ts'

const REQUEST: CarriedRequest = { method: 'POST', headers: { accept: 'application/json', 'mcp-session-id': 'one' }, body: Buffer.from('{"a":"é\n"}') }
const PLACE = { re: 7, part: 1 }
const bytesOf = (pieces: readonly Buffer[]): Buffer => Buffer.concat(pieces)

describe('the text of a message', () => {
  test('is base64url without padding, and read with it as well', () => {
    const message = Buffer.from('fbff00', 'hex')
    for (const text of ['-_8A', '-_8A\n', '-_8A=', '-_8A==']) expect(messageIn(text)).toEqual(message)
  })

  test.each(['', '\n', '=', '==', '+/8A', '-_8A===', '-_ 8A', '\n-_8A', '-_8A-_8A\u00e9', '"-_8A"'])('is not %j', (text) => {
    expect(messageIn(text)).toBeUndefined()
  })

  test('is not longer than the text of the longest message', () => {
    expect(messageIn('A'.repeat(MOST_TEXT_CHARACTERS))).toBeDefined()
    expect(messageIn('A'.repeat(MOST_TEXT_CHARACTERS + 1))).toBeUndefined()
  })
})

describe('HTTP under the seal', () => {
  test('is read as it was written, a request', () => {
    for (const request of [REQUEST, { ...REQUEST, method: 'GET', body: Buffer.alloc(0) }, { ...REQUEST, method: 'DELETE', headers: {} }] as const) {
      expect(requestIn(bytesOf(requestText(7, request)))).toEqual({ id: 7, request })
    }
  })

  test('is read as it was written, an answer and its events', () => {
    const pieces: CarriedPiece[] = [
      { kind: 'head', status: 200, headers: { 'content-type': 'application/json', 'mcp-session-id': 'one' }, body: Buffer.from('{}') },
      { kind: 'head', status: 404, headers: {}, body: Buffer.alloc(0) },
      { kind: 'event', event: 'message', id: '0_1', retryMs: 1000, body: Buffer.alloc(0) },
      { kind: 'event', event: 'message', id: undefined, retryMs: undefined, body: Buffer.from('{"http":1}\n{}') },
    ]
    for (const piece of pieces) expect(pieceIn(bytesOf(pieceText(PLACE, piece)), PLACE)).toEqual(piece)
  })

  test('is of one place: the answer to another request is none, and neither is another part of it', () => {
    const piece = bytesOf(pieceText(PLACE, { kind: 'head', status: 200, headers: {}, body: Buffer.alloc(0) }))
    for (const place of [
      { re: 8, part: 1 },
      { re: 7, part: 2 },
      { re: 7, part: 0 },
    ])
      expect(pieceIn(piece, place)).toBeUndefined()
  })

  test('carries the headers of MCP and of tracing, and no credential', () => {
    const headers = { authorization: 'Bearer x', cookie: 'a=b', host: 'h', 'x-api-key': 'k', 'mcp-method': 'tools/call', traceparent: '00-1-2-00' }
    const kept = { 'mcp-method': 'tools/call', traceparent: '00-1-2-00' }
    const text = bytesOf(requestText(1, { ...REQUEST, headers }))
    expect(text.toString()).not.toContain('Bearer')
    expect(requestIn(text)?.request.headers).toEqual(kept)
    // Nor what could not be read.
    expect(requestIn(bytesOf(requestText(1, { ...REQUEST, headers: { accept: 'é', 'mcp-name': 'a\r\nb' } })))?.request.headers).toEqual({})
    // Whoever writes them all the same is not heard with them.
    expect(requestIn(Buffer.from(`${JSON.stringify({ http: 'POST', id: 1, headers })}\n`))?.request.headers).toEqual(kept)
  })

  test.each([
    '',
    '{}',
    '{}\n',
    '[]\n',
    'null\n',
    '{"http":"POST","id":1,"headers":{}}',
    '{"http":"PUT","id":1,"headers":{}}\n',
    '{"http":"post","id":1,"headers":{}}\n',
    '{"http":"POST","id":"1","headers":{}}\n',
    '{"http":"POST","id":1.5,"headers":{}}\n',
    '{"http":"POST","id":-1,"headers":{}}\n',
    '{"http":"POST","id":1}\n',
    '{"http":"POST","id":1,"headers":[]}\n',
    '{"http":"POST","id":1,"headers":{"accept":1}}\n',
    '{"http":"POST","id":1,"headers":{"accept":"a\\r\\nb: c"}}\n',
    `{"http":"POST","id":1,"headers":{"accept":"${'a'.repeat(16 * 1024 + 1)}"}}\n`,
    `{"http":"POST","id":1,"headers":{},"more":"${'a'.repeat(64 * 1024)}"}\n`,
  ])('is no request: %j', (text) => {
    expect(requestIn(Buffer.from(text))).toBeUndefined()
  })

  test.each([
    '{"http":99,"re":1,"headers":{}}\n',
    '{"http":600,"re":1,"headers":{}}\n',
    '{"http":200,"re":"7","part":1,"headers":{}}\n',
    '{"http":200,"re":7,"part":"1","headers":{}}\n',
    '{"http":200,"re":1,"no":"headers"}\n',
    '{"http":"event","re":1,"no":"event"}\n',
    '{"http":"event","re":1,"event":"a\\nb"}\n',
    '{"http":"event","re":1,"event":"message","id":"1\\ndata: x"}\n',
    '{"http":"event","re":1,"event":"message","retry":"1"}\n',
    '{"http":"other","re":1,"event":"message"}\n',
  ])('is no piece of an answer: %j', (text) => {
    expect(pieceIn(Buffer.from(text.replace('"re":1,', '"re":7,"part":1,')), PLACE)).toBeUndefined()
  })

  test('is asked at the endpoint, with the DID as it is', () => {
    const [{ vid }] = [network()('somebody')]
    expect(tmcpUrl('https://tsp.example/tsp', vid).href).toBe(`https://tsp.example/tsp?did=${vid}`)
    expect(tmcpUrl('https://tsp.example/tsp?a=b', vid).href).toBe(`https://tsp.example/tsp?a=b&did=${vid}`)
    for (const endpoint of ['tcp://127.0.0.1:1', 'tmcp://', 'nothing']) expect(() => tmcpUrl(endpoint, vid)).toThrow(/no endpoint of HTTP/)
    expect(() => tmcpUrl('https://a:b@tsp.example/tsp', vid)).toThrow(/password/)
  })
})

describe('a session', () => {
  test('is not there for another VID', async () => {
    const { tmcp, alice, bob, begin } = await asked()
    const session = await begin()
    const text = await sealed(alice, bob, call(session, 1))
    expect(await tmcp.take(bob.vid, text)).toBeUndefined()
    expect(await tmcp.take(alice.vid, text)).toMatchObject({ kind: 'asked', request: REQUEST })
  })

  test('that lies longest makes room for a new one, and one whose answer goes on does not', async () => {
    const { take, begin, pass } = await asked({ mostPerPeer: 2 })
    const [streaming, idle] = [await begin(), await begin()]
    const stream = servedBy(await take(call(streaming, 1)))
    const release = stream.hold()
    await take(call(idle, 1))
    pass(1000)
    const third = await begin()
    expect(await take(call(third, 1))).toMatchObject({ kind: 'asked' })
    expect(await take(call(idle, 2))).toMatchObject({ kind: 'said' })
    expect(await take(call(streaming, 2))).toMatchObject({ kind: 'asked' })
    release()
  })

  test('in which nothing is asked for an hour is over', async () => {
    const { take, begin, pass } = await asked()
    const session = await begin()
    await take(call(session, 1))
    pass(3600_000)
    await begin()
    expect(await take(call(session, 2))).toMatchObject({ kind: 'said' })
  })

  test('that its client ends is over at once', async () => {
    const { take, begin } = await asked()
    const session = await begin()
    await take(call(session, 1))
    expect(await take(Buffer.from(`{"openmcp":"close","session":"${session}","why":"session_ended"}`))).toBeUndefined()
    expect(await take(call(session, 2))).toMatchObject({ kind: 'said' })
  })

  test('of a relationship that is over makes room for those of the next', async () => {
    const { vid } = someVid()
    let relationship = 'the first'
    const sessions = createHostedSessions({ mostPerPeer: 2, now: () => 1 })
    const ended: [string, string][] = []
    const tmcp = createTmcp({
      node: {
        take: async (data, waiting) => waiting?.hear({ from: vid, data, relationship: { id: relationship, untilMs: Infinity } }),
        sealerFor: async () => (data) => Buffer.from(data),
      },
      admits: () => true,
      sessions: { ...sessions, end: (peer, name, why) => (ended.push([peer, name]), sessions.end(peer, name, why)) },
      now: () => 1,
    })
    const take = async (data: Buffer): Promise<Taken> => tmcp.take(vid, data.toString('base64url'))
    const begin = async (): Promise<string> => {
      const answer = await take(openFrame('A'.repeat(22)))
      const frame = answer?.kind === 'said' ? frameOf(messageIn(answer.text) ?? Buffer.alloc(0)) : undefined
      if (frame?.kind !== 'opened') throw new Error('no session')
      return frame.session
    }
    const [one, two] = [await begin(), await begin()]
    servedBy(await take(call(one, 1))).hold()
    await take(call(two, 1))
    relationship = 'the second'
    await begin()
    expect(ended).toEqual([one, two].map((name) => [`${vid} the first`, name]))
  })

  test('is begun for nobody who may not ask, related or not', async () => {
    const { take } = await asked({ admits: () => false })
    expect(await take(openFrame('A'.repeat(22)))).toBeUndefined()
  })
})

test('a message of no session is read as far as that costs little: a longer one is not answered', async () => {
  const { take } = await asked()
  const bare = (bytes: number): Buffer => Buffer.from('{"id":1,"method":"ping"}'.padEnd(bytes))
  expect(await take(bare(64 * 1024))).toMatchObject({ kind: 'said' })
  expect(await take(bare(64 * 1024 + 1))).toBeUndefined()
})

function call(session: string, n: number): Buffer {
  return messageFrame(session, n, requestText(n, REQUEST))
}

describe('a client', () => {
  test('asks in another session before a request could be overtaken by so many that it is not taken', async () => {
    const { way, tmcp, own, asks } = await asking()
    const first = await way.seal(REQUEST)
    expect(asks()).toBe(2) // an invite, and a session
    const others: SealedRequest[] = []
    while (asks() === 2) others.push(await way.seal(REQUEST))
    const last = others.at(-2)
    expect(await tmcp.take(own.vid, last?.text ?? '')).toMatchObject({ kind: 'asked' })
    expect(await tmcp.take(own.vid, first.text)).toMatchObject({ kind: 'asked' })
    expect(others.length).toBeLessThan(1024)
    expect(await tmcp.take(own.vid, others.at(-1)?.text ?? '')).toMatchObject({ kind: 'asked' })
  })

  test('takes each part of an answer once, and none before its turn', async () => {
    const { way, tmcp, own } = await asking()
    const request = await way.seal(REQUEST)
    const served = servedBy(await tmcp.take(own.vid, request.text))
    const event = (id: string): CarriedPiece => ({ kind: 'event', event: 'message', id, retryMs: undefined, body: Buffer.from(id) })
    const [head, one, two] = [served.seal({ kind: 'head', status: 200, headers: {}, body: Buffer.alloc(0) }), served.seal(event('1')), served.seal(event('2'))]
    expect(await request.open(one)).toBeUndefined()
    expect(await request.open(head)).toMatchObject({ kind: 'head' })
    expect(await request.open(head)).toBeUndefined()
    expect(await request.open(two)).toBeUndefined()
    expect(await request.open(one)).toEqual(event('1'))
    expect(await request.open(two)).toEqual(event('2'))
  })

  test('takes no answer to another request of the same session', async () => {
    const { way, tmcp, own } = await asking()
    const [mine, other] = [await way.seal(REQUEST), await way.seal(REQUEST)]
    const served = servedBy(await tmcp.take(own.vid, other.text))
    const answer = served.seal({ kind: 'head', status: 200, headers: {}, body: Buffer.alloc(0) })
    expect(await mine.open(answer)).toBeUndefined()
    expect(await other.open(answer)).toMatchObject({ status: 200 })
  })

  test('renews the relationship while answers go on', async () => {
    const { way, tmcp, own } = await asking()
    const request = await way.seal(REQUEST)
    const served = servedBy(await tmcp.take(own.vid, request.text))
    const answer = served.seal({ kind: 'head', status: 200, headers: {}, body: Buffer.alloc(0) })
    const [, opened] = await Promise.all([way.relate(), request.open(answer)])
    expect(opened).toMatchObject({ status: 200 })
    expect(await tmcp.take(own.vid, (await way.seal(REQUEST)).text)).toMatchObject({ kind: 'asked' })
  })

  test('fails where nothing is said, where something is said that is none of it, and where there is no session left', async () => {
    const { bob } = await asking()
    const own = someVid()
    const client = (ask: Ask): SealedWay => createTmcpClient({ own, remote: bob.long, resolver: resolver(), ask, log: QUIET })
    await expect(client(async () => '').seal(REQUEST)).rejects.toMatchObject({ code: 'timeout' })
    await expect(client(async () => 'nothing').seal(REQUEST)).rejects.toMatchObject({ code: 'timeout' })
    await expect(client(async (text) => text).seal(REQUEST)).rejects.toMatchObject({ code: 'timeout' })
    const full = createTmcp({ node: bob.endpoint, admits: () => true, mostPerPeer: 0, now: () => 1 })
    const answered: Ask = async (text) => {
      const answer = await full.take(own.vid, text)
      return answer?.kind === 'said' ? answer.text : ''
    }
    await expect(client(answered).seal(REQUEST)).rejects.toMatchObject({ code: 'busy' })
  })
})

function servedBy(taken: Taken): Taken & { kind: 'asked' } {
  if (taken?.kind !== 'asked') throw new Error('it is not asked')
  return taken
}

/** Bob is asked by a client of ours. */
async function asking() {
  const own = someVid()
  const bob = network()('bob')
  const tmcp = createTmcp({ node: bob.endpoint, admits: () => true, now: () => 1_000_000 })
  let asks = 0
  const ask: Ask = async (text) => {
    asks++
    const answer = await tmcp.take(own.vid, text)
    return answer?.kind === 'said' ? answer.text : ''
  }
  const way = createTmcpClient({ own, remote: bob.long, resolver: resolver(), ask, log: QUIET })
  onTestFinished(() => way.close())
  return { own, bob, tmcp, way, asks: () => asks }
}

async function sealed(from: Node, to: Node, data: Buffer): Promise<string> {
  return (await from.endpoint.sealerFor(to.vid))(data).toString('base64url')
}

/** Bob is asked by Alice. */
async function asked(options: { mostPerPeer?: number; admits?: () => boolean } = {}) {
  let nowMs = 1_000_000
  const [alice, bob] = await related()
  const tmcp = createTmcp({ node: bob.endpoint, admits: () => true, now: () => nowMs, ...options })
  const take = async (data: Buffer): Promise<Taken> => tmcp.take(alice.vid, await sealed(alice, bob, data))
  return {
    alice,
    bob,
    tmcp,
    take,
    pass: (ms: number) => void (nowMs += ms),
    async begin(): Promise<string> {
      const answer = await take(openFrame('A'.repeat(22)))
      if (answer?.kind !== 'said') throw new Error('nothing is said')
      await alice.endpoint.take(messageIn(answer.text) ?? Buffer.alloc(0))
      const frame = frameOf(Buffer.from(alice.heard.at(-1)?.[1] ?? ''))
      if (frame?.kind !== 'opened') throw new Error('no session')
      return frame.session
    },
  }
}
