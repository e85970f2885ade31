import { createServer, type Server, type Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'

import { createFramedSender, type FramedSender, type FramedSenderOptions } from '../../../src/tsp/carriage/sender.ts'
import { until } from '../../support/until.ts'
import { listen, messageOf, namesOf } from './wire.ts'

describe('messages over TCP', () => {
  test('arrive whole and in their order, over one connection', async () => {
    const { url, taken } = await listen({ mostConnections: 1 })
    const sender = aSender()
    const messages = [messageOf('a'), Buffer.alloc(300_000, 7), Buffer.alloc(4 * 1024 * 1024, 8), messageOf('z')]
    await Promise.all(messages.map((message) => sender.send(url, message)))
    await until('all of them', () => taken.length === messages.length)
    expect(taken.every((message, index) => message.equals(messages[index] ?? Buffer.from('?')))).toBe(true)
  })

  test('arrive when the connection before was closed by the other', async () => {
    const first = await listen()
    const sender = aSender()
    await sender.send(first.url, messageOf('one'))
    await until('the first', () => first.taken.length === 1)
    await first.listener.close()
    const second = await listen({ port: first.listener.port })
    await until('the second', async () => {
      await sender.send(first.url, messageOf('two')).catch(() => {})
      return second.taken.length > 0
    })
    expect(namesOf(second.taken)).toContain('two')
  })

  test('arrive at an address of IPv6, and at a name', async () => {
    const six = await listen({ host: '::1' })
    const named = await listen()
    const sender = aSender({ lookup: (_name, _options, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }]) })
    await sender.send(new URL(`tcp://[::1]:${six.listener.port}`), messageOf('six'))
    await sender.send(new URL(`tcp://peer.example:${named.listener.port}/whoever`), messageOf('named'))
    await until('both', () => six.taken.length + named.taken.length === 2)
    expect([...namesOf(six.taken), ...namesOf(named.taken)]).toEqual(['six', 'named'])
  })

  test('to many addresses close the connection that was used longest ago, and what is written to it arrives', async () => {
    const all = [await listen(), await listen(), await listen()]
    const sender = aSender({ mostConnections: 1 })
    for (const round of ['1', '2']) for (const { url } of all) await sender.send(url, messageOf(round))
    await until('all of them', () => all.every(({ taken }) => taken.length === 2))
    expect(all.map(({ taken }) => namesOf(taken))).toEqual([
      ['1', '2'],
      ['1', '2'],
      ['1', '2'],
    ])
  })
})

describe('a message that does not leave says why:', () => {
  test('nobody listens', async () => {
    const { listener, url } = await listen()
    await listener.close()
    await expect(aSender().send(url, messageOf('?'))).rejects.toMatchObject({
      code: 'upstream_unreachable',
      message: `${url.host} cannot be reached: nobody listens there`,
    })
  })

  test.each(['tcp://127.0.0.1', 'tcp://127.0.0.1:0'])('%s names no port', async (address) => {
    await expect(aSender().send(new URL(address), messageOf('?'))).rejects.toMatchObject({ code: 'upstream_unreachable' })
  })

  test('its peer does not read, which it gets a time for, and all that waits for it a bound', async () => {
    const { url, sockets } = await deaf()
    const sender = aSender({ writeSeconds: 0.3, mostWaitingBytes: 20_000_000 })
    const [big, more] = [Buffer.alloc(16_000_000), Buffer.alloc(6_000_000)]
    const slow = sender.send(url, big)
    await Promise.all([
      expect(slow).rejects.toMatchObject({ code: 'upstream_unreachable', message: expect.stringContaining('does not read') }),
      expect(sender.send(url, more)).rejects.toMatchObject({ code: 'busy' }),
    ])
    // The connection is gone with it, and nothing waits any more.
    for (const socket of sockets) socket.resume()
    await until('its end', () => sockets.every((socket) => socket.destroyed))
    await sender.send(url, messageOf('again'))
  })

  test('all addresses together have a bound too', async () => {
    const [first, second] = [await deaf(), await deaf()]
    const sender = aSender({ writeSeconds: 0.3, mostWaitingBytes: 20_000_000, mostWaitingForAllBytes: 30_000_000 })
    await Promise.all([
      expect(sender.send(first.url, Buffer.alloc(16_000_000))).rejects.toMatchObject({ code: 'upstream_unreachable' }),
      expect(sender.send(second.url, Buffer.alloc(16_000_000))).rejects.toMatchObject({ code: 'busy' }),
    ])
  })

  test('it takes too long to look its name up', async () => {
    const sender = aSender({ connectSeconds: 0.05, lookup: () => {} })
    await expect(sender.send(new URL('tcp://peer.example:1'), messageOf('?'))).rejects.toMatchObject({ code: 'upstream_unreachable' })
  })

  test('openmcp is stopping, whether or not it waits already', async () => {
    const sender = aSender({ lookup: () => {} })
    const waiting = sender.send(new URL('tcp://peer.example:1'), messageOf('?'))
    setImmediate(() => sender.close())
    await expect(waiting).rejects.toMatchObject({ code: 'upstream_unreachable' })
    await expect(sender.send(new URL('tcp://peer.example:1'), messageOf('?'))).rejects.toMatchObject({ code: 'stopping' })
  })
})

describe('a sender connects to nothing', () => {
  test.each(['127.0.0.1', '[::1]', '10.0.0.1', '169.254.169.254', '[::ffff:10.0.0.1]', '[::ffff:127.0.0.1]', '0.0.0.0', '[::]'])(
    'at %s, which a document named',
    async (host) => {
      await expect(aSender({ trustLoopback: false }).send(new URL(`tcp://${host}:1`), messageOf('?'))).rejects.toMatchObject({ code: 'egress_refused' })
    },
  )

  test.each(['0x7f000001', '127.1', '2130706433', '0177.0.0.1'])('at %s, which the system reads as an address of this machine', async (host) => {
    const { listener, taken } = await listen()
    const sender = aSender({ trustLoopback: false })
    await expect(sender.send(new URL(`tcp://${host}:${listener.port}`), messageOf('?'))).rejects.toMatchObject({
      code: expect.stringMatching(/^(egress_refused|upstream_unreachable)$/),
    })
    expect(taken).toEqual([])
  })

  test('at a name that is looked up to an address of our own networks', async () => {
    const sender = aSender({ lookup: (_name, _options, callback) => callback(null, [{ address: '10.0.0.1', family: 4 }]) })
    await expect(sender.send(new URL('tcp://peer.example:1'), messageOf('?'))).rejects.toMatchObject({ code: 'egress_refused' })
  })

  test('at a name that is looked up to another address the second time', async () => {
    const { listener, taken } = await listen()
    const answers = ['127.0.0.1', '10.0.0.1']
    const looked: string[] = []
    const sender = aSender({
      lookup(_name, _options, callback) {
        const [address = ''] = answers.splice(0, 1)
        looked.push(address)
        callback(null, [{ address, family: 4 }])
      },
    })
    const url = new URL(`tcp://peer.example:${listener.port}`)
    await sender.send(url, messageOf('one'))
    await sender.send(url, messageOf('two'))
    // A connection is led by the one answer that was checked, as long as it lasts.
    expect(looked).toEqual(['127.0.0.1'])
    await until('both', () => taken.length === 2)
    await listener.close()
    const refusal = await until('the second answer', async () => {
      const error: unknown = await sender.send(url, messageOf('three')).catch((thrown: unknown) => thrown)
      return looked.length === 2 && error
    })
    expect(refusal).toMatchObject({ code: 'egress_refused' })
  })

  test.each(['me:secret', 'me', ':secret'])('with %s in its address', async (who) => {
    await expect(aSender().send(new URL(`tcp://${who}@127.0.0.1:1`), messageOf('?'))).rejects.toMatchObject({ code: 'egress_refused' })
  })
})

test('a sender listens to nothing: who answers at length is left', async () => {
  const { url, sockets } = await deaf()
  const sender = aSender()
  await sender.send(url, messageOf('one'))
  const [socket] = await until('a connection', () => (sockets.length > 0 ? sockets : undefined))
  socket?.resume().write(Buffer.alloc(1_000_000))
  expect(await until('its end', () => socket?.destroyed)).toBe(true)
})

test('a connection that is not used is closed before its peer would close it', async () => {
  const { url, sockets } = await deaf()
  await aSender({ idleSeconds: 0.05 }).send(url, messageOf('one'))
  const [socket] = await until('a connection', () => (sockets.length > 0 ? sockets : undefined))
  socket?.resume()
  expect(await until('its end', () => socket?.destroyed)).toBe(true)
})

function aSender(options: Partial<FramedSenderOptions> = {}): FramedSender {
  const sender = createFramedSender({ trustLoopback: true, ...options })
  onTestFinished(() => sender.close())
  return sender
}

/** A peer that accepts and does not read. */
async function deaf(): Promise<{ url: URL; sockets: Socket[] }> {
  const sockets: Socket[] = []
  const server: Server = createServer((socket) => {
    sockets.push(socket.on('error', () => {}).pause())
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  return { url: new URL(`tcp://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`), sockets }
}
