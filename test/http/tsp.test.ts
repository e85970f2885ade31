import { connect, type Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'

import { createApp } from '../../src/http/app.ts'
import { createHostRules } from '../../src/http/hosts.ts'
import { serve } from '../../src/http/serve.ts'
import type { AskedSealed } from '../../src/downstream/sealed.ts'
import { createTspDoor, type TspDoorOptions } from '../../src/http/tsp.ts'
import { createLog } from '../../src/observe/log.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { createHttpSender } from '../../src/tsp/carriage/http.ts'
import { until } from '../support/until.ts'
import { ask } from '../support/wire.ts'

const MIB = 1024 * 1024

describe('whoever posts to /tsp hears that it came, and nothing else:', () => {
  test.each<[string, Record<string, string>]>([
    ['without a content type', {}],
    ['of whatever type', { 'content-type': 'application/json' }],
    ['that says it is compressed', { 'content-encoding': 'gzip' }],
  ])('bytes %s', async (_what, headers) => {
    const { url, taken } = await door()
    const bytes = Buffer.from([0, 255, 1, 254])
    const answer = await ask(url, { method: 'POST', headers, body: bytes })
    expect([answer.status, answer.text, answer.headers['content-length'], answer.headers['content-type']]).toEqual([202, '', '0', undefined])
    await until('what was posted', () => taken.length === 1)
    expect(taken).toEqual([bytes])
  })

  test.each([
    ['nothing at all', Buffer.alloc(0)],
    ['as much as is read', Buffer.alloc(4 * MIB, 7)],
  ])('%s', async (_what, body) => {
    const { url, taken } = await door()
    expect((await ask(url, { method: 'POST', body })).status).toBe(202)
    await until('what was posted', () => taken.length === 1)
    expect(taken[0]?.equals(body)).toBe(true)
  })

  test('before anything is done with it', async () => {
    const order: string[] = []
    const { url } = await door({
      take() {
        order.push('taken')
        // Never done.
        return new Promise(() => {})
      },
    })
    for (const round of ['first', 'second']) {
      expect((await ask(url, { method: 'POST', body: 'x' })).status).toBe(202)
      order.push(round)
    }
    await until('both', () => order.length === 4)
    expect(order.toSorted()).toEqual(['first', 'second', 'taken', 'taken'])
  })

  test('our own sender does not mind', async () => {
    const { url, taken } = await door()
    const sender = createHttpSender({ trustLoopback: true })
    for (const one of ['1', '2', '3']) await sender.send(url, Buffer.from(one))
    await until('all of them', () => taken.length === 3)
    sender.close()
    expect(taken.map(String)).toEqual(['1', '2', '3'])
  })
})

describe('what comes to /tsp is read no further, and its sender hears what everybody hears,', () => {
  test('when it says that it is longer than 4 MiB', async () => {
    const { url, taken, refused } = await door()
    const socket = await raw(url)
    socket.write(post(url, `Content-Length: ${5 * MIB}`))
    expect(await heard(socket)).toMatch(/^HTTP\/1.1 202 Accepted\r\n[^]*connection: close\r\n[^]*\r\n\r\n$/i)
    expect([taken, refused]).toEqual([[], ['too_large']])
  })

  test.each(['Content-Length: 99999999999999999999', 'Content-Length: 9007199254740993'])('when it says %s', async (length) => {
    const { url, taken } = await door()
    const socket = await raw(url)
    socket.write(post(url, length))
    expect(await heard(socket)).toMatch(/^HTTP\/1.1 (?:202|400) /)
    expect(taken).toEqual([])
  })

  test('when all of its 5 MiB come at once', async () => {
    const { url, taken, refused } = await door()
    const socket = await raw(url)
    socket.write(post(url, `Content-Length: ${5 * MIB}`))
    socket.write(Buffer.alloc(5 * MIB))
    await heard(socket)
    expect([taken, refused]).toEqual([[], ['too_large']])
  })

  test('when its pieces never end', async () => {
    const { url, taken, refused } = await door()
    const socket = await raw(url)
    socket.write(post(url, 'Transfer-Encoding: chunked'))
    const piece = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(0x10000), Buffer.from('\r\n')])
    const more = (): void => void (socket.destroyed || socket.write(piece, () => setImmediate(more)))
    more()
    await heard(socket)
    expect([taken, refused]).toEqual([[], ['too_large']])
  })

  test('when it trickles, however steadily', async () => {
    const { url, taken, refused } = await door({ bodySeconds: 0.2 })
    const socket = await raw(url)
    socket.write(post(url, 'Content-Length: 100'))
    const trickle = setInterval(() => socket.write('x'), 20)
    socket.once('close', () => clearInterval(trickle))
    expect(await heard(socket)).toMatch(/^HTTP\/1.1 202 /)
    expect([taken, refused]).toEqual([[], ['too_slow']])
  })

  test('when its sender hangs up before the end', async () => {
    const { url, taken, refused } = await door()
    const socket = await raw(url)
    socket.end(`${post(url, 'Content-Length: 100')}half`)
    await heard(socket)
    const other = await raw(url)
    other.write(`${post(url, 'Content-Length: 100')}half`, () => other.resetAndDestroy())
    expect((await ask(url, { method: 'POST', body: 'honest' })).status).toBe(202)
    await until('the honest one', () => taken.length === 1)
    expect([taken.map(String), refused]).toEqual([['honest'], []])
  })
})

test('requests that do not wait for the answer before are answered in their order', async () => {
  const { url, taken } = await door()
  const socket = await raw(url)
  socket.end(
    ['one', 'two', 'three'].map((text, at) => `${post(url, `Content-Length: ${text.length}`, at === 2 ? 'Connection: close' : 'X: y')}${text}`).join(''),
  )
  expect((await heard(socket)).match(/HTTP\/1.1 202 /g)).toHaveLength(3)
  await until('all of them', () => taken.length === 3)
  expect(taken.map(String)).toEqual(['one', 'two', 'three'])
})

test('what is no HTTP gets nowhere, and an honest sender through', async () => {
  const { url, taken } = await door()
  const socket = await raw(url)
  socket.write(Buffer.concat([Buffer.from([22, 3, 1, 2, 0]), Buffer.alloc(5000, 0xff)]))
  expect(await heard(socket)).not.toContain('202')
  await ask(url, { method: 'POST', body: 'honest' })
  await until('the honest one', () => taken.length === 1)
  expect(taken.map(String)).toEqual(['honest'])
})

describe('one address', () => {
  test('that sends too often is told when to come back, and others are not kept waiting', async () => {
    const { url, taken } = await door()
    const statuses = await Promise.all(Array.from({ length: 610 }, async () => (await ask(url, { method: 'POST', body: 'x' })).status))
    expect([statuses.filter((status) => status === 202).length, statuses.filter((status) => status === 429).length]).toEqual([600, 10])
    const { status, headers, text } = await ask(url, { method: 'POST', body: 'x' })
    expect([status, headers['retry-after'], text]).toEqual([429, '1', ''])
    const other = await raw(url, '127.0.0.2')
    other.write(`${post(url, 'Content-Length: 6', 'Connection: close')}honest`)
    expect(await heard(other)).toMatch(/^HTTP\/1.1 202 /)
    await until('the honest one', () => taken.some((one) => one.toString() === 'honest'))
    expect(taken).toHaveLength(601)
  })

  test('that has begun as many messages as are read at once makes room for others', async () => {
    const { url, taken, refused } = await door({ mostAtOnce: 4 })
    const crowd = await Promise.all([1, 2, 3, 4, 5, 6].map(() => raw(url)))
    for (const socket of crowd) socket.write(`${post(url, 'Content-Length: 100')}begun`)
    await until('two that are too many', () => refused.length === 2)
    const other = await raw(url, '127.0.0.2')
    other.write(`${post(url, 'Content-Length: 6', 'Connection: close')}honest`)
    expect(await heard(other)).toMatch(/^HTTP\/1.1 202 /)
    await until('the honest one', () => taken.length === 1)
    expect([taken.map(String), refused]).toEqual([['honest'], ['too_many', 'too_many', 'too_many']])
  })

  test('has half of what is held, what is being worked on included', async () => {
    const works: Buffer[] = []
    const take = (message: Buffer): Promise<void> => {
      works.push(message)
      return new Promise(() => {})
    }
    const { url, refused } = await door({ take, mostHeldBytes: 2000 })
    await ask(url, { method: 'POST', body: Buffer.alloc(900) })
    await until('the first', () => works.length === 1)
    expect((await ask(url, { method: 'POST', body: Buffer.alloc(900) })).status).toBe(202)
    expect(refused).toEqual(['too_many'])
    const other = await raw(url, '127.0.0.2')
    other.write(`${post(url, 'Content-Length: 6', 'Connection: close')}honest`)
    await heard(other)
    await until('another', () => works.length === 2)
    expect(works.map(({ length }) => length)).toEqual([900, 6])
  })
})

describe('/tsp is behind the checks of every door:', () => {
  test('another host or origin, and another method', async () => {
    const { url, taken } = await door()
    expect((await ask(url, { method: 'POST', headers: { host: 'evil.example' }, body: 'x' })).status).toBe(403)
    expect((await ask(url, { method: 'POST', headers: { origin: 'https://evil.example' }, body: 'x' })).status).toBe(403)
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
      const { status, headers } = await ask(url, { method })
      expect([method, status, headers.allow]).toEqual([method, 405, 'POST'])
    }
    expect(taken).toEqual([])
  })

  test('without --tsp there is nothing', async () => {
    const url = await served(undefined)
    expect((await ask(url, { method: 'POST', body: 'x' })).status).toBe(404)
  })
})

describe('a request that names who asks', () => {
  test.each([
    ['?did=did:web:localhost%3A8000', 'did:web:localhost%3A8000'],
    ['?did=did%3Aweb%3Alocalhost%253A8000', 'did:web:localhost%3A8000'],
    ['?x=y&did=did:peer:4zQm&z', 'did:peer:4zQm'],
    ['?did=a&did=b', ''],
    ['?did=%ff', ''],
    [`?did=did:web:${'a'.repeat(5000)}`, ''],
    ['?did=', ''],
  ])('%s is answered for what it names', async (query, did) => {
    const asked: Pick<AskedSealed, 'did' | 'bytes'>[] = []
    const { url, taken } = await door({
      answer({ did: named, bytes, res }) {
        asked.push({ did: named, bytes })
        res.writeHead(200).end('sealed')
      },
    })
    expect((await ask(new URL(url.href + query), { method: 'POST', body: 'text' })).text).toBe('sealed')
    expect((await ask(new URL(url.href + query), { method: 'GET' })).text).toBe('sealed')
    expect((await ask(new URL(url.href + query), { method: 'PUT', body: 'x' })).status).toBe(405)
    expect([asked, taken]).toEqual([
      [
        { did, bytes: Buffer.from('text') },
        { did, bytes: Buffer.alloc(0) },
      ],
      [],
    ])
  })

  test('is a stranger where nobody answers', async () => {
    const { url, taken } = await door()
    const answer = await ask(new URL(`${url.href}?did=did:web:a.example`), { method: 'POST', body: 'text' })
    expect([answer.status, answer.text, taken]).toEqual([202, '', []])
  })

  test('holds its share of what is held until nobody needs its body any more', async () => {
    const asked: AskedSealed[] = []
    const { url, refused } = await door({ mostHeldBytes: 1000, answer: (one) => void asked.push(one) })
    const query = new URL(`${url.href}?did=did:web:a.example`)
    const waiting = ask(query, { method: 'POST', body: 'x'.repeat(400) })
    await until('the first', () => asked.length === 1)
    expect((await ask(query, { method: 'POST', body: 'x'.repeat(400) })).status).toBe(202)
    expect([refused, asked.length]).toEqual([['too_many'], 1])
    asked[0]?.release()
    const again = ask(query, { method: 'POST', body: 'x'.repeat(400) })
    await until('the second', () => asked.length === 2)
    for (const { res } of asked) res.writeHead(200).end()
    expect([(await waiting).status, (await again).status]).toEqual([200, 200])
  })

  test('is no flood when it has proved who it is', async () => {
    const { url } = await door({
      answer({ res, giveBack }) {
        giveBack()
        res.writeHead(200).end()
      },
    })
    const all = await Promise.all(
      Array.from({ length: 700 }, async () => (await ask(new URL(`${url.href}?did=did:web:a.example`), { method: 'POST', body: 'x' })).status),
    )
    expect(all.every((status) => status === 200)).toBe(true)
  })
})

const log = createLog({ level: 'error', format: 'text', write: () => {}, now: () => 0 })

async function door(options: Partial<TspDoorOptions> = {}): Promise<{ url: URL; taken: Buffer[]; refused: string[] }> {
  const [taken, refused]: [Buffer[], string[]] = [[], []]
  const take = (message: Buffer): void => void taken.push(message)
  return { url: await served(createTspDoor({ take, refused: (why) => refused.push(why), proxied: false, log, now: () => 0, ...options })), taken, refused }
}

async function served(tsp: ReturnType<typeof createTspDoor> | undefined): Promise<URL> {
  const nobody = (): never => {
    throw new Error('nothing behind it is reached')
  }
  const rules = createHostRules({ host: '127.0.0.1', port: () => listening.port, tls: false, allowHosts: [], allowOrigins: [] })
  const status = { ready: nobody, lastActivity: nobody, servers: nobody, counts: nobody }
  const app = createApp({
    rules,
    tls: false,
    exposeHeaders: [],
    pathPrefix: '',
    status,
    security: undefined,
    tsp,
    mcp: nobody,
    sse: nobody,
    messages: nobody,
    log,
  })
  const listening = await serve(app, { host: '127.0.0.1', port: 0, limits: DEFAULT_LIMITS })
  onTestFinished(() => listening.close())
  return new URL(`http://127.0.0.1:${listening.port}/tsp`)
}

function post({ host }: URL, ...headers: readonly string[]): string {
  return ['POST /tsp HTTP/1.1', `Host: ${host}`, ...headers, '', ''].join('\r\n')
}

async function raw({ port }: URL, localAddress = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port: Number(port), host: '127.0.0.1', localAddress })
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('connect', resolve))
  return socket
}

/** What it was told until the other closed it. */
async function heard(socket: Socket): Promise<string> {
  let text = ''
  socket.setEncoding('latin1').on('data', (piece: string) => (text += piece))
  if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve))
  return text
}
