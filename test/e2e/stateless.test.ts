// The revision of 2026-07-28, which has no sessions: the official SDK v2 client, each way in with every way out.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LEGACY_WAYS_IN, MODERN_WAYS_IN, ROOTS, SAMPLED, type Caller } from '../support/clients.ts'
import { at, type Json } from '../support/json.ts'
import { WAYS_OUT, fixture, sdkServer, type WayOut } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'

describe.each(WAYS_OUT)('to a server of both eras over %s', (wayOut) => {
  let server: WayOut
  beforeAll(async () => {
    server = await fixture(wayOut)
    return server.stop
  })

  describe.each(MODERN_WAYS_IN)('from a client over $name', ({ connect }) => {
    let client: Caller
    beforeAll(async () => {
      client = await connect(server.served)
    })
    afterAll(() => client?.stop())

    const call = (name: string, args: Json = {}, meta: Json = {}): Promise<Json> => client.request('tools/call', { name, arguments: args, _meta: meta })
    const heard = (method: string): Json[] => client.messages.filter((message) => message['method'] === method)
    const textIn = (result: Json): unknown => at(result, 'content', 0, 'text')

    test('both sides speak 2026-07-28', () => {
      expect(client.revision).toBe('2026-07-28')
    })

    test('tools are listed and called', async () => {
      const names = at(await client.request('tools/list'), 'tools')
      expect(names).toContainEqual(expect.objectContaining({ name: 'test_simple_text' }))
      expect(textIn(await call('test_simple_text'))).toBe('This is a simple text response for testing.')
    })

    test('an argument that is mirrored in a header arrives', async () => {
      await client.request('tools/list')
      expect(textIn(await call('test_x_mcp_header', { region: 'süd – 1', query: 'q' }))).toBe('region süd – 1')
    })

    test('progress arrives in order, under the token of its call, before the result', async () => {
      await call('test_tool_with_progress', {}, { progressToken: 'a token' })
      expect(heard('notifications/progress').map((message) => at(message, 'params', 'progress'))).toEqual([0, 50, 100])
      expect(heard('notifications/progress').every((message) => at(message, 'params', 'progressToken') === 'a token')).toBe(true)
      expect(at(client.messages.at(-1), 'result', 'content')).toBeDefined()
    })

    test('log lines reach the call that asked for them, and no other', async () => {
      await call('test_logging_tool')
      expect(heard('notifications/message')).toEqual([])
      await call('test_logging_tool', {}, { 'io.modelcontextprotocol/logLevel': 'info' })
      expect(heard('notifications/message').map((message) => at(message, 'params', 'data'))).toEqual(['said while working'])
    })

    test('a server that needs the user, the model or the roots gets them, with its state kept', async () => {
      expect(textIn(await call('test_input_required_result_elicitation'))).toBe('Hello, ann!')
      expect(textIn(await call('test_input_required_result_sampling'))).toBe(SAMPLED.content.text)
      expect(textIn(await call('test_input_required_result_list_roots'))).toBe(ROOTS.roots[0]?.uri)
      expect(textIn(await call('test_input_required_result_multiple_inputs'))).toBe('received all three')
    })

    test('a client that listens is told when a list has changed', async () => {
      await client.listen({ toolsListChanged: true })
      await call('test_trigger_tool_change')
      const change = await until('the change', () => heard('notifications/tools/list_changed')[0])
      // It says which subscription it belongs to, in the words of the one who subscribed.
      const subscription = at(change, 'params', '_meta', 'io.modelcontextprotocol/subscriptionId')
      expect(subscription).toBe(at(heard('notifications/subscriptions/acknowledged')[0], 'params', '_meta', 'io.modelcontextprotocol/subscriptionId'))
      expect(heard('notifications/prompts/list_changed')).toEqual([])
    })

    test('a call that is given up harms no other', async () => {
      const giveUp = new AbortController()
      const slow = client.request(
        'tools/call',
        { name: 'test_tool_with_progress', arguments: {}, _meta: { progressToken: 'given up' } },
        { signal: giveUp.signal },
      )
      const refusal: Promise<unknown> = slow.catch((error: unknown) => error)
      const other = call('test_tool_with_progress')
      await until('the first sign of it', () => heard('notifications/progress').some((message) => at(message, 'params', 'progressToken') === 'given up'))
      giveUp.abort('no more need')
      expect(await refusal).toBeInstanceOf(Error)
      expect(textIn(await other)).toContain('done')
    })

    test('an unknown method and an unknown tool get the errors of the server', async () => {
      // Over HTTP its status is 404, and the SDK shows the body.
      const refusal: unknown = await client.request('nobody/knows').catch((error: unknown) => error)
      expect(`${String(at(refusal, 'code'))} ${String(refusal)}`).toContain('-32601')
      await expect(call('no_such_tool')).rejects.toMatchObject({ code: -32602, message: expect.stringContaining('no_such_tool') })
    })

    test('many calls at once each get their own result', async () => {
      await client.request('tools/list')
      const regions = Array.from({ length: 30 }, (_, index) => `region ${index}`)
      const results = await Promise.all(regions.map((region) => call('test_x_mcp_header', { region: region.slice(7), query: '' })))
      expect(results.map(textIn)).toEqual(regions)
    })
  })
})

describe('a client of both eras', () => {
  test.each(WAYS_OUT)('falls back to the revision of an older server over %s', async (wayOut) => {
    const server = await forThisTest(sdkServer(wayOut))
    for (const { connect } of MODERN_WAYS_IN) {
      const client = await forThisTest(connect(server.served))
      expect(client.revision).toBe('2025-11-25')
      expect(await client.request('test/custom', { a: 1 })).toMatchObject({ params: { a: 1 } })
    }
  })
})

describe('a client of an older revision', () => {
  test.each(WAYS_OUT)('is served by a server of both eras over %s', async (wayOut) => {
    const server = await forThisTest(fixture(wayOut))
    for (const { connect } of LEGACY_WAYS_IN) {
      const client = await forThisTest(connect(server.served))
      const result = await client.request('tools/call', { name: 'test_sampling', arguments: { prompt: 'p' } })
      expect(at(result, 'content', 0, 'text')).toBe(`LLM response: ${SAMPLED.content.text}`)
    }
  })

  test('over stdio gets the answer of a call whose stream the server closed in the middle', async () => {
    const server = await forThisTest(fixture('Streamable HTTP'))
    const stdio = LEGACY_WAYS_IN.find(({ name }) => name.startsWith('stdio'))
    const client = await forThisTest(stdio!.connect(server.served))
    const result = await client.request('tools/call', { name: 'test_reconnection', arguments: {} })
    expect(at(result, 'content', 0, 'text')).toBe('answered after the stream was closed')
  })
})
