// What a caller may not do or see, on every way in and before both kinds of upstream.
import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { at, type Json } from '../support/json.ts'
import { MODERN, messagesIn, modern, openWays, standing, TOOLS, type Asking, type Ways } from './gated-ways.ts'
import type { Reader } from './http-stage.ts'

const call = (name: unknown, id = 1): Json => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name } })
const LIST: Json = { jsonrpc: '2.0', id: 1, method: 'tools/list' }
const DENIED = { jsonrpc: '2.0', id: 1, error: { code: -32602, message: 'Unknown tool: write' } }

const namesIn = (message: unknown): unknown => {
  const tools = at(message, 'result', 'tools')
  return Array.isArray(tools) ? tools.map((tool) => at(tool, 'name')) : tools
}

describe.each(['pipe', 'http'] as const)('before a server on %s', (kind) => {
  let ways: Ways
  beforeEach(async () => {
    ways = await openWays(kind)
    for (const one of ['alice', 'bob']) ways.trust(one, standing())
    ways.trust('reader', standing(['read']))
  })
  afterEach(() => ways.close())

  /** Opens /sse; where to post, and the stream. */
  async function openSse(caller: string): Promise<{ stream: Reader; query: string }> {
    const stream = await ways.ask(caller, { door: 'sse' })
    await stream.count(1)
    return { stream, query: String(stream.events[0]?.data.split('?')[1]) }
  }

  describe('a session of another identity', () => {
    test.each(['POST', 'GET', 'DELETE'])('is as unknown to %s as one that never was', async (method) => {
      const session = await ways.begin('alice')
      const ask = async (id: string): Promise<unknown> => {
        const reader = await ways.ask('bob', { method, headers: { ...session, 'mcp-session-id': id }, ...(method === 'POST' ? { body: LIST } : {}) })
        await reader.over
        const { date: _date, ...headers } = reader.response.headers
        return [reader.response.statusCode, headers, reader.text]
      }
      const another = await ask(String(session['mcp-session-id']))
      expect(another).toEqual(await ask('never-was'))
      expect(at(another, 0)).toBe(404)
      expect(ways.taken()).toEqual([])
      expect((await ways.call('alice', call('read'), session)).status).toBe(200)
    })

    test('is as unknown to a post of SSE as one that never was', async () => {
      const { query, stream } = await openSse('alice')
      const ask = async (asked: string): Promise<unknown> => {
        const reader = await ways.ask('bob', { door: 'messages', query: asked, body: LIST })
        await reader.over
        return [reader.response.statusCode, reader.text]
      }
      expect(await ask(query)).toEqual(await ask('sessionId=never-was'))
      expect(at(await ask(query), 0)).toBe(404)
      expect(ways.taken()).toEqual([])
      stream.leave()
    })

    test('stays its own when it comes with a fresher credential', async () => {
      const session = await ways.begin('alice/mcp/old')
      expect((await ways.call('alice/mcp/fresh', call('read'), session)).status).toBe(200)
      await ways.endOf(({ tokenId }) => tokenId === 'old')
      expect((await ways.call('alice/mcp/fresh', call('read'), session)).status).toBe(200)
    })
  })

  describe('a list of tools', () => {
    test.each([
      ['alice', TOOLS],
      ['reader', ['read']],
    ])('shows %s what it may use: in a session', async (caller, tools) => {
      const { messages } = await ways.call(caller, LIST, await ways.begin(caller))
      expect(messages.map(namesIn)).toEqual([tools])
      expect(at(messages, 0, 'result', 'nextCursor')).toBe('more')
    })

    test.each([
      ['alice', TOOLS],
      ['reader', ['read']],
    ])('shows %s what it may use: without a session', async (caller, tools) => {
      const { body, headers } = modern(1, 'tools/list')
      const { messages } = await ways.call(caller, body, headers)
      expect([messages.map(namesIn), at(messages, 0, 'result', 'cacheScope')]).toEqual([[tools], 'private'])
    })

    test.each([
      ['alice', TOOLS],
      ['reader', ['read']],
    ])('shows %s what it may use: on SSE', async (caller, tools) => {
      const { query, stream } = await openSse(caller)
      await (
        await ways.ask(caller, { door: 'messages', query, body: LIST })
      ).over
      await stream.count(2)
      expect(messagesIn(stream).map(namesIn)).toEqual([tools])
      stream.leave()
    })

    test('shows every caller its own, though what one learnt of the server serves all', async () => {
      const list = modern(1, 'tools/list')
      const write = modern(2, 'tools/call', { name: 'write' })
      expect((await ways.call('reader', list.body, list.headers)).messages.map(namesIn)).toEqual([['read']])
      expect((await ways.call('alice', write.body, write.headers)).messages).toMatchObject([{ id: 2, result: {} }])
      expect((await ways.call('reader', write.body, write.headers)).messages).toMatchObject([{ id: 2, error: { code: -32602 } }])
    })

    test('is replayed as it was seen', async () => {
      const session = await ways.begin('reader', '2025-11-25')
      const { reader } = await ways.call('reader', LIST, session)
      const first = String(reader.events[0]?.id)
      const again = await ways.ask('reader', { headers: { ...session, 'last-event-id': first } })
      await again.over
      expect(messagesIn(again).map(namesIn)).toEqual([['read']])
    })
  })

  describe('a tool that may not be used', () => {
    test('does not exist in a session', async () => {
      const session = await ways.begin('reader')
      const { status, messages } = await ways.call('reader', call('write'), session)
      expect([status, messages, ways.taken()]).toEqual([200, [DENIED], []])
      expect((await ways.call('reader', call('read'), session)).messages).toMatchObject([{ id: 1, result: {} }])
    })

    test('does not exist without a session', async () => {
      const { body, headers } = modern(1, 'tools/call', { name: 'write' })
      const { status, messages } = await ways.call('reader', body, headers)
      expect([status, messages, ways.taken()]).toEqual([200, [DENIED], []])
      const may = modern(2, 'tools/call', { name: 'read' })
      expect((await ways.call('reader', may.body, may.headers)).messages).toMatchObject([{ id: 2, result: {} }])
    })

    test('does not exist on SSE, and the stream says so', async () => {
      const { query, stream } = await openSse('reader')
      const posted = await ways.ask('reader', { door: 'messages', query, body: call('write') })
      await posted.over
      await stream.count(2)
      expect([posted.response.statusCode, messagesIn(stream), ways.taken()]).toEqual([202, [DENIED], []])
      stream.leave()
    })

    test('holds back all of its batch', async () => {
      const session = await ways.begin('reader', '2025-03-26')
      const { status, messages } = await ways.call('reader', [call('read', 1), call('write', 2), { jsonrpc: '2.0', method: 'notifications/x' }], session)
      expect([status, messages, ways.taken()]).toEqual([200, [DENIED, { ...DENIED, id: 2 }], []])
      const { query, stream } = await openSse('reader')
      await (
        await ways.ask('reader', { door: 'messages', query, body: [call('read', 1), call('write', 2)] })
      ).over
      await stream.count(3)
      expect([messagesIn(stream), ways.taken()]).toEqual([[DENIED, { ...DENIED, id: 2 }], []])
      stream.leave()
    })

    test('is not called by a notification', async () => {
      const { id: _id, ...notification } = call('write')
      const { status } = await ways.call('reader', notification, await ways.begin('reader'))
      expect([status, ways.taken()]).toEqual([400, []])
    })

    test('is not called under a name written twice', async () => {
      const session = await ways.begin('reader')
      const twice = (first: string, second: string, filler: string): Promise<{ messages: Json[] }> =>
        ways.call('reader', `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${first}","x":"${filler}","name":"${second}"}}`, session)
      for (const filler of ['', 'x'.repeat(100_000)]) {
        expect(at((await twice('write', 'read', filler)).messages, 0, 'result', 'content', 0, 'text')).toBe('read')
        expect((await twice('read', 'write', filler)).messages).toEqual([DENIED])
      }
    })
  })

  describe('a scope that is missing', () => {
    test.each<[string, (() => Promise<Record<string, string>>) | undefined, Json, Record<string, string>]>([
      ['in a session', () => ways.begin('alice'), LIST, {}],
      ['at the beginning of one', undefined, LIST, {}],
      ['without a session', undefined, modern(1, 'tools/list').body, modern(1, 'tools/list').headers],
    ])('is answered 403 with a challenge that names it: %s', async (_where, begin, body, headers) => {
      const session = await begin?.()
      const { status, messages, reader } = await ways.call('alice/mcp:resources', body, { ...headers, ...session })
      expect([status, reader.response.headers['www-authenticate']]).toEqual([403, 'Bearer scope="mcp:tools"'])
      expect(messages).toMatchObject([{ id: 1, error: { code: -32000, data: { scopes: ['mcp:tools'] } } }])
      expect(ways.taken()).toEqual([])
    })

    test('is answered 403 on SSE too', async () => {
      const { query, stream } = await openSse('alice')
      const posted = await ways.ask('alice/mcp:resources', { door: 'messages', query, body: LIST })
      await posted.over
      expect([posted.response.statusCode, posted.response.headers['www-authenticate']]).toEqual([403, 'Bearer scope="mcp:tools"'])
      expect([messagesIn(stream), ways.taken()]).toEqual([[], []])
      stream.leave()
    })

    test('of a batch is answered once, with all that the batch needs', async () => {
      const session = await ways.begin('alice', '2025-03-26')
      const batch = [call('read', 1), { jsonrpc: '2.0', id: 2, method: 'resources/list' }]
      const { status, messages } = await ways.call('alice/mcp:resources', batch, session)
      expect([status, ways.taken()]).toEqual([403, []])
      expect(messages).toMatchObject([{ id: null, error: { data: { scopes: ['mcp:tools', 'mcp:resources'] } } }])
    })
  })

  describe('a caller', () => {
    test('of no standing is refused though it came this far', async () => {
      const { status } = await ways.call('stranger', LIST)
      expect([status, ways.taken()]).toEqual([401, []])
    })

    test.each<[string, Asking]>([
      ['POST', { body: LIST }],
      ['GET', {}],
      ['DELETE', { method: 'DELETE' }],
      ['GET of SSE', { door: 'sse' }],
      ['POST of SSE', { door: 'messages', body: LIST }],
    ])('that nobody verified is refused, and what is thrown then harms nobody: %s', async (_what, asking) => {
      const reader = await ways.ask('', asking)
      await reader.over
      expect([reader.response.statusCode, ways.taken()]).toEqual([401, []])
    })

    test.each(['GET', 'POST'])('of whom less is thought now does not find what its session kept unread: %s', async (method) => {
      const session = await ways.begin('alice', '2025-11-25')
      const { reader } = await ways.call('alice', LIST, session)
      ways.taken()
      ways.trust('alice', standing(['read']))
      const headers = { ...session, 'last-event-id': reader.events[0]?.id ?? '1_0' }
      const again = await ways.ask('alice', method === 'GET' ? { headers } : { headers: session, body: LIST })
      await again.over
      expect([again.response.statusCode, ways.taken()]).toEqual([404, []])
      const { messages } = await ways.call('alice', LIST, await ways.begin('alice'))
      expect(messages.map(namesIn)).toEqual([['read']])
    })

    test('whose right to a tool is taken loses it in the session that it has', async () => {
      ways.trust('reader', standing(['read', 'write']))
      const session = await ways.begin('reader')
      expect((await ways.call('reader', call('write'), session)).messages).toMatchObject([{ result: {} }])
      ways.trust('reader', standing(['read']))
      expect((await ways.call('reader', call('write'), session)).messages).toEqual([DENIED])
    })
  })

  describe('what belongs to a caller who is over', () => {
    test('ends at once: calls are answered, streams end, sessions are gone', async () => {
      ways.trust('reader', standing(['slow']))
      const session = await ways.begin('reader/mcp/token')
      const bobs = await ways.begin('bob')
      const listening = await ways.ask('reader/mcp/token', { headers: session })
      const calling = ways.call('reader/mcp/token', call('slow'), session)
      await ways.reached('tools/call')
      const { stream } = await openSse('alice/mcp/token')
      const ending = ways.endOf(({ tokenId }) => tokenId === 'token')
      await Promise.all([listening.over, stream.over])
      expect((await calling).messages).toMatchObject([{ id: 1, error: { code: -32001 } }])
      await ending
      expect((await ways.call('reader/mcp/token', LIST, session)).status).toBe(404)
      expect((await ways.call('bob', LIST, bobs)).status).toBe(200)
      expect(ways.size()).toBe(1)
    })

    test('is let go when its response is destroyed: a call without a session is cancelled', async () => {
      const { body, headers } = modern(1, 'tools/call', { name: 'slow' })
      for (const caller of ['alice', 'reader']) {
        if (caller === 'reader') ways.trust('reader', standing(['slow']))
        ways.taken()
        const calling = ways.call(caller, body, headers).catch(() => {})
        await ways.reached('tools/call')
        ways.response().destroy()
        await calling
        const end = kind === 'pipe' ? 'notifications/cancelled' : 'let go'
        await ways.reached(end)
        expect(ways.taken()).toEqual(expect.arrayContaining(['tools/call', end]))
      }
    })

    test('is let go when its response is destroyed: a stream holds its session no more', async () => {
      const session = await ways.begin('reader')
      const listening = await ways.ask('reader', { headers: session })
      expect(ways.held()).toBe(1)
      const closed = once(ways.response(), 'close')
      ways.response().destroy()
      await Promise.all([closed, listening.over])
      expect(ways.held()).toBe(0)
    })

    test('is let go when its response is destroyed: an SSE session ends', async () => {
      const { stream } = await openSse('alice')
      expect(ways.size()).toBe(1)
      ways.response().destroy()
      await stream.over
      await expect.poll(() => ways.size()).toBe(0)
    })
  })
})

test('a caller who was shown out while the upstream was looked for is not served', async () => {
  let look: (() => void) | undefined
  let find: (() => void) | undefined
  const looking = new Promise<void>((resolve) => (look = resolve))
  const found = new Promise<void>((resolve) => (find = resolve))
  const ways = await openWays('pipe', () => {
    look?.()
    return found
  })
  ways.trust('alice', standing())
  const asked = ways.call('alice', { jsonrpc: '2.0', id: 1, method: 'initialize', params: {} }).catch(() => {})
  await looking
  const closed = once(ways.response(), 'close')
  ways.response().destroy()
  await Promise.all([asked, closed])
  find?.()
  await found
  await new Promise(setImmediate)
  expect([ways.taken(), ways.size()]).toEqual([[], 0])
  await ways.close()
})

describe('a session that answers of the upstream pass through as bytes', () => {
  let ways: Ways
  beforeEach(async () => {
    ways = await openWays('http')
    ways.trust('alice', standing())
  })
  afterEach(() => ways.close())

  test('is let go with its call when the response is destroyed', async () => {
    const session = await ways.begin('alice')
    const calling = ways.call('alice', call('slow'), session).catch(() => {})
    await ways.reached('tools/call')
    expect(ways.held()).toBe(1)
    ways.response().destroy()
    await calling
    await ways.reached('let go')
    expect(ways.held()).toBe(0)
  })

  // A link without a session lives for one request, and once forgot what a list had taught it.
  test('is not needed for headers that mirror an argument: a caller who may not use all sends them too', async () => {
    ways.trust('alice', standing(['read']))
    const { body, headers } = modern(1, 'tools/call', { name: 'read', arguments: { region: 'eu' } })
    for (let times = 0; times < 2; times++) {
      expect((await ways.call('alice', body, { ...headers, 'mcp-param-region': 'eu' })).messages).toMatchObject([{ id: 1, result: {} }])
    }
    expect(ways.taken()).toEqual(['tools/list', 'tools/list', 'tools/call for eu', 'tools/call for eu'])
    const { messages } = await ways.call('alice', body, { ...headers, 'mcp-param-region': 'us' })
    expect([messages, ways.taken()]).toMatchObject([[{ id: 1, error: { code: -32020 } }], []])
  })

  test('does not exist for the modern revision, which has none', async () => {
    const session = await ways.begin('alice')
    ways.trust('alice', standing(['read']))
    const asked = await ways.ask('alice', { headers: { ...session, 'mcp-protocol-version': MODERN } })
    await asked.over
    expect([asked.response.statusCode, ways.taken()]).toEqual([405, []])
  })

  // The upstream keeps one stream for an id: who asks twice under one could have the list answered where nobody looks.
  test('refuses a second request under an id that is in flight', async () => {
    ways.trust('alice', standing(['slow']))
    const session = await ways.begin('alice')
    const calling = ways.call('alice', call('slow', 7), session).catch(() => {})
    await ways.reached('tools/call')
    ways.taken()
    const { messages } = await ways.call('alice', { ...LIST, id: 7 }, session)
    expect([messages, ways.taken()]).toMatchObject([[{ id: 7, error: { message: 'a request with this id is in flight' } }], []])
    ways.response().destroy()
    await ways.endOf(() => true)
    await calling
  })
})
