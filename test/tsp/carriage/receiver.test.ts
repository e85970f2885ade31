import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'

import type { Log } from '../../../src/observe/log.ts'
import { receiveFrom, type ReceiverOptions } from '../../../src/tsp/carriage/receiver.ts'
import { until } from '../../support/until.ts'
import { intermediary } from './intermediary.ts'
import { messageOf, namesOf } from './wire.ts'

const BOB = '/endpoint/did:peer:4zQmBob'

describe('from an intermediary', () => {
  test('what was left comes, and then what comes, each once', async () => {
    const there = await intermediary()
    there.leave(BOB, messageOf('left'))
    there.leave('/endpoint/did:peer:4zQmAnother', messageOf('another'))
    const { taken } = receive(new URL(BOB, there.url))
    await until('what was left', () => taken.length >= 1)
    there.leave(BOB, messageOf('now'))
    await until('what comes', () => taken.length >= 2)
    expect([namesOf(taken), there.asked]).toEqual([['left', 'now'], [{ path: BOB, lastId: undefined }]])
  })

  test('it comes on behind the last that came, when the stream was cut', async () => {
    const there = await intermediary()
    const { taken } = receive(new URL(BOB, there.url))
    for (const name of ['0', '1', '2']) there.leave(BOB, messageOf(name))
    await until('three', () => taken.length >= 3)
    there.cut()
    there.leave(BOB, messageOf('3'))
    await until('the fourth', () => taken.length >= 4)
    expect([namesOf(taken), there.asked.map(({ lastId }) => lastId)]).toEqual([
      ['0', '1', '2', '3'],
      [undefined, '2'],
    ])
  })

  test('it comes on when an intermediary has forgotten how far it had counted', async () => {
    const there = await intermediary()
    const { taken } = receive(new URL(BOB, there.url))
    for (const name of ['0', '1', '2']) there.leave(BOB, messageOf(name))
    await until('three', () => taken.length >= 3)
    there.forget()
    there.cut()
    await until('it asks again', () => there.asked.length >= 2)
    there.leave(BOB, messageOf('anew'))
    await until('the fourth', () => taken.length >= 4)
    expect(namesOf(taken)).toEqual(['0', '1', '2', 'anew'])
  })

  test('what is told a second time in one stream is taken once', async () => {
    const { url } = await host(
      events(`id: 1\ndata: ${text('one')}\n\nid: 2\ndata: ${text('two')}\n\nid: 1\ndata: ${text('one')}\n\nid: 3\ndata: ${text('three')}\n\n`),
    )
    const { taken } = receive(url)
    await until('all of it', () => taken.length >= 3)
    expect(namesOf(taken)).toEqual(['one', 'two', 'three'])
  })

  test('no more is read than is being worked on', async () => {
    const done: (() => void)[] = []
    let written = 0
    const { url } = await host((_req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' })
      const more = (): void => {
        if (res.destroyed) return
        res.write(`id: ${written++}\ndata: ${Buffer.alloc(1_000_000).toString('base64url')}\n\n`, () => setImmediate(more))
      }
      more()
    })
    receive(url, { mostAtWork: 2, take: () => new Promise((resolve) => done.push(resolve)) })
    await until('two', () => done.length >= 2)
    const before = done.length
    done[0]?.()
    await until('a third', () => done.length > before)
    expect([done.length, written < 30]).toEqual([3, true])
  })
})

describe('what an intermediary says is not believed:', () => {
  test('data that is no base64url, or too short for a message, is dropped, and what follows is taken', async () => {
    const { url } = await host(
      events(`data: ***\n\ndata: AAAA\n\ndata: two\ndata: lines\n\ndata:\n\nid: x\n\nretry: 1\n\n: \n\nid: nonsense\ndata: ${text('good')}\n\n`),
    )
    const { taken, refused } = receive(url)
    await until('the good one', () => taken.length >= 1)
    expect([namesOf(taken), refused]).toEqual([['good'], ['malformed', 'malformed', 'malformed']])
  })

  test('an event that is too large does not stand in the way of those behind it', async () => {
    const there = await intermediary()
    const { taken, refused } = receive(new URL(BOB, there.url), { mostBytes: 1000 })
    for (const message of [messageOf('0'), Buffer.alloc(200_000), messageOf('2')]) there.leave(BOB, message)
    await until('the last', () => taken.length >= 2)
    expect([namesOf(taken), refused, there.asked.map(({ lastId }) => lastId)]).toEqual([['0', '2'], ['too_large'], [undefined, '1']])
  })

  test('an event that never ends is read no further', async () => {
    let written = 0
    const { url, asked } = await host((_req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' })
      const more = (): void => {
        written += 65_536
        if (!res.destroyed) res.write('x'.repeat(65_536), () => setImmediate(more))
      }
      more()
    })
    const { refused, receiver } = receive(url, { mostBytes: 100_000 })
    await until('it asks again', () => asked.length >= 2)
    receiver.close()
    expect([refused[0], written < 20_000_000]).toEqual(['too_large', true])
  })
})

describe('a receiver asks again, and says why it does not receive:', () => {
  test.each<[string, RequestListener]>([
    ['it answered 500', (_req, res) => res.writeHead(500).end()],
    ['it answered 302', (_req, res) => res.writeHead(302, { location: '/elsewhere' }).end()],
    ['it offers no stream of events, and openmcp does not speak WebSocket', (_req, res) => res.writeHead(404).end()],
    ['it offers no stream of events, and openmcp does not speak WebSocket', (_req, res) => res.writeHead(405).end()],
    ['it offers no stream of events, and openmcp does not speak WebSocket', (_req, res) => res.writeHead(200, { 'content-type': 'text/html' }).end()],
    ['it took longer than 0.05 s', () => {}],
    ['it broke the connection', (req) => req.socket.destroy()],
  ])('%s', async (why, answer) => {
    const { url, asked } = await host(answer)
    const { said } = receive(url, { answerSeconds: 0.05 })
    await until('three times', () => asked.length >= 3)
    // Said once, however often it happens.
    expect([asked[0], said.filter(([level]) => level === 'warn')]).toEqual(['/', [['warn', `${url.host} cannot be reached: ${why}`]]])
  })

  test('it said nothing for too long, which ends a stream as well', async () => {
    const { url, asked } = await host(events(''))
    const { said } = receive(url, { silentSeconds: 0.05 })
    await until('three times', () => asked.length >= 3)
    expect(said.filter(([level]) => level !== 'debug')).toEqual([['info', undefined]])
  })

  test('more and more rarely, a little by chance, and no more once it is closed', async () => {
    const { url, asked } = await host((_req, res) => res.writeHead(500).end())
    const chances: number[] = []
    const { receiver } = receive(url, { leastPauseMs: 4, mostPauseMs: 16, random: () => (chances.push(asked.length), 0.5) })
    await until('four times', () => asked.length >= 4)
    receiver.close()
    expect(chances).toEqual(chances.toSorted((one, other) => one - other))
  })

  test('its address is one of our own networks', async () => {
    const { said, receiver } = receive(new URL('http://10.0.0.1/'))
    await until('why', () => said.length > 0)
    receiver.close()
    expect(said[0]).toEqual(['warn', '10.0.0.1 is not fetched: its address is not public'])
  })

  test('its name leads to another address the second time', async () => {
    const there = await intermediary()
    const answers = ['127.0.0.1', '10.0.0.1']
    const { said } = receive(new URL(`http://peer.example:${there.url.port}${BOB}`), {
      lookup: (_name, _options, callback) => callback(null, [{ address: answers.shift() ?? '10.0.0.1', family: 4 }]),
    })
    await until('it asks', () => there.asked.length === 1)
    there.cut()
    await until('why', () => said.some(([level]) => level === 'warn'))
    expect([there.asked.length, said.find(([level]) => level === 'warn')?.[1]]).toEqual([1, 'peer.example is not fetched: its address is not public'])
  })
})

function receive(
  url: URL,
  options: Partial<ReceiverOptions> = {},
): {
  receiver: ReturnType<typeof receiveFrom>
  taken: Buffer[]
  refused: string[]
  said: [string, unknown][]
} {
  const [taken, refused, said]: [Buffer[], string[], [string, unknown][]] = [[], [], []]
  const at =
    (level: string): Log['info'] =>
    (_message, fields) =>
      void said.push([level, fields?.['why']])
  const log: Log = { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug'), debugging: true }
  const receiver = receiveFrom({
    url,
    trustLoopback: true,
    take: (message) => void taken.push(message),
    refused: (why) => refused.push(why),
    log,
    leastPauseMs: 1,
    mostPauseMs: 20,
    ...options,
  })
  onTestFinished(() => receiver.close())
  return { receiver, taken, refused, said }
}

function text(name: string): string {
  return messageOf(name).toString('base64url')
}

function events(stream: string): RequestListener {
  return (_req, res) => {
    res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
    res.write(`: keepalive\n\n${stream}`)
  }
}

async function host(answer: RequestListener): Promise<{ url: URL; asked: string[] }> {
  const asked: string[] = []
  const server = createServer((req, res) => {
    asked.push(req.url ?? '')
    answer(req, res)
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  // A TCP listener has one.
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`), asked }
}
