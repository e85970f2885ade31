import { type Arbitrary, array, assert, constantFrom, nat, oneof, property, string, tuple } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createEventReader, eventOf, sizeOf, type ServerEvent } from '../../src/protocol/event-stream.ts'

const MAX = 1024

/** Lines as servers write them, and as they should not. */
const line = oneof(
  constantFrom('', '', 'data', 'data:', 'data: ', 'data:  two spaces', 'data: {"a":"b: c"}', 'event: endpoint', 'event:x', 'event', 'event: '),
  constantFrom(
    'id: 1',
    'id:0_12',
    'id',
    'id: \0',
    'retry: 1000',
    'retry: 1e3',
    'retry: -1',
    'retry:12345678901',
    'retry',
    ': comment',
    ':',
    ' data: x',
    'Data: x',
    'unknown: 1',
  ),
  string({ unit: 'grapheme', maxLength: 12 }).map((text) => `data: ${text.replaceAll(/[\r\n]/g, '')}`),
)
const stream: Arbitrary<string> = array(tuple(line, constantFrom('\n', '\n', '\r\n', '\r')), { maxLength: 30 }).map((lines) => lines.flat().join(''))
const cuts = array(nat(), { maxLength: 20 })

describe('an event stream', () => {
  test('is read alike in one piece, in many and byte by byte, as the standard says', () => {
    const holds = property(stream, cuts, (text, at) => {
      const bytes = Buffer.from(text)
      const expected = eventsIn(text)
      expect(readIn(pieces(bytes, at)).events).toEqual(expected)
      expect(readIn([...bytes].map((byte) => Buffer.of(byte))).events).toEqual(expected)
    })
    expect(() => assert(holds, { numRuns: 1000 })).not.toThrow()
  })

  test('that is too long for the limit ends at the same event, wherever it was cut', () => {
    const large = array(
      tuple(
        oneof(
          line,
          nat(300).map((size) => `data: ${'x'.repeat(size)}`),
        ),
        constantFrom('\n', '\r\n', '\r'),
      ),
      { maxLength: 12 },
    ).map((lines) => lines.flat().join(''))
    let tooLarge = 0
    const holds = property(large, cuts, (text, at) => {
      const whole = readIn([Buffer.from(text)], 256)
      const cut = readIn(pieces(Buffer.from(text), at), 256)
      expect(cut).toEqual(whole)
      if (whole.failed !== undefined) tooLarge++
    })
    expect(() => assert(holds, { numRuns: 1000 })).not.toThrow()
    expect(tooLarge).toBeGreaterThan(20)
  })

  test.each<[string, string, Partial<ServerEvent>[]]>([
    ['a line feed', 'data: a\n\n', [{ event: 'message', data: 'a' }]],
    ['a carriage return', 'data: a\r\r', [{ data: 'a' }]],
    ['both', 'data: a\r\n\r\n', [{ data: 'a' }]],
    ['all of them', 'data: a\rdata: b\ndata: c\r\n\ndata: d\n\r', [{ data: 'a\nb\nc' }, { data: 'd' }]],
  ])('has lines that end with %s', (_what, text, events) => {
    expect(readIn([Buffer.from(text)]).events).toMatchObject(events)
  })

  test('joins its data lines, each without one leading space', () => {
    expect(readIn([Buffer.from('data: {\ndata:  "a":\ndata\ndata:1}\n\n')]).events).toEqual([
      { event: 'message', data: '{\n "a":\n\n1}', id: undefined, retryMs: undefined },
    ])
  })

  test('tells of an id and of a retry time without data', () => {
    expect(readIn([Buffer.from('id: 1_0\nretry: 1500\n\n')]).events).toEqual([{ event: 'message', data: '', id: '1_0', retryMs: 1500 }])
  })

  test('keeps nothing of one event for the next', () => {
    expect(readIn([Buffer.from('event: a\nid: 1\nretry: 2\ndata: x\n\ndata: y\n\n')]).events).toEqual([
      { event: 'a', data: 'x', id: '1', retryMs: 2 },
      { event: 'message', data: 'y', id: undefined, retryMs: undefined },
    ])
  })

  test('says nothing of comments, of an event without data and of one that did not end', () => {
    expect(readIn([Buffer.from(': hello\n\nevent: x\n\n:\n\ndata: cut off\n')]).events).toEqual([])
  })

  test('ignores an id with a null character and a retry that is no number', () => {
    expect(readIn([Buffer.from('id: a\0b\nretry: soon\nretry: 1.5\ndata: x\n\n')]).events).toEqual([
      { event: 'message', data: 'x', id: undefined, retryMs: undefined },
    ])
  })

  // WHATWG HTML §9.2.5 decodes the stream with UTF-8 decode, which takes away one leading byte order mark.
  test('may begin with a byte order mark', () => {
    const bytes = Buffer.from('\ufeffdata: a\n\ndata: \ufeffb\n\n\ufeffdata: c\n\n')
    expect(readIn([bytes]).events).toMatchObject([{ data: 'a' }, { data: '\ufeffb' }])
    expect(readIn([...bytes].map((byte) => Buffer.of(byte))).events).toMatchObject([{ data: 'a' }, { data: '\ufeffb' }])
  })

  test('of exactly the limit is read, of one byte more is refused', () => {
    const text = (size: number): string => `data: ${'x'.repeat(size - 6)}\n\n`
    expect(readIn([Buffer.from(text(MAX))]).events).toHaveLength(1)
    expect(readIn([Buffer.from(text(MAX + 1))])).toEqual({ events: [], failed: 'too_large' })
  })

  test('that never breaks a line is refused before it is held', () => {
    const piece = Buffer.alloc(100, 'x')
    expect(readIn(Array.from({ length: MAX }, () => piece)).failed).toBe('too_large')
  })

  test('may be as long as it likes when its events are not', () => {
    const one = Buffer.from(`data: ${'x'.repeat(MAX - 10)}\n\n: keepalive\n\n`)
    const read = readIn(Array.from({ length: 200 }, () => one))
    expect(read.failed).toBeUndefined()
    expect(read.events).toHaveLength(200)
  })
})

describe('an event that is written', () => {
  const text = array(string({ unit: 'grapheme' })).map((texts) => JSON.stringify(texts))

  test('is read as it was meant, as text and as pieces', () => {
    const holds = property(text, oneof(nat().map(String), constantFrom('1_2', undefined)), cuts, (message, id, at) => {
      const inPieces = eventOf(pieces(Buffer.from(message), at), id)
      const expected = [{ event: 'message', data: message, id, retryMs: undefined }]
      expect(readIn([Buffer.from(eventOf(message, id) as string)]).events).toEqual(expected) // a string in is a string out
      expect(readIn(inPieces as Buffer[]).events).toEqual(expected) // and pieces are pieces
    })
    expect(() => assert(holds, { numRuns: 500 })).not.toThrow()
  })

  test('has the size of its pieces', () => {
    expect(sizeOf('abc')).toBe(3)
    expect(sizeOf([Buffer.from('ab'), Buffer.alloc(0), Buffer.from('€')])).toBe(5)
    expect(sizeOf(eventOf([Buffer.from('{}')], '7'))).toBe('event: message\nid: 7\ndata: {}\n\n'.length)
  })
})

function pieces(bytes: Buffer, at: readonly number[]): Buffer[] {
  const edges = [0, ...at.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  return edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge))
}

function readIn(chunks: readonly Buffer[], maxBytes = MAX): { events: ServerEvent[]; failed: string | undefined } {
  const events: ServerEvent[] = []
  const reader = createEventReader(maxBytes, (event) => events.push(event))
  try {
    for (const chunk of chunks) reader.feed(chunk)
    return { events, failed: undefined }
  } catch (error) {
    return { events, failed: (error as { code: string }).code } // a failure without a code is no equal of one that has it
  }
}

/** WHATWG HTML §9.2.6 over the whole text, in the plainest way. An id or a retry time alone is told too. */
function eventsIn(text: string): ServerEvent[] {
  const events: ServerEvent[] = []
  const lines = text.split(/\r\n|\n|\r/)
  lines.pop() // cut off
  let fields: [string, string][] = []
  for (const one of lines) {
    if (one !== '') {
      const [, name = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(one) ?? []
      fields.push([name, value])
      continue
    }
    const all = (name: string): string[] => fields.filter(([field]) => field === name).map(([, value]) => value)
    const data = all('data')
    const id = all('id').findLast((value) => !value.includes('\0'))
    const retry = all('retry').findLast((value) => /^\d{1,9}$/.test(value))
    const event = all('event').at(-1)
    if (data.length > 0 || id !== undefined || retry !== undefined) {
      events.push({
        event: event === undefined || event === '' ? 'message' : event,
        data: data.join('\n'),
        id,
        retryMs: retry === undefined ? undefined : Number(retry),
      })
    }
    fields = []
  }
  return events
}
