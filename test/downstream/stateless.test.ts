// The stateless revision over HTTP in front of a server on a pipe: the door, the pool and the mux together.
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createEventWriters, type EventWriters } from '../../src/downstream/event-writer.ts'
import { createPatience } from '../../src/downstream/patience.ts'
import { createStatelessDoor } from '../../src/downstream/stateless.ts'
import { ANYBODY } from '../../src/protocol/caller.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { parsePost, type JsonObject } from '../../src/protocol/message.ts'
import { META_CAPABILITIES, META_VERSION } from '../../src/protocol/revision.ts'
import { OPEN_GATE } from '../../src/relay/gate.ts'
import { createPool, type PipePool } from '../../src/upstream/pool.ts'
import { SILENT, scriptedPipe, type ScriptedPipe } from '../upstream/scripted-pipe.ts'
import { openStage, type Reader, type Stage } from './http-stage.ts'

const VERSION = '2026-07-28'
const META = { [META_VERSION]: VERSION, [META_CAPABILITIES]: {} }

let stage: Stage
let writers: EventWriters
let server: ScriptedPipe
let pool: PipePool
let door: ReturnType<typeof createStatelessDoor>

beforeEach(async () => {
  stage = await openStage()
  writers = createEventWriters(DEFAULT_LIMITS)
  server = scriptedPipe()
  pool = createPool({ open: server.open, isolation: 'session', limits: DEFAULT_LIMITS, log: SILENT, now: Date.now })
  door = createStatelessDoor({ writers, patience: createPatience(), gate: OPEN_GATE, log: SILENT })
})
afterEach(async () => {
  writers.close()
  await pool.close()
  await stage.close()
})

/** Posts a request; the answer, and what reached the server meanwhile. */
function post(body: { id: number | string; method: string; params?: object }): { answer: Promise<Reader>; res: Promise<ServerResponse> } {
  const message = { jsonrpc: '2.0', ...body, params: { ...body.params, _meta: META } }
  const headers = { 'mcp-protocol-version': VERSION, 'mcp-method': body.method, accept: 'application/json, text/event-stream' }
  let played: ((res: ServerResponse) => void) | undefined
  const res = new Promise<ServerResponse>((resolve) => (played = resolve))
  const answer = stage.ask(
    (response, req) => {
      door(pool, { req, res: response, caller: ANYBODY, reads: false, post: parsePost(Buffer.from(JSON.stringify(message)), 50) })
      played?.(response)
    },
    { headers },
  )
  answer.catch(() => {}) // it may never come
  return { answer, res }
}

async function sentFor(asked: { res: Promise<ServerResponse> }): Promise<JsonObject> {
  await asked.res
  const [sent] = server.taken()
  if (!sent) throw new Error('nothing reached the server')
  return sent
}

describe('a stateless request', () => {
  test.each<[string, object, number]>([
    ['a result', { result: { tools: [] } }, 200],
    ['an unknown method', { error: { code: -32601, message: 'no' } }, 404],
    ['bad params', { error: { code: -32602, message: 'no' } }, 200],
    ['a header that disagrees', { error: { code: -32020, message: 'no' } }, 400],
  ])('answered by %s has the status of the revision', async (_what, body, status) => {
    const asked = post({ id: 1, method: 'tools/list' })
    const { id } = await sentFor(asked)
    server.says({ jsonrpc: '2.0', id, ...body })
    const reader = await asked.answer
    await reader.over
    expect([reader.response.statusCode, JSON.parse(reader.text)]).toEqual([status, { jsonrpc: '2.0', id: 1, ...body }])
  })

  test('whose client closes its connection is cancelled', async () => {
    const asked = post({ id: 'a', method: 'server/discover' })
    const { id } = await sentFor(asked)
    server.says({ jsonrpc: '2.0', method: 'notifications/custom' })
    const reader = await asked.answer
    const closed = once(await asked.res, 'close')
    reader.leave()
    await closed
    expect(server.taken()).toMatchObject([{ method: 'notifications/cancelled', params: { requestId: id } }])
  })

  // A large answer is not parsed on its way, but that of tools/list is looked into: a broken one once threw inside the handler
  // of the child's stdout and ended the program.
  test('is harmed, and nobody else, by a long answer that is no JSON', () => {
    const asked = post({ id: 1, method: 'tools/list' })
    return expect(
      sentFor(asked).then(({ id }) => server.says(`{"jsonrpc":"2.0","id":${String(id)},"result":{"tools":["${'x'.repeat(70_000)}`)),
    ).resolves.toBeUndefined()
  })
})
