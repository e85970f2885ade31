// A pipe whose other side goes and comes: what each side is told, message by message.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { OpenMcpError } from '../../src/errors.ts'
import type { JsonObject } from '../../src/protocol/message.ts'
import { createLastingPipe } from '../../src/upstream/lasting-pipe.ts'
import type { OpenedPipe } from '../../src/upstream/pipe.ts'
import { SILENT, scriptedPipe, type ScriptedPipe } from './scripted-pipe.ts'

const GONE = new OpenMcpError('child_failed', 'the server ended with exit code 1')
const AWAY = new OpenMcpError('upstream_unreachable', 'nothing listens there')
const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
}
const RESULT = { protocolVersion: '2025-11-25', capabilities: { tools: { listChanged: true }, prompts: {} }, serverInfo: { name: 's', version: '1' } }

interface Stage {
  readonly pipes: ScriptedPipe[]
  /** The newest other side. */
  server(): ScriptedPipe
  readonly pipe: OpenedPipe
  send(message: object): void
  heard(): JsonObject[]
  readonly interruptions: OpenMcpError[]
  readonly ends: OpenMcpError[]
}

function stage({ isAway = () => false }: { isAway?: () => boolean } = {}): Stage {
  const pipes: ScriptedPipe[] = []
  let lines: JsonObject[] = []
  const interruptions: OpenMcpError[] = []
  const ends: OpenMcpError[] = []
  const open = createLastingPipe(
    (events) => {
      const scripted = scriptedPipe()
      pipes.push(scripted)
      const pipe = scripted.open(events)
      if (isAway()) queueMicrotask(() => scripted.ends(AWAY))
      // A getter is not to be read now.
      return Object.assign(Object.create(pipe) as typeof pipe, { started: Promise.resolve() }) // it is the pipe, and more
    },
    { attempts: 3, delayMs: 100, log: SILENT, now: Date.now },
  )
  const pipe = open({
    line: (bytes) => void lines.push(JSON.parse(bytes.toString()) as JsonObject), // every message of these tests is an object
    tooLong: () => {},
    interrupted: (error) => void interruptions.push(error),
    ended: (error) => void ends.push(error),
  })
  return {
    pipes,
    server() {
      const newest = pipes.at(-1)
      if (!newest) throw new Error('nothing was opened')
      return newest
    },
    pipe,
    send: (message) => pipe.send(JSON.stringify(message)),
    heard() {
      const seen = lines
      lines = []
      return seen
    },
    interruptions,
    ends,
  }
}

/** Initialised, and nothing in flight. */
function running(options?: Parameters<typeof stage>[0]): Stage {
  const s = stage(options)
  s.send(INITIALIZE)
  s.server().says({ jsonrpc: '2.0', id: 1, result: RESULT })
  s.send({ jsonrpc: '2.0', method: 'notifications/initialized' })
  s.server().taken()
  s.heard()
  return s
}

const call = (id: number, method = 'tools/call'): object => ({ jsonrpc: '2.0', id, method, params: {} })

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('an other side that is gone', () => {
  test('is told at once to whoever waits, and no other is opened before somebody says something', () => {
    const s = running()
    s.server().ends(GONE)
    expect(s.interruptions).toMatchObject([{ code: 'child_failed', message: expect.stringContaining('whether this was done before is not known') }])
    expect([s.pipes.length, s.ends]).toEqual([1, []])
  })

  test('has another in its place, which is where the client believes it to be', () => {
    const s = running()
    s.send({ jsonrpc: '2.0', id: 2, method: 'logging/setLevel', params: { level: 'debug' } })
    for (const uri of ['a://1', 'a://2']) s.send({ jsonrpc: '2.0', id: uri, method: 'resources/subscribe', params: { uri } })
    s.send({ jsonrpc: '2.0', id: 3, method: 'resources/unsubscribe', params: { uri: 'a://1' } })
    s.server().ends(GONE)
    s.send(call(7))
    s.send(call(8))
    expect(s.server().taken()).toEqual([{ ...INITIALIZE, id: 'openmcp:again' }])
    s.server().says({ jsonrpc: '2.0', id: 'openmcp:again', result: RESULT })
    expect(s.server().taken()).toMatchObject([
      { method: 'notifications/initialized' },
      { id: 'openmcp:again:0', method: 'logging/setLevel', params: { level: 'debug' } },
      { id: 'openmcp:again:1', method: 'resources/subscribe', params: { uri: 'a://2' } },
      call(7),
      call(8),
    ])
    for (const id of ['openmcp:again:0', 'openmcp:again:1', 7]) s.server().says({ jsonrpc: '2.0', id, result: {} })
    // Of our own questions the client hears nothing; that lists may be others it does.
    expect(s.heard()).toEqual([
      { jsonrpc: '2.0', method: 'notifications/tools/list_changed' },
      { jsonrpc: '2.0', id: 7, result: {} },
    ])
    expect([s.pipes.length, s.ends]).toEqual([2, []])
  })

  test('says nothing more, though it may not know', () => {
    const s = running()
    const [first] = s.pipes
    s.server().ends(GONE)
    s.send(call(7))
    s.server().says({ jsonrpc: '2.0', id: 'openmcp:again', result: RESULT })
    s.heard()
    first?.says({ jsonrpc: '2.0', id: 7, result: { of: 'the first' } })
    expect(s.heard()).toEqual([])
  })

  test('before it was initialised has no other in its place', () => {
    const s = stage()
    s.send(INITIALIZE)
    s.server().ends(GONE)
    expect([s.pipes.length, s.interruptions, s.ends]).toEqual([1, [], [GONE]])
  })

  test('again and again is not started for ever', () => {
    const s = running()
    for (let loss = 0; loss < 10 && s.ends.length === 0; loss++) {
      s.server().ends(GONE)
      s.send(call(loss + 10))
      if (s.ends.length === 0) s.server().says({ jsonrpc: '2.0', id: 'openmcp:again', result: RESULT })
    }
    expect([s.pipes.length, s.ends]).toEqual([6, [GONE]])
  })
})

test('one that comes back as another revision is no other side for this client', () => {
  const s = running()
  s.server().ends(GONE)
  s.send(call(7))
  s.server().says({ jsonrpc: '2.0', id: 'openmcp:again', result: { ...RESULT, protocolVersion: '2024-11-05' } })
  expect(s.ends).toMatchObject([{ code: 'upstream_broke' }])
  expect(s.server().closed).toBe(true)
})

test('while nobody is there it is tried so often, and then the message fails; the next one tries again', async () => {
  let isAway = false
  const s = running({ isAway: () => isAway })
  isAway = true
  s.server().ends(GONE)
  s.send(call(7))
  await vi.advanceTimersByTimeAsync(100 + 200 + 400)
  expect([s.pipes.length, s.interruptions.slice(1), s.ends]).toEqual([5, [AWAY], []])
  isAway = false
  s.send(call(8))
  s.server().says({ jsonrpc: '2.0', id: 'openmcp:again', result: RESULT })
  expect(s.server().taken().at(-1)).toEqual(call(8))
})

test('closed while it is opened again, it stays closed', async () => {
  let isAway = false
  const s = running({ isAway: () => isAway })
  isAway = true
  s.server().ends(GONE)
  s.send(call(7))
  await s.pipe.close()
  await vi.advanceTimersByTimeAsync(10_000)
  expect([s.pipes.length, s.ends]).toEqual([2, []])
})
