import { assert, property, string } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OpenMcpError } from '../../src/errors.ts'
import { parsePost, type Post } from '../../src/protocol/message.ts'
import {
  META_CAPABILITIES,
  META_VERSION,
  checkModernPost,
  decodeMirrored,
  encodeMirrored,
  eraOf,
  isModernVersion,
  isPrimedVersion,
  mirroredNameOf,
} from '../../src/protocol/revision.ts'

const VERSION = '2026-07-28'
const META = { [META_VERSION]: VERSION, [META_CAPABILITIES]: {} }

describe('a version', () => {
  test.each([
    ['2024-11-05', false, false],
    ['2025-06-18', false, false],
    ['2025-11-25', true, false],
    ['2026-07-27', true, false],
    ['2026-07-28', true, true],
    ['2027-01-01', true, true],
  ])('%s begins its streams with an id: %s, and is of the stateless era: %s', (version, primed, modern) => {
    expect(isPrimedVersion(version)).toBe(primed)
    expect(isModernVersion(version)).toBe(modern)
  })

  test.each([undefined, '', 'latest', '2026-7-28', 'x2026-07-28', '2026-07-28x', '2026-07-28, 2026-07-28', '9'])(
    '%s is not taken for a stateless one',
    (version) => {
      expect(isModernVersion(version)).toBe(false)
    },
  )
})

describe('the era of a post', () => {
  test.each<[string, unknown, string | undefined, string]>([
    ['nothing', { method: 'ping' }, undefined, 'legacy'],
    ['an old version in the header', { method: 'ping' }, '2025-11-25', 'legacy'],
    ['a stateless version in the header alone', { method: 'ping' }, VERSION, 'modern'],
    ['a version in the body alone', { method: 'ping', params: { _meta: META } }, undefined, 'modern'],
    ['a version in the body and an old one in the header', { method: 'ping', params: { _meta: META } }, '2025-11-25', 'modern'],
    ['an unknown version in the body', { method: 'ping', params: { _meta: { [META_VERSION]: 'x' } } }, undefined, 'modern'],
    ['no text for a version in the body', { method: 'ping', params: { _meta: { [META_VERSION]: null } } }, undefined, 'modern'],
    ['other members in _meta', { method: 'ping', params: { _meta: { progressToken: 1 } } }, undefined, 'legacy'],
    ['params that are no object', { method: 'ping', params: [META] }, undefined, 'legacy'],
    ['_meta that is no object', { method: 'ping', params: { _meta: [META_VERSION] } }, undefined, 'legacy'],
    ['a batch with one that claims a version', [{ method: 'a' }, { method: 'b', params: { _meta: META } }], undefined, 'modern'],
  ])('with %s', (_what, body, header, era) => {
    expect(eraOf(postOf(body), header)).toBe(era)
  })
})

const call = (name: unknown = 'add'): object => ({ id: 1, method: 'tools/call', params: { name, _meta: META } })
const right = { version: VERSION, method: 'tools/call', name: 'add' }

/** `complete`: we are the HTTP server and want all of it; `partial`: the upstream is, and what is missing is its to refuse. */
describe('the headers that mirror a stateless request', () => {
  test.each<[string, object, object, string | undefined, string | undefined]>([
    ['say the same', call(), right, undefined, undefined],
    ['name another version', call(), { ...right, version: '2027-01-01' }, 'header_mismatch', 'header_mismatch'],
    ['name another method', call(), { ...right, method: 'tools/list' }, 'header_mismatch', 'header_mismatch'],
    ['write the method differently', call(), { ...right, method: 'Tools/Call' }, 'header_mismatch', 'header_mismatch'],
    ['name another tool', call(), { ...right, name: 'subtract' }, 'header_mismatch', 'header_mismatch'],
    ['write the tool differently', call(), { ...right, name: 'Add' }, 'header_mismatch', 'header_mismatch'],
    ['come twice', call(), { ...right, name: 'add, add' }, 'header_mismatch', 'header_mismatch'],
    ['lack the version', call(), { ...right, version: undefined }, 'header_mismatch', undefined],
    ['lack the method', call(), { ...right, method: undefined }, 'header_mismatch', undefined],
    ['lack the name', call(), { ...right, name: undefined }, 'header_mismatch', undefined],
    ['are empty', call(), { version: '', method: '', name: '' }, 'header_mismatch', 'header_mismatch'],
    ['name it in Base64', call(), { ...right, name: '=?base64?YWRk?=' }, undefined, undefined],
    ['name another one in Base64', call(), { ...right, name: '=?base64?YWRkMg==?=' }, 'header_mismatch', 'header_mismatch'],
    ['hold a Base64 that is none', call(), { ...right, name: '=?base64?YWR?=' }, 'header_mismatch', 'header_mismatch'],
    ['name beyond ASCII in Base64', call('größe'), { ...right, name: encodeMirrored('größe') }, undefined, undefined],
    ['name a tool where the body has none', { ...call(7) }, right, undefined, undefined],
    ['name what the method does not mirror', { id: 1, method: 'ping', params: { _meta: META } }, { ...right, method: 'ping' }, undefined, undefined],
  ])('%s', (_what, body, headers, complete, partial) => {
    const sent = { version: undefined, method: undefined, name: undefined, ...headers }
    expect(refusalOf(() => checkModernPost(postOf(body), sent, true))).toBe(complete)
    expect(refusalOf(() => checkModernPost(postOf(body), sent, false))).toBe(partial)
  })

  test.each<[string, object]>([
    ['nothing', {}],
    ['no capabilities', { [META_VERSION]: VERSION }],
    ['no version', { [META_CAPABILITIES]: {} }],
    ['a version that is no text', { [META_VERSION]: 20260728, [META_CAPABILITIES]: {} }],
    ['capabilities that are no object', { [META_VERSION]: VERSION, [META_CAPABILITIES]: [] }],
    ['capabilities that are null', { [META_VERSION]: VERSION, [META_CAPABILITIES]: null }],
  ])('do not make up for %s in _meta', (_what, meta) => {
    const post = postOf({ id: 1, method: 'tools/call', params: { name: 'add', _meta: meta } })
    expect(refusalOf(() => checkModernPost(post, right, true))).toBe('invalid_envelope')
    expect(refusalOf(() => checkModernPost(post, right, false))).toBeUndefined()
  })

  test('a refusal of the envelope names what is missing', () => {
    const missing = (meta: object | undefined): unknown =>
      dataOf(() => checkModernPost(postOf({ id: 1, method: 'ping', params: { _meta: meta } }), right, true))
    expect(missing({})).toEqual({ missing: [META_VERSION, META_CAPABILITIES] })
    expect(missing({ [META_VERSION]: VERSION })).toEqual({ missing: [META_CAPABILITIES] })
    expect(missing(undefined)).toEqual({ missing: [META_VERSION, META_CAPABILITIES] })
  })

  test('are not asked of a notification, and must not contradict it', () => {
    const post = postOf({ method: 'notifications/cancelled', params: { requestId: 1 } })
    const none = { version: undefined, method: undefined, name: undefined }
    expect(refusalOf(() => checkModernPost(post, none, true))).toBeUndefined()
    expect(refusalOf(() => checkModernPost(post, { ...none, method: 'ping' }, true))).toBe('header_mismatch')
  })

  test.each<[string, unknown]>([
    ['a batch', [{ id: 1, method: 'ping', params: { _meta: META } }]],
    ['an answer', { id: 1, result: {} }],
  ])('%s is refused: the stateless revision has none', (_what, body) => {
    expect(refusalOf(() => checkModernPost(postOf(body), { ...right, method: 'ping' }, true))).toBe('invalid_request')
    expect(refusalOf(() => checkModernPost(postOf(body), { ...right, method: 'ping' }, false))).toBe('invalid_request')
  })
})

describe('the name that is mirrored', () => {
  test.each<[string, object, string | undefined]>([
    ['tools/call', { name: 'a', uri: 'b' }, 'a'],
    ['prompts/get', { name: 'a' }, 'a'],
    ['resources/read', { name: 'a', uri: 'file:///b' }, 'file:///b'],
    ['tasks/get', { taskId: 't' }, 't'],
    ['tasks/update', { taskId: 't' }, 't'],
    ['tasks/cancel', { taskId: 't' }, 't'],
    ['tools/list', { name: 'a' }, undefined],
    ['tools/call', { name: 1 }, undefined],
    ['tools/call', {}, undefined],
    ['constructor', { name: 'a' }, undefined],
    ['__proto__', { name: 'a' }, undefined],
  ])('of %s with %j is %s', (method, params, name) => {
    const [message] = postOf({ id: 1, method, params }).messages
    expect(message && mirroredNameOf(message)).toBe(name)
  })
})

describe('a mirrored value', () => {
  test('comes back as it was, and is plain ASCII without line breaks on the way', () => {
    const holds = property(string({ unit: 'binary' }), (text) => {
      const sent = encodeMirrored(text)
      expect(sent).toMatch(/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/)
      expect(decodeMirrored(sent, 'Mcp-Name')).toBe(text)
    })
    expect(() => assert(holds, { numRuns: 500 })).not.toThrow()
  })

  test.each([
    ['add', 'add'],
    ['a b', 'a b'],
    ['', '=?base64??='],
    [' a', '=?base64?IGE=?='],
    ['a\r\nx-evil: 1', '=?base64?YQ0KeC1ldmlsOiAx?='],
    ['é', '=?base64?w6k=?='],
    ['=?base64?YQ==?=', '=?base64?PT9iYXNlNjQ/WVE9PT89?='],
  ])('%j is sent as %s', (text, sent) => {
    expect(encodeMirrored(text)).toBe(sent)
    expect(decodeMirrored(sent, 'Mcp-Name')).toBe(text)
  })

  test.each([
    '=?base64?YQ?=',
    '=?base64?YQ=?=',
    '=?base64?Y Q==?=',
    '=?base64?YR==?=',
    '=?base64?YQ===?=',
    '=?base64?_-8=?=',
    '=?base64?====?=',
    '=?base64?YQ==?==?base64?YQ==?=',
  ])('%s looks like Base64, is none, and is refused', (sent) => {
    expect(refusalOf(() => decodeMirrored(sent, 'Mcp-Name'))).toBe('header_mismatch')
  })

  test.each(['=?base64?YQ==', 'YQ==', '=?BASE64?YQ==?=', '?=', 'x=?base64?YQ==?='])('%s is plain text', (sent) => {
    expect(decodeMirrored(sent, 'Mcp-Name')).toBe(sent)
  })
})

function postOf(body: unknown): Post {
  const complete = (one: object): object => ({ jsonrpc: '2.0', ...one })
  return parsePost(Buffer.from(JSON.stringify(Array.isArray(body) ? body.map(complete) : complete(body as object))), 20) // the tables hold objects
}

function failureOf(act: () => void): OpenMcpError | undefined {
  try {
    act()
    return undefined
  } catch (error) {
    if (error instanceof OpenMcpError) return error
    throw error
  }
}

function refusalOf(act: () => void): string | undefined {
  return failureOf(act)?.code
}

function dataOf(act: () => void): unknown {
  return failureOf(act)?.data
}
