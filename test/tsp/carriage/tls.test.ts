import { readFile } from 'node:fs/promises'
import { createServer as createHttpsServer } from 'node:https'
import { createServer as createTcpServer, type AddressInfo } from 'node:net'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'

import { believed, createCarriage, listenFor } from '../../../src/tsp/carriage.ts'
import { framed } from '../../../src/tsp/carriage/framing.ts'
import { createFramedSender, type FramedSender, type FramedSenderOptions } from '../../../src/tsp/carriage/sender.ts'
import { hasOpenssl, tlsHost, type TlsHost } from '../../support/tls-host.ts'
import { until } from '../../support/until.ts'
import { ended, listen, messageOf, namesOf, raw } from './wire.ts'

describe.skipIf(!hasOpenssl)('over TLS', () => {
  let host: TlsHost
  let tls: { cert: string; key: string }
  beforeAll(async () => {
    host = await tlsHost()
    tls = { cert: await readFile(host.certificate, 'utf8'), key: await readFile(host.key, 'utf8') }
  })
  afterAll(() => host.stop())

  function aSender(options: Partial<FramedSenderOptions> = {}): FramedSender {
    const sender = createFramedSender({ trustLoopback: true, ca: believed(tls.cert), ...options })
    onTestFinished(() => sender.close())
    return sender
  }

  test('messages arrive whole and in their order, over one connection', async () => {
    const { url, taken } = await listen({ tls, mostConnections: 1 })
    const sender = aSender()
    const messages = [messageOf('a'), Buffer.alloc(4 * 1024 * 1024, 7), messageOf('z')]
    await Promise.all(messages.map((message) => sender.send(url, message)))
    await until('all of them', () => taken.length === messages.length)
    expect(taken.every((message, index) => message.equals(messages[index] ?? Buffer.from('?')))).toBe(true)
  })

  test('messages arrive from who hangs up at once, and more of them than are taken in one turn', async () => {
    const { listener, taken } = await listen({ tls })
    const socket = connectTls({ port: listener.port, host: '127.0.0.1', ca: tls.cert })
    onTestFinished(() => void socket.destroy())
    await new Promise((resolve) => socket.once('secureConnect', resolve))
    const names = Array.from({ length: 100 }, (_, index) => String(index))
    socket.end(Buffer.concat(names.map((name) => framed(messageOf(name)))))
    await ended(socket)
    expect(namesOf(taken)).toEqual(names)
  })

  test('who accepts and never shakes hands is waited for so long, and no longer', async () => {
    const silent = createTcpServer(() => {})
    await new Promise<void>((resolve) => {
      silent.listen(0, '127.0.0.1', resolve)
    })
    onTestFinished(() => void silent.close())
    // A TCP listener has one.
    const { port } = silent.address() as AddressInfo
    await expect(aSender({ connectSeconds: 0.1 }).send(new URL(`tls://127.0.0.1:${port}`), messageOf('?'))).rejects.toMatchObject({
      message: expect.stringContaining('it took longer than 0.1 s'),
    })
  })

  test('nothing is sent to who shows a certificate that nobody vouches for, whatever the environment says', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
    onTestFinished(() => void vi.unstubAllEnvs())
    const { url, taken } = await listen({ tls })
    await expect(aSender({ ca: undefined }).send(url, messageOf('?'))).rejects.toMatchObject({
      code: 'upstream_unreachable',
      message: expect.stringContaining('its certificate is not believed'),
    })
    expect(taken).toEqual([])
  })

  test('nothing is sent to who shows a certificate of another name, though it was asked for this one', async () => {
    const asked: string[] = []
    const server = createTlsServer({ ...tls, SNICallback: (name, done) => (asked.push(name), done(null)) }).on('tlsClientError', () => {})
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    onTestFinished(() => void server.close())
    // A TCP listener has one.
    const { port } = server.address() as AddressInfo
    const sender = aSender({ lookup: (_name, _options, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }]) })
    await expect(sender.send(new URL(`tls://peer.example:${port}`), messageOf('?'))).rejects.toMatchObject({ message: expect.stringContaining('ALTNAME') })
    expect(asked).toEqual(['peer.example'])
  })

  test('nothing is sent to who does not speak it', async () => {
    const { listener, taken } = await listen()
    await expect(aSender().send(new URL(`tls://127.0.0.1:${listener.port}`), messageOf('?'))).rejects.toMatchObject({ code: 'upstream_unreachable' })
    expect(taken).toEqual([])
  })

  test.each<[string, () => Buffer, string]>([
    ['who speaks no TLS', () => framed(messageOf('plain')), 'malformed'],
    ['who sends nonsense that begins like it', () => Buffer.concat([Buffer.from([22, 3, 1, 2, 0, 1]), Buffer.alloc(4000, 0xff)]), 'malformed'],
    ['who begins and says no more', () => Buffer.from([22, 3, 1, 2, 0, 1]), 'too_slow'],
    ['who says nothing', () => Buffer.alloc(0), 'too_slow'],
  ])('%s is not heard, and an honest peer is', async (_who, bytes, why) => {
    const { listener, url, taken, refused } = await listen({ tls, handshakeSeconds: 0.3 })
    const bad = await raw(listener)
    bad.write(bytes())
    await aSender().send(url, messageOf('honest'))
    await ended(bad)
    await until('the honest one', () => taken.length === 1)
    await until('the other', () => refused.length === 1)
    expect([namesOf(taken), refused]).toEqual([['honest'], [why]])
  })

  test('handshakes that are never finished have places like every connection, and their network makes room', async () => {
    const { listener, taken, refused } = await listen({ tls, mostConnections: 4 })
    const crowd = await Promise.all(Array.from({ length: 4 }, () => raw(listener, '127.0.0.1', '127.0.0.2')))
    const sender = aSender()
    await sender.send(new URL(`tls://127.0.0.1:${listener.port}`), messageOf('honest'))
    await until('the honest one', () => taken.length === 1)
    await until('one of the crowd has gone', () => crowd.filter((socket) => socket.destroyed).length === 1)
    expect([namesOf(taken), refused[0]]).toEqual([['honest'], 'too_many'])
  })

  test('handshakes of one address have a rate, which is nobody else’s', async () => {
    const { listener, taken, refused } = await listen({ tls, mostConnections: 1000, now: () => 0 })
    const others = await Promise.all(Array.from({ length: 301 }, () => raw(listener, '127.0.0.1', '127.0.0.2')))
    await until('one that is too many', () => others.some((socket) => socket.destroyed))
    expect(refused).toEqual(['too_many'])
    await aSender().send(new URL(`tls://127.0.0.1:${listener.port}`), messageOf('honest'))
    await until('the honest one', () => taken.length === 1)
  })

  test('a whole carriage: tls:// and https:// with a certificate of our own', async () => {
    const taken: Buffer[] = []
    const listener = await listenFor({ endpoint: new URL('tls://127.0.0.1:0'), tls, take: (message) => void taken.push(message) })
    onTestFinished(() => listener.close())
    const server = createHttpsServer(tls, (req, res) => {
      req.on('data', (piece: Buffer) => taken.push(piece))
      req.on('end', () => res.writeHead(202).end())
    })
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    // A TCP listener has one.
    const addresses = [`tls://127.0.0.1:${listener.port}`, `https://127.0.0.1:${(server.address() as AddressInfo).port}/tsp`].map((text) => new URL(text))
    const carriage = createCarriage({ trustLoopback: true, ca: tls.cert })
    const other = createCarriage({ trustLoopback: true })
    onTestFinished(() => [carriage, other].forEach((one) => one.close()))
    for (const address of addresses) {
      await carriage.carry(address, messageOf(address.protocol))
      await expect(other.carry(address, messageOf('?'))).rejects.toMatchObject({ message: expect.stringContaining('its certificate is not believed') })
    }
    await until('both', () => taken.length === 2)
    expect(namesOf(taken).toSorted()).toEqual(['https:', 'tls:'])
  })

  test('a listener asks for a certificate and a key that fit', async () => {
    const endpoint = new URL('tls://127.0.0.1:0')
    await expect(listenFor({ endpoint, take: () => {} })).rejects.toMatchObject({ code: 'usage', hint: expect.stringContaining('--tls-cert') })
    await expect(listenFor({ endpoint, tls: { cert: tls.cert, key: 'none' }, take: () => {} })).rejects.toMatchObject({ code: 'usage' })
  })
})
