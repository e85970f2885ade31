import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { OpenMcpError } from '../../src/errors.ts'
import { globMatcher } from '../../src/policy/patterns.ts'
import type { Standing } from '../../src/policy/shapes.ts'
import { ANYBODY, type Caller } from '../../src/protocol/caller.ts'
import type { Reply, Text } from '../../src/protocol/exchange.ts'
import type { Gate } from '../../src/protocol/gate.ts'
import { parsePost, type JsonObject, type Post } from '../../src/protocol/message.ts'
import { createGate, OPEN_GATE } from '../../src/relay/gate.ts'

const ALICE: Caller = { ...ANYBODY, id: 'did:example:alice', via: 'token', owner: 'did:example:alice' }

/** What may be used: globs over names. */
function standing(tools?: readonly string[], scopes: readonly string[] = ['mcp']): Standing {
  const globs = tools?.map(globMatcher)
  return { scopes, restricted: tools !== undefined, mayUse: (tool) => globs?.some((fits) => fits(tool)) ?? true, mayReach: () => true }
}

function gateOf(tools?: readonly string[], scopes?: readonly string[]): Gate {
  return createGate({ standingOf: () => standing(tools, scopes) })
}

function post(...messages: object[]): Post {
  const whole = messages.map((message) => ({ jsonrpc: '2.0', ...message }))
  return parsePost(Buffer.from(JSON.stringify(whole.length === 1 ? whole[0] : whole)), 50)
}

const call = (name: unknown, id = 1): object => ({ id, method: 'tools/call', params: { name } })
const LIST = { id: 1, method: 'tools/list' }

function refusalOf(gate: Gate, asked: Post, caller = ALICE): [string, unknown] | undefined {
  const refusal = gate.refusalOf(caller, asked)
  return refusal && [refusal.code, refusal.data ?? refusal.message]
}

/** What the caller gets when the server answers a request so. */
function seenOf(gate: Gate, asked: Post, text: Text, id: string | number = 1): unknown {
  let seen: unknown
  const reply: Reply = {
    message: () => {},
    answer: (_id, answered) => (seen = typeof answered === 'string' ? answered : Buffer.concat(answered).toString()),
    failed: (error: OpenMcpError) => (seen = error.code),
    withdrawn: () => {},
  }
  gate.filtered(ALICE, asked, reply).answer(id, text, undefined)
  return seen
}

const listText = (result: unknown): string => JSON.stringify({ jsonrpc: '2.0', id: 1, result })

describe('a tool', () => {
  test('is in the list if and only if calling it is not refused', () => {
    const name = fc.oneof(fc.constantFrom('read', 'read_all', 'write', 're*', '', '__proto__', 'constructor'), fc.string())
    const pattern = fc.oneof(
      name,
      name.map((start) => `${start}*`),
      fc.array(fc.constantFrom('*', '?', 'r', 'e', '_'), { maxLength: 6 }).map((parts) => parts.join('')),
    )
    fc.assert(
      fc.property(fc.array(pattern), fc.array(name), fc.boolean(), (patterns, tools, large) => {
        const gate = gateOf(patterns)
        const text = listText({ tools: tools.map((tool) => ({ name: tool })) })
        const seen: unknown = JSON.parse(String(seenOf(gate, post(LIST), large ? [Buffer.from(text)] : text)))
        const callable = tools.filter((tool) => gate.refusalOf(ALICE, post(call(tool))) === undefined)
        expect(seen).toEqual({ jsonrpc: '2.0', id: 1, result: { tools: callable.map((tool) => ({ name: tool })) } })
      }),
    )
  })

  test('that may not be called does not exist', () => {
    expect(refusalOf(gateOf(['read']), post(call('write')))).toEqual(['unknown_name', 'Unknown tool: write'])
  })

  test('of a long name is named by its beginning', () => {
    expect(refusalOf(gateOf([]), post(call('x'.repeat(10_000))))).toEqual(['unknown_name', `Unknown tool: ${'x'.repeat(128)}`])
  })

  test.each([[undefined], [null], [7], [['read']], [{ toString: 'read' }]])('named %j is denied to a caller who may not use all', (name) => {
    expect(refusalOf(gateOf(['*']), post(call(name)))).toEqual(['unknown_name', 'Unknown tool: '])
    expect(refusalOf(gateOf(), post(call(name)))).toBeUndefined()
  })

  test.each([
    [{ id: 1, method: 'tools/call' }],
    [{ id: 1, method: 'tools/call', params: ['read'] }],
    [{ id: 1, method: 'tools/describe', params: { name: 'write' } }],
    [{ id: 1, method: 'tools/', params: {} }],
  ])('is not reached by %j', (message) => {
    expect(refusalOf(gateOf(['read']), post(message))?.[0]).toBe('unknown_name')
  })

  test('is not called by a notification, which nobody would hear the refusal of', () => {
    const notification = { method: 'tools/call', params: { name: 'read' } }
    expect(refusalOf(gateOf(['read']), post(notification))?.[0]).toBe('invalid_request')
  })

  test('that may not be called holds back its whole batch', () => {
    const gate = gateOf(['read'])
    expect(refusalOf(gate, post(call('read', 1), call('read', 2)))).toBeUndefined()
    expect(refusalOf(gate, post(call('read', 1), call('write', 2)))).toEqual(['unknown_name', 'Unknown tool: write'])
  })
})

describe('a list of tools', () => {
  const read = { name: 'read', description: 'r', inputSchema: { type: 'object' } }
  const result = { tools: [read, { name: 'write' }], nextCursor: 'c', _meta: { a: [1] }, ttlMs: 5 }

  test('keeps everything else that the server said', () => {
    expect(JSON.parse(String(seenOf(gateOf(['read']), post(LIST), listText(result))))).toEqual({
      jsonrpc: '2.0',
      id: 1,
      result: { ...result, tools: [read] },
    })
  })

  test('loses what has no name', () => {
    const text = listText({ tools: [{ title: 'write' }, 'write', null, ['write'], { name: ['write'] }] })
    expect(seenOf(gateOf(['*']), post(LIST), text)).toBe(listText({ tools: [] }))
  })

  test('is read where a name is written twice: what was checked is what is seen', () => {
    expect(seenOf(gateOf(['read']), post(LIST), '{"result":{"tools":[{"name":"write"}],"tools":[{"name":"read"}]},"id":1}')).toBe(
      '{"result":{"tools":[{"name":"read"}]},"id":1}',
    )
  })

  test.each([
    '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"write"',
    'null',
    '[]',
    listText('write'),
    listText({ tools: { write: {} } }),
    listText(null),
  ])('that cannot be read does not pass: %s', (text) => {
    expect(seenOf(gateOf(['read']), post(LIST), text)).toBe('upstream_broke')
  })

  test.each([listText({}), listText({ task: { taskId: 't' } }), '{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"no"}}'])(
    'that is none passes as it came: %s',
    (text) => {
      expect(seenOf(gateOf(['read']), post(LIST), text)).toBe(text)
    },
  )

  // 2026-07-28 caching: whoever stands between may serve a public answer to anybody.
  test.each([
    ['all', undefined],
    ['some', ['read']],
  ])('is private to its caller, who may use %s', (_what, tools) => {
    const gate = gateOf(tools)
    const modern = post({ ...LIST, params: {} })
    expect(gate.readsAnswers(ALICE, modern)).toBe(true)
    expect(seenOf(gate, modern, listText({ tools: [read], ttlMs: 9, cacheScope: 'public' }))).toBe(listText({ tools: [read], ttlMs: 9, cacheScope: 'private' }))
  })

  test('is filtered beside an error, too', () => {
    const text = '{"id":1,"error":{"code":1},"result":{"tools":[{"name":"write"}]}}'
    expect(seenOf(gateOf(['read']), post(LIST), text)).toBe('{"id":1,"error":{"code":1},"result":{"tools":[]}}')
  })

  // A server that is asked twice under one id can answer the one on the stream of the other; a task can have listed tools.
  test.each(['ping', 'tasks/result', 'tools/call', 'custom/list'])('is filtered when it comes as the answer to %s', (method) => {
    const asked = post({ id: 1, method, params: { name: 'read' } })
    expect(seenOf(gateOf(['read']), asked, listText(result))).toBe(listText({ ...result, tools: [read] }))
    expect(seenOf(gateOf(['read']), asked, '{"id":1,"result":{"\\u0074ools":[{"name":"write"}]}}')).toBe('{"id":1,"result":{"tools":[]}}')
  })

  test('of one who may not come in any more is empty', () => {
    let trusted = true
    const gate = createGate({ standingOf: () => (trusted ? standing(['*']) : undefined) })
    const answers: Text[] = []
    const reply: Reply = { message: () => {}, answer: (_id, text) => answers.push(text), failed: () => {}, withdrawn: () => {} }
    const filtered = gate.filtered(ALICE, post(LIST), reply)
    trusted = false
    filtered.answer(1, listText({ tools: [read] }), undefined)
    expect(answers).toEqual([listText({ tools: [] })])
  })
})

test('other answers pass as they came, also large ones in pieces', () => {
  const gate = gateOf(['read'])
  const text = '{"jsonrpc":"2.0","id":1,"result":{"content":[],  "big":12345678901234567890}}'
  expect(seenOf(gate, post(call('read')), text)).toBe(text)
  expect(seenOf(gate, post(call('read')), [Buffer.from(text.slice(0, 30)), Buffer.from(text.slice(30))])).toBe(text)
  const capabilities = listText({ capabilities: { tools: { listChanged: true } } })
  expect(seenOf(gate, post({ id: 1, method: 'initialize' }), capabilities)).toBe(capabilities)
})

describe('a caller', () => {
  test('of no standing is refused and sees nothing unread', () => {
    const gate = createGate({ standingOf: () => undefined })
    expect(refusalOf(gate, post({ id: 1, method: 'ping' }))?.[0]).toBe('unauthorized')
    expect(gate.readsAnswers(ALICE)).toBe(true)
  })

  test('who may use every tool has its answers passed on unread', () => {
    const gate = gateOf()
    const reply: Reply = { message: () => {}, answer: () => {}, failed: () => {}, withdrawn: () => {} }
    expect([gate.readsAnswers(ALICE), gate.readsAnswers(ALICE, post(call('read'))), gate.filtered(ALICE, post(call('read')), reply) === reply]).toEqual([
      false,
      false,
      true,
    ])
  })

  test('meets no gate where nobody is asked who they are', () => {
    const reply: Reply = { message: () => {}, answer: () => {}, failed: () => {}, withdrawn: () => {} }
    const asked = post(call('write'))
    expect([OPEN_GATE.refusalOf(ANYBODY, asked), OPEN_GATE.readsAnswers(ANYBODY), OPEN_GATE.filtered(ANYBODY, asked, reply) === reply]).toEqual([
      undefined,
      false,
      true,
    ])
  })
})

describe('a scope', () => {
  const NEEDED: readonly (readonly [string, string])[] = [
    ['tools/list', 'mcp:tools'],
    ['tools/call', 'mcp:tools'],
    ['tasks/get', 'mcp:tools'],
    ['tasks/result', 'mcp:tools'],
    ['resources/read', 'mcp:resources'],
    ['resources/templates/list', 'mcp:resources'],
    ['prompts/get', 'mcp:prompts'],
    ['completion/complete', 'mcp:prompts'],
    ['custom/method', 'mcp'],
    ['Tools/call', 'mcp'],
    ['tools', 'mcp'],
    ['constructor', 'mcp'],
  ]
  const FAMILIES = ['mcp:tools', 'mcp:resources', 'mcp:prompts']

  test.each(NEEDED)('for %s is %s', (method, needed) => {
    const asked = post({ id: 1, method, params: {} })
    const refusal = ['insufficient_scope', { scopes: [needed] }]
    expect(refusalOf(gateOf(), asked, { ...ALICE, scopes: ['mcp'] })).toBeUndefined()
    for (const held of FAMILIES) expect(refusalOf(gateOf(), asked, { ...ALICE, scopes: [held] })).toEqual(held === needed ? undefined : refusal)
    expect(refusalOf(gateOf(undefined, []), asked)).toEqual(refusal)
  })

  test.each(['initialize', 'ping', 'server/discover', 'subscriptions/listen', 'logging/setLevel'])('of any kind will do for %s, none will not', (method) => {
    const asked = post({ id: 1, method })
    for (const held of ['mcp', ...FAMILIES]) expect(refusalOf(gateOf(), asked, { ...ALICE, scopes: [held] })).toBeUndefined()
    for (const held of [[], ['introspect'], ['mcp:'], ['mcp:tools:read'], ['MCP']]) {
      expect(refusalOf(gateOf(undefined, ['mcp', ...held]), asked, { ...ALICE, scopes: held })).toEqual(['insufficient_scope', { scopes: ['mcp'] }])
    }
    expect(refusalOf(gateOf(undefined, []), asked)).toEqual(['insufficient_scope', { scopes: ['mcp'] }])
  })

  test.each([{ method: 'notifications/initialized' }, { id: 5, result: {} }])('of any kind will do for %j, none will not', (message) => {
    expect(refusalOf(gateOf(), post(message), { ...ALICE, scopes: ['mcp:prompts'] })).toBeUndefined()
    expect(refusalOf(gateOf(), post(message), { ...ALICE, scopes: [] })?.[0]).toBe('insufficient_scope')
  })

  test('counts only as far as the identity may still have it', () => {
    const asked = post(LIST)
    expect(refusalOf(gateOf(undefined, ['mcp:resources']), asked, { ...ALICE, scopes: ['mcp'] })?.[0]).toBe('insufficient_scope')
    expect(refusalOf(gateOf(undefined, ['mcp:tools']), asked, { ...ALICE, scopes: ['mcp'] })).toBeUndefined()
    expect(refusalOf(gateOf(undefined, ['mcp']), asked, { ...ALICE, scopes: ['mcp:tools'] })).toBeUndefined()
  })

  test('that is missing is named together with all others that the post needs', () => {
    const asked = post(LIST, { id: 2, method: 'resources/list' }, { id: 3, method: 'ping' }, { id: 4, method: 'tools/list' })
    expect(refusalOf(gateOf(), asked, { ...ALICE, scopes: ['mcp:tools'] })).toEqual(['insufficient_scope', { scopes: ['mcp:tools', 'mcp:resources'] }])
  })

  test('that is missing is told before what may be used', () => {
    expect(refusalOf(gateOf([]), post(call('write')), { ...ALICE, scopes: ['mcp:prompts'] })?.[0]).toBe('insufficient_scope')
  })
})

test('a gate never widens what it is told: of random posts none passes that a scope or a tool forbids', () => {
  const message: fc.Arbitrary<JsonObject> = fc.record({
    jsonrpc: fc.constant('2.0'),
    id: fc.integer(),
    method: fc.constantFrom('tools/call', 'tools/list', 'resources/read', 'ping', 'x'),
    params: fc.record({ name: fc.constantFrom('read', 'write', 7) }),
  })
  const scopes = fc.subarray(['mcp:tools', 'mcp:resources', 'mcp:prompts'])
  fc.assert(
    fc.property(fc.array(message, { minLength: 1, maxLength: 4 }), scopes, (messages, held) => {
      const passes = gateOf(['read']).refusalOf({ ...ALICE, scopes: held }, parsePost(Buffer.from(JSON.stringify(messages)), 50)) === undefined
      const may = messages.every(({ method, params }) => {
        if (method === 'tools/call') return held.includes('mcp:tools') && JSON.stringify(params) === '{"name":"read"}'
        if (method === 'tools/list') return held.includes('mcp:tools')
        if (method === 'resources/read') return held.includes('mcp:resources')
        return method === 'ping' && held.length > 0
      })
      expect(passes).toBe(may)
    }),
  )
})
