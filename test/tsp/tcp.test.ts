import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'

import { createTcpSender, listenTcp, type TcpListener, type TcpListenerOptions } from '../../src/tsp/tcp.ts'
import { until } from '../support/until.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

describe('messages over TCP', () => {
  test('arrive whole and in their order, over one connection', async () => {
    const { listener, taken } = await listen()
    const sender = createTcpSender({ trustLoopback: true })
    closing.push(() => sender.close())
    const messages = [Buffer.alloc(0), Buffer.from('a'), Buffer.alloc(300_000, 7), Buffer.from('z')]
    for (const message of messages) await sender.send(urlOf(listener), message)
    await until('all of them', () => taken.length === messages.length)
    expect(taken.every((message, index) => message.equals(messages[index] ?? Buffer.from('?')))).toBe(true)
  })

  test('arrive whole however they are cut', async () => {
    const { listener, taken } = await listen()
    const socket = await raw(listener)
    for (const byte of Buffer.concat([frame('one'), frame('two')])) {
      socket.write(Buffer.from([byte]))
      await new Promise(setImmediate)
    }
    await until('both', () => taken.length === 2)
    expect(taken.map(String)).toEqual(['one', 'two'])
  })

  test('arrive when the connection before was closed by the other', async () => {
    const first = await listen()
    const sender = createTcpSender({ trustLoopback: true })
    closing.push(() => sender.close())
    const url = urlOf(first.listener)
    await sender.send(url, Buffer.from('one'))
    await until('the first', () => first.taken.length === 1)
    await first.listener.close()
    const second = await listen({ port: first.listener.port })
    await until('the second', async () => {
      await sender.send(url, Buffer.from('two')).catch(() => {})
      return second.taken.length > 0
    })
    expect(second.taken.map(String)).toContain('two')
  })

  test('to where nobody listens fail in words', async () => {
    const { listener } = await listen()
    const url = urlOf(listener)
    await listener.close()
    const sender = createTcpSender({ trustLoopback: true })
    await expect(sender.send(url, Buffer.from('?'))).rejects.toMatchObject({ code: 'upstream_unreachable', message: `${url.host} cannot be reached` })
  })
})

describe('a sender connects to nothing', () => {
  test.each(['127.0.0.1', '[::1]', '10.0.0.1', '169.254.169.254', '[::ffff:10.0.0.1]'])('at %s, which a document named', async (host) => {
    const sender = createTcpSender({ trustLoopback: false })
    await expect(sender.send(new URL(`tcp://${host}:1`), Buffer.from('?'))).rejects.toMatchObject({ code: 'egress_refused' })
  })

  test('at a name that is looked up to an address of our own networks', async () => {
    const sender = createTcpSender({ trustLoopback: true, lookup: (_name, _options, callback) => callback(null, [{ address: '10.0.0.1', family: 4 }]) })
    await expect(sender.send(new URL('tcp://peer.example:1'), Buffer.from('?'))).rejects.toMatchObject({ code: 'egress_refused' })
  })
})

describe('a connection is closed in silence', () => {
  test('when a length promises more than is read', async () => {
    const { listener, taken, refused } = await listen({ mostBytes: 100 })
    const socket = await raw(listener)
    socket.write(Buffer.concat([frame('fine'), Buffer.from([0, 0, 0, 101])]))
    await ended(socket)
    expect([taken.map(String), refused]).toEqual([['fine'], ['too_large']])
  })

  test('when a message does not come to its end', async () => {
    const { listener, taken, refused } = await listen({ messageSeconds: 0.05 })
    const socket = await raw(listener)
    socket.write(frame('slow').subarray(0, 6))
    await ended(socket)
    expect([taken, refused]).toEqual([[], ['too_slow']])
  })

  test('when a message trickles in, however steadily', async () => {
    const { listener, refused } = await listen({ messageSeconds: 0.2 })
    const socket = await raw(listener)
    const trickle = setInterval(() => socket.write('x'), 20)
    closing.push(() => clearInterval(trickle))
    socket.write(Buffer.from([0, 0, 1, 0]))
    await ended(socket)
    expect(refused).toEqual(['too_slow'])
  })

  test('when nothing comes at all', async () => {
    const { listener, refused } = await listen({ idleSeconds: 0.05 })
    await ended(await raw(listener))
    expect(refused).toEqual([])
  })

  test('when all together have begun more than is held, and the others go on', async () => {
    const { listener, taken, refused } = await listen({ mostHeldBytes: 200 })
    const [first, second] = [await raw(listener), await raw(listener)]
    first.write(frame('x'.repeat(150)).subarray(0, 140))
    await new Promise((resolve) => setTimeout(resolve, 50))
    second.write(frame('x'.repeat(150)).subarray(0, 140))
    await ended(second)
    first.write(frame('x'.repeat(150)).subarray(140))
    await until('the first', () => taken.length === 1)
    expect(refused).toEqual(['too_many'])
  })

  test('when there are too many', async () => {
    const { listener, refused } = await listen({ mostConnections: 1 })
    const first = await raw(listener)
    await ended(await raw(listener))
    expect([first.destroyed, refused]).toEqual([false, ['too_many']])
  })
})

async function listen(options: Partial<TcpListenerOptions> = {}): Promise<{ listener: TcpListener; taken: Buffer[]; refused: string[] }> {
  const [taken, refused]: [Buffer[], string[]] = [[], []]
  const listener = await listenTcp({ host: '127.0.0.1', port: 0, take: (message) => taken.push(message), refuse: (why) => refused.push(why), ...options })
  closing.push(() => listener.close())
  return { listener, taken, refused }
}

async function raw({ port }: TcpListener): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  closing.push(() => socket.destroy())
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('connect', resolve))
  return socket
}

async function ended(socket: Socket): Promise<void> {
  socket.resume()
  await new Promise((resolve) => socket.once('close', resolve))
}

function frame(text: string): Buffer {
  const bytes = Buffer.from(text)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

function urlOf({ port }: TcpListener): URL {
  return new URL(`tcp://127.0.0.1:${port}`)
}
