import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTcpServer, type AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'

import { kindOfAddress } from '../../src/identity/addresses.ts'
import { createGuardedFetch, type GuardedFetchOptions, type LookupAll } from '../../src/identity/guarded-fetch.ts'
import type { GuardedFetch } from '../../src/identity/shapes.ts'
import { until } from '../support/until.ts'

interface Place {
  origin: string
  port: number
  connections(): number
}

async function serving(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<Place> {
  let connections = 0
  const server = createServer(handle)
  server.on('connection', () => connections++)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo // a server that listens on TCP has one
  return { origin: `http://127.0.0.1:${port}`, port, connections: () => connections }
}

function guardedFetch(options: Partial<GuardedFetchOptions> = {}): GuardedFetch {
  const { fetch, close } = createGuardedFetch({ trustLoopback: false, ...options })
  onTestFinished(close)
  return fetch
}

/** A resolver that gives one answer after the other, the last one again and again. */
function answering(...answers: readonly (readonly string[])[]): LookupAll & { asked(): number } {
  let asked = 0
  const lookup: LookupAll = (_hostname, _options, callback) => {
    const answer = answers[Math.min(asked++, answers.length - 1)] ?? []
    callback(
      null,
      answer.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )
  }
  return Object.assign(lookup, { asked: () => asked })
}

const refused = expect.objectContaining({ code: 'egress_refused' })
const failed = expect.objectContaining({ code: 'egress_failed' })

describe('what a peer names', () => {
  test.each([
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f.1',
    '0x7f000001',
    '0177.0.0.1',
    '017700000001',
    '127.0.0.1.',
    '0.0.0.0',
    '0',
    '[::1]',
    '[::]',
    '[0:0:0:0:0:0:0:1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[0:0:0:0:0:ffff:127.0.0.1]',
    '[::127.0.0.1]',
    '[64:ff9b::127.0.0.1]',
    '[64:ff9b:1::7f00:1]',
    '[2002:7f00:1::]',
    '[2001::7f00:1]',
    '10.0.0.1',
    '100.64.0.1',
    '169.254.169.254',
    '[::ffff:169.254.169.254]',
    '172.31.255.255',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '[fd00::1]',
    '[fe80::1]',
    '[fec0::1]',
    '[ff02::1]',
    '[2001:db8::1]',
    '[100::1]',
    'user@127.0.0.1',
    'example.com:secret@127.0.0.1',
    'example.com@127.0.0.1',
  ])('is not fetched from this machine or its networks: %s', async (host) => {
    const place = await serving((_request, response) => response.end('{}'))
    const fetch = guardedFetch()
    await expect(fetch(new URL(`https://${host}:${place.port}/`))).rejects.toEqual(refused)
    await expect(fetch(new URL(`http://${host}:${place.port}/`))).rejects.toEqual(refused)
    expect(place.connections()).toBe(0)
  })

  test.each<[string, readonly string[][]]>([
    ['loopback', [['127.0.0.1']]],
    ['IPv6 loopback', [['::1']]],
    ['a private address', [['10.1.2.3']]],
    ['the metadata service', [['169.254.169.254']]],
    ['loopback in the clothes of IPv6', [['::ffff:127.0.0.1']]],
    ['loopback behind NAT64', [['64:ff9b::7f00:1']]],
    ['a public and a loopback address', [['93.184.216.34', '127.0.0.1']]],
    ['a loopback and a public address', [['127.0.0.1', '93.184.216.34']]],
    ['a link-local address with its zone', [['fe80::1%lo']]],
    ['no address', [[]]],
    ['something that is none', [['localhost']]],
  ])('is not fetched from a name that leads to %s', async (_what, answers) => {
    const place = await serving((_request, response) => response.end('{}'))
    const fetch = guardedFetch({ lookup: answering(...answers) })
    await expect(fetch(new URL(`https://rebind.example:${place.port}/`))).rejects.toEqual(refused)
    expect(place.connections()).toBe(0)
  })

  test('is looked up once, by the socket: a name that is public at first and loopback afterwards leads nowhere', async () => {
    const place = await serving((_request, response) => response.end('{}'))
    // The first network was given back in 2006 and is routed nowhere; the second look-up belongs to a second fetch and is judged by itself.
    const lookup = answering(['3ffe::1'], ['127.0.0.1'])
    const fetch = guardedFetch({ lookup, timeoutMs: 200 })
    await expect(fetch(new URL(`https://rebind.example:${place.port}/`))).rejects.toEqual(failed)
    expect(lookup.asked()).toBe(1)
    await expect(fetch(new URL(`https://rebind.example:${place.port}/`))).rejects.toEqual(refused)
    expect(place.connections()).toBe(0)
  })

  test.each(['ftp://example.com/', 'file:///etc/passwd', 'data:application/json,{}', 'http://example.com/'])(
    'is not fetched by another scheme: %s',
    async (url) => {
      await expect(guardedFetch({ lookup: answering(['93.184.216.34']) })(new URL(url))).rejects.toEqual(refused)
    },
  )

  test('never goes through a proxy that the environment names', async () => {
    const proxy = await serving((_request, response) => response.end('{}'))
    const names = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'ALL_PROXY']
    const before = names.map((name) => [name, process.env[name]] as const)
    onTestFinished(() => {
      for (const [name, value] of before)
        if (value === undefined) delete process.env[name]
        else process.env[name] = value
    })
    for (const name of names) process.env[name] = proxy.origin
    const place = await serving((_request, response) => response.end('{}'))
    await guardedFetch({ trustLoopback: true })(new URL(place.origin))
    await expect(guardedFetch({ lookup: answering(['127.0.0.1']) })(new URL('https://example.com/'))).rejects.toEqual(refused)
    expect(proxy.connections()).toBe(0)
  })

  test('is told of by its host, never by its query', async () => {
    const thrown: unknown = await guardedFetch()(new URL('https://127.0.0.1/a?token=canary')).catch((error: unknown) => error)
    expect(thrown).toEqual(refused)
    expect(JSON.stringify(thrown) + String(thrown)).not.toContain('canary')
  })
})

describe('where loopback is trusted', () => {
  test('it is fetched, by http as well', async () => {
    const headers: IncomingMessage['headers'][] = []
    const place = await serving((request, response) => {
      headers.push(request.headers)
      response.setHeader('content-type', 'application/json').end('{"a":1}')
    })
    const { body, ...rest } = await guardedFetch({ trustLoopback: true })(new URL(`${place.origin}/a?b=c`), { accept: 'application/did+json' })
    expect(rest).toEqual({ status: 200, contentType: 'application/json', cacheControl: '' })
    expect(body.toString()).toBe('{"a":1}')
    expect(headers[0]).toMatchObject({ accept: 'application/did+json', 'accept-encoding': 'identity' })
  })

  test('a name is, when all of its addresses are loopback', async () => {
    const place = await serving((_request, response) => response.end('{}'))
    const fetch = guardedFetch({ trustLoopback: true, lookup: answering(['127.0.0.1']) })
    await expect(fetch(new URL(`http://name.example:${place.port}/`))).resolves.toMatchObject({ status: 200 })
  })

  test.each<[string, string[]]>([
    ['of a public host', ['93.184.216.34']],
    ['of a name with mixed answers', ['127.0.0.1', '93.184.216.34']],
    ['of a private network', ['10.0.0.1']],
  ])('http %s is still refused', async (_what, answer) => {
    await expect(guardedFetch({ trustLoopback: true, lookup: answering(answer) })(new URL('http://name.example/'))).rejects.toEqual(refused)
  })

  test('mixed answers are refused by https too', async () => {
    await expect(guardedFetch({ trustLoopback: true, lookup: answering(['127.0.0.1', '93.184.216.34']) })(new URL('https://name.example/'))).rejects.toEqual(
      refused,
    )
  })
})

describe('an answer', () => {
  const fetchFrom = async (
    handle: (request: IncomingMessage, response: ServerResponse) => void,
    options: Partial<GuardedFetchOptions> = {},
  ): ReturnType<GuardedFetch> => {
    const place = await serving(handle)
    return guardedFetch({ trustLoopback: true, ...options })(new URL(`${place.origin}/did.json?secret`))
  }

  test.each([404, 410])('of %i is one, without a body', async (status) => {
    const answer = await fetchFrom((_request, response) => response.writeHead(status).end('gone'))
    expect(answer).toMatchObject({ status, body: Buffer.alloc(0) })
  })

  test.each([201, 204, 301, 302, 307, 308, 401, 403, 429, 500, 503])('of %i is none, and a redirect is not followed', async (status) => {
    const elsewhere = await serving((_request, response) => response.end('{}'))
    await expect(fetchFrom((_request, response) => response.writeHead(status, { location: elsewhere.origin }).end())).rejects.toEqual(failed)
    expect(elsewhere.connections()).toBe(0)
  })

  test('of 64 KiB is the longest', async () => {
    await expect(fetchFrom((_request, response) => response.end(Buffer.alloc(65_536)))).resolves.toMatchObject({ status: 200 })
    await expect(fetchFrom((_request, response) => response.end(Buffer.alloc(65_537)))).rejects.toEqual(failed)
  })

  test('of megabytes without a length is cut off early', async () => {
    let written = 0
    let gone = false
    const answer = fetchFrom((_request, response) => {
      response.on('close', () => (gone = true))
      const write = (): void => {
        written += 65_536
        if (gone || written > 100e6) return
        if (response.write(Buffer.alloc(65_536))) setImmediate(write)
        else response.once('drain', write)
      }
      write()
    })
    await expect(answer).rejects.toEqual(failed)
    await until('the connection is gone', () => gone)
    expect(written).toBeLessThan(50e6)
  })

  test('that is compressed is none', async () => {
    await expect(fetchFrom((_request, response) => response.setHeader('content-encoding', 'gzip').end('x'))).rejects.toEqual(failed)
  })

  test('with endless headers is none', async () => {
    await expect(fetchFrom((_request, response) => response.setHeader('x', 'y'.repeat(60_000)).end('{}'))).rejects.toEqual(failed)
  })

  test.each<[string, (request: IncomingMessage, response: ServerResponse) => void]>([
    ['never comes', () => {}],
    ['stops after its head', (_request, response) => void response.writeHead(200).write('{')],
    [
      'comes a byte at a time',
      (_request, response) => {
        const drip = setInterval(() => response.write(' '), 5)
        response.on('close', () => clearInterval(drip))
      },
    ],
  ])('that %s ends with the time for everything, and so does its connection', async (_what, handle) => {
    let gone = false
    const answer = fetchFrom(
      (request, response) => {
        request.socket.on('close', () => (gone = true))
        handle(request, response)
      },
      { timeoutMs: 400 },
    )
    await expect(answer).rejects.toEqual(failed)
    await until('the connection is gone', () => gone)
  })

  test('of a host that takes the connection and says nothing ends as well, by https', async () => {
    const silent = createTcpServer()
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    onTestFinished(() => void silent.close())
    const { port } = silent.address() as AddressInfo // a server that listens on TCP has one
    await expect(guardedFetch({ trustLoopback: true, timeoutMs: 100 })(new URL(`https://127.0.0.1:${port}/`))).rejects.toEqual(failed)
  })

  test('of a look-up that never ends ends too', async () => {
    await expect(guardedFetch({ lookup: () => {}, timeoutMs: 50 })(new URL('https://example.com/'))).rejects.toEqual(failed)
  })

  test('from where nobody listens is none', async () => {
    const place = createTcpServer()
    place.listen(0, '127.0.0.1')
    await once(place, 'listening')
    const { port } = place.address() as AddressInfo // a server that listens on TCP has one
    place.close()
    await once(place, 'close')
    await expect(guardedFetch({ trustLoopback: true })(new URL(`http://127.0.0.1:${port}/`))).rejects.toEqual(failed)
  })
})

describe('too much at once', () => {
  test('for one host fails at once, and others are served', async () => {
    const waiting: ServerResponse[] = []
    const place = await serving((_request, response) => void waiting.push(response))
    const fetch = guardedFetch({ trustLoopback: true, perHost: 2, lookup: answering(['127.0.0.1']) })
    const url = new URL(`http://one.example:${place.port}/`)
    const held = [fetch(url), fetch(url)]
    await expect(fetch(url)).rejects.toEqual(failed)
    const other = fetch(new URL(`http://two.example:${place.port}/`))
    await until('all are under way', () => waiting.length === 3)
    for (const response of waiting.splice(0)) response.end('{}')
    await expect(Promise.all([...held, other])).resolves.toHaveLength(3)
    const again = fetch(url)
    await until('there is room again', () => waiting.length === 1)
    waiting[0]?.end('{}')
    await expect(again).resolves.toMatchObject({ status: 200 })
  })

  test('for all hosts together fails at once', async () => {
    const place = await serving(() => {})
    const fetch = guardedFetch({ trustLoopback: true, total: 3, timeoutMs: 300, lookup: answering(['127.0.0.1']) })
    const held = [1, 2, 3].map((name) => fetch(new URL(`http://h${name}.example:${place.port}/`)))
    await expect(fetch(new URL(`http://h4.example:${place.port}/`))).rejects.toThrow(/too much/)
    const outcomes = await Promise.allSettled(held)
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  })

  test('is counted while a name is looked up for which nobody waits any more', async () => {
    const answers: (() => void)[] = []
    const lookup: LookupAll = (_hostname, _options, callback) => void answers.push(() => callback(null, [{ address: '10.0.0.1', family: 4 }]))
    const fetch = guardedFetch({ lookup, total: 2, timeoutMs: 50 })
    const outcomes = await Promise.allSettled(['a', 'b'].map((name) => fetch(new URL(`https://${name}.example/`))))
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    await expect(fetch(new URL('https://c.example/'))).rejects.toThrow(/too much/)
    for (const answer of answers.splice(0)) answer()
    const next = fetch(new URL('https://c.example/'))
    next.catch(() => {})
    await until('it is looked up', () => answers.length === 1)
    answers[0]?.()
    await expect(next).rejects.toEqual(refused)
  })

  test('or what is under way when openmcp stops ends', async () => {
    let arrived = false
    const place = await serving(() => (arrived = true))
    const { fetch, close } = createGuardedFetch({ trustLoopback: true })
    const held = fetch(new URL(place.origin))
    held.catch(() => {})
    await until('it arrived', () => arrived)
    close()
    await expect(held).rejects.toEqual(failed)
    await expect(fetch(new URL(place.origin))).rejects.toEqual(failed)
  })
})

describe('an address', () => {
  test.each([
    ['8.8.8.8', 'public'],
    ['172.32.0.1', 'public'],
    ['100.128.0.1', 'public'],
    ['2606:4700::1111', 'public'],
    ['::ffff:8.8.8.8', 'public'],
    ['127.255.255.255', 'loopback'],
    ['::1', 'loopback'],
    ['10.1.2.3', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.0.1', 'private'],
    ['100.64.0.1', 'private'],
    ['fd00::1', 'private'],
    ['169.254.169.254', 'special'],
    ['100.100.100.200', 'special'],
    ['168.63.129.16', 'special'],
    ['fd00:ec2::254', 'special'],
    ['fd20:ce::254', 'special'],
    ['fd00:c1::a9fe:a9fe', 'special'],
    ['::ffff:100.100.100.200', 'special'],
    ['fe80::1', 'special'],
    ['::ffff:10.0.0.1', 'special'],
    ['::ffff:127.0.0.1', 'special'],
    ['2001:4860:4860::8888', 'public'],
    ['2001:1ff::1', 'special'],
    ['4000::1', 'special'],
    ['5f00::1', 'special'],
    ['3fff::1', 'special'],
    ['192.0.0.8', 'special'],
    ['192.0.2.1', 'special'],
    ['192.88.99.1', 'special'],
    ['198.51.100.1', 'special'],
    ['203.0.113.1', 'special'],
    ['240.0.0.1', 'special'],
    ['fe80::1%eth0', 'special'],
    ['1.2.3', 'special'],
    ['', 'special'],
  ])('%s is %s', (address, kind) => {
    expect(kindOfAddress(address)).toBe(kind)
  })
})
