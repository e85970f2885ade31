import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { array, asyncProperty, assert as assertProperty, constantFrom, nat, tuple } from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createEventWriters, type EventWriters } from '../../src/downstream/event-writer.ts'
import { createReplayStream, parseEventId, type ReplayStream } from '../../src/downstream/replay.ts'
import { DEFAULT_LIMITS, type Limits } from '../../src/protocol/limits.ts'
import { openStage, type Reader, type Stage } from './http-stage.ts'

let stage: Stage
let writers: EventWriters

beforeEach(async () => {
  stage = await openStage()
  writers = createEventWriters(DEFAULT_LIMITS)
})
afterEach(async () => {
  writers.close()
  await stage.close()
})

const streamOf = (limits: Partial<Limits> = {}): ReplayStream => createReplayStream({ key: 7, limits: { ...DEFAULT_LIMITS, ...limits }, writers })
const messages = (from: number, to: number): string[] => Array.from({ length: to - from + 1 }, (_, index) => `{"n":${from + index}}`)
const dataIn = ({ events }: Reader): string[] => events.map(({ data }) => data).filter((data) => data !== '')

/** A reader of the stream, beginning after an event number. */
function read(stream: ReplayStream, after?: number, primed = true): Promise<Reader> {
  return stage.ask((res) => stream.attach(res, { after, primed }))
}

/** Reads a stream to its end. */
async function all(stream: ReplayStream, after?: number, primed = true): Promise<string[]> {
  stream.finish()
  const reader = await read(stream, after, primed)
  expect(await reader.over).toBe(true)
  return dataIn(reader)
}

describe('a stream that is kept for the one who comes back', () => {
  test('is an event stream whose events are numbered and may not be cached', async () => {
    const stream = streamOf()
    const reader = await read(stream)
    stream.send('{"n":1}')
    stream.send([Buffer.from('{"n":'), Buffer.from('2}')])
    stream.finish()
    expect(await reader.over).toBe(true)
    expect(reader.response.headers).toMatchObject({ 'content-type': 'text/event-stream', 'cache-control': 'no-cache, no-transform' })
    expect(reader.events).toEqual([
      { event: 'message', data: '', id: '7_0', retryMs: expect.any(Number) as number },
      { event: 'message', data: '{"n":1}', id: '7_1', retryMs: undefined },
      { event: 'message', data: '{"n":2}', id: '7_2', retryMs: undefined },
    ])
  })

  test('begins with an id for clients that can come back, with a comment for others', async () => {
    const stream = streamOf()
    stream.finish()
    const [primed, plain] = [await read(stream, undefined, true), await read(stream, undefined, false)]
    await Promise.all([primed.over, plain.over])
    expect(primed.events).toMatchObject([{ id: '7_0', data: '' }])
    expect([plain.events, plain.text.startsWith(':')]).toEqual([[], true])
  })

  test('tells what was missed, and then what comes', async () => {
    const stream = streamOf()
    for (const text of messages(1, 5)) stream.send(text)
    const reader = await read(stream, 2)
    for (const text of messages(6, 7)) stream.send(text)
    stream.finish()
    await reader.over
    expect(dataIn(reader)).toEqual(messages(3, 7))
    expect(reader.events.map(({ id }) => id)).toEqual(['7_2', '7_3', '7_4', '7_5', '7_6', '7_7'])
  })

  test('may be asked for after it has finished, again and again', async () => {
    const stream = streamOf()
    for (const text of messages(1, 3)) stream.send(text)
    expect(await all(stream, 0)).toEqual(messages(1, 3))
    expect(await all(stream, 2)).toEqual(messages(3, 3))
    expect(await all(stream, 3)).toEqual([])
    expect(await all(stream, 999_999)).toEqual([])
    expect([stream.finished, stream.attached]).toEqual([true, false])
  })

  test('tells a first reader what came before it', async () => {
    const stream = streamOf()
    for (const text of messages(1, 2)) stream.send(text)
    expect(await all(stream)).toEqual(messages(1, 2))
  })

  test('tells nothing twice to one who comes back without saying what it has', async () => {
    const stream = streamOf()
    const first = await read(stream)
    stream.send('{"n":1}')
    await first.count(2)
    stream.detach()
    expect(await first.over).toBe(true)
    stream.send('{"n":2}')
    expect(await all(stream)).toEqual(['{"n":2}'])
  })

  test('has one reader: the one before it is let go', async () => {
    const stream = streamOf()
    const first = await read(stream)
    const second = await read(stream)
    expect(await first.over).toBe(true)
    stream.send('{"n":1}')
    stream.finish()
    await second.over
    expect([dataIn(first), dataIn(second)]).toEqual([[], ['{"n":1}']])
  })

  test('goes on without a reader that left, and is not taken from the next one when the first is gone late', async () => {
    const stream = streamOf()
    const closed: Promise<unknown>[] = []
    const reader = await stage.ask((res) => {
      closed.push(once(res, 'close'))
      stream.attach(res, { after: undefined, primed: true })
    })
    expect(stream.attached).toBe(true)
    reader.leave()
    await Promise.all(closed)
    expect(stream.attached).toBe(false)
    for (const text of messages(1, 2)) stream.send(text)
    expect(await all(stream, 0)).toEqual(messages(1, 2))
  })

  test('comes whole over any number of breaks, each at any point', async () => {
    const visits = array(tuple(nat(4), nat(4), constantFrom('detach', 'leave')), { minLength: 1, maxLength: 4 })
    const holds = asyncProperty(visits, async (script) => {
      const stream = streamOf()
      const got: string[] = []
      let sent = 0
      let last = 0
      const send = (times: number): void => {
        for (let time = 0; time < times; time++) stream.send(`{"n":${++sent}}`)
      }
      for (const [before, during, how] of script) {
        send(before)
        const reader = await read(stream, last)
        send(during)
        if (how === 'detach') {
          stream.detach()
          await reader.over
        } else {
          await reader.count(1)
          reader.leave()
        }
        got.push(...dataIn(reader))
        last = Number(reader.events.at(-1)?.id?.slice(2) ?? last)
      }
      got.push(...(await all(stream, last)))
      expect(got).toEqual(messages(1, sent))
    })
    await expect(assertProperty(holds, { numRuns: 40 })).resolves.toBeUndefined()
  })
})

describe('what is kept', () => {
  test.each([1, 3, 10])('is at most %i events, the newest', async (replayEvents) => {
    const stream = streamOf({ replayEvents })
    for (const text of messages(1, 50)) stream.send(text)
    expect(await all(stream, 0)).toEqual(messages(51 - replayEvents, 50))
  })

  test('is at most so many bytes', async () => {
    const stream = streamOf({ replayBytes: 1000 })
    for (const text of messages(1, 200)) {
      stream.send(text)
      expect(stream.bytes).toBeLessThanOrEqual(1000)
    }
    const kept = await all(stream, 0)
    expect(kept).toEqual(messages(201 - kept.length, 200))
    expect(kept.length).toBeGreaterThan(10)
  })

  test('is the newest event, however large: it may be the answer', async () => {
    const stream = streamOf({ replayBytes: 100, replayEvents: 5 })
    const large = [Buffer.from('{"large":"'), Buffer.alloc(100_000, 'x'), Buffer.from('"}')]
    stream.send('{"n":1}')
    stream.send(large)
    expect(await all(stream, 0)).toEqual([Buffer.concat(large).toString()])
    const after = streamOf({ replayBytes: 100, replayEvents: 5 })
    after.send(large)
    after.send('{"n":2}')
    expect(after.bytes).toBeLessThan(100)
    expect(await all(after, 0)).toEqual(['{"n":2}'])
  })

  test('may be nothing but the newest', async () => {
    const stream = streamOf({ replayBytes: 0, replayEvents: 0 })
    for (const text of messages(1, 1000)) stream.send(text)
    expect(await all(stream, 0)).toEqual(['{"n":1000}'])
  })
})

test.each<[string, object | undefined]>([
  ['0_0', { key: 0, number: 0 }],
  ['12_345', { key: 12, number: 345 }],
  ['', undefined],
  ['1', undefined],
  ['_', undefined],
  ['1_', undefined],
  ['_1', undefined],
  ['-1_1', undefined],
  ['1_1 ', undefined],
  ['1_1\n', undefined],
  ['1_1_1', undefined],
  ['1e3_1', undefined],
  ['1234567890_1', undefined],
  ['٣_1', undefined],
])('the event id %j names %j', (text, id) => {
  expect(parseEventId(text)).toEqual(id)
})

// A POST may begin to stream after its client has left: no 'close' comes any more.
test('a reader that left before its stream began is no reader', async () => {
  const stream = streamOf()
  let late: ServerResponse | undefined
  const knock = await stage.knock((res) => (late = res))
  const closed = late && once(late, 'close')
  knock.destroy()
  await closed
  if (late) stream.attach(late, { after: undefined, primed: true })
  stream.send('{"n":1}')
  expect(stream.attached).toBe(false)
  expect(await all(stream)).toEqual(['{"n":1}'])
})
