// The door for sealed sessions, from the frames that come to it to the pipes behind it.
import { describe, expect, onTestFinished, test } from 'vitest'

import { createTspDoor, type TspDoor, type TspDoorOptions, type TspSession } from '../../src/downstream/tsp.ts'
import { OpenMcpError } from '../../src/errors.ts'
import type { Standing } from '../../src/policy/shapes.ts'
import type { Caller } from '../../src/protocol/caller.ts'
import type { MessageUpstream } from '../../src/protocol/exchange.ts'
import { DEFAULT_LIMITS, type Limits } from '../../src/protocol/limits.ts'
import type { SealedSession } from '../../src/protocol/sealed-session.ts'
import type { Sessions } from '../../src/protocol/session.ts'
import { createGate, OPEN_GATE } from '../../src/relay/gate.ts'
import { createInFlight, type InFlight } from '../../src/relay/in-flight.ts'
import { createSessions } from '../../src/relay/sessions.ts'
import { frameOf } from '../../src/tsp/session-frame.ts'
import { beginSession, createHostedSessions } from '../../src/tsp/session.ts'
import { createPool } from '../../src/upstream/pool.ts'
import { callMessage, INITIALIZED, initializeMessage } from '../support/openmcp.ts'
import { jsonOf, type Json } from '../support/json.ts'
import { until } from '../support/until.ts'
import { scriptedPipe, SILENT, type ScriptedPipe } from '../upstream/scripted-pipe.ts'

const ANN = callerNamed('did:example:ann')
const BOB = callerNamed('did:example:bob')
const EVERYTHING: Standing = { scopes: ['mcp'], restricted: false, mayUse: () => true, mayReach: () => true }
const ECHO_ALONE: Standing = { scopes: ['mcp'], restricted: true, mayUse: (tool) => tool === 'echo', mayReach: () => true }

describe('a session', () => {
  test('stands on nothing before its first message, and on a pipe of its own from then on', async () => {
    const { pipes, open, says, counted } = stage()
    const [one, two] = [open(), open()]
    expect(counted()).toEqual({ sessions: 0, pipes: 0 })
    says(one, initializeMessage(1))
    says(two, initializeMessage(1))
    await until('both pipes', () => pipes.length === 2)
    expect(counted()).toEqual({ sessions: 2, pipes: 2 })
    expect(pipes.map((pipe) => pipe.taken().map(({ method }) => method))).toEqual([['initialize'], ['initialize']])
  })

  test('carries what the server says, each to its own', async () => {
    const { pipes, open, says, heard } = stage()
    const [one, two] = [open(), open()]
    for (const session of [one, two]) says(session, initializeMessage(1))
    await until('both pipes', () => pipes.length === 2)
    pipes[1]?.says({ jsonrpc: '2.0', id: 1, result: { of: 'two' } })
    pipes[0]?.says({ jsonrpc: '2.0', method: 'notifications/message', params: { of: 'one' } })
    expect(heard(one)).toEqual([{ jsonrpc: '2.0', method: 'notifications/message', params: { of: 'one' } }])
    expect(heard(two)).toEqual([{ jsonrpc: '2.0', id: 1, result: { of: 'two' } }])
  })

  test('keeps the order of its messages while what is behind it opens', async () => {
    let ready = (_upstream: MessageUpstream): void => {}
    const { pipes, pool, open, says } = stage({ upstream: () => new Promise((resolve) => (ready = resolve)) })
    const session = open()
    for (const message of [initializeMessage(1), INITIALIZED, callMessage(2, 'a'), callMessage(3, 'b')]) says(session, message)
    await Promise.resolve()
    ready(pool)
    await until('the pipe', () => pipes[0])
    expect(await taken(pipes[0], 4)).toEqual([1, undefined, 2, 3])
  })

  test('may be initialised again, if the server likes', async () => {
    const { pipes, open, says } = stage()
    const session = open()
    says(session, initializeMessage(1))
    says(session, initializeMessage(2))
    expect(await taken(await until('the pipe', () => pipes[0]), 2)).toEqual([1, 2])
    expect(pipes).toHaveLength(1)
  })

  test('takes a batch', async () => {
    const { pipes, open, says, heard } = stage()
    const session = open()
    says(session, [callMessage(1, 'a'), callMessage(2, 'b')])
    await taken(await until('the pipe', () => pipes[0]), 2)
    for (const id of [2, 1]) pipes[0]?.says({ jsonrpc: '2.0', id, result: {} })
    expect(heard(session).map(({ id }) => id)).toEqual([2, 1])
  })

  test('of one VID is nothing to another, nor to the same in another relationship', async () => {
    const { pipes, open, says, closes } = stage()
    const session = open()
    says(session, initializeMessage(1))
    await taken(await until('the pipe', () => pipes[0]), 1)
    for (const other of [BOB, { ...ANN, tokenId: 'tsp:next' }]) {
      says(session, callMessage(2, 'a'), other)
      expect(closes(session, other)).toEqual(['session_unknown'])
    }
    expect(pipes[0]?.taken()).toEqual([])
  })

  test('takes a message once: what comes again is nothing, and no sign of life', async () => {
    const { door, pipes, open, active } = stage()
    const frame = open().wrap(JSON.stringify(initializeMessage(1)))
    for (let time = 0; time < 3; time++) expect(door.hear(ANN, frame)).toBe(true)
    await taken(await until('the pipe', () => pipes[0]), 1)
    expect(active).toEqual([ANN.id])
    expect(pipes[0]?.taken()).toEqual([])
  })

  test('answers an empty message by an empty one, and nothing behind it hears of that', async () => {
    const { pipes, open, says, frames } = stage()
    const session = open()
    says(session, '')
    expect(frames(ANN).at(-1)).toMatchObject({ kind: 'message', session: session.id, message: Buffer.alloc(0) })
    expect(pipes).toEqual([])
  })
})

describe('what is no message of MCP', () => {
  test.each<[string, string | Buffer, number]>([
    ['half an object', '{', -32700],
    ['a text', '"text"', -32600],
    ['an empty batch', '[]', -32600],
    ['another JSON-RPC', '{"jsonrpc":"1.0","id":5,"method":"x"}', -32600],
    ['what nests too deep', `{"jsonrpc":"2.0","id":5,"method":"x","params":${'['.repeat(300)}${']'.repeat(300)}}`, -32600],
    ['what is no UTF-8', Buffer.from([0x22, 0xff, 0x22]), -32700],
    ['what is too large', 'x'.repeat(2000), -32600],
  ])('%s: has a sealed error, reaches nothing, and the next one is served', async (_what, text, code) => {
    const { pipes, open, says, heard } = stage({ limits: { bodyBytes: 1024 } })
    const session = open()
    says(session, text)
    expect(heard(session)).toMatchObject([{ error: { code } }])
    expect(pipes).toEqual([])
    says(session, initializeMessage(1))
    await until('the pipe', () => pipes[0])
  })
})

describe('what the gate holds back', () => {
  test('is answered, and opens nothing', () => {
    const gate = createGate({ standingOf: () => ECHO_ALONE })
    const { pipes, open, says, heard } = stage({ gate })
    const session = open()
    says(session, callMessage(1, 'secret'))
    expect(heard(session)).toMatchObject([{ id: 1, error: { code: -32602, message: 'Unknown tool: secret' } }])
    expect(pipes).toEqual([])
  })

  test.each<[string, Json | Json[], Standing | undefined, Json[]]>([
    [
      'for want of a scope',
      callMessage(1, 'echo'),
      { ...EVERYTHING, scopes: ['mcp:prompts'] },
      [{ id: 1, error: { message: 'the credential is not for this' } }],
    ],
    ['of whoever may not come in', callMessage(1, 'echo'), undefined, [{ id: 1, error: { message: 'this identity may not come in' } }]],
    ['as a call that wants no answer', { jsonrpc: '2.0', method: 'tools/call', params: { name: 'secret' } }, ECHO_ALONE, []],
    [
      'with the rest of its batch',
      [callMessage(1, 'echo'), callMessage(2, 'secret')],
      ECHO_ALONE,
      [
        { id: 1, error: {} },
        { id: 2, error: {} },
      ],
    ],
    ['as two calls in one', { ...callMessage(1, 'echo'), params: { name: 'echo', Name: 'secret' } }, ECHO_ALONE, [{ id: 1, error: { code: -32600 } }]],
  ])('%s is answered as it asks, and opens nothing', (_what, message, standing, answers) => {
    const { pipes, open, says, heard } = stage({ gate: createGate({ standingOf: () => standing }) })
    const session = open()
    says(session, message)
    expect(heard(session)).toMatchObject(answers)
    expect(pipes).toEqual([])
  })

  test('of an answer is not seen', async () => {
    const gate = createGate({ standingOf: () => ECHO_ALONE })
    const { pipes, open, says, heard } = stage({ gate })
    const session = open()
    says(session, { jsonrpc: '2.0', id: 1, method: 'tools/list' })
    await taken(await until('the pipe', () => pipes[0]), 1)
    pipes[0]?.says({ jsonrpc: '2.0', id: 1, result: { tools: [{ name: 'echo' }, { name: 'secret' }] } })
    expect(heard(session)).toEqual([{ jsonrpc: '2.0', id: 1, result: { tools: [{ name: 'echo' }] } }])
  })
})

describe('JSON-RPC that is of no session', () => {
  test('is answered when it asks, sealed and bare, and reaches nothing', () => {
    const { door, bare, pipes } = stage()
    for (const message of [INITIALIZED, { jsonrpc: '2.0', id: 3, result: {} }, { jsonrpc: '2.0', id: 4, error: { code: 1, message: '' } }])
      expect(door.hear(ANN, Buffer.from(JSON.stringify(message)))).toBe(true)
    expect(bare()).toEqual([])
    door.hear(ANN, Buffer.from(JSON.stringify(initializeMessage('x'))))
    expect(bare()).toMatchObject([{ id: 'x', error: { code: -32600 } }])
    expect(pipes).toEqual([])
  })

  test('is told from what is none, which is for somebody else', () => {
    const { door, bare } = stage()
    for (const text of ['', 'x', '{}', '[1]', '{"type":"openmcp/token-ask"}', '{"openmcp":"open","nonce":"short"}', '{"openmcp":"opened"}']) {
      expect(door.hear(ANN, Buffer.from(text))).toBe(false)
    }
    expect(bare()).toEqual([])
  })
})

describe('a peer', () => {
  test('that cannot be reached any more has its session ended, and what stood behind it', async () => {
    const { pipes, open, says, counted, breaks } = stage()
    const session = open()
    says(session, initializeMessage(1))
    await taken(await until('the pipe', () => pipes[0]), 1)
    breaks(new OpenMcpError('upstream_unreachable', 'gone'))
    pipes[0]?.says({ jsonrpc: '2.0', id: 1, result: {} })
    await until('the end', () => pipes[0]?.closed)
    expect(counted()).toEqual({ sessions: 0, pipes: 0 })
  })

  test('that does not take what it is sent costs no more than its share of memory', async () => {
    const { pipes, open, says, counted, hold } = stage({ limits: { bufferedBytes: 10_000 } })
    const session = open()
    says(session, initializeMessage(1))
    await taken(await until('the pipe', () => pipes[0]), 1)
    hold()
    const news = { jsonrpc: '2.0', method: 'notifications/message', params: { text: 'x'.repeat(3000) } }
    for (let said = 0; said < 3; said++) pipes[0]?.says(news)
    await new Promise((resolve) => setImmediate(resolve))
    expect(counted().sessions).toBe(1)
    pipes[0]?.says(news)
    await until('the end', () => counted().sessions === 0)
  })

  test('is told of an answer that no message of TSP holds, and its session goes on', async () => {
    const { pipes, open, says, heard, counted } = stage({ mostBytes: 5000 })
    const session = open()
    says(session, callMessage(1, 'a'))
    await taken(await until('the pipe', () => pipes[0]), 1)
    pipes[0]?.says({ jsonrpc: '2.0', id: 1, result: { text: 'x'.repeat(6000) } })
    const said: Json[] = []
    await until('the error', () => said.push(...heard(session)) > 0)
    expect(said).toMatchObject([{ id: 1, error: { message: 'the answer is larger than a TSP message may be' } }])
    expect(counted()).toEqual({ sessions: 1, pipes: 1 })
  })

  test('is not told of news that no message of TSP holds, and its session goes on', async () => {
    const { pipes, open, says, heard } = stage({ mostBytes: 5000 })
    const session = open()
    says(session, callMessage(1, 'a'))
    await taken(await until('the pipe', () => pipes[0]), 1)
    pipes[0]?.says({ jsonrpc: '2.0', method: 'notifications/message', params: { text: 'x'.repeat(6000) } })
    await new Promise((resolve) => setImmediate(resolve))
    pipes[0]?.says({ jsonrpc: '2.0', id: 1, result: {} })
    expect(heard(session)).toEqual([{ jsonrpc: '2.0', id: 1, result: {} }])
  })

  test('that left hears nothing more of what it asked', async () => {
    const { pipes, open, says, heard, closes, sessions } = stage()
    const session = open()
    says(session, callMessage(1, 'a'))
    await taken(await until('the pipe', () => pipes[0]), 1)
    const ending = sessions.endOf(() => true)
    pipes[0]?.says({ jsonrpc: '2.0', id: 1, result: {} })
    await ending
    expect([heard(session), closes(session)]).toEqual([[], ['session_ended']])
  })

  test('that leaves has ended what it began', async () => {
    const { door, pipes, open, says, counted, hosted } = stage()
    const session = open()
    says(session, callMessage(1, 'a'))
    await taken(await until('the pipe', () => pipes[0]), 1)
    door.hear(ANN, Buffer.from(`{"openmcp":"close","session":"${session.id}","why":"session_ended"}`))
    await until('the end', () => pipes[0]?.closed)
    expect(counted()).toEqual({ sessions: 0, pipes: 0 })
    expect(hosted.end(peerOf(ANN), session.id, 'again')).toBeUndefined()
  })
})

describe('a session is ended', () => {
  test('when its server is gone: calls are answered first, and the reason is said', async () => {
    const { pipes, open, says, heard, closes, counted } = stage()
    const session = open()
    says(session, callMessage(1, 'a'))
    await taken(await until('the pipe', () => pipes[0]), 1)
    pipes[0]?.ends(new OpenMcpError('child_failed', 'it crashed'))
    expect(heard(session)).toMatchObject([{ id: 1, error: { message: 'it crashed' } }])
    expect(closes(session)).toEqual(['child_failed'])
    expect(counted().sessions).toBe(0)
  })

  test('when there is no server to be had', async () => {
    const { open, says, heard, closes } = stage({ upstream: () => Promise.reject(new OpenMcpError('upstream_unreachable', 'nobody there')) })
    const session = open()
    says(session, callMessage(1, 'a'))
    await until('the end', () => closes(session).length > 0)
    expect(heard(session)).toMatchObject([{ id: 1, error: { message: 'nobody there' } }])
    expect(closes(session)).toEqual(['upstream_unreachable'])
  })

  test('when it was idle for too long, and not while a call is in flight or a sign of life comes', async () => {
    let ms = 1_000_000
    const { pipes, open, says, closes, counted } = stage({ now: () => ms, limits: { idleSeconds: 1 } })
    const [calling, living, idle] = [open(), open(), open()]
    says(calling, callMessage(1, 'a'))
    await taken(await until('the pipe', () => pipes[0]), 1)
    for (const session of [living, idle]) says(session, INITIALIZED)
    ms += 900
    says(living, '')
    ms += 900
    await until('the end of one', () => closes(idle).length > 0)
    expect(counted().sessions).toBe(2)
    expect([calling, living, idle].map((session) => closes(session))).toEqual([[], [], ['session_ended']])
  })

  test('when its caller is over, and a message that comes after that reaches nothing', async () => {
    const { pipes, open, says, closes, sessions } = stage()
    const session = open()
    says(session, initializeMessage(1))
    const pipe = await until('the pipe', () => pipes[0])
    await taken(pipe, 1)
    await sessions.endOf(({ id }) => id === ANN.id)
    expect(pipe.closed).toBe(true)
    expect(closes(session)).toEqual(['session_ended'])
    expect(pipe.taken().map(({ method }) => method)).toEqual(['notifications/cancelled'])
    says(session, callMessage(2, 'a'))
    expect(closes(session)).toEqual(['session_ended', 'session_unknown'])
    expect(pipe.taken()).toEqual([])
  })

  test('when its VID has its share of them: the one that was idle longest, or the new one when all are at work', async () => {
    let ms = 1_000_000
    const { pipes, open, says, closes, counted } = stage({ now: () => ms++, limits: { sessions: 4 } })
    const [one, two, three, four] = [open(), open(), open(), open()]
    says(one, callMessage(1, 'a'))
    says(two, INITIALIZED)
    await until('their pipes', () => pipes.length === 2)
    says(three, callMessage(1, 'a'))
    expect([one, two, three].map((session) => closes(session))).toEqual([[], ['session_ended'], []])
    says(four, callMessage(1, 'a'))
    expect(closes(four)).toEqual(['busy'])
    says(open(BOB), INITIALIZED, BOB)
    expect(counted().sessions).toBe(3)
  })
})

describe('when openmcp stops', () => {
  test('no call is begun, answers to the server still pass, and who has a session is told', async () => {
    const state = { stopping: false }
    const { pipes, open, says, heard, closes, calls, sessions } = stage({ stopping: () => state.stopping })
    const session = open()
    says(session, callMessage(1, 'a'))
    const pipe = await until('the pipe', () => pipes[0])
    await taken(pipe, 1)
    expect(calls.size).toBe(1)
    const late = open()
    state.stopping = true
    says(late, initializeMessage(1))
    expect(closes(late)).toEqual(['stopping'])
    says(session, callMessage(2, 'b'))
    expect(heard(session)).toMatchObject([{ id: 2, error: { message: 'openmcp is stopping' } }])
    pipe.says({ jsonrpc: '2.0', id: 9, method: 'ping' })
    says(session, { jsonrpc: '2.0', id: 9, result: {} })
    await until('the answer', () => pipe.taken().some(({ id }) => id === 9))
    pipe.says({ jsonrpc: '2.0', id: 1, result: {} })
    expect(calls.size).toBe(0)
    await sessions.close()
    expect(closes(session)).toEqual(['stopping'])
  })
})

interface Stage {
  readonly door: TspDoor
  readonly hosted: ReturnType<typeof createHostedSessions>
  readonly sessions: Sessions<TspSession>
  readonly calls: InFlight
  /** Whose messages were new. */
  readonly active: readonly string[]
  readonly pipes: readonly ScriptedPipe[]
  readonly pool: MessageUpstream
  /** A session that is opened, and has said nothing. */
  open(caller?: Caller): SealedSession
  says(session: SealedSession, message: Json | Json[] | string | Buffer, caller?: Caller): void
  /** What came in a session since the last look. */
  heard(session: SealedSession): Json[]
  /** The reasons that were given for its end. */
  closes(session: SealedSession, caller?: Caller): string[]
  frames(caller: Caller): NonNullable<ReturnType<typeof frameOf>>[]
  /** What was sent that is no frame. */
  bare(): Json[]
  counted(): { sessions: number; pipes: number }
  /** What is sent from now on fails, or waits. */
  breaks(error: OpenMcpError): void
  hold(): void
}

interface StageOptions extends Partial<Pick<TspDoorOptions, 'gate' | 'upstream' | 'stopping'>> {
  limits?: Partial<Limits>
  now?: () => number
  mostBytes?: number
}

function stage({ gate = OPEN_GATE, upstream, stopping = () => false, limits: given = {}, now = Date.now, mostBytes = Infinity }: StageOptions = {}): Stage {
  const limits = { ...DEFAULT_LIMITS, ...given }
  const own = { limits, log: SILENT, now }
  const sessions = createSessions<TspSession>(own)
  const hosted = createHostedSessions({ mostPerPeer: limits.sessions, now })
  const pipes: ScriptedPipe[] = []
  const pool = createPool({
    open(events) {
      const pipe = scriptedPipe()
      pipes.push(pipe)
      return pipe.open(events)
    },
    isolation: 'session',
    ...own,
  })
  const calls = createInFlight()
  const sent: { to: string; data: Buffer }[] = []
  const active: string[] = []
  const seen = new Map<string, number>()
  let outcome: () => Promise<void> = async () => {}
  const door = createTspDoor({
    upstream: upstream ?? (() => pool),
    gate,
    sealed: {
      hear(peer, data) {
        const frame = frameOf(data)
        return frame && hosted.hear(peer, frame)
      },
      end: hosted.end,
    },
    sessions,
    async send(to, data) {
      if (data.length > mostBytes) throw new OpenMcpError('too_large', 'too large')
      sent.push({ to, data })
      await outcome()
    },
    calls,
    active: ({ id }) => active.push(id),
    stopping,
    limits,
    log: SILENT,
  })
  onTestFinished(async () => {
    await sessions.close()
    await pool.close()
  })
  const frames: Stage['frames'] = (caller) => sent.flatMap(({ to, data }) => (to === caller.id ? (frameOf(data) ?? []) : []))
  return {
    door,
    hosted,
    sessions,
    calls,
    active,
    pipes,
    pool,
    open(caller = ANN) {
      const beginning = beginSession()
      door.hear(caller, beginning.frame)
      for (const frame of frames(caller)) {
        const answer = beginning.answered(frame)
        if (answer && 'opened' in answer) return answer.opened
      }
      throw new Error('it was not opened')
    },
    says(session, message, caller = ANN) {
      const text = typeof message === 'string' ? message : Buffer.isBuffer(message) ? [message] : JSON.stringify(message)
      expect(door.hear(caller, session.wrap(text))).toBe(true)
    },
    heard(session) {
      const all = sent.flatMap(({ data }) => frameOf(data) ?? []).filter((frame) => frame.kind === 'message' && frame.session === session.id)
      const fresh = all.slice(seen.get(session.id) ?? 0)
      seen.set(session.id, all.length)
      return fresh.flatMap((frame) => (frame.kind === 'message' ? [jsonOf(JSON.parse(frame.message.toString()))] : []))
    },
    closes: (session, caller = ANN) => frames(caller).flatMap((frame) => (frame.kind === 'close' && frame.session === session.id ? frame.why : [])),
    frames,
    bare: () => sent.flatMap(({ data }) => (frameOf(data) ? [] : [jsonOf(JSON.parse(data.toString()))])),
    counted: () => ({ sessions: sessions.size, pipes: pool.size }),
    breaks(error) {
      outcome = async () => {
        throw error
      }
    },
    hold() {
      outcome = () => new Promise(() => {})
    },
  }
}

/** The ids of as many messages as a server has taken. */
async function taken(pipe: ScriptedPipe | undefined, count: number): Promise<unknown[]> {
  const ids: unknown[] = []
  await until(`${count} messages`, () => ids.push(...(pipe?.taken() ?? []).map(({ id }) => id)) >= count)
  return ids
}

function peerOf({ id, tokenId }: Caller): string {
  return `${id} ${tokenId}`
}

function callerNamed(id: string): Caller {
  return { id, via: 'tsp', scopes: ['mcp'], act: [], tokenId: `tsp:${id}`, expiresAt: Infinity, owner: id }
}
