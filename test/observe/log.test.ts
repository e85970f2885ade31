import { assert, constantFrom, property, string, tuple } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createLog, printable, scrub, type Log, type LogFormat, type LogLevel } from '../../src/observe/log.ts'

function logOf(level: LogLevel = 'debug', format: LogFormat = 'text'): { log: Log; lines: string[] } {
  const lines: string[] = []
  return { lines, log: createLog({ level, format, write: (line) => lines.push(line), now: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6) }) }
}

function written(format: LogFormat, message: string, fields?: Parameters<Log['info']>[1]): string {
  const { log, lines } = logOf('debug', format)
  log.info(message, fields)
  return lines.join('')
}

const JWT = 'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl'

describe('a secret', () => {
  test.each<[string, string, string]>([
    [`token ${JWT} end`, JWT, 'token [token] end'],
    [`${JWT},${JWT}`, JWT, '[token],[token]'],
    ['eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.', 'eyJzdWIi', '[token]'],
    ['Authorization: Bearer abcdef0123456789', 'abcdef0123456789', 'Authorization: Bearer [secret]'],
    ['authorization: bearer  abcdef0123456789==', 'abcdef0123456789', 'authorization: bearer [secret]'],
    ['Authorization: DPoP abc.def~ghi+jkl/mno', 'abc.def', 'Authorization: DPoP [secret]'],
    ['Proxy-Authorization: Basic dXNlcjpwYXNzd29yZA==', 'dXNlcjpwYXNz', 'Proxy-Authorization: Basic [secret]'],
    ['GET /cb?code=abc123&state=x', 'abc123', 'GET /cb?code=[secret]&state=x'],
    ['https://h/?access_token=abc&x=1', '=abc', 'https://h/?access_token=[secret]&x=1'],
    ['refresh_token=abc client_secret=def', 'abc', 'refresh_token=[secret] client_secret=[secret]'],
    ['api_key=abc APIKEY=def password=ghi', 'def', 'api_key=[secret] APIKEY=[secret] password=[secret]'],
    ['key sk_live_0123456789abcdef', 'sk_live', 'key [key]'],
  ])('in %j is not written', (text, secret, shown) => {
    expect(scrub(text)).toBe(shown)
    for (const format of ['text', 'json'] as const) {
      expect(written(format, text)).not.toContain(secret)
      expect(written(format, 'x', { detail: text })).not.toContain(secret)
    }
  })

  test.each(['Bearer of news', 'a basic idea', 'code=', 'exit code 7', 'encode=1', 'eyJ', 'sk_short', 'passwords are fun', 'http://h/?x=1'])(
    'is not seen in %j',
    (text) => {
      expect(scrub(text)).toBe(text)
    },
  )

  test('is hidden wherever it stands, and hiding twice changes nothing', () => {
    const secrets = constantFrom(JWT, 'Bearer 0123456789abcdef', 'api_key=0123456789abcdef', 'sk_0123456789abcdef0123')
    const holds = property(tuple(string(), secrets, string()), ([before, secret, after]) => {
      const clean = scrub(`${before} ${secret} ${after}`)
      expect(clean).not.toContain('0123456789abcdef')
      expect(clean).not.toContain(JWT)
      expect(scrub(clean)).toBe(clean)
    })
    expect(() => assert(holds, { numRuns: 1000 })).not.toThrow()
  })
})

describe('a line of text', () => {
  test.each<[LogLevel, string]>([
    ['error', 'openmcp: error: it failed'],
    ['warn', 'openmcp: warning: it failed'],
    ['info', 'openmcp: it failed'],
    ['debug', 'openmcp: debug: it failed'],
  ])('of %s says what it is', (level, line) => {
    const { log, lines } = logOf()
    log[level]('it failed')
    expect(lines).toEqual([`${line}\n`])
  })

  test('has its fields behind it, quoted where they need it', () => {
    expect(written('text', 'said', { code: 'busy', status: 503, ok: false, none: undefined, why: 'a b', eq: 'a=b', quote: '"', empty: '' })).toBe(
      'openmcp: said code=busy status=503 ok=false why="a b" eq="a=b" quote="\\"" empty=""\n',
    )
  })
})

describe('a line of JSON', () => {
  test('has time, level, message and fields', () => {
    const line = written('json', 'said "x"', { code: 'busy', status: 503, none: undefined })
    expect(line.endsWith('}\n')).toBe(true)
    expect(JSON.parse(line)).toEqual({ time: '2026-01-02T03:04:05.006Z', level: 'info', message: 'said "x"', code: 'busy', status: 503 })
  })
})

describe('whatever a stranger says', () => {
  // oxlint-disable-next-line no-control-regex -- control characters are what this is about
  const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028\u2029]/

  test('is one line, without what moves a cursor or looks like another line', () => {
    const stranger = string({ unit: 'binary' })
    const holds = property(stranger, stranger, (message, value) => {
      const line = written('text', message, { value })
      expect(line.slice(0, -1)).not.toMatch(CONTROL)
      expect(line.endsWith('\n')).toBe(true)
      const parsed = written('json', message, { value })
      expect(parsed.slice(0, -1)).not.toMatch(/[\r\n]/)
    })
    expect(() => assert(holds, { numRuns: 300 })).not.toThrow()
  })

  test.each([
    ['\u001b[2J', '\\u001b[2J'],
    ['a\nopenmcp: error: b', 'a\\u000aopenmcp: error: b'],
    ['\r', '\\u000d'],
    ['\u009b31m', '\\u009b31m'],
    ['\u007f', '\\u007f'],
    ['\u2028', '\\u2028'],
    ['\0', '\\u0000'],
    ['tab\tstays', 'tab\tstays'],
    ['größe 😀', 'größe 😀'],
  ])('%j is shown as %s', (text, shown) => {
    expect(printable(text)).toBe(shown)
  })

  // JSON.stringify escapes the controls below U+0020 alone; U+009B begins a sequence like ESC [.
  test.each(['\u007f', '\u009b2J', '\u0085'])('%j is not sent to a terminal in JSON either', (text) => {
    expect(written('json', text, { value: text }).slice(0, -1)).not.toMatch(CONTROL)
  })
})

describe('the level', () => {
  test.each<[LogLevel, LogLevel[]]>([
    ['error', ['error']],
    ['warn', ['error', 'warn']],
    ['info', ['error', 'warn', 'info']],
    ['debug', ['error', 'warn', 'info', 'debug']],
  ])('%s lets %j pass', (level, passed) => {
    const { log, lines } = logOf(level, 'json')
    for (const each of ['error', 'warn', 'info', 'debug'] as const) log[each]('x')
    expect(lines.map((line) => (JSON.parse(line) as { level: string }).level)).toEqual(passed) // written by the log above
    expect(log.debugging).toBe(level === 'debug')
  })
})
