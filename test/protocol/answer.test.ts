import { describe, expect, test } from 'vitest'
import { EXIT_CODE, HTTP_STATUS, JSON_RPC_CODE, OpenMcpError, toOpenMcpError, type ErrorCode } from '../../src/errors.ts'
import { errorText } from '../../src/protocol/answer.ts'

const codes = Object.keys(JSON_RPC_CODE) as ErrorCode[] // the map is total over them

const ORDINARY = new Set<ErrorCode>(['unknown_name', 'login_needed'])

describe('an answer that openmcp makes itself', () => {
  test.each(codes)('says %s as a JSON-RPC error on one line', (code) => {
    const text = errorText(new OpenMcpError(code, 'it\nfailed', { hint: 'try "again"' }), 'a\n1')
    expect(text).not.toMatch(/[\r\n]/)
    expect(JSON.parse(text)).toEqual({ jsonrpc: '2.0', id: 'a\n1', error: { code: JSON_RPC_CODE[code], message: 'it\nfailed (try "again")' } })
  })

  test.each(codes)('has for %s an HTTP status of an error and an exit code that is not 0', (code) => {
    // A tool that does not exist for a caller, or wants a login of their own elsewhere, is an ordinary answer: clients take an HTTP error for
    // a broken login here.
    expect(HTTP_STATUS[code]).toBeGreaterThanOrEqual(ORDINARY.has(code) ? 200 : 400)
    expect([1, 2]).toContain(EXIT_CODE[code])
  })

  test('has the id null when there is none, except in the stateless revision', () => {
    const error = new OpenMcpError('parse', 'not JSON')
    expect(JSON.parse(errorText(error, undefined))).toMatchObject({ id: null })
    expect(JSON.parse(errorText(error, undefined, 'legacy'))).toMatchObject({ id: null })
    expect(JSON.parse(errorText(error, undefined, 'modern'))).not.toHaveProperty('id')
    expect(JSON.parse(errorText(error, 0, 'modern'))).toMatchObject({ id: 0 })
    expect(JSON.parse(errorText(error, '', 'modern'))).toMatchObject({ id: '' })
  })

  test('tells its data, and neither detail nor cause', () => {
    const told = errorText(new OpenMcpError('unsupported_version', 'no', { data: { supported: ['a'] }, detail: 'hidden 1', cause: new Error('hidden 2') }), 1)
    expect(JSON.parse(told)).toMatchObject({ error: { data: { supported: ['a'] } } })
    expect(told).not.toContain('hidden')
  })

  test('tells nothing of what was thrown by mistake', () => {
    for (const thrown of [new TypeError('hidden'), 'hidden', { hidden: 1 }, undefined, null]) {
      const error = toOpenMcpError(thrown)
      expect(error.code).toBe('internal')
      expect(errorText(error, 1)).not.toContain('hidden')
    }
    expect(toOpenMcpError(new TypeError('for the log')).detail).toContain('for the log')
  })
})
