import { expect, test } from 'vitest'
import { parseEnvFile } from '../../src/cli/env-file.ts'
import { parseHeader, parseHeaderFile } from '../../src/cli/headers.ts'

test('an env file has comments, quotes and exports, and nothing in it is filled in', () => {
  const text = [
    '\uFEFF# a comment',
    '',
    'PLAIN=one',
    '  SPACED = two words  # and a comment',
    'export EXPORTED=three',
    'HASH=a#b',
    "SINGLE='four \\n $HOME # kept'",
    'DOUBLE="five\\n\\"six\\" \\$x" # comment',
    'EMPTY=',
    'ONLY_COMMENT= # nothing',
    'EQUALS=a=b==',
    'PLAIN=again\r',
  ].join('\n')
  expect(parseEnvFile(text, '.env')).toEqual([
    ['PLAIN', 'one'],
    ['SPACED', 'two words'],
    ['EXPORTED', 'three'],
    ['HASH', 'a#b'],
    ['SINGLE', 'four \\n $HOME # kept'],
    ['DOUBLE', 'five\n"six" \\$x'],
    ['EMPTY', ''],
    ['ONLY_COMMENT', ''],
    ['EQUALS', 'a=b=='],
    ['PLAIN', 'again'],
  ])
})

test('all mistakes of an env file are told at once, by line and without a value', () => {
  const text = ['GOOD=1', 'hunter2', '=hunter2', 'A="hunter2', "B='hunter2' and hunter2", 'a b=hunter2', 'N=hunter2\0'].join('\n')
  expect(() => parseEnvFile(text, 'my.env')).toThrow(
    expect.objectContaining({
      code: 'usage',
      message: [
        "my.env:2: no '='",
        "my.env:3: no name before '='",
        'my.env:4: a quote that does not end on its line',
        'my.env:5: something behind the closing quote',
        "my.env:6: no name before '='",
        'my.env:7: a NUL character in the value',
      ].join('; '),
    }),
  )
})

test('an env file that is one long line of spaces and quotes is read quickly', () => {
  const started = performance.now()
  expect(parseEnvFile(`A=x${' '.repeat(500_000)}y`, 'f')).toHaveLength(1)
  expect(() => parseEnvFile(`A="${'\\'.repeat(500_001)}`, 'f')).toThrow('quote')
  expect(performance.now() - started).toBeLessThan(2000)
})

test.each([
  ['Authorization: Bearer a=b:c', ['authorization', 'Bearer a=b:c']],
  ['X-Key=a: b', ['x-key', 'a: b']],
  ['X-Key:tight', ['x-key', 'tight']],
  ['X-Key =  wide\t', ['x-key', 'wide']],
])('the header %s', (text, header) => {
  expect(parseHeader(text, '-H')).toEqual(header)
})

test.each([
  ['no separator', '-H is not a header'],
  [': value', '-H is not a header'],
  ['bad name: value', '-H is not a header'],
  ['X-Empty:   ', '-H: x-empty has no value'],
  ['X-A: one\r\nX-B: two', '-H: the value of x-a holds a character that no header can carry'],
  ['X-A: caf\u00e9', '-H: the value of x-a holds a character that no header can carry'],
  ['Host: evil.example', '-H: host is set by openmcp itself'],
  ['Content-Length=0', '-H: content-length is set by openmcp itself'],
  ['mcp-session-id: 1', '-H: mcp-session-id is set by openmcp itself'],
])('the header %j is refused', (text, message) => {
  expect(() => parseHeader(text, '-H')).toThrow(expect.objectContaining({ code: 'usage', message }))
})

test('a header file has a header a line, and tells all its mistakes without a value', () => {
  expect(parseHeaderFile('# who we are\n\nAuthorization: Bearer x\r\nX-A=b\n', 'h')).toEqual([
    ['authorization', 'Bearer x'],
    ['x-a', 'b'],
  ])
  expect(() => parseHeaderFile('hunter2\nHost: hunter2\n', 'h')).toThrow(
    expect.objectContaining({ code: 'usage', message: 'h:1 is not a header; h:2: host is set by openmcp itself' }),
  )
})
