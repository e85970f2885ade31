// Servers that mean harm, or are broken as if they did: what they cost is bounded, it is said in words, and nobody else is harmed.
import type { ServerResponse } from 'node:http'
import { createServer as createTcp, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'

import type { NamedServer } from '../../src/openmcp/servers.ts'
import { DEFAULT_LIMITS, type Limits } from '../../src/protocol/limits.ts'
import type { Isolation } from '../../src/upstream/options.ts'
import { child, running } from '../openmcp/stage.ts'
import { at, jsonOf, type Json } from '../support/json.ts'
import { linePeer } from '../support/line-peer.ts'
import { callMessage, initializeMessage, returned } from '../support/openmcp.ts'
import { until } from '../support/until.ts'
import { json, upstream } from '../support/upstream.ts'
import { webSocketPeer } from '../support/web-socket.ts'
import { ask, messagesIn, open, openSession, type Session } from '../support/wire.ts'

const GIB = 2 ** 30
const MIB = 2 ** 20
/** What reading a gibibyte piece by piece leaves to be collected; a line that is kept would be the gibibyte. */
const MOST_BYTES = 400 * MIB
const BOTH = { accept: 'application/json, text/event-stream' }
const PIECE = Buffer.alloc(64 * 1024, 'x')

interface Harmed {
  url: URL
  /** A call of another server, at any time. */
  isWell(): Promise<boolean>
}

/** Beside a server that is well. */
async function beside(target: NamedServer['target'], more: Partial<Omit<NamedServer, 'limits'>> & { limits?: Partial<Limits> } = {}): Promise<Harmed> {
  const limits = { ...DEFAULT_LIMITS, messageBytes: MIB, ...more.limits }
  const { at: path } = await running([{ ...child('one'), target, ...more, limits }, child('well')])
  const well = await openSession(path('/servers/well/mcp'))
  let number = 0
  return {
    url: path('/servers/one/mcp'),
    async isWell() {
      const n = ++number
      return (await well.call('echo', { n }))['n'] === n
    },
  }
}

/** The most memory that this process, in which openmcp runs, had above what it had before. */
async function mostBytesDuring(act: () => Promise<unknown>): Promise<number> {
  const before = process.memoryUsage.rss()
  let most = before
  const look = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 10)
  try {
    await act()
  } finally {
    clearInterval(look)
  }
  return Math.max(most, process.memoryUsage.rss()) - before
}

function resultOf({ id, method }: Json): Json {
  const result = method === 'initialize' ? { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'x', version: '1' } } : {}
  return { jsonrpc: '2.0', id, result }
}

/** As much as is taken, until there is so much or nobody reads any more. Returns how much was taken so far. */
function gush(to: Socket | ServerResponse, begin: string, bytes: number, piece = PIECE): () => number {
  let sent = 0
  const more = (): void => {
    while (sent < bytes && !to.destroyed) {
      sent += piece.length
      if (!to.write(piece)) return void to.once('drain', more)
    }
    if (!to.destroyed) to.end()
  }
  to.on('error', () => {})
  to.write(begin)
  more()
  return () => sent
}

/** Streamable HTTP that initialises like every other, and answers a call as it is told. */
async function overHttp(onCall: (res: ServerResponse, message: Json) => void): Promise<NamedServer['target'] & { kind: 'remote' }> {
  const { origin, stop } = await upstream(({ method, body }, res) => {
    if (method === 'GET') return void res.writeHead(405).end()
    if (body['id'] === undefined) return void res.writeHead(202).end()
    if (body['method'] === 'tools/call') return onCall(res, body)
    json(res, 200, resultOf(body))
  })
  onTestFinished(stop)
  return remote(origin)
}

async function hostOf(server: TcpServer): Promise<string> {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}` // a TCP listener has one
}

function remote(origin: string): NamedServer['target'] & { kind: 'remote' } {
  return { kind: 'remote', urls: [new URL('/mcp', origin)], transport: 'http', headers: {}, retry: { attempts: 0, delayMs: 0 } }
}

const socket = (url: string): NamedServer['target'] => ({ kind: 'socket', url: new URL(url), headers: {} })

async function answerTo(url: URL, body: Json = callMessage(7, 'x')): Promise<Json> {
  const session = await openSession(url)
  const stream = await session.post(body)
  return stream.message(({ id, method }) => id === body['id'] && method === undefined)
}

/** Calls, reads what comes until its own buffers are full and then no more, and goes when nothing more is taken of the server. */
async function leaveUnread({ url, isWell }: Harmed, sent: () => number): Promise<void> {
  const reader = new AbortController()
  const response = await fetch(url, {
    method: 'POST',
    signal: reader.signal,
    headers: { ...BOTH, 'content-type': 'application/json' },
    body: JSON.stringify(callMessage(7, 'x')),
  })
  expect(response.status).toBe(200)
  let last = -1
  await until('nothing more to be taken', async () => {
    const now = sent()
    const isStill = now === last && now > 0
    last = now
    return (await isWell()) && isStill
  })
  reader.abort()
}

describe('a message of a gibibyte', () => {
  test('of a child is passed over: its call fails, and the session goes on', async () => {
    const { url, isWell } = await beside(child('one').target)
    const session = await openSession(url)
    const most = await mostBytesDuring(async () => {
      const call = await session.post(callMessage(7, 'gush', { bytes: GIB }))
      expect(await isWell()).toBe(true)
      expect(at(await call.message(({ id }) => id === 7), 'error', 'message')).toContain(`an answer of the server is larger than ${MIB} bytes`)
    })
    expect(most).toBeLessThan(MOST_BYTES)
    expect(await session.call('echo', { a: 1 })).toEqual({ a: 1 })
  })

  test('over tcp is passed over in the same way', async () => {
    const peer = createTcp((to) => {
      to.setEncoding('utf8').on('data', (text: string) => {
        for (const line of text.split('\n').filter((each) => each !== '')) {
          const message = jsonOf(JSON.parse(line))
          if (message['method'] === 'tools/call') gush(to, `{"jsonrpc":"2.0","id":${JSON.stringify(message['id'])},"result":{"filler":"`, GIB)
          else if (message['id'] !== undefined) to.write(`${JSON.stringify(resultOf(message))}\n`)
        }
      })
      to.on('error', () => {})
    })
    const host = await hostOf(peer)
    const { url, isWell } = await beside(socket(`tcp://${host}`))
    const most = await mostBytesDuring(async () => {
      const answer = answerTo(url)
      expect(await isWell()).toBe(true)
      expect(at(await answer, 'error', 'message')).toContain(`an answer of the server is larger than ${MIB} bytes`)
    })
    expect(most).toBeLessThan(MOST_BYTES)
  })

  test('over a WebSocket ends the connection, for a frame cannot be passed over', async () => {
    const peer = await webSocketPeer({
      onMessage(text, say) {
        const message = jsonOf(JSON.parse(text))
        if (message['method'] === 'tools/call') say('x'.repeat(8 * MIB))
        else if (message['id'] !== undefined) say(JSON.stringify(resultOf(message)))
      },
    })
    onTestFinished(peer.stop)
    const { url, isWell } = await beside(socket(`ws://${peer.host}`))
    expect(at(await answerTo(url), 'error', 'message')).toContain('closed the WebSocket')
    expect(await isWell()).toBe(true)
  })

  test.each([
    ['body', 'application/json', '{"jsonrpc":"2.0","id":1,"result":{"filler":"'],
    ['event', 'text/event-stream', 'data: {"jsonrpc":"2.0","id":1,"result":{"filler":"'],
    ['line of events that is none', 'text/event-stream', ': '],
  ])('in one %s of HTTP that has to be read is given up at the limit', async (_, type, begin) => {
    let sent = (): number => 0
    const target = await overHttp((res) => {
      res.writeHead(200, { 'content-type': type })
      sent = gush(res, begin, GIB)
    })
    const { url, isWell } = await beside(target, { stateless: true })
    const most = await mostBytesDuring(async () => {
      const answer = await ask(url, { headers: BOTH, body: callMessage(7, 'x') })
      expect(at(messagesIn(answer)[0], 'error', 'message')).toMatch(/larger than 1048576 bytes/)
    })
    expect(most).toBeLessThan(MOST_BYTES)
    expect(sent()).toBeLessThan(64 * MIB)
    expect(await isWell()).toBe(true)
  })

  test('of HTTP that passes as it comes waits for the client, and not in memory', async () => {
    let sent = (): number => 0
    const target = await overHttp((res) => {
      res.writeHead(200, { 'content-type': 'application/json' })
      sent = gush(res, '{"jsonrpc":"2.0","id":7,"result":{"filler":"', GIB)
    })
    const harmed = await beside(target)
    const most = await mostBytesDuring(() => leaveUnread(harmed, () => sent()))
    expect(sent()).toBeLessThan(128 * MIB)
    expect(most).toBeLessThan(MOST_BYTES)
  })
})

describe('what nests deeper than anybody can follow', () => {
  const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)
  const told = (text: string): Json => ({ base64: Buffer.from(text).toString('base64') })

  describe.each<[Isolation]>([['session'], ['shared']])('from a child, with isolation %s', (isolation) => {
    test.each([
      ['an answer', `{"jsonrpc":"2.0","id":$ID,"result":{"structuredContent":${deep(20_000)}}}\n`],
      ['an answer with a line break that is none to JSON', `{"jsonrpc":"2.0","id":$ID,\r"result":{"structuredContent":${deep(20_000)}}}\n`],
      ['an answer whose id stands elsewhere', `{"jsonrpc":"2.0","result":{"structuredContent":${deep(20_000)}},"id":$ID}\n`],
      ['a batch', `[{"jsonrpc":"2.0","id":$ID,"result":{"structuredContent":${deep(20_000)}}}]\n`],
      ['a large answer', `{"jsonrpc":"2.0","result":{"structuredContent":${deep(200_000)}},"id":$ID}\n`],
    ])('%s reaches its call, or fails it', async (_, text) => {
      const { url, isWell } = await beside(child('one').target, { isolation })
      const answer = await answerTo(url, callMessage(7, 'write', told(text)))
      expect(answer['result'] !== undefined || at(answer, 'error', 'message')).toSatisfy((seen: unknown) => seen === true || String(seen).includes('nests'))
      expect(await isWell()).toBe(true)
    })

    test.each([
      ['progress', `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1,"x":${deep(20_000)}}}`],
      ['a question', `{"jsonrpc":"2.0","id":"q","method":"roots/list","params":${deep(20_000)}}`],
      ['a log line', `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":${deep(20_000)}}}`],
      ['nothing in particular', deep(30_000)],
    ])('%s harms nobody', async (_, line) => {
      const { url, isWell } = await beside(child('one').target, { isolation })
      const session = await openSession(url)
      const call = await session.post(
        callMessage(1, 'write', told(`${line}\n{"jsonrpc":"2.0","id":$ID,"result":{"structuredContent":{"done":true}}}\n`), { progressToken: 1 }),
      )
      expect(returned(await call.message(({ id, method }) => id === 1 && method === undefined))).toEqual({ done: true })
      expect(await isWell()).toBe(true)
    })
  })

  test.each([
    ['body', 'application/json', (text: string): string => text],
    ['event', 'text/event-stream', (text: string): string => `data: ${text}\n\n`],
  ])('in a %s of HTTP that has to be read fails its call', async (_, type, written) => {
    const target = await overHttp(
      (res, { id }) =>
        void res.writeHead(200, { 'content-type': type }).end(written(`[{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"x":${deep(20_000)}}}]`)),
    )
    const { url, isWell } = await beside(target, { stateless: true })
    const answer = await ask(url, { headers: BOTH, body: callMessage(7, 'x') })
    const [message] = messagesIn(answer)
    expect([message?.['id'], message?.['result'] !== undefined || message?.['error'] !== undefined]).toEqual([7, true])
    expect(await isWell()).toBe(true)
  })
})

describe('a server that does not stop', () => {
  test('sending a hundred thousand notifications at once is served like every other, and others beside it', async () => {
    const { url, isWell } = await beside(child('one').target)
    const session = await openSession(url)
    const call = await session.post(callMessage(7, 'flood', { count: 100_000, bytes: 10 }))
    expect(await isWell()).toBe(true)
    await call.whole()
    expect(call.text.split('notifications/message').length - 1).toBe(100_000)
    expect(call.text).toContain('"structuredContent":{"count":100000}')
    expect(await isWell()).toBe(true)
  })

  test('streaming events that answer nothing waits for a client that does not read', async () => {
    let sent = (): number => 0
    const target = await overHttp((res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' })
      const event = Buffer.from(`data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"${'x'.repeat(60_000)}"}}\n\n`)
      sent = gush(res, '', Infinity, event)
    })
    const harmed = await beside(target)
    const most = await mostBytesDuring(() => leaveUnread(harmed, () => sent()))
    expect(most).toBeLessThan(MOST_BYTES)
  })

  test('never answering initialize is told of after its time, and each session alone', async () => {
    const { url, isWell } = await beside(
      { kind: 'command', command: process.execPath, args: ['-e', 'process.stdin.resume()'], env: {} },
      { isolation: 'shared', limits: { timeoutSeconds: 0.5 } },
    )
    const answers = await Promise.all([1, 2, 3].map((id) => ask(url, { headers: BOTH, body: initializeMessage(id) })))
    expect(answers.map(({ status, json: answer }) => [status, at(answer, 'error', 'message')])).toEqual(
      [1, 2, 3].map(() => [504, expect.stringContaining('no answer of the server within 0.5 s')]),
    )
    expect(await isWell()).toBe(true)
  })
})

describe('answers to what nobody asked', () => {
  test.each<[Isolation]>([['session'], ['shared']])('and second answers reach nobody, with isolation %s', async (isolation) => {
    const { url } = await beside(child('one').target, { isolation })
    const [one, two] = [await openSession(url), await openSession(url)]
    const listening = await two.listen()
    const waiting = await two.post(callMessage(8, 'hold', { key: 'k' }))
    const says = (value: number): string => `{"jsonrpc":"2.0","id":$ID,"result":{"structuredContent":{"n":${value}}}}\n`
    const strange = ['999', '"7"', 'null', '{}', '1.5', '-1']
      .map((id) => `{"jsonrpc":"2.0","id":${id},"result":{"structuredContent":{"n":"strange"}}}\n`)
      .join('')
    const call = await one.post(callMessage(7, 'write', { base64: Buffer.from(strange + says(1) + says(2) + says(3)).toString('base64') }))
    await call.whole()
    expect(call.messages.map((message) => [message['id'], at(message, 'result', 'structuredContent', 'n')])).toEqual([[7, 1]])
    expect(await one.call('echo', { b: 2 })).toEqual({ b: 2 })
    await two.call('release', { key: 'k', value: { mine: true } })
    expect(returned(await waiting.message(({ id }) => id === 8))).toEqual({ mine: true })
    expect(listening.messages).toEqual([])
  })
})

describe('an HTTP server that', () => {
  test.each([
    ['speaks no HTTP', 'hello\r\n\r\n'],
    ['gives two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef'],
    ['gives a length and chunks', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['gives a chunk of a size that is none', 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nZZZ\r\nabc\r\n'],
    ['has a header with a line break in it', 'HTTP/1.1 200 OK\r\nx: a\rset-cookie: b\r\ncontent-length: 0\r\n\r\n'],
    ['has a header of a mebibyte', `HTTP/1.1 200 OK\r\nx-large: ${'x'.repeat(MIB)}\r\ncontent-length: 2\r\n\r\n{}`],
    [
      'has a thousand headers',
      `HTTP/1.1 200 OK\r\n${Array.from({ length: 10_000 }, (_, n) => `x-${n}: 1234567890`).join('\r\n')}\r\ncontent-length: 2\r\n\r\n{}`,
    ],
    ['says its head and nothing more', 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{"json'],
    ['ends at once', ''],
  ])('%s is told of in words', async (_, bytes) => {
    const peer = createTcp((to) => void to.on('error', () => {}).once('data', () => to.end(bytes, 'latin1')))
    const host = await hostOf(peer)
    const { url, isWell } = await beside(remote(`http://${host}`))
    const asked = open(url, { headers: BOTH, body: callMessage(7, 'x') })
    const stream = await asked
    await stream.whole()
    // Of an answer whose head was passed on already only the break is left to be seen.
    expect(stream.status === 502 ? at(stream.messages[0], 'error', 'message') : stream.over).toMatch(/^the upstream http:|^cut$/)
    expect(await isWell()).toBe(true)
  })

  test('sets cookies and headers of its own is not heard by the client', async () => {
    const target = await overHttp(
      (res) =>
        void res
          .writeHead(200, { 'content-type': 'application/json', 'set-cookie': 'a=b', 'x-powered-by': 'evil', 'access-control-allow-origin': '*' })
          .end('{"jsonrpc":"2.0","id":7,"result":{}}'),
    )
    const { url } = await beside(target)
    const { headers } = await ask(url, { headers: BOTH, body: callMessage(7, 'x') })
    expect([headers['set-cookie'], headers['x-powered-by'], headers['access-control-allow-origin']]).toEqual([undefined, undefined, undefined])
  })
})

test('what is no message is dropped, over each way, and the next one is heard', async () => {
  const junk = ['hello', '[]', '5', 'null', '""', '{"jsonrpc":"2.0"}', '{', '\u0000\u0001', '[1,2]', '{"id":{}}', '{"method":5}']
  const answering = (text: string, say: (answer: string) => void): void => {
    const message = jsonOf(JSON.parse(text))
    for (const one of junk) say(one)
    if (message['id'] !== undefined)
      say(JSON.stringify({ ...resultOf(message), ...(message['method'] === 'tools/call' && { result: { structuredContent: { ok: true } } }) }))
  }
  const [lines, frames] = await Promise.all([linePeer({ onLine: answering }), webSocketPeer({ onMessage: answering })])
  onTestFinished(lines.stop)
  onTestFinished(frames.stop)
  for (const target of [socket(`tcp://${lines.host}`), socket(`ws://${frames.host}`)]) {
    const session: Session = await openSession((await beside(target)).url)
    expect(await session.call('x')).toEqual({ ok: true })
  }
})
