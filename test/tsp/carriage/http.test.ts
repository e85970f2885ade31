import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'

import { createHttpSender, type HttpSender, type HttpSenderOptions } from '../../../src/tsp/carriage/http.ts'
import { until } from '../../support/until.ts'
import { messageOf, namesOf } from './wire.ts'

describe('a message over HTTP', () => {
  test('is the body of a POST to the address as it is, of no type', async () => {
    const { url, asked } = await peer()
    const address = new URL('/endpoint/bob?x=y', url)
    const message = Buffer.from([0, 255, 10, 13])
    await aSender().send(address, message)
    const [{ method, path, headers, body } = NOTHING_ASKED] = asked
    expect([method, path, headers['content-type'], headers['content-length'], headers.host, body]).toEqual([
      'POST',
      '/endpoint/bob?x=y',
      undefined,
      '4',
      url.host,
      message,
    ])
  })

  test.each([200, 202, 204])('is through when it is answered %d', async (status) => {
    const { url } = await peer((_req, res) => res.writeHead(status).end())
    await expect(aSender().send(url, messageOf('one'))).resolves.toBeUndefined()
  })

  test('keeps its place among those to the same address, and waits for no other', async () => {
    const held: (() => void)[] = []
    const { url, asked } = await peer((req, res) => {
      if (req.url === '/slow') held.push(() => res.end())
      else res.end()
    })
    const sender = aSender()
    const slow = new URL('/slow', url)
    const sent = [sender.send(slow, messageOf('1')), sender.send(slow, messageOf('2'))]
    await sender.send(url, messageOf('quick'))
    expect(new Set(asked.map(({ path }) => path))).toEqual(new Set(['/', '/slow']))
    for (const turn of [0, 1]) {
      await until('the next', () => held.length > turn)
      held[turn]?.()
    }
    await Promise.all(sent)
    expect(namesOf(asked.filter(({ path }) => path === '/slow').map(({ body }) => body))).toEqual(['1', '2'])
  })

  test('goes over the connection before, or over a new one when that was closed meanwhile', async () => {
    const { url, asked, server } = await peer()
    const sender = aSender()
    await sender.send(url, messageOf('1'))
    await sender.send(url, messageOf('2'))
    expect(new Set(asked.map(({ from }) => from)).size).toBe(1)
    server.closeAllConnections()
    await sender.send(url, messageOf('3'))
    expect(namesOf(asked.map(({ body }) => body))).toEqual(['1', '2', '3'])
  })

  test('is through whatever follows the head of the answer, which is not read to its end', async () => {
    let written = 0
    const { url } = await peer((_req, res) => {
      const more = (): void => {
        written += 65_536
        if (!res.destroyed) res.write(Buffer.alloc(65_536), () => setImmediate(more))
      }
      more()
    })
    await aSender().send(url, messageOf('one'))
    expect(written).toBeLessThan(20_000_000)
    const dribbling = await peer((_req, res) => void res.write('x'))
    await aSender({ seconds: 0.1 }).send(dribbling.url, messageOf('one'))
  })
})

describe('a message that does not get through says why:', () => {
  test.each<[string, RequestListener]>([
    ['it answered 404', (_req, res) => res.writeHead(404).end()],
    ['it answered 500', (_req, res) => res.writeHead(500).end()],
    ['it answered 304', (_req, res) => res.writeHead(304).end()],
    ['it broke the connection', (req) => req.socket.destroy()],
    ['it took longer than 0.2 s', () => {}],
    ['it took longer than 0.2 s', (_req, res) => informForEver(res)],
    ['HPE_HEADER_OVERFLOW', (_req, res) => res.writeHead(200, { x: 'y'.repeat(20_000) }).end()],
    ['HPE_INVALID_CONSTANT', (req) => req.socket.end('no HTTP at all\r\n\r\n')],
  ])('%s', async (why, answer) => {
    const { url } = await peer(answer)
    await expect(aSender({ seconds: 0.2 }).send(url, messageOf('?'))).rejects.toMatchObject({
      code: 'upstream_unreachable',
      message: `${url.host} cannot be reached: ${why}`,
    })
  })

  test.each([301, 302, 307, 308])('it answered %d, which is not followed', async (status) => {
    const elsewhere = await peer()
    const { url } = await peer((_req, res) => res.writeHead(status, { location: elsewhere.url.href }).end())
    await expect(aSender().send(url, messageOf('?'))).rejects.toMatchObject({ message: `${url.host} cannot be reached: it answered ${status}` })
    expect(elsewhere.asked).toEqual([])
  })

  test('too much waits for its address, or for all', async () => {
    const { url } = await peer(() => {})
    const sender = aSender({ seconds: 0.2, mostWaitingBytes: 200, mostWaitingForAllBytes: 300 })
    const late = { code: 'upstream_unreachable' }
    const busy = { code: 'busy' }
    const other = new URL(url.href.replace('127.0.0.1', 'localhost'))
    const sent = await Promise.allSettled([url, url, url, other, other].map((address) => sender.send(address, messageOf('?'))))
    expect(sent).toMatchObject([{ reason: late }, { reason: late }, { reason: busy }, { reason: late }, { reason: busy }])
    await expect(sender.send(url, messageOf('?'))).rejects.toMatchObject(late)
  })

  test('openmcp is stopping', async () => {
    const { url, asked } = await peer(() => {})
    const sender = aSender()
    const waiting = sender.send(url, messageOf('?'))
    void until('it was asked', () => asked.length === 1).then(() => sender.close())
    await expect(waiting).rejects.toMatchObject({ code: 'upstream_unreachable' })
    await expect(sender.send(url, messageOf('?'))).rejects.toMatchObject({ code: 'stopping' })
  })
})

describe('nothing is posted', () => {
  test.each([
    'http://127.0.0.1:1',
    'https://[::1]:1',
    'http://10.0.0.1',
    'https://169.254.169.254',
    'http://2130706433',
    'http://[::ffff:7f00:1]',
    'http://0/',
  ])('to %s, which a document named', async (address) => {
    await expect(aSender({ trustLoopback: false }).send(new URL(address), messageOf('?'))).rejects.toMatchObject({ code: 'egress_refused' })
  })

  test('to a name that is looked up to an address of our own networks, or to another the second time', async () => {
    const { url, asked, server } = await peer()
    const answers = ['10.0.0.1', '127.0.0.1', '10.0.0.1']
    const sender = aSender({ lookup: (_name, _options, callback) => callback(null, [{ address: answers.shift() ?? '', family: 4 }]) })
    const address = new URL(`http://peer.example:${url.port}/`)
    await expect(sender.send(address, messageOf('?'))).rejects.toMatchObject({ code: 'egress_refused' })
    await sender.send(address, messageOf('one'))
    server.closeAllConnections()
    await expect(sender.send(address, messageOf('?'))).rejects.toMatchObject({ code: 'egress_refused' })
    expect(asked).toHaveLength(1)
  })

  test.each(['me:secret', 'me', ':secret'])('with %s in its address', async (who) => {
    const { url, asked } = await peer()
    await expect(aSender().send(new URL(`http://${who}@${url.host}/`), messageOf('?'))).rejects.toMatchObject({ code: 'egress_refused' })
    expect(asked).toEqual([])
  })
})

interface Asked extends Pick<IncomingMessage, 'method' | 'headers'> {
  path: string | undefined
  body: Buffer
  from: number | undefined
}

const NOTHING_ASKED: Asked = { method: undefined, path: undefined, headers: {}, body: Buffer.alloc(0), from: undefined }

function aSender(options: Partial<HttpSenderOptions> = {}): HttpSender {
  const sender = createHttpSender({ trustLoopback: true, ...options })
  onTestFinished(() => sender.close())
  return sender
}

async function peer(answer: RequestListener = (_req, res) => res.writeHead(202).end()): Promise<{ url: URL; asked: Asked[]; server: Server }> {
  const asked: Asked[] = []
  const server = createServer((req, res) => {
    const pieces: Buffer[] = []
    req.on('data', (piece: Buffer) => pieces.push(piece))
    req.on('end', () => {
      asked.push({ method: req.method, path: req.url, headers: req.headers, body: Buffer.concat(pieces), from: req.socket.remotePort })
      answer(req, res)
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  // A TCP listener has one.
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`), asked, server }
}

function informForEver(res: Parameters<RequestListener>[1]): void {
  if (res.destroyed) return
  res.writeProcessing()
  setImmediate(informForEver, res)
}
