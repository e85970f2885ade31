import { describe, expect, test } from 'vitest'

import { framed } from '../../../src/tsp/carriage/framing.ts'
import { createFramedSender } from '../../../src/tsp/carriage/sender.ts'
import { until } from '../../support/until.ts'
import { ended, lengthOf, listen, messageOf, namesOf, raw } from './wire.ts'

describe('a listener takes', () => {
  test('messages however they are cut', async () => {
    const { listener, taken } = await listen()
    const socket = await raw(listener)
    for (const byte of Buffer.concat([framed(messageOf('one')), framed(messageOf('two'))])) {
      socket.write(Buffer.from([byte]))
      await new Promise(setImmediate)
    }
    await until('both', () => taken.length === 2)
    expect(namesOf(taken)).toEqual(['one', 'two'])
  })

  test('messages of somebody who sends and hangs up at once', async () => {
    const { listener, taken } = await listen()
    const socket = await raw(listener)
    socket.end(Buffer.concat([framed(messageOf('one')), framed(messageOf('two'))]))
    await ended(socket)
    expect(namesOf(taken)).toEqual(['one', 'two'])
  })

  test('no more of a connection than is being worked on, and goes on when some of it is done', async () => {
    const done: (() => void)[] = []
    const working: string[] = []
    const take = (message: Buffer): Promise<void> => {
      working.push(...namesOf([message]))
      return new Promise((resolve) => done.push(resolve))
    }
    const { listener } = await listen({ take, mostAtWork: 2 })
    const socket = await raw(listener)
    socket.end(Buffer.concat(['1', '2', '3', '4', '5'].map((name) => framed(messageOf(name)))))
    await until('two', () => working.length === 2)
    done[0]?.()
    await until('a third', () => working.length === 3)
    expect(working).toEqual(['1', '2', '3'])
    for (let next = 1; next < 5; next++) {
      await until('the next', () => done.length > next)
      done[next]?.()
    }
    expect(working).toEqual(['1', '2', '3', '4', '5'])
  })
})

describe('a connection is closed in silence, and an honest peer heard meanwhile,', () => {
  test.each<[string, Parameters<typeof listen>[0], Buffer, string[]]>([
    ['when a length promises more than is read', { mostBytes: 100 }, lengthOf(101), ['too_large']],
    ['when a length is the largest there is', {}, Buffer.alloc(4, 0xff), ['too_large']],
    ['when a message is too short to be one', {}, Buffer.alloc(65_536), ['malformed']],
    ['when what comes is HTTP', {}, Buffer.from('POST /tsp HTTP/1.1\r\nHost: localhost\r\n\r\n'), ['too_large']],
    ['when a message does not come to its end', { messageSeconds: 0.05 }, framed(messageOf('slow')).subarray(0, 50), ['too_slow']],
    ['when not even a length comes to its end', { messageSeconds: 0.05 }, Buffer.from([0, 0]), ['too_slow']],
    ['when nothing comes at all', { idleSeconds: 0.05 }, Buffer.alloc(0), []],
  ])('%s', async (_why, options, bytes, expected) => {
    const { listener, url, taken, refused } = await listen(options)
    const bad = await raw(listener)
    bad.write(framed(messageOf('before')))
    bad.write(bytes)
    const honest = createFramedSender({ trustLoopback: true })
    await honest.send(url, messageOf('honest'))
    expect(await ended(bad)).toBe(0)
    await until('both', () => taken.length === 2)
    expect([namesOf(taken).toSorted(), refused]).toEqual([['before', 'honest'], expected])
    honest.close()
  })

  test('when a message trickles in, however steadily', async () => {
    const { listener, refused } = await listen({ messageSeconds: 0.2 })
    const socket = await raw(listener)
    const trickle = setInterval(() => socket.write('x'), 20)
    socket.once('close', () => clearInterval(trickle))
    socket.write(lengthOf(1024))
    await ended(socket)
    expect(refused).toEqual(['too_slow'])
  })
})

describe('one network, of which others have addresses too,', () => {
  test('has no more than half of what is held, and the others go on', async () => {
    const { listener, taken, refused } = await listen({ mostHeldBytes: 600 })
    const [first, second, other] = [await raw(listener), await raw(listener), await raw(listener, '127.0.0.1', '127.0.0.2')]
    const begun = Buffer.concat([framed(messageOf('one')), lengthOf(500), Buffer.alloc(140)])
    first.write(begun)
    await until('one message, and with it the beginning of another', () => taken.length === 1)
    second.write(begun)
    expect(await ended(second)).toBe(0)
    other.write(framed(messageOf('another')))
    await until('the other', () => taken.length === 2)
    expect([first.destroyed, refused]).toEqual([false, ['too_many']])
  })

  test('loses connections to others when it has all of them, and never to itself', async () => {
    const { listener, taken, refused } = await listen({ mostConnections: 4 })
    const crowd = [await raw(listener), await raw(listener), await raw(listener), await raw(listener)]
    await ended(await raw(listener))
    expect([crowd.some((socket) => socket.destroyed), refused]).toEqual([false, ['too_many']])

    const others = [await raw(listener, '127.0.0.1', '127.0.0.2'), await raw(listener, '127.0.0.1', '127.0.0.2')]
    await until('two of the crowd have gone', () => crowd.filter((socket) => socket.destroyed).length === 2)
    others[0]?.write(framed(messageOf('another')))
    await until('the other', () => taken.length === 1)

    // Now both have two.
    await ended(await raw(listener, '127.0.0.1', '127.0.0.2'))
    expect([others.some((socket) => socket.destroyed), crowd.filter((socket) => socket.destroyed).length, refused.length]).toEqual([false, 2, 4])
  })
})

test('a flood of one address does not keep an honest peer of another from being heard', async () => {
  const { listener, taken } = await listen({ mostConnections: 32 })
  const flood = Array.from({ length: 200 }, async () => {
    const socket = await raw(listener)
    socket.write(Buffer.concat([lengthOf(1_000_000), Buffer.alloc(10_000)]))
  })
  await Promise.all(flood)
  const honest = await raw(listener, '127.0.0.1', '127.0.0.2')
  for (const name of ['one', 'two', 'three']) honest.write(framed(messageOf(name)))
  await until('all of them', () => taken.length === 3)
  expect(namesOf(taken)).toEqual(['one', 'two', 'three'])
})

test('what one address has sent is taken a little at a time, and what another sends in between', async () => {
  const { listener, taken } = await listen()
  const honest = await raw(listener, '127.0.0.1', '127.0.0.2')
  const flood = await Promise.all(Array.from({ length: 10 }, () => raw(listener)))
  const many = Buffer.concat(Array.from({ length: 700 }, () => framed(messageOf('flood'))))
  for (const socket of flood) socket.write(many)
  honest.write(framed(messageOf('honest')))
  await until('all of them', () => taken.length === 7001)
  expect(namesOf(taken).indexOf('honest')).toBeLessThan(3500)
})

test('a listener says whose place is taken, and whose is not on this machine', async () => {
  const { listener } = await listen()
  await expect(listen({ port: listener.port })).rejects.toMatchObject({ code: 'port_taken' })
  await expect(listen({ host: '192.0.2.1' })).rejects.toMatchObject({ code: 'port_taken', hint: expect.stringContaining('--tsp-listen') })
})
