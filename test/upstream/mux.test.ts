import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { OpenMcpError } from '../../src/errors.ts'
import type { Link } from '../../src/protocol/exchange.ts'
import { DEFAULT_LIMITS, type Limits } from '../../src/protocol/limits.ts'
import { isObject, parsePost, type JsonObject } from '../../src/protocol/message.ts'
import { META_LOG_LEVEL, META_SUBSCRIPTION } from '../../src/protocol/revision.ts'
import { createMux, type Mux } from '../../src/upstream/mux.ts'
import { SILENT, scriptedPipe, type ScriptedPipe } from './scripted-pipe.ts'

const BIG = 'y'.repeat(70_000)

interface Client {
  readonly link: Link
  /** What reached it: beside its calls, and by the call. */
  readonly heard: unknown[]
  /** Sends a message; returns what comes of it. */
  send(message: object): unknown[]
}

interface World {
  readonly server: ScriptedPipe
  readonly mux: Mux
  readonly ended: string[]
  join(): Client
}

function world({ shared = true, limits = {} }: { shared?: boolean; limits?: Partial<Limits> } = {}): World {
  const server = scriptedPipe()
  const ended: string[] = []
  const mux = createMux({ open: server.open, shared, limits: { ...DEFAULT_LIMITS, ...limits }, log: SILENT, now: Date.now, onEnd: () => ended.push('pipe') })
  return {
    server,
    mux,
    ended,
    join() {
      const heard: unknown[] = []
      const read = (text: string | readonly Buffer[]): unknown => JSON.parse(typeof text === 'string' ? text : Buffer.concat(text).toString())
      const link = mux.join({ unsolicited: (text) => heard.push(read(text)), ended: (error) => ended.push(error.code) })
      return {
        link,
        heard,
        send(message) {
          const said: unknown[] = []
          link.send(
            parsePost(Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message })), 50),
            {},
            {
              message: (text) => said.push(read(text)),
              answer: (id, text, errorCode) => said.push({ answered: id, text: read(text), errorCode }),
              failed: (error, id) => said.push({ failed: id, why: error.code }),
              withdrawn: (id) => said.push({ withdrawn: id }),
            },
          )
          return said
        },
      }
    },
  }
}

function opened(options?: Parameters<typeof world>[0]): World & { client: Client } {
  const made = world(options)
  return { ...made, client: made.join() }
}

const call = (id: unknown, params: object = {}): object => ({ id, method: 'tools/call', params })
const idsIn = (messages: readonly JsonObject[]): unknown[] => messages.map(({ id }) => id)

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('a shared server is initialised once', () => {
  const hello = (id: unknown, capabilities: object = {}): object => ({ id, method: 'initialize', params: { capabilities } })
  const result = { protocolVersion: '2025-11-25', serverInfo: { name: 's' } }

  test('and all clients are told what it said, each with its own id', () => {
    const { server, join } = world()
    const [first, second, third] = [join(), join(), join()]
    const said = [first.send(hello(1)), second.send(hello(1))]
    const sent = server.taken()
    expect(sent).toHaveLength(1)
    expect(said).toEqual([[], []])
    server.says({ jsonrpc: '2.0', id: sent[0]?.['id'], result })
    const answer = (id: unknown): object => ({ answered: id, text: { jsonrpc: '2.0', id, result }, errorCode: undefined })
    expect([...said, third.send(hello('x'))]).toEqual([[answer(1)], [answer(1)], [answer('x')]])
    expect(server.taken()).toEqual([])
  })

  test('and told so once', () => {
    const { server, join } = world()
    const [first, second] = [join(), join()]
    for (const client of [first, second, first]) client.send({ method: 'notifications/initialized' })
    expect(server.taken()).toEqual([{ jsonrpc: '2.0', method: 'notifications/initialized' }])
  })

  test.each<[string, (one: World, first: Client) => void, string]>([
    ['refuses', ({ server }) => server.says({ jsonrpc: '2.0', id: 1, error: { code: -32000, message: 'no' } }), 'child_failed'],
    ['ends', ({ server }) => server.ends(new OpenMcpError('child_failed', 'gone')), 'child_failed'],
    ['says nothing', () => void vi.advanceTimersByTime(2000), 'timeout'],
  ])('and when it %s, those who wait are told', (_what, happens) => {
    const made = world({ limits: { timeoutSeconds: 1 } })
    const [first, second] = [made.join(), made.join()]
    const said = [first.send(hello(7)), second.send(hello(8))]
    happens(made, first)
    expect(said.map((one) => one.length)).toEqual([1, 1])
    expect(said[1]).toMatchObject([{ failed: 8 }])
  })

  const nextIsTold = (happens: (one: World) => void): unknown[] => {
    const made = world({ limits: { timeoutSeconds: 1 } })
    const [first, second] = [made.join(), made.join()]
    const refused = first.send(hello(1))
    happens(made)
    made.server.taken()
    expect(refused).toHaveLength(1)
    const said = second.send(hello(1))
    for (const { id } of made.server.taken()) made.server.says({ jsonrpc: '2.0', id: id ?? 0, result })
    return said
  }

  test('and asked again by the next client when it refuses', () => {
    expect(nextIsTold(({ server }) => server.says({ jsonrpc: '2.0', id: 1, error: { code: -32000, message: 'no' } }))).toMatchObject([
      { answered: 1, text: { result } },
    ])
  })

  test('and asked again by the next client when it says nothing', () => {
    expect(nextIsTold(() => void vi.advanceTimersByTime(2000))).toMatchObject([{ answered: 1, text: { result } }])
  })

  test('and asked again by the next client when it could not be reached', () => {
    expect(nextIsTold(({ server }) => server.loses(new OpenMcpError('upstream_broke', 'HTTP 503')))).toMatchObject([{ answered: 1, text: { result } }])
  })

  const othersAreTold = (goes: (first: Client) => void): unknown[] => {
    const { server, join } = world()
    const [first, second, third] = [join(), join(), join()]
    first.send(hello(1))
    const [sent] = server.taken()
    const said = second.send(hello(2))
    goes(first)
    vi.advanceTimersByTime(60_000)
    server.says({ jsonrpc: '2.0', id: sent?.['id'], result })
    return [...said, ...third.send(hello(3))]
  }

  test('and its answer is for all, though the first client left', () => {
    expect(othersAreTold((first) => void first.link.close())).toMatchObject([
      { answered: 2, text: { result } },
      { answered: 3, text: { result } },
    ])
  })

  // A cancelled call is withdrawn after a while; of this one the others wait for the answer.
  test('and its answer is for all, though the first client cancelled it', () => {
    expect(othersAreTold((first) => void first.send({ method: 'notifications/cancelled', params: { requestId: 1 } }))).toMatchObject([
      { answered: 2, text: { result } },
      { answered: 3, text: { result } },
    ])
  })

  test('though its answer is long', () => {
    const { server, join } = world()
    const said = [join().send(hello(1)), join().send(hello(2))]
    const long = { ...result, instructions: BIG }
    server.says({ result: long, jsonrpc: '2.0', id: server.taken()[0]?.['id'] })
    expect(said).toMatchObject([[{ answered: 1, text: { id: 1, result: long } }], [{ answered: 2, text: { id: 2, result: long } }]])
  })

  test('and asks a client only what it said it can answer', () => {
    const { server, join } = world()
    const [able, unable] = [join(), join()]
    able.send(hello(1, { sampling: {}, elicitation: {}, roots: {} }))
    server.says({ jsonrpc: '2.0', id: server.taken()[0]?.['id'], result })
    unable.send(hello(1))
    const ask = (method: string): JsonObject[] => {
      server.says({ jsonrpc: '2.0', id: 'q', method })
      return server.taken()
    }
    const methods = ['sampling/createMessage', 'elicitation/create', 'roots/list']
    const inFlight = able.send(call(2))
    const [sent] = server.taken()
    expect(methods.flatMap(ask)).toEqual([])
    expect(inFlight).toHaveLength(3)
    server.says({ jsonrpc: '2.0', id: sent?.['id'], result: {} })
    const other = unable.send(call(2))
    server.taken()
    expect(methods.flatMap(ask)).toMatchObject(methods.map(() => ({ id: 'q', error: { code: -32601 } })))
    expect(other).toEqual([])
  })

  // A member of Object.prototype is no capability that a client lacks.
  test.each(['x/custom', 'constructor', '__proto__', 'toString'])('and passes on a question it does not know: %s', (method) => {
    const { server, join } = world()
    const client = join()
    client.send(hello(1))
    server.says({ jsonrpc: '2.0', id: server.taken()[0]?.['id'], result })
    const inFlight = client.send(call(2))
    server.taken()
    server.says({ jsonrpc: '2.0', id: 'q', method })
    expect(server.taken()).toEqual([])
    expect(inFlight).toMatchObject([{ id: 'q', method }])
  })
})

describe('an answer', () => {
  test.each([true, false])('that is too large fails its call alone, read at either edge (shared: %s)', (shared) => {
    const { server, client } = opened({ shared })
    const calls = [client.send(call('a')), client.send(call('b')), client.send(call('c'))]
    const [a, b] = idsIn(server.taken()).map((id) => JSON.stringify(id))
    server.saysTooMuch(`{"jsonrpc":"2.0","id":${a},"result":{"content":"`, '"}}')
    server.saysTooMuch('{"result":{"content":"', `"},"jsonrpc":"2.0","id":${b}}`)
    expect(calls).toEqual([[{ failed: 'a', why: 'upstream_broke' }], [{ failed: 'b', why: 'upstream_broke' }], []])
  })

  test('that is too large and whose request cannot be told fails none', () => {
    const { server, client } = opened()
    const said = client.send(call(1))
    server.saysTooMuch('{"method":"notifications/message","params":{"data":"', '"},"jsonrpc":"2.0","id":1}')
    server.saysTooMuch('{ "jsonrpc": "2.0", "id": 1, "result": "', '" }')
    expect(said).toEqual([])
  })

  const codeTold = (shared: boolean, last: boolean, data: string): unknown => {
    const { server, client } = opened({ shared })
    const said = client.send(call(1))
    const [id] = idsIn(server.taken())
    const error = { code: -32602, message: 'no', data }
    server.says(last ? { error, jsonrpc: '2.0', id } : { jsonrpc: '2.0', id, error })
    const [answer] = said
    return isObject(answer) && answer['errorCode']
  }

  test.each([true, false])('that is an error is told with its code (shared: %s)', (shared) => {
    expect(codeTold(shared, false, 'small')).toBe(-32602)
    expect(codeTold(shared, true, 'small')).toBe(-32602)
    expect(codeTold(shared, true, BIG)).toBe(-32602)
  })

  // A large answer is not parsed. Without the code a stateless error would be a 200 over HTTP.
  test.each([true, false])('that is an error is told with its code, though it is long (shared: %s)', (shared) => {
    expect(codeTold(shared, false, BIG)).toBe(-32602)
  })

  test('without a usable code is an error all the same', () => {
    for (const error of ['no', {}, { code: 'x' }, null]) {
      const { server, client } = opened()
      const said = client.send(call(1))
      server.says({ jsonrpc: '2.0', id: server.taken()[0]?.['id'], error })
      expect(said).toMatchObject([{ answered: 1, errorCode: 0 }])
    }
  })

  test('in a batch of the server reaches its call', () => {
    const { server, join } = world()
    const [one, other] = [join(), join()]
    const said = [one.send(call(1)), other.send(call(1))]
    const [a, b] = idsIn(server.taken())
    server.says([{ jsonrpc: '2.0', id: b, result: 'b' }, 7, { jsonrpc: '2.0', id: a, result: 'a' }, []])
    expect(said).toMatchObject([[{ text: { id: 1, result: 'a' } }], [{ text: { id: 1, result: 'b' } }]])
  })

  test.each([
    '',
    'not JSON',
    '{"jsonrpc":"2.0","id":1,"result":',
    '7',
    'null',
    '"text"',
    '[]',
    '{}',
    '{"jsonrpc":"2.0","id":{},"method":"x"}',
    '\ud800',
    `{"x":"${BIG}`,
  ])('is none: %#', (line) => {
    const { server, client } = opened()
    const said = client.send(call(1))
    const [sent] = server.taken()
    server.says(line)
    expect([said, client.heard, server.taken()]).toEqual([[], [], []])
    server.says({ jsonrpc: '2.0', id: sent?.['id'], result: {} })
    expect(said).toHaveLength(1)
  })

  test('of a pipe of its own leaves byte by byte as it came, unless it has a raw carriage return', () => {
    const { server, mux } = world({ shared: false })
    const texts: unknown[] = []
    const link = mux.join({ unsolicited: () => {}, ended: () => {} })
    const lines = [
      '{"jsonrpc": "2.0", "id": 1,  "result": {"b":1.0, "a":"\\u0041"}}',
      '{"id":1,"result":1e2,"jsonrpc":"2.0"}',
      '{"jsonrpc":"2.0","id":1,\r"result":{}}',
    ]
    for (const line of lines) {
      link.send(
        parsePost(Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...call(1) })), 50),
        {},
        { message: () => {}, answer: (_id, text) => texts.push(text), failed: () => {}, withdrawn: () => {} },
      )
      server.says(line)
    }
    expect(texts).toEqual([...lines.slice(0, 2), '{"jsonrpc":"2.0","id":1, "result":{}}'])
  })
})

describe('a call', () => {
  test('without a sign of its answer is cancelled and told so; progress is a sign', () => {
    const { server, client } = opened({ limits: { timeoutSeconds: 10 } })
    const [silent, busy] = [client.send(call(1)), client.send(call(2, { _meta: { progressToken: 't' } }))]
    const ids = idsIn(server.taken())
    vi.advanceTimersByTime(7000)
    server.says({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: ids[1], progress: 1 } })
    vi.advanceTimersByTime(7000)
    expect(silent).toEqual([{ failed: 1, why: 'timeout' }])
    expect(busy).toHaveLength(1)
    expect(server.taken()).toMatchObject([{ method: 'notifications/cancelled', params: { requestId: ids[0] } }])
    server.says({ jsonrpc: '2.0', id: ids[0], result: {} })
    expect(silent).toHaveLength(1)
  })

  test('may wait for ever when that is asked for', () => {
    const { server, client } = opened({ limits: { timeoutSeconds: 0 } })
    const said = client.send(call(1))
    vi.advanceTimersByTime(1e8)
    server.says({ jsonrpc: '2.0', id: server.taken()[0]?.['id'], result: {} })
    expect(said).toMatchObject([{ answered: 1 }])
  })

  test('that was cancelled and is not answered is over, and its id may be used again', () => {
    const { server, client } = opened({ shared: false })
    const said = client.send(call(1))
    client.send({ method: 'notifications/cancelled', params: { requestId: 1 } })
    vi.advanceTimersByTime(10_000)
    expect(said).toEqual([{ withdrawn: 1 }])
    const again = client.send(call(1))
    server.says({ jsonrpc: '2.0', id: 1, result: 'again' })
    expect(again).toMatchObject([{ answered: 1, text: { result: 'again' } }])
    expect(said).toHaveLength(1)
  })

  test('beyond the cap of its client is refused, those of others are not', () => {
    const { server, join } = world({ limits: { streams: 2 } })
    const [greedy, modest] = [join(), join()]
    expect([1, 2, 3].map((id) => greedy.send(call(id)))).toEqual([[], [], [{ failed: 3, why: 'busy' }]])
    expect(modest.send(call(1))).toEqual([])
    server.says({ jsonrpc: '2.0', id: server.taken()[0]?.['id'], result: {} })
    expect(greedy.send(call(3))).toEqual([])
  })

  test('to a server that does not read is refused before memory is spent', () => {
    const { server, client } = opened({ limits: { bufferedBytes: 100 } })
    server.bufferedBytes = 101
    expect(client.send(call(1))).toEqual([{ failed: 1, why: 'busy' }])
    expect(server.taken()).toEqual([])
    server.bufferedBytes = 100
    expect(client.send(call(1))).toEqual([])
  })

  test('that the server did not take fails, once', () => {
    const { server, client } = opened()
    const said = client.send(call(1))
    server.loses(new OpenMcpError('upstream_broke', 'HTTP 500'))
    server.loses(new OpenMcpError('upstream_broke', 'HTTP 500'))
    server.says({ jsonrpc: '2.0', id: server.taken()[0]?.['id'], result: {} })
    expect(said).toEqual([{ failed: 1, why: 'upstream_broke' }])
  })

  test('after the end is answered at once with the reason', () => {
    const { server, client, ended } = opened()
    const open = client.send(call(1))
    server.ends(new OpenMcpError('child_failed', 'gone'))
    expect([open, client.send(call(2))]).toEqual([[{ failed: 1, why: 'child_failed' }], [{ failed: 2, why: 'child_failed' }]])
    expect(client.send({ method: 'notifications/initialized' })).toEqual([])
    expect(ended).toEqual(['child_failed', 'pipe'])
  })
})

describe('what belongs to no call', () => {
  test('a list that changed is told to all clients of a shared server', () => {
    const { server, join } = world()
    const clients = [join(), join()]
    const note = { jsonrpc: '2.0', method: 'notifications/resources/list_changed' }
    server.says(note)
    expect(clients.map(({ heard }) => heard)).toEqual([[note], [note]])
  })

  test('a resource that changed is told to those who subscribed to it', () => {
    const { server, join } = world()
    const [a, b, c] = [join(), join(), join()]
    for (const client of [a, b]) client.send({ id: 1, method: 'resources/subscribe', params: { uri: 'x:1' } })
    c.send({ id: 1, method: 'resources/subscribe', params: { uri: 'x:2' } })
    const note = { jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'x:1' } }
    server.says(note)
    expect([a.heard, b.heard, c.heard]).toEqual([[note], [note], []])
  })

  test('a subscription is given up at the server by the last who holds it', () => {
    const { server, join } = world()
    const [a, b] = [join(), join()]
    const give = (client: Client): unknown[] => client.send({ id: 5, method: 'resources/unsubscribe', params: { uri: 'x:1' } })
    for (const client of [a, b]) client.send({ id: 1, method: 'resources/subscribe', params: { uri: 'x:1' } })
    server.taken()
    expect(give(a)).toEqual([{ answered: 5, text: { jsonrpc: '2.0', id: 5, result: {} }, errorCode: undefined }])
    expect(server.taken()).toEqual([])
    expect(give(b)).toEqual([])
    expect(server.taken()).toMatchObject([{ method: 'resources/unsubscribe', params: { uri: 'x:1' } }])
  })

  test('a client that leaves gives up what it alone subscribed to', () => {
    const { server, join } = world()
    const [a, b] = [join(), join()]
    for (const uri of ['x:1', 'x:2']) a.send({ id: uri, method: 'resources/subscribe', params: { uri } })
    b.send({ id: 1, method: 'resources/subscribe', params: { uri: 'x:2' } })
    for (const { id } of server.taken()) server.says({ jsonrpc: '2.0', id: id ?? 0, result: {} })
    void a.link.close()
    expect(server.taken()).toMatchObject([{ method: 'resources/unsubscribe', params: { uri: 'x:1' } }])
    server.says({ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'x:2' } })
    expect([a.heard.length, b.heard.length]).toEqual([0, 1])
  })

  test('a log line is told to the one with calls in flight, and to nobody when there are two', () => {
    const { server, join } = world()
    const [a, b] = [join(), join()]
    for (const client of [a, b]) client.send({ id: 'i', method: 'initialize', params: {} })
    server.says({ jsonrpc: '2.0', id: server.taken()[0]?.['id'], result: {} })
    const line = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'x' } }
    const first = a.send(call(1))
    server.says(line)
    const second = b.send(call(1))
    server.says(line)
    expect([first, second, a.heard, b.heard]).toEqual([[line], [], [], []])
  })

  test('a log line is told to a stateless call only when it asked for them', () => {
    const { server, client } = opened()
    const line = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'x' } }
    const silent = client.send(call(1))
    server.says(line)
    const asking = client.send(call(2, { _meta: { [META_LOG_LEVEL]: 'info' } }))
    server.says(line)
    expect([silent, asking]).toEqual([[], [line]])
  })
})

describe('a stateless subscription', () => {
  const listen = (id: unknown): object => ({ id, method: 'subscriptions/listen', params: { notifications: {} } })
  const note = (subscription: unknown): object => ({
    jsonrpc: '2.0',
    method: 'notifications/tools/list_changed',
    params: { _meta: { [META_SUBSCRIPTION]: subscription } },
  })

  test('is told under the id its client gave it, on a shared server too', () => {
    const { server, join } = world()
    const said = [join().send(listen(1)), join().send(listen(1))]
    const [a, b] = idsIn(server.taken())
    server.says(note(b))
    server.says(note(a))
    server.says(note(999))
    server.says({ jsonrpc: '2.0', id: a, result: { _meta: { [META_SUBSCRIPTION]: a } } })
    server.says(note(a))
    const over = { answered: 1, text: { jsonrpc: '2.0', id: 1, result: { _meta: { [META_SUBSCRIPTION]: 1 } } }, errorCode: undefined }
    expect(said).toEqual([[note(1), over], [note(1)]])
  })

  test('is no call that waits too long, and takes no message that belongs to another', () => {
    const { server, client } = opened({ limits: { timeoutSeconds: 1 } })
    const said = client.send(listen(1))
    vi.advanceTimersByTime(100_000)
    expect(said).toEqual([])
    const other = client.send(call(2))
    server.says({ jsonrpc: '2.0', id: 'q', method: 'x/custom' })
    expect([said.length, other.length]).toEqual([0, 1])
  })
})

describe('a task', () => {
  const progress = (progressToken: unknown): object => ({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, progress: 1 } })

  test('goes on telling its progress to the client that made it, by the token it gave', () => {
    const { server, join } = world()
    const [a, b] = [join(), join()]
    for (const client of [a, b]) client.send(call(1, { _meta: { progressToken: 't' } }))
    const [mine, theirs] = idsIn(server.taken())
    server.says({ jsonrpc: '2.0', id: mine, result: { task: { taskId: '1' } } })
    server.says({ jsonrpc: '2.0', id: theirs, result: {} })
    server.says(progress(mine))
    server.says(progress(theirs))
    expect([a.heard, b.heard]).toEqual([[progress('t')], []])
    void a.link.close()
    server.says(progress(mine))
    expect(a.heard).toHaveLength(1)
  })
})

describe('a client that left', () => {
  test('takes its pipe with it when it is its own', () => {
    const { server, client } = opened({ shared: false })
    void client.link.close()
    expect(server.closed).toBe(true)
  })

  test('may leave twice, and others stay', () => {
    const { server, mux, join } = world()
    const [a, b] = [join(), join()]
    const [left, stayed] = [a.send(call(1)), b.send(call(1))]
    const ids = idsIn(server.taken())
    void a.link.close()
    void a.link.close()
    expect(server.taken()).toMatchObject([{ method: 'notifications/cancelled', params: { requestId: ids[0] } }])
    for (const id of ids) server.says({ jsonrpc: '2.0', id, result: {} })
    expect([left.length, stayed.length, mux.clients, server.closed]).toEqual([0, 1, 1, false])
  })

  // What the server says without naming a call is given to the only client with calls in flight. The call of a client that left
  // is not in flight any more, but the server may be at it still, and says of it what only the one who left may know.
  test.each<[string, object]>([
    ['a log line', { method: 'notifications/message', params: { level: 'info', data: 'of the one who left' } }],
    ['a notification', { method: 'notifications/custom', params: { about: 'the one who left' } }],
    ['a question', { id: 'q', method: 'x/custom', params: { about: 'the one who left' } }],
  ])('leaves nothing of its call to another: %s', (_what, message) => {
    const { server, join } = world()
    const [a, b] = [join(), join()]
    for (const client of [a, b]) client.send({ id: 'i', method: 'initialize', params: {} })
    server.says({ jsonrpc: '2.0', id: server.taken()[0]?.['id'], result: {} })
    a.send(call(1))
    const stayed = b.send(call(1))
    void a.link.close()
    server.says({ jsonrpc: '2.0', ...message })
    expect([stayed, b.heard]).toEqual([[], []])
  })

  // onlyCaller (traffic.ts) counts the abandoned call and names the client that left: the question is put to nobody, and the
  // server waits for its answer for ever.
  test('is asked nothing: the server hears at once that nobody will answer', () => {
    const { server, client } = opened()
    client.send(call(1))
    void client.link.close()
    server.taken()
    server.says({ jsonrpc: '2.0', id: 'q', method: 'x/custom' })
    server.says({ jsonrpc: '2.0', method: 'notifications/custom' })
    expect(server.taken()).toMatchObject([{ id: 'q', error: {} }])
    expect(client.heard).toEqual([])
  })

  test('is not waited for: the server hears that its question will not be answered', () => {
    const { server, client } = opened()
    client.send(call(1))
    server.says({ jsonrpc: '2.0', id: 'q', method: 'x/custom' })
    server.taken()
    void client.link.close()
    expect(server.taken()).toContainEqual({ jsonrpc: '2.0', id: 'q', error: { code: expect.any(Number) as number, message: expect.any(String) as string } })
  })
})
