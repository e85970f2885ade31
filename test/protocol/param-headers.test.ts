import { assert, double, integer, oneof, property, string } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OpenMcpError } from '../../src/errors.ts'
import { parsePost, type Message } from '../../src/protocol/message.ts'
import { createParamHeaders, type ParamHeaders } from '../../src/protocol/param-headers.ts'
import { encodeMirrored } from '../../src/protocol/revision.ts'

const SCHEMA = {
  type: 'object',
  properties: {
    region: { type: 'string', 'x-mcp-header': 'Region' },
    size: { type: 'number', 'x-mcp-header': 'Size' },
    fast: { type: 'boolean', 'x-mcp-header': 'fast' },
    plain: { type: 'string' },
    where: { type: 'object', properties: { city: { type: 'string', 'x-mcp-header': 'City' } } },
  },
}

describe('arguments that are mirrored in headers', () => {
  test('become headers of a call, each in a form that can be sent', () => {
    const headers = learnt().of(call('add', { region: 'eu', size: 1.5, fast: true, plain: 'no', where: { city: 'Zürich' } }))
    expect(headers).toEqual({ 'mcp-param-region': 'eu', 'mcp-param-size': '1.5', 'mcp-param-fast': 'true', 'mcp-param-city': encodeMirrored('Zürich') })
  })

  test.each<[string, unknown]>([
    ['that are not there', {}],
    ['that are null', { region: null, size: null, where: null }],
    ['that are of another kind', { region: ['eu'], size: { a: 1 }, where: 'city' }],
    ['that are no object', 'region'],
  ])('become no headers %s', (_what, args) => {
    const params = learnt()
    expect(params.of(call('add', args))).toEqual({})
    expect(refusalOf(() => params.check(call('add', args), () => undefined))).toBeUndefined()
  })

  test.each<[string, string, unknown, string | undefined, string | undefined]>([
    ['says the same', 'region', 'eu', 'eu', undefined],
    ['says the same in Base64', 'region', 'Zürich', encodeMirrored('Zürich'), undefined],
    ['is missing', 'region', 'eu', undefined, 'header_mismatch'],
    ['says something else', 'region', 'eu', 'us', 'header_mismatch'],
    ['is written differently', 'region', 'eu', 'EU', 'header_mismatch'],
    ['is empty', 'region', 'eu', '', 'header_mismatch'],
    ['is a Base64 that is none', 'region', 'eu', '=?base64?ZX?=', 'header_mismatch'],
    ['says a number', 'size', 1.5, '1.5', undefined],
    ['says a number with another zero', 'size', 1.5, '1.50', undefined],
    ['says a number in another notation', 'size', 1000, '1e3', 'header_mismatch'],
    ['says a number with white space', 'size', 7, ' 7', 'header_mismatch'],
    ['says nothing for a number', 'size', 0, '', 'header_mismatch'],
    ['says another number', 'size', 1, '2', 'header_mismatch'],
    ['says a text that looks like the number', 'size', '1.5', '1.50', 'header_mismatch'],
    ['says a boolean', 'fast', false, 'false', undefined],
    ['says the other boolean', 'fast', false, 'true', 'header_mismatch'],
    ['says 1 for a boolean', 'fast', true, '1', 'header_mismatch'],
  ])('are refused unless the header agrees: it %s', (_what, argument, value, header, refused) => {
    const params = learnt()
    const headerOf = (name: string): string | undefined => (name === `mcp-param-${argument}` ? header : undefined)
    expect(refusalOf(() => params.check(call('add', { [argument]: value }), headerOf))).toBe(refused)
  })

  test('agree with the headers that are made of them', () => {
    const params = learnt()
    const holds = property(string({ unit: 'binary' }), oneof(integer(), double({ min: -1e15, max: 1e15, noNaN: true })), (region, size) => {
      const message = call('add', { region, size })
      const headers = params.of(message)
      expect(refusalOf(() => params.check(message, (name) => headers[name]))).toBeUndefined()
    })
    expect(() => assert(holds, { numRuns: 200 })).not.toThrow()
  })

  test('are those of the tool that is called and of its newest schema', () => {
    const params = learnt()
    params.learn({ tools: [{ name: 'other', inputSchema: { properties: { region: { 'x-mcp-header': 'Other' } } } }] })
    expect(params.of(call('other', { region: 'eu' }))).toEqual({ 'mcp-param-other': 'eu' })
    expect(params.of(call('unknown', { region: 'eu' }))).toEqual({})
    params.learn({ tools: [{ name: 'add', inputSchema: {} }] })
    expect(params.of(call('add', { region: 'eu' }))).toEqual({})
  })

  test('belong to calls alone', () => {
    const params = learnt()
    expect(params.of(messageOf({ id: 1, method: 'prompts/get', params: { name: 'add', arguments: { region: 'eu' } } }))).toEqual({})
    expect(params.of(messageOf({ method: 'tools/call', params: { name: 'add', arguments: { region: 'eu' } } }))).toEqual({})
    expect(params.of(messageOf({ id: 1, result: {} }))).toEqual({})
  })
})

describe('a list of tools', () => {
  test('makes its tools known, one that names no header too', () => {
    const params = createParamHeaders()
    expect(params.isUnknown(call('add'))).toBe(true)
    params.learn({ tools: [{ name: 'add', inputSchema: SCHEMA }, { name: 'plain' }] })
    expect(params.isUnknown(call('add'))).toBe(false)
    expect(params.isUnknown(call('plain'))).toBe(false)
    expect(params.isUnknown(call('toString'))).toBe(true)
    expect(params.isUnknown(messageOf({ id: 1, method: 'ping' }))).toBe(false)
  })

  test.each([
    undefined,
    null,
    1,
    [],
    {},
    { tools: {} },
    { tools: [null, 1, 'x', [], {}, { name: 1 }, { name: 'a', inputSchema: 'x' }, { name: 'b', inputSchema: { properties: [] } }] },
  ])('%j teaches nothing and breaks nothing', (result) => {
    const params = createParamHeaders()
    params.learn(result)
    expect(params.of(call('a', { x: 'y' }))).toEqual({})
  })

  test.each(['', 'a b', 'a:b', 'a\r\nb', 'ü', 'x'.repeat(65), 7, null, ['Region']])('cannot name the header %j', (header) => {
    const params = createParamHeaders()
    params.learn({ tools: [{ name: 'add', inputSchema: { properties: { region: { 'x-mcp-header': header } } } }] })
    expect(params.of(call('add', { region: 'eu' }))).toEqual({})
  })

  test('names headers through `properties` alone, and not without end', () => {
    const params = createParamHeaders()
    const marked = { 'x-mcp-header': 'H' }
    const deep = (levels: number): object => (levels === 0 ? marked : { properties: { a: deep(levels - 1) } })
    const args = (levels: number): object => (levels === 1 ? { a: 'v' } : { a: args(levels - 1) })
    params.learn({ tools: [{ name: 'items', inputSchema: { items: marked, anyOf: [{ properties: { a: marked } }], $defs: { a: marked } } }] })
    expect(params.of(call('items', { a: 'v' }))).toEqual({})
    params.learn({ tools: [1, 8, 9, 50].map((levels) => ({ name: `deep ${levels}`, inputSchema: deep(levels) })) })
    expect([1, 8, 9, 50].map((levels) => Object.keys(params.of(call(`deep ${levels}`, args(levels)))).length)).toEqual([1, 1, 0, 0])
  })

  test('without end is not remembered without end', () => {
    const params = createParamHeaders()
    const tools = (prefix: string): object => ({ tools: Array.from({ length: 4000 }, (_, index) => ({ name: `${prefix}${index}` })) })
    params.learn(tools('a'))
    params.learn(tools('b'))
    expect(params.isUnknown(call('a3999'))).toBe(false)
    expect(params.isUnknown(call('b3999'))).toBe(true)
  })

  test.each([
    ['constructor', 'name'],
    ['__proto__', 'constructor', 'name'],
    ['toString', 'name'],
  ])('names arguments of the client alone, not what every object has: %s', (...path) => {
    const params = createParamHeaders()
    const schema = path.reduceRight<object>((inner, member) => ({ properties: Object.fromEntries([[member, inner]]) }), { 'x-mcp-header': 'H' })
    params.learn({ tools: [{ name: 'add', inputSchema: schema }] })
    expect(params.of(call('add', { region: 'eu' }))).toEqual({})
  })
})

function learnt(): ParamHeaders {
  const params = createParamHeaders()
  params.learn({ tools: [{ name: 'add', inputSchema: SCHEMA }] })
  return params
}

function call(name: string, args: unknown = {}): Message {
  return messageOf({ id: 1, method: 'tools/call', params: { name, arguments: args } })
}

function messageOf(body: object): Message {
  const [message] = parsePost(Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...body })), 100).messages
  if (!message) throw new Error('a post without a message')
  return message
}

function refusalOf(act: () => void): string | undefined {
  try {
    act()
    return undefined
  } catch (error) {
    if (error instanceof OpenMcpError) return error.code
    throw error
  }
}
