// Streamable HTTP with sessions in front of a server on a pipe: the door, the sessions, the pool and the mux together.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createEventWriters, type EventWriters } from '../../src/downstream/event-writer.ts'
import { createPipeDoor, type HttpSession, type PipeDoor } from '../../src/downstream/streamable-http.ts'
import { ANYBODY } from '../../src/protocol/caller.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { parsePost, type JsonObject } from '../../src/protocol/message.ts'
import { OPEN_GATE } from '../../src/relay/gate.ts'
import { createSessions } from '../../src/relay/sessions.ts'
import { createPool, type PipePool } from '../../src/upstream/pool.ts'
import { SILENT, scriptedPipe, type ScriptedPipe } from '../upstream/scripted-pipe.ts'
import { openStage, type Reader, type Stage } from './http-stage.ts'

let stage: Stage
let writers: EventWriters
let server: ScriptedPipe
let pool: PipePool
let door: PipeDoor
const sessions = createSessions<HttpSession>({ limits: DEFAULT_LIMITS, log: SILENT, now: Date.now })

beforeEach(async () => {
  stage = await openStage()
  writers = createEventWriters(DEFAULT_LIMITS)
  server = scriptedPipe()
  pool = createPool({ open: server.open, isolation: 'session', limits: DEFAULT_LIMITS, log: SILENT, now: Date.now })
  door = createPipeDoor({ sessions, writers, gate: OPEN_GATE, limits: DEFAULT_LIMITS, log: SILENT })
})
afterEach(async () => {
  writers.close()
  await sessions.close()
  await pool.close()
  await stage.close()
})

/** Sends a request through the door; what reached the server, and the answer when it comes. */
async function ask(
  act: (req: IncomingMessage, res: ServerResponse) => void,
  headers: Record<string, string>,
): Promise<{ sent: JsonObject[]; answer: Promise<Reader> }> {
  let played: (() => void) | undefined
  const reached = new Promise<void>((resolve) => (played = resolve))
  const answer = stage.ask(
    (res, req) => {
      act(req, res)
      played?.()
    },
    { headers: { accept: 'application/json, text/event-stream', ...headers } },
  )
  answer.catch(() => {}) // it may never come
  await reached
  return { sent: server.taken(), answer }
}

const post = (message: object, headers: Record<string, string> = {}): ReturnType<typeof ask> =>
  ask(
    (req, res) =>
      door.post(pool, {
        req,
        res,
        caller: ANYBODY,
        reads: false,
        era: 'legacy',
        post: parsePost(Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message })), 50),
      }),
    headers,
  )

async function beginSession(version: string): Promise<Record<string, string>> {
  const { answer } = await post({ id: 'hello', method: 'initialize', params: { protocolVersion: version } })
  server.says({ jsonrpc: '2.0', id: 'hello', result: { protocolVersion: version } })
  const reader = await answer
  await reader.over
  return { 'mcp-session-id': String(reader.response.headers['mcp-session-id']) }
}

describe.each(['2025-06-18', '2025-11-25'])('a session of %s', (version) => {
  test('answers a call, with what belongs to it before it', async () => {
    const session = await beginSession(version)
    const { answer, sent } = await post({ id: 1, method: 'tools/call', params: { _meta: { progressToken: 't' } } }, session)
    expect(sent).toMatchObject([{ id: 1, method: 'tools/call', params: { _meta: { progressToken: 't' } } }])
    const progress = { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 't', progress: 1 } }
    const result = { jsonrpc: '2.0', id: 1, result: {} }
    server.says(progress)
    server.says(result)
    const reader = await answer
    await reader.over
    expect(reader.events.filter(({ data }) => data !== '').map(({ data }) => JSON.parse(data) as unknown)).toEqual([progress, result])
  })

  // The link forgets the calls of a session that ends. What had no stream yet once got one after 25 ms that never ended.
  test('that ends leaves no call of its own without an end', { timeout: 1000 }, async () => {
    const session = await beginSession(version)
    const { answer } = await post({ id: 1, method: 'tools/call', params: {} }, session)
    const gone = await ask((req, res) => door.delete({ req, res, caller: ANYBODY, reads: false }), session)
    await (
      await gone.answer
    ).over
    const reader = await answer
    await reader.over
    expect(reader.response.complete).toBe(true)
  })
})
