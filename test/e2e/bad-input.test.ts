// What clients get wrong over HTTP: the status and the JSON-RPC error the specification has for it, and everybody else unharmed.
import { beforeAll, describe, expect, test } from 'vitest'
import { at, type Json } from '../support/json.ts'
import { callMessage, initializeMessage, returned, serve, type Proxy } from '../support/openmcp.ts'
import { fixture, scripted, type WayOut } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { MODERN, ask, messagesIn, modernAsked, openSession, openSocket, openSse, raw, type Asked, type Session, type Stream } from '../support/wire.ts'

const JSON_TYPE = { 'content-type': 'application/json' }
const TAKES_BOTH = { accept: 'application/json, text/event-stream' }
const MODERN_HEADERS = { ...JSON_TYPE, ...TAKES_BOTH, 'mcp-protocol-version': MODERN }

describe.each(['stdio child', 'Streamable HTTP'] as const)('in front of a server over %s', (wayOut) => {
  let server: WayOut
  let proxy: Proxy
  let session: Session
  let bystander: Session
  let waiting: Stream
  beforeAll(async () => {
    server = wayOut === 'stdio child' ? { served: { command: scripted() }, stop: () => Promise.resolve() } : await fixture(wayOut)
    proxy = await serve({ ...server.served, options: ['--max-body', '64k'] })
    session = await openSession(proxy.url)
    bystander = await openSession(proxy.url)
    waiting = await bystander.listen()
    return async () => {
      await proxy.stop()
      await server.stop()
    }
  })
  const inSession = (): Record<string, string> => ({ ...TAKES_BOTH, 'mcp-session-id': session.id })

  test.each([
    ['of another type', { 'content-type': 'text/plain' }, '{}'],
    ['of a form, as any page may send it', { 'content-type': 'application/x-www-form-urlencoded' }, '{}'],
    ['of a type that only begins like JSON', { 'content-type': 'application/jsonx' }, '{}'],
    ['without a type', {}, '{}'],
    ['that is compressed', { ...JSON_TYPE, 'content-encoding': 'gzip' }, '{}'],
  ])('a body %s is 415', async (_what, headers, body) => {
    const answer = await ask(proxy.url, { headers: { ...inSession(), ...headers }, body })
    expect(answer.status).toBe(415)
    expect(answer.json).toMatchObject({ jsonrpc: '2.0', id: null, error: { code: expect.any(Number) } })
  })

  test.each([
    ['malformed JSON', '{"jsonrpc":"2.0",', -32700],
    ['nothing', '', -32700],
    ['two messages that are no batch', '{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"ping"}', -32700],
    ['invalid UTF-8', Buffer.from('7b226a736f6e727063223a22322e30222c226964223a312c226d6574686f64223a22c328227d', 'hex'), -32700],
    ['a number', '7', -32600],
    ['an empty batch', '[]', -32600],
    ['a batch of something else', '[1,{}]', -32600],
    ['another version of JSON-RPC', '{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600],
    ['a method that is no text', '{"jsonrpc":"2.0","id":1,"method":1}', -32600],
    ['an id that is null', '{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600],
    ['an id that is no integer', '{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600],
    ['neither request nor answer', '{"jsonrpc":"2.0","id":1}', -32600],
    ['nesting deeper than allowed', `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"deep":${'['.repeat(250)}${']'.repeat(250)}}}`, -32600],
    ['nesting without end', '['.repeat(60_000), -32700],
    ['nesting almost without end', `${'['.repeat(30_000)}${']'.repeat(30_000)}`, -32600],
    ['objects in objects', `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`, -32600],
  ])('%s is 400 with a JSON-RPC error', async (_what, body, code) => {
    const answer = await ask(proxy.url, { headers: { ...inSession(), ...JSON_TYPE }, body })
    expect(answer.status).toBe(400)
    expect(answer.json).toMatchObject({ jsonrpc: '2.0', error: { code, message: expect.stringMatching(/\S/) } })
    expect(answer.json['id'] === null || answer.json['id'] === 1).toBe(true)
  })

  test('what is wrong with a request is said under its id', async () => {
    const answer = await ask(proxy.url, { headers: { ...inSession(), ...JSON_TYPE }, body: '{"jsonrpc":"2.0","id":"mine"}' })
    expect(answer.json).toMatchObject({ id: 'mine', error: { code: -32600 } })
  })

  test.each([
    ['that says so', (body: string) => ({ body })],
    ['that does not say how large it is', (body: string) => ({ body: new Blob([body]).stream(), duplex: 'half' as const })],
  ])('a body too large %s is 413, which the client gets to see, and a call of the same session goes on', async (_what, sent) => {
    for (let round = 0; round < 5; round++) {
      const body = JSON.stringify(callMessage(1, 'echo', { filler: 'x'.repeat(5_000_000) }))
      const answer = await fetch(proxy.url, { method: 'POST', headers: { ...inSession(), ...JSON_TYPE }, ...sent(body) })
      expect(answer.status).toBe(413)
      expect(await answer.json()).toMatchObject({ id: null, error: { code: -32600, message: expect.stringMatching(/larger than 65536 bytes.*--max-body/) } })
    }
    const { messages } = await finished(await session.post({ jsonrpc: '2.0', id: 2, method: 'ping' }))
    expect(messages).toEqual([{ jsonrpc: '2.0', id: 2, result: {} }])
  })

  test('a connection on which something was refused serves the next request', async () => {
    const socket = await forThisTest(openSocket(proxy.url))
    const say = (body: string, type = 'application/json'): void =>
      socket.write(
        `POST /mcp HTTP/1.1\r\nhost: ${proxy.url.host}\r\ncontent-type: ${type}\r\naccept: ${TAKES_BOTH.accept}\r\nmcp-session-id: ${session.id}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      )
    const refusals: [string, string?][] = [['{'], ['[]'], ['{}', 'text/plain'], ['{"jsonrpc":"2.0","id":1}']]
    for (const [index, [body, type]] of refusals.entries()) {
      say(body, type)
      await until('a refusal', () => socket.text().split('HTTP/1.1 4').length - 1 === index + 1)
    }
    say('{"jsonrpc":"2.0","id":"next","method":"ping"}')
    await until('an answer', () => socket.text().includes('"id":"next"'))
    expect(socket.text().match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 400', 'HTTP/1.1 400', 'HTTP/1.1 415', 'HTTP/1.1 400', 'HTTP/1.1 200'])
  })

  test('a body that ends before it is whole harms nobody', async () => {
    const head = `POST /mcp HTTP/1.1\r\nhost: ${proxy.url.host}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"jsonrpc":`
    expect(await raw(proxy.url, head)).not.toContain('200 OK')
  })

  test.each([
    'garbage\r\n\r\n',
    'GET /mcp HTTP/9.9\r\n\r\n',
    `GET /${'x'.repeat(100_000)} HTTP/1.1\r\n\r\n`,
    `GET /mcp HTTP/1.1\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`,
    '\u0016\u0003\u0001 a TLS hello',
  ])('what is no HTTP gets no more than a refusal (%#)', async (bytes) => {
    expect(await raw(proxy.url, bytes)).toMatch(/^$|^HTTP\/1\.1 4\d\d /)
  })

  test.each([
    ['/mcp', 'PUT', /GET.*POST.*DELETE|POST.*GET.*DELETE/],
    ['/mcp', 'PATCH', /POST/],
    ['/mcp', 'HEAD', /POST/],
    ['/mcp', 'OPTIONS', /POST/],
    ['/sse', 'POST', /^GET$/],
    ['/sse', 'DELETE', /^GET$/],
    ['/messages', 'GET', /^POST$/],
    ['/message', 'DELETE', /^POST$/],
  ])('at %s the method %s is 405, and the answer says which are allowed', async (path, method, allowed) => {
    const answer = await ask(proxy.at(path), { method, headers: inSession() })
    expect(answer.status).toBe(405)
    expect(answer.headers.allow).toMatch(allowed)
  })

  test('a path that is none is 404 with a hint', async () => {
    const answer = await ask(proxy.at('/mpc'), { headers: TAKES_BOTH, body: initializeMessage(1) })
    expect(answer.status).toBe(404)
    expect(at(answer.json, 'error', 'message')).toContain('/mcp')
  })

  test('posting to an SSE session that nobody opened is 404', async () => {
    for (const query of ['', '?sessionId=', '?sessionId=x', '?session_id=x']) {
      const answer = await ask(proxy.at(`/messages${query}`), { headers: TAKES_BOTH, body: callMessage(1, 'who') })
      expect(answer.status).toBe(404)
      expect(at(answer.json, 'error', 'code')).toBe(-32001)
    }
  })

  test('asking /sse for something else than an event stream is 406', async () => {
    expect((await ask(proxy.at('/sse'), { headers: { accept: 'application/json' } })).status).toBe(406)
  })

  test('asking for anything else than JSON and event streams is 406', async () => {
    expect((await ask(proxy.url, { headers: { ...inSession(), accept: 'text/html' }, body: { jsonrpc: '2.0', id: 1, method: 'ping' } })).status).toBe(406)
    expect((await ask(proxy.url, { headers: { ...inSession(), accept: 'application/json' } })).status).toBe(406)
  })

  describe('in the revision of 2026-07-28 too', () => {
    const call = callMessage('mine', wayOut === 'stdio child' ? 'echo' : 'test_simple_text')

    test('a complete request is answered', async () => {
      const answer = await ask(proxy.url, modernAsked(call))
      expect(answer.status).toBe(200)
      expect(messagesIn(answer).at(-1)).toMatchObject({ id: 'mine', result: { content: expect.anything() } })
    })

    test.each([
      ['malformed JSON', 400, -32700, { headers: MODERN_HEADERS, body: '{' }],
      ['a batch', 400, -32600, { headers: MODERN_HEADERS, body: [call] }],
      ['an answer', 400, -32600, { headers: MODERN_HEADERS, body: { jsonrpc: '2.0', id: 1, result: {} } }],
      ['a name in the header that is not in the body', 400, -32020, modernAsked(call, { 'mcp-name': 'other' })],
      ['a method in the header that is not in the body', 400, -32020, modernAsked(call, { 'mcp-method': 'tools/list' })],
      ['another version in the header than in the body', 400, -32020, modernAsked(call, { 'mcp-protocol-version': '2025-11-25' })],
      ['a name that is no Base64', 400, -32020, modernAsked(call, { 'mcp-name': '=?base64?***?=' })],
      ['another content type', 415, -32000, { headers: { ...MODERN_HEADERS, 'content-type': 'text/plain' }, body: '{}' }],
      ['a body too large', 413, -32600, { headers: MODERN_HEADERS, body: JSON.stringify({ filler: 'x'.repeat(70_000) }) }],
    ])('%s is %d, and no error has an id that is null', async (_what, status, code, asked: Asked) => {
      const answer = await ask(proxy.url, asked)
      expect(answer.status).toBe(status)
      expect(answer.json).toMatchObject({ jsonrpc: '2.0', error: { code } })
      expect([undefined, 'mine']).toContain(answer.json['id'])
      expect(Object.hasOwn(answer.json, 'id')).toBe(answer.json['id'] !== undefined)
    })

    // An upstream over HTTP says itself what it thinks of GET and DELETE.
    test.each(wayOut === 'stdio child' ? ['GET', 'DELETE', 'PUT'] : ['PUT'])('%s is 405, and the answer says what is allowed', async (method) => {
      const answer = await ask(proxy.url, { method, headers: MODERN_HEADERS })
      expect(answer.status).toBe(405)
      expect(answer.headers.allow ?? '').toContain('POST')
      expect(Object.hasOwn(answer.json, 'id')).toBe(false)
    })
  })

  test('nothing of this happened to anybody else', async () => {
    expect(waiting.over).toBeUndefined()
    const { messages } = await finished(await bystander.post({ jsonrpc: '2.0', id: 'still here', method: 'tools/list' }))
    expect(messages.at(-1)).toMatchObject({ id: 'still here', result: { tools: expect.anything() } })
    await waiting.stop()
  })
})

describe('in front of a stdio child, in the revision of 2026-07-28,', () => {
  let proxy: Proxy
  beforeAll(async () => {
    proxy = await serve({ command: scripted() })
    return proxy.stop
  })

  test.each([
    ['no version header', -32020, { 'mcp-protocol-version': '' }],
    ['no method header', -32020, { 'mcp-method': '' }],
    ['no name header', -32020, { 'mcp-name': '' }],
  ])('a request with %s is refused, since the child could not see that', async (_what, code, without) => {
    const { headers, body } = modernAsked(callMessage('mine', 'echo'))
    const kept = Object.fromEntries(Object.entries(headers ?? {}).filter(([name]) => !Object.hasOwn(without, name)))
    const answer = await ask(proxy.url, { headers: kept, ...(body !== undefined && { body }) })
    expect(answer.status).toBe(400)
    expect(answer.json).toMatchObject({ id: 'mine', error: { code } })
  })

  test('a request whose _meta lacks what it needs is told what is missing', async () => {
    const body = { jsonrpc: '2.0', id: 'mine', method: 'tools/list', params: { _meta: { 'io.modelcontextprotocol/protocolVersion': MODERN } } }
    const answer = await ask(proxy.url, { headers: { ...TAKES_BOTH, 'mcp-protocol-version': MODERN, 'mcp-method': 'tools/list' }, body })
    expect(answer.status).toBe(400)
    expect(answer.json).toMatchObject({ id: 'mine', error: { code: -32602, data: { missing: ['io.modelcontextprotocol/clientCapabilities'] } } })
  })

  test('an argument that a tool wants mirrored in a header must be there, and say the same', async () => {
    const server = await forThisTest(fixture('stdio child'))
    const own = await forThisTest(serve(server.served))
    const call = callMessage('mine', 'test_x_mcp_header', { region: 'eu', query: 'q' })
    for (const headers of [{}, { 'mcp-param-region': 'us' }]) {
      const answer = await ask(own.url, modernAsked(call, headers))
      expect(answer.status).toBe(400)
      expect(answer.json).toMatchObject({ id: 'mine', error: { code: -32020, message: expect.stringContaining('mcp-param-region') } })
    }
    const answer = await ask(own.url, modernAsked(call, { 'mcp-param-region': 'eu' }))
    expect(at(messagesIn(answer).at(-1), 'result', 'content', 0, 'text')).toBe('region eu')
  })

  test('a method that the child does not know is 404', async () => {
    const answer = await ask(proxy.url, modernAsked({ jsonrpc: '2.0', id: 'mine', method: 'nobody/knows', params: {} }))
    expect(answer.status).toBe(404)
    expect(answer.json).toMatchObject({ id: 'mine', error: { code: -32601 } })
  })

  test('no session is opened, and none is looked at', async () => {
    const asked = modernAsked(callMessage('mine', 'echo', { a: 1 }), { 'mcp-session-id': 'nobody-opened-this' })
    const answer = await ask(proxy.url, asked)
    expect(answer.headers['mcp-session-id']).toBeUndefined()
    expect(returned(answer.json)).toEqual({ a: 1 })
    expect((await ask(proxy.at('/status'))).json['sessions']).toBe(0)
  })
})

describe('a batch of the revision of 2025-03-26', () => {
  test('has every request answered, in a batch or on one stream, and its notifications heard', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const session = await openSession(proxy.url, { version: '2025-03-26' })
    const batch: Json[] = [
      callMessage('a', 'echo', { a: 1 }),
      { jsonrpc: '2.0', method: 'notifications/test', params: { heard: true } },
      callMessage('b', 'count', { marker: 'b', steps: 3 }, { progressToken: 'p' }),
    ]
    for (const accept of ['application/json', TAKES_BOTH.accept]) {
      const { status, messages } = await finished(await session.post(batch, { accept }))
      expect(status).toBe(200)
      const answers = messages.filter(({ method }) => method === undefined)
      expect(new Map(answers.map((answer) => [answer['id'], returned(answer)]))).toEqual(
        new Map<unknown, unknown>([
          ['a', { a: 1 }],
          ['b', { marker: 'b' }],
        ]),
      )
      expect(messages.filter(({ method }) => method === 'notifications/progress')).toHaveLength(accept === TAKES_BOTH.accept ? 3 : 0)
    }
    const { seen } = await session.call('seen')
    expect(JSON.stringify(seen)).toContain('"notifications/test","params":{"heard":true}')
  })

  test('of notifications and answers alone is 202', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const session = await openSession(proxy.url, { version: '2025-03-26' })
    const { status, text } = await finished(
      await session.post([
        { jsonrpc: '2.0', method: 'notifications/test' },
        { jsonrpc: '2.0', id: 1, result: {} },
      ]),
    )
    expect({ status, text }).toEqual({ status: 202, text: '' })
  })

  test('with too many messages is refused whole', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const session = await openSession(proxy.url, { version: '2025-03-26' })
    const { status } = await finished(await session.post(Array.from({ length: 101 }, (_, id) => callMessage(id, 'echo'))))
    expect(status).toBe(400)
    const { seen } = await session.call('seen')
    expect(JSON.stringify(seen)).not.toContain('"echo"')
  })
})

describe('a reader that does not read', () => {
  test('is let go before it costs more than its share, and nobody else notices', async () => {
    const proxy = await forThisTest(serve({ command: scripted(), options: ['--max-buffer', '64k'] }))
    const [slow, other] = [await openSession(proxy.url), await openSession(proxy.url)]
    const body = JSON.stringify(callMessage('flood', 'flood', { count: 20_000, bytes: 1000 }))
    const socket = await forThisTest(openSocket(proxy.url))
    socket.pause()
    socket.write(
      `POST /mcp HTTP/1.1\r\nhost: ${proxy.url.host}\r\ncontent-type: application/json\r\naccept: ${TAKES_BOTH.accept}\r\nmcp-session-id: ${slow.id}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
    await proxy.says(/flooded/)
    socket.resume()
    await until('the end of its stream', socket.isClosed)
    expect(socket.text()).not.toContain('"id":"flood"')
    expect(await other.call('echo', { unharmed: true })).toEqual({ unharmed: true })
    // It may come back.
    expect(await slow.call('echo', { unharmed: true })).toEqual({ unharmed: true })
  })
})

describe('over HTTP+SSE', () => {
  test('what is no message is refused where it was posted, and the stream goes on', async () => {
    const proxy = await forThisTest(serve({ command: scripted(), options: ['--max-body', '64k'] }))
    const session = await openSse(proxy.url)
    const held = await session.post(callMessage(1, 'hold', { key: 'k' }))
    expect({ status: held.status, text: held.text }).toEqual({ status: 202, text: 'Accepted' })
    expect((await session.post('{', JSON_TYPE)).status).toBe(400)
    expect((await session.post('{}', { 'content-type': 'text/plain' })).status).toBe(415)
    expect((await session.post('x'.repeat(70_000), JSON_TYPE)).status).toBe(413)
    expect(await session.call('echo', { unharmed: true })).toEqual({ unharmed: true })
    await session.call('release', { key: 'k', value: { late: true } })
    expect(returned(await session.stream.message(({ id }) => id === 1))).toEqual({ late: true })
    await session.stream.stop()
  })
})

async function finished(stream: Stream): Promise<Stream> {
  await stream.whole()
  return stream
}
