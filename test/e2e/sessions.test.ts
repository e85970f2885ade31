// Sessions over Streamable HTTP in front of a stdio child: how they begin, go on after a break, and end.
import { describe, expect, test } from 'vitest'
import { at, type Json } from '../support/json.ts'
import { callMessage, initializeMessage, serve } from '../support/openmcp.ts'
import { childrenOf, gone, isAlive } from '../support/processes.ts'
import { scripted } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { ask, messagesIn, modernAsked, open, openSession, openSocket, openSse, type Session, type Stream } from '../support/wire.ts'

const TAKES_BOTH = { accept: 'application/json, text/event-stream' }

const pidOf = async (session: Session): Promise<number> => Number((await session.call('who'))['pid'])
const isAnswer = (id: number) => (message: Json) => message['id'] === id && message['method'] === undefined
const stepsIn = ({ messages }: Pick<Stream, 'messages'>): unknown[] =>
  messages.map((message) => at(message, 'params', 'progress') ?? at(message, 'result', 'structuredContent'))

describe('a session', () => {
  test('that nobody opened is not found, whatever is asked of it', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const headers = { ...TAKES_BOTH, 'mcp-session-id': 'nobody-opened-this' }
    for (const asked of [{ body: callMessage(1, 'who') }, { method: 'GET' }, { method: 'DELETE' }]) {
      const { status, json } = await ask(proxy.url, { ...asked, headers })
      expect(status).toBe(404)
      expect(json).toMatchObject({ jsonrpc: '2.0', error: { code: -32001 } })
    }
  })

  test('that is not named is asked for', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    for (const asked of [{ body: callMessage(1, 'who') }, { method: 'GET' }, { method: 'DELETE' }]) {
      const { status, json } = await ask(proxy.url, { ...asked, headers: TAKES_BOTH })
      expect(status).toBe(400)
      expect(at(json, 'error', 'message')).toContain('Mcp-Session-Id')
    }
  })

  test('has an unguessable id of its own and a child of its own', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const sessions = [await openSession(proxy.url), await openSession(proxy.url)]
    const pids = await Promise.all(sessions.map(pidOf))
    expect(new Set(pids).size).toBe(2)
    for (const { id } of sessions) expect(Buffer.from(id, 'base64url')).toHaveLength(32)
    expect(sessions[0]?.id).not.toBe(sessions[1]?.id)
  })

  test('ends with DELETE, and its child with it', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const session = await openSession(proxy.url)
    const bystander = await openSession(proxy.url)
    const pid = await pidOf(session)
    expect((await session.end()).status).toBe(200)
    await gone(pid)
    expect((await session.listen()).status).toBe(404)
    expect((await session.end()).status).toBe(404)
    expect(isAlive(await pidOf(bystander))).toBe(true)
  })

  test('ends with its child, and says so to the next request', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const session = await openSession(proxy.url)
    process.kill(await pidOf(session), 'SIGKILL')
    const { status } = await until('the end of the session', async () => {
      const stream = await session.listen()
      if (stream.status !== 200) return stream
      await stream.stop()
      return undefined
    })
    expect(status).toBe(404)
    // A new session has a new child.
    expect(isAlive(await pidOf(await openSession(proxy.url)))).toBe(true)
  })

  test('is not opened by an initialize that the server refuses', async () => {
    const refusing =
      'process.stdin.on("data", (line) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", id: JSON.parse(line).id, error: { code: -32602, message: "not this one" } }) + "\\n"))'
    const proxy = await forThisTest(serve({ command: [process.execPath, '-e', refusing] }))
    const answer = await ask(proxy.url, { headers: TAKES_BOTH, body: initializeMessage(1) })
    expect(answer.headers['mcp-session-id']).toBeUndefined()
    expect(messagesIn(answer)).toEqual([{ jsonrpc: '2.0', id: 1, error: { code: -32602, message: 'not this one' } }])
    await until('no session', async () => (await ask(proxy.at('/status'))).json['sessions'] === 0)
  })

  test('is ended when it lay idle for too long, and its child with it; one whose stream is open is not idle', async () => {
    const proxy = await forThisTest(serve({ command: scripted(), options: ['--idle', '1'] }))
    const listening = await openSession(proxy.url)
    const stream = await listening.listen()
    const listeningPid = await pidOf(listening)
    const idle = await openSession(proxy.url)
    await gone(await pidOf(idle))
    expect((await idle.listen()).status).toBe(404)
    expect(await pidOf(listening)).toBe(listeningPid)
    expect(stream.over).toBeUndefined()
    await stream.stop()
    await gone(listeningPid)
  })

  test('whose client left before it could learn its id is ended, and its child with it', async () => {
    const proxy = await forThisTest(serve({ command: ['sh', '-c', `sleep 1; exec ${scripted().join(' ')}`] }))
    const sessions = async (): Promise<unknown> => (await ask(proxy.at('/status'))).json['sessions']
    const [staying, left] = [await forThisTest(openSocket(proxy.url)), await forThisTest(openSocket(proxy.url))]
    const body = JSON.stringify(initializeMessage(1))
    for (const socket of [staying, left]) {
      socket.write(`POST /mcp HTTP/1.1\r\nhost: ${proxy.url.host}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
    }
    await until('both sessions', async () => (await sessions()) === 2)
    await left.stop()
    await until('the answer of the other', () => staying.text().includes('"serverInfo"'))
    await until('the end of the one', async () => (await sessions()) === 1)
    await until('one child', () => childrenOf(proxy.pid).length === 1)
    expect(await sessions()).toBe(1)
  })

  test('takes no second request under the id of one in flight', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const session = await openSession(proxy.url)
    const held = await session.post(callMessage(1, 'hold', { key: 'k' }))
    const second = await finished(await session.post(callMessage(1, 'who')))
    expect(second.messages).toEqual([{ jsonrpc: '2.0', id: 1, error: { code: -32600, message: expect.stringContaining('in flight') } }])
    await session.call('release', { key: 'k', value: { unharmed: true } })
    expect(at(await held.message(isAnswer(1)), 'result', 'structuredContent')).toEqual({ unharmed: true })
  })

  test('that waits for a call is not idle', async () => {
    const proxy = await forThisTest(serve({ command: scripted(), options: ['--idle', '0.3'] }))
    const session = await openSession(proxy.url)
    const held = await session.post(callMessage(1, 'hold', { key: 'k' }))
    const idle = await openSession(proxy.url)
    await gone(await pidOf(idle))
    await session.call('release', { key: 'k', value: { late: true } })
    expect(at(await held.message(isAnswer(1)), 'result', 'structuredContent')).toEqual({ late: true })
  })
})

describe('a session over HTTP+SSE', () => {
  test('has a child of its own, and ends with its stream', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const [session, bystander] = [await openSse(proxy.url), await openSse(proxy.url)]
    const pid = Number((await session.call('who'))['pid'])
    expect((await bystander.call('who'))['pid']).not.toBe(pid)
    expect(Buffer.from(session.endpoint.replace(/^.*sessionId=/, ''), 'base64url')).toHaveLength(32)
    await session.stream.stop()
    await gone(pid)
    expect((await session.post(callMessage(1, 'who'))).status).toBe(404)
    expect(isAlive(Number((await bystander.call('who'))['pid']))).toBe(true)
    await bystander.stream.stop()
  })

  test('ends its stream when its child ends, after every call in flight was answered', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const session = await openSse(proxy.url)
    await session.post(callMessage(1, 'hold', { key: 'k' }))
    await session.post(callMessage(2, 'die', { code: 3 }))
    await session.stream.whole()
    expect(session.stream.over).toBe('ended')
    const errors = session.stream.messages.filter(({ error }) => error !== undefined)
    expect(errors).toHaveLength(2)
    expect(new Set(errors.map(({ id }) => id))).toEqual(new Set([1, 2]))
  })
})

describe('the stream for what belongs to no call', () => {
  const change = { messages: [{ method: 'notifications/tools/list_changed' }] }

  test('is replaced by a second one, which gets what comes from then on', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const session = await openSession(proxy.url)
    const first = await session.listen()
    await session.call('notify', change)
    await first.message(({ method }) => method === 'notifications/tools/list_changed')
    const second = await session.listen()
    await first.whole()
    expect(first.over).toBe('ended')
    await session.call('notify', { messages: [{ method: 'notifications/prompts/list_changed' }] })
    await second.message(({ method }) => method === 'notifications/prompts/list_changed')
    expect(first.messages).toHaveLength(1)
    expect(second.messages).toHaveLength(1)
    await second.stop()
  })

  test('brings what was said before it was opened, once', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const session = await openSession(proxy.url)
    await session.call('notify', change)
    const stream = await session.listen()
    await stream.message(({ method }) => method === 'notifications/tools/list_changed')
    await stream.stop()
    const next = await session.listen()
    await session.call('notify', { messages: [{ method: 'notifications/prompts/list_changed' }] })
    await next.message(({ method }) => method === 'notifications/prompts/list_changed')
    expect(next.messages).toHaveLength(1)
    await next.stop()
  })

  test('is resumed after its last event', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const session = await openSession(proxy.url)
    const stream = await session.listen()
    const changes = (...words: string[]): Json => ({ messages: words.map((word) => ({ method: `notifications/${word}/list_changed` })) })
    await session.call('notify', changes('tools', 'prompts'))
    await stream.message(({ method }) => method === 'notifications/prompts/list_changed')
    await stream.stop()
    await session.call('notify', changes('resources'))
    const resumed = await session.listen({ 'last-event-id': stream.events[0]?.id ?? '' })
    await resumed.message(({ method }) => method === 'notifications/resources/list_changed')
    expect(resumed.messages.map(({ method }) => method)).toEqual(['notifications/prompts/list_changed', 'notifications/resources/list_changed'])
    await resumed.stop()
  })
})

describe('a call whose connection broke', () => {
  /** A call in flight, of which three steps were read before the connection was cut. */
  async function brokenAfterThree(session: Session): Promise<Stream> {
    const stream = await session.post(callMessage(7, 'hold', { key: 'k' }, { progressToken: 'p' }))
    await session.call('report', { key: 'k', from: 1, to: 3 })
    await stream.message((message) => at(message, 'params', 'progress') === 3)
    await stream.stop()
    return stream
  }

  test('goes on, and what was missed is delivered in order and once, the answer last', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const session = await openSession(proxy.url)
    const broken = await brokenAfterThree(session)
    await session.call('report', { key: 'k', from: 4, to: 6 })
    await session.call('release', { key: 'k', value: { done: true } })
    const resumed = await session.listen({ 'last-event-id': broken.events[2]?.id ?? '' })
    await resumed.whole()
    expect(resumed.over).toBe('ended')
    expect(stepsIn(resumed)).toEqual([4, 5, 6, { done: true }])
    expect(resumed.messages.at(-1)).toMatchObject({ id: 7 })
  })

  test('is resumed from wherever the client says it was', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const session = await openSession(proxy.url)
    const broken = await brokenAfterThree(session)
    await session.call('release', { key: 'k', value: { done: true } })
    for (const [event, missed] of [
      [2, [{ done: true }]],
      [0, [2, 3, { done: true }]],
      [1, [3, { done: true }]],
    ] as const) {
      const resumed = await session.listen({ 'last-event-id': broken.events[event]?.id ?? '' })
      await resumed.whole()
      expect(stepsIn(resumed)).toEqual(missed)
    }
  })

  test('is resumed while it goes on: first what was missed, then what comes', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const session = await openSession(proxy.url)
    const broken = await brokenAfterThree(session)
    await session.call('report', { key: 'k', from: 4, to: 4 })
    const resumed = await session.listen({ 'last-event-id': broken.events[2]?.id ?? '' })
    await resumed.message((message) => at(message, 'params', 'progress') === 4)
    await session.call('report', { key: 'k', from: 5, to: 6 })
    await session.call('release', { key: 'k' })
    await resumed.whole()
    expect(stepsIn(resumed)).toEqual([4, 5, 6, {}])
    // It broke; it was not cancelled.
    const { seen } = await session.call('seen')
    expect(JSON.stringify(seen)).not.toContain('notifications/cancelled')
  })

  test('is taken up again and again by a client whose streams are closed on purpose', async () => {
    const proxy = await forThisTest(serve({ command: scripted(), options: ['--poll', '0.2'] }))
    const session = await openSession(proxy.url)
    const first = await session.post(callMessage(7, 'count', { marker: 'm', steps: 600 }, { progressToken: 'p' }))
    await first.whole()
    const steps = [...stepsIn(first)]
    let last = first.events.at(-1)?.id
    let pieces = 1
    while (!steps.some((step) => typeof step === 'object')) {
      const next = await session.listen({ 'last-event-id': last ?? '' })
      await next.whole()
      last = next.events.at(-1)?.id ?? last
      steps.push(...stepsIn(next))
      pieces++
    }
    expect(pieces).toBeGreaterThan(1)
    expect(steps).toEqual([...Array.from({ length: 600 }, (_, index) => index + 1), { marker: 'm' }])
  })

  test('is not resumed by another session, nor with an id that is none', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const session = await openSession(proxy.url)
    const broken = await brokenAfterThree(session)
    const other = await openSession(proxy.url)
    for (const id of [broken.events[0]?.id ?? '', '99_1', 'x', '1_', '1_99999999999']) {
      const stream = await other.listen({ 'last-event-id': id })
      await stream.whole()
      expect(stream.status).toBe(400)
    }
  })

  test('is cancelled at the server where there is no session to come back to', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const call = (id: number, name: string, args: Json = {}): Promise<Stream> => open(proxy.url, modernAsked(callMessage(id, name, args)))
    const stream = await call(7, 'hold', { key: 'k' })
    const hold = await until('the call at the server', async () => {
      const { messages } = await finished(await call(8, 'seen'))
      return messagesSeen(messages).find((message) => at(message, 'params', 'arguments', 'key') === 'k')
    })
    await stream.stop()
    const cancelled = await until('the cancellation at the server', async () => {
      const { messages } = await finished(await call(8, 'seen'))
      return messagesSeen(messages).find(({ method }) => method === 'notifications/cancelled')
    })
    expect(at(cancelled, 'params', 'requestId')).toBe(hold['id'])
  })
})

describe('at a cap', () => {
  test('on sessions the one that lay idle longest makes room', async () => {
    const proxy = await forThisTest(serve({ command: scripted(), options: ['--max-sessions', '2'] }))
    const [oldest, newer] = [await openSession(proxy.url), await openSession(proxy.url)]
    const [oldestPid, newerPid] = [await pidOf(oldest), await pidOf(newer)]
    const newest = await openSession(proxy.url)
    await gone(oldestPid)
    expect((await oldest.listen()).status).toBe(404)
    expect(await pidOf(newer)).toBe(newerPid)
    expect(isAlive(await pidOf(newest))).toBe(true)
  })

  test('on sessions that are all in use a new one is told to come back later, and starts no child', async () => {
    const proxy = await forThisTest(serve({ command: scripted(), options: ['--max-sessions', '2'] }))
    const sessions = [await openSession(proxy.url), await openSession(proxy.url)]
    const streams = await Promise.all(sessions.map((session) => session.listen()))
    const { status, headers, json } = await ask(proxy.url, { headers: TAKES_BOTH, body: initializeMessage('mine') })
    expect(status).toBe(503)
    expect(Number(headers['retry-after'])).toBeGreaterThan(0)
    expect(json).toMatchObject({ id: 'mine', error: { message: expect.stringContaining('2 sessions are open') } })
    await until('two children', async () => (await ask(proxy.at('/status'))).json['upstreams'] === 2)
    await streams[0]?.stop()
    await until('room', async () => (await ask(proxy.url, { headers: TAKES_BOTH, body: initializeMessage('mine') })).status === 200)
    await streams[1]?.stop()
  })

  test('on children a new session is told to come back later, over SSE too, and works once a child has ended', async () => {
    const proxy = await forThisTest(serve({ command: scripted(), options: ['--max-children', '1'] }))
    const session = await openSession(proxy.url)
    for (const refused of [
      await ask(proxy.url, { headers: TAKES_BOTH, body: initializeMessage('mine') }),
      await ask(proxy.at('/sse'), { headers: { accept: 'text/event-stream' } }),
    ]) {
      expect(refused.status).toBe(503)
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
      expect(at(refused.json, 'error', 'message')).toContain('1 servers run already')
    }
    expect(isAlive(await pidOf(session))).toBe(true)
    await session.end()
    await until('room', async () => (await ask(proxy.url, { headers: TAKES_BOTH, body: initializeMessage('mine') })).status === 200)
  })

  test('on calls at once the next call is refused and the others are answered', async () => {
    const proxy = await forThisTest(serve({ command: scripted(), options: ['--max-streams', '3'] }))
    const session = await openSession(proxy.url)
    const held = await Promise.all(['a', 'b', 'c'].map((key, id) => session.post(callMessage(id, 'hold', { key }))))
    const refused = await finished(await session.post(callMessage('fourth', 'who')))
    expect(refused.messages).toEqual([{ jsonrpc: '2.0', id: 'fourth', error: expect.objectContaining({ message: expect.stringContaining('--max-streams') }) }])
    expect(held.every(({ over }) => over === undefined)).toBe(true)
    for (const key of ['a', 'b', 'c']) await finished(await session.post({ jsonrpc: '2.0', method: 'notifications/release', params: { key } }))
    await Promise.all(held.map((stream) => stream.whole()))
    expect(held.map(stepsIn)).toEqual([[{}], [{}], [{}]])
  })
})

async function finished(stream: Stream): Promise<Stream> {
  await stream.whole()
  return stream
}

function messagesSeen(messages: readonly Json[]): Json[] {
  const seen = at(messages.at(-1), 'result', 'structuredContent', 'seen')
  return Array.isArray(seen) ? seen : []
}
