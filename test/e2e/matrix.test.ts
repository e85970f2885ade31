// Every way in with every way out, for the revisions that have sessions: what either side says reaches the other.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ELICITED, LEGACY_WAYS_IN, ROOTS, SAMPLED, type Caller } from '../support/clients.ts'
import { at, jsonOf, type Json } from '../support/json.ts'
import { WAYS_OUT, sdkServer, type WayOut } from '../support/servers.ts'
import { until } from '../support/until.ts'

describe.each(WAYS_OUT)('to a server over %s', (wayOut) => {
  let server: WayOut
  beforeAll(async () => {
    server = await sdkServer(wayOut)
    return server.stop
  })

  describe.each(LEGACY_WAYS_IN)('from a client over $name', ({ connect }) => {
    let client: Caller
    beforeAll(async () => {
      client = await connect(server.served)
    })
    afterAll(() => client?.stop())

    async function call(name: string, args: Json = {}): Promise<Json> {
      const result = await client.request('tools/call', { name, arguments: args })
      return jsonOf(result['structuredContent'])
    }
    const heard = (method: string): Json[] => client.messages.filter((message) => message['method'] === method)

    /** What belongs to no call can be sent only once the server knows where to. */
    async function untilServerCanSpeak(): Promise<void> {
      await until('a stream for what belongs to no call', async () => (await call('heard'))['listening'])
    }

    test('a list is read page by page, each cursor as the server gave it', async () => {
      const names: unknown[] = []
      let cursor: unknown
      do {
        const page = await client.request('tools/list', cursor === undefined ? {} : { cursor })
        names.push(at(page, 'tools', 0, 'name'))
        cursor = page['nextCursor']
      } while (cursor !== undefined)
      expect(names).toEqual(['alpha', 'beta', 'gamma'])
      await expect(client.request('tools/list', { cursor: 'page-4' })).rejects.toMatchObject({
        code: -32602,
        message: expect.stringContaining('no page page-4'),
      })
    })

    test('a call arrives as it was sent, with its _meta and members nobody knows, and so does its result', async () => {
      const params = {
        name: 'echo',
        arguments: { text: 'ü € \u{1f600} \u2028 \u0000 \\ "', list: [1, -0.5, 1e21, null, true], empty: {} },
        _meta: { 'example.com/trace': { deep: ['kept'] } },
        'x-unknown': { nested: [{}, []] },
      }
      const result = await client.request('tools/call', params)
      expect(at(result, 'structuredContent', 'request', 'params')).toMatchObject(params)
      expect(result['x-unknown']).toEqual(['kept'])
      expect(result['_meta']).toMatchObject({ 'example.com/from-server': { kept: true } })
    })

    test('a large call and its large result arrive whole', async () => {
      const filler = 'é'.repeat(300_000)
      const { request } = await call('echo', { filler })
      expect(at(request, 'params', 'arguments', 'filler')).toBe(filler)
    })

    test('progress arrives in order, under the token of its call, before the result', async () => {
      await client.request('tools/call', { name: 'progress', arguments: { steps: 20 }, _meta: { progressToken: 'a token' } })
      const steps = heard('notifications/progress').map(({ params }) => params)
      expect(steps).toEqual(
        Array.from({ length: 20 }, (_, index) => {
          const step = index + 1
          return { progressToken: 'a token', progress: step, total: 20, message: `step ${step}`, 'x-unknown': { step } }
        }),
      )
      expect(at(client.messages.at(-1), 'result', 'structuredContent')).toEqual({ steps: 20 })
    })

    test('log lines arrive in order, before the result of the call they belong to', async () => {
      await client.request('logging/setLevel', { level: 'debug' })
      await call('log', { words: ['one', 'two', 'three'] })
      expect(client.messages.slice(-4).map((message) => at(message, 'params', 'data') ?? at(message, 'result', 'content'))).toEqual(['one', 'two', 'three', []])
    })

    test.each([
      { what: 'a sampling request', method: 'sampling/createMessage', params: { messages: [], maxTokens: 5 }, answer: SAMPLED },
      {
        what: 'an elicitation',
        method: 'elicitation/create',
        params: { message: 'who?', requestedSchema: { type: 'object', properties: { name: { type: 'string' } } } },
        answer: ELICITED,
      },
      { what: 'a question for the roots', method: 'roots/list', params: {}, answer: ROOTS },
    ])('$what comes on the stream of its call, and its answer goes back to it', async ({ method, params, answer }) => {
      expect(await call('ask', { method, params })).toEqual({ answer: expect.objectContaining(answer) })
      expect(heard(method)).toHaveLength(1)
      const ofTheCall = client.streams.filter(({ request }) => at(request, 'params', 'arguments', 'method') === method)
      const carrying = client.streams.filter(({ messages }) => messages.some((message) => message['method'] === method))
      expect(ofTheCall).toHaveLength(client.streams.length > 0 ? 1 : 0)
      expect(carrying).toEqual(ofTheCall)
    })

    test('a question that the client refuses comes back to the server as the refusal it is', async () => {
      await expect(call('ask', { method: 'test/nobody-knows', params: {} })).rejects.toMatchObject({ code: -32601 })
    })

    test('a cancellation reaches the server, with its reason, and the client waits no longer', async () => {
      const giveUp = new AbortController()
      const hanging = client.request('tools/call', { name: 'hang', arguments: { key: 'to be cancelled' } }, { signal: giveUp.signal })
      const refusal: Promise<unknown> = hanging.catch((error: unknown) => error)
      await until('the call at the server', async () => at(await call('heard'), 'hanging', 0) === 'to be cancelled')
      giveUp.abort('no more need')
      expect(await refusal).toMatchObject({ message: expect.stringContaining('no more need') })
      await until('the cancellation at the server', async () => at(await call('heard'), 'cancelled', 0))
      expect(await call('heard')).toMatchObject({ hanging: [], cancelled: [{ key: 'to be cancelled', reason: expect.stringContaining('no more need') }] })
    })

    test('the client is told when a list has changed', async () => {
      await untilServerCanSpeak()
      await call('announce', { method: 'notifications/tools/list_changed' })
      await until('the change of the tools', () => heard('notifications/tools/list_changed').length === 1)
      await call('announce', { method: 'notifications/prompts/list_changed' })
      await until('the change of the prompts', () => heard('notifications/prompts/list_changed').length === 1)
      expect(heard('notifications/tools/list_changed')).toHaveLength(1)
    })

    test('the client is told when a resource it subscribed to has changed', async () => {
      await untilServerCanSpeak()
      const update = { uri: 'test://watched', 'x-unknown': 'kept' }
      await client.request('resources/subscribe', { uri: update.uri })
      await call('announce', { method: 'notifications/resources/updated', params: update })
      await until('the update', () => heard('notifications/resources/updated').length > 0)
      expect(heard('notifications/resources/updated').map(({ params }) => params)).toEqual([update])
      await expect(client.request('resources/unsubscribe', { uri: update.uri })).resolves.toEqual({})
    })

    test('notifications of the client reach the server, known or not', async () => {
      await client.notify('notifications/roots/list_changed')
      await client.notify('notifications/test', { member: 'kept', _meta: { 'example.com/x': 1 } })
      const notifications = await until('both notifications', async () => {
        const list = (await call('heard'))['notifications']
        return Array.isArray(list) && list.length >= 2 ? list : undefined
      })
      expect(notifications).toEqual([
        expect.objectContaining({ method: 'notifications/roots/list_changed' }),
        expect.objectContaining({ method: 'notifications/test', params: expect.objectContaining({ member: 'kept', _meta: { 'example.com/x': 1 } }) }),
      ])
    })

    test('a notification of the server that nobody knows reaches the client', async () => {
      await untilServerCanSpeak()
      await call('announce', { method: 'notifications/test', params: { 'x-unknown': ['kept'] } })
      await until('the notification', () => heard('notifications/test').length === 1)
      expect(heard('notifications/test')[0]).toMatchObject({ params: { 'x-unknown': ['kept'] } })
    })

    test('a method that only the server knows is answered by the server', async () => {
      const params = { anything: [{ goes: null }] }
      expect(await client.request('test/custom/method', params)).toMatchObject({ method: 'test/custom/method', params })
    })

    test('a method that nobody knows gets the error of the server, words, code and data', async () => {
      const error = { code: -32601, message: expect.stringContaining('this server never heard of it'), data: { method: 'nobody/knows' } }
      await expect(client.request('nobody/knows')).rejects.toMatchObject(error)
    })

    test('many calls at once each get their own result', async () => {
      const texts = Array.from({ length: 30 }, (_, index) => `call ${index}`)
      const results = await Promise.all(texts.map((text) => call('echo', { text })))
      expect(results.map((result) => at(result, 'request', 'params', 'arguments', 'text'))).toEqual(texts)
    })
  })
})
