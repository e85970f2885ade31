import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createEventWriters, type EventWriter, type EventWriters } from '../../src/downstream/event-writer.ts'
import { eventOf } from '../../src/protocol/event-stream.ts'
import { DEFAULT_LIMITS, type Limits } from '../../src/protocol/limits.ts'
import { openStage, type Reader, type Stage } from './http-stage.ts'

let stage: Stage
let open: EventWriters[] = []

beforeEach(async () => {
  stage = await openStage()
})
afterEach(async () => {
  for (const writers of open.splice(0)) writers.close()
  vi.useRealTimers()
  await stage.close()
})

function writersOf(limits: Partial<Limits> = {}): EventWriters {
  const writers = createEventWriters({ ...DEFAULT_LIMITS, ...limits })
  open.push(writers)
  return writers
}

async function begin(writers: EventWriters): Promise<{ writer: EventWriter; reader: Reader; res: ServerResponse }> {
  let begun: { writer: EventWriter; res: ServerResponse } | undefined
  const reader = await stage.ask((res) => (begun = { res, writer: writers.open(res, ': open\n\n') }))
  if (!begun) throw new Error('nobody asked')
  return { ...begun, reader }
}

describe('an event stream', () => {
  test('carries texts and pieces in their order, however they come', async () => {
    const { writer, reader } = await begin(writersOf())
    const expected: string[] = []
    for (let n = 0; n < 500; n++) {
      const text = JSON.stringify({ n, fill: 'x'.repeat(n % 7 === 0 ? 3000 : 5) })
      expected.push(text)
      writer.write(eventOf(n % 3 === 0 ? [Buffer.from(text.slice(0, 5)), Buffer.from(text.slice(5))] : text))
      if (n % 50 === 0) await new Promise(setImmediate)
    }
    writer.end()
    expect(await reader.over).toBe(true)
    expect(reader.events.map(({ data }) => data)).toEqual(expected)
  })

  test('goes out in one piece per turn', async () => {
    const { writer, reader, res } = await begin(writersOf())
    const writes = vi.spyOn(res, 'write')
    for (let n = 0; n < 100; n++) writer.write(eventOf(`${n}`))
    expect(writes).not.toHaveBeenCalled()
    await reader.count(100)
    expect(writes).toHaveBeenCalledTimes(1)
  })

  test('says nothing after its end, and ends once', async () => {
    const writers = writersOf()
    const { writer, reader } = await begin(writers)
    writer.write(eventOf('last'))
    writer.end()
    writer.end()
    writer.write(eventOf('too late'))
    expect(await reader.over).toBe(true)
    expect([reader.events.map(({ data }) => data), writers.size]).toEqual([['last'], 0])
  })

  test('whose reader left is forgotten, and what is written to it is lost', async () => {
    const writers = writersOf()
    const { writer, reader, res } = await begin(writers)
    expect(writers.size).toBe(1)
    const closed = once(res, 'close')
    reader.leave()
    await closed
    expect(writers.size).toBe(0)
    writer.write(eventOf('nobody'))
    writer.write([Buffer.from('nobody')])
    writer.end()
    expect(writers.size).toBe(0)
  })

  test('for a response that is gone already is none', async () => {
    const writers = writersOf()
    const { reader, res } = await begin(writers)
    const closed = once(res, 'close')
    reader.leave()
    await closed
    const writer = writers.open(res, ': open\n\n')
    writer.write(eventOf('nobody'))
    writer.end()
    expect(writers.size).toBe(0)
  })

  test('whose reader does not read is let go when too much waits for it', async () => {
    const { writer, reader, res } = await begin(writersOf({ bufferedBytes: 1_000_000 }))
    reader.response.pause()
    const closed = once(res, 'close')
    const piece = Buffer.alloc(100_000, 'x')
    let written = 0
    for (; !res.destroyed && written < 1000; written++) {
      writer.write([piece])
      await new Promise(setImmediate)
    }
    await closed
    // The sockets of both sides hold some megabytes beside the limit.
    expect(written).toBeLessThan(500)
    reader.response.resume()
    expect(await reader.over).toBe(false)
  })

  test('that is silent says now and then that it lives, one that is not does not', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const writers = writersOf()
    const [silent, busy] = [await begin(writers), await begin(writers)]
    for (let n = 0; n < 3; n++) {
      busy.writer.write(eventOf(`${n}`))
      vi.advanceTimersByTime(15_000)
    }
    silent.writer.end()
    busy.writer.end()
    await Promise.all([silent.reader.over, busy.reader.over])
    expect(silent.reader.text.match(/: keepalive\n\n/g)).toHaveLength(2)
    expect(busy.reader.text).not.toContain('keepalive')
    expect(silent.reader.events).toEqual([])
  })
})
