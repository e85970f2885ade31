// One child for everybody (`--isolation shared`): clients with equal ids and tokens never meet.
import { describe, expect, test } from 'vitest'
import { at, type Json } from '../support/json.ts'
import { callMessage, returned, serve, type Proxy } from '../support/openmcp.ts'
import { isAlive } from '../support/processes.ts'
import { scripted } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { openSession, openSse, type Session, type Stream } from '../support/wire.ts'

const startShared = (...options: string[]): Promise<Proxy> => forThisTest(serve({ command: scripted(), options: ['--isolation', 'shared', ...options] }))

const isAnswer = (id: number | string) => (message: Json) => message['id'] === id && message['method'] === undefined

async function finished(stream: Stream): Promise<Stream> {
  await stream.whole()
  return stream
}

/** What the one child has heard, as it was written to it. */
async function seenBy(session: Session): Promise<Json[]> {
  const { seen } = await session.call('seen')
  return Array.isArray(seen) ? seen : []
}

/** A call that is held, and known to have reached the child. */
async function hold(session: Session, id: number, key: string, watcher: Session, progressToken: string | number = 'token'): Promise<Stream> {
  const stream = await session.post(callMessage(id, 'hold', { key }, { progressToken }))
  await until('the call at the child', async () => (await seenBy(watcher)).some((message) => at(message, 'params', 'arguments', 'key') === key))
  return stream
}

describe('clients of one shared child', () => {
  test('have one child, which is initialised once, and every client has the answer', async () => {
    const proxy = await startShared()
    const sessions = await Promise.all([1, 2, 3].map(() => openSession(proxy.url)))
    const pids = await Promise.all(sessions.map(async (session) => (await session.call('who'))['pid']))
    expect(new Set(pids).size).toBe(1)
    for (const { initialized } of sessions) expect(initialized).toMatchObject({ id: 'initialize', result: { serverInfo: { name: 'scripted' } } })
    const methods = (await seenBy(sessions[0]!)).map(({ method }) => method)
    expect(methods.filter((method) => method === 'initialize')).toHaveLength(1)
    expect(methods.filter((method) => method === 'notifications/initialized')).toHaveLength(1)
  })

  test('with equal ids and progress tokens each get their own progress and answer, and nothing else', async () => {
    const proxy = await startShared()
    const sessions = await Promise.all(['a', 'b', 'c', 'd'].map(async (marker) => ({ marker, session: await openSession(proxy.url) })))
    const streams = await Promise.all(
      sessions.map(async ({ marker, session }) => ({
        marker,
        stream: await finished(await session.post(callMessage(7, 'count', { marker, steps: 25 }, { progressToken: 'same' }))),
      })),
    )
    for (const { marker, stream } of streams) {
      const steps = Array.from({ length: 25 }, (_, index) => ({
        jsonrpc: '2.0',
        method: 'notifications/progress',
        params: { progressToken: 'same', progress: index + 1, message: marker },
      }))
      expect(stream.messages.slice(0, -1)).toEqual(steps)
      expect(stream.messages.at(-1)).toMatchObject({ id: 7, result: { structuredContent: { marker } } })
    }
  })

  test('keep the type of their ids and tokens: 1 and "1" are two', async () => {
    const proxy = await startShared()
    const session = await openSession(proxy.url)
    const streams = await Promise.all(
      ([1, '1'] as const).map((id) => session.post(callMessage(id, 'count', { marker: typeof id, steps: 2 }, { progressToken: id }))),
    )
    const [ofNumber, ofString] = await Promise.all(streams.map(finished))
    expect(ofNumber?.messages.map((message) => at(message, 'params', 'progressToken') ?? message['id'])).toEqual([1, 1, 1])
    expect(ofString?.messages.map((message) => at(message, 'params', 'progressToken') ?? message['id'])).toEqual(['1', '1', '1'])
  })

  test('cancel their own call, not one of the same id', async () => {
    const proxy = await startShared()
    const [canceller, other, watcher] = [await openSession(proxy.url), await openSession(proxy.url), await openSession(proxy.url)]
    await hold(canceller, 7, 'cancelled', watcher)
    const kept = await hold(other, 7, 'kept', watcher)
    await finished(await canceller.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7, reason: 'enough' } }))
    const seen = await until('the cancellation', async () => {
      const messages = await seenBy(watcher)
      return messages.some(({ method }) => method === 'notifications/cancelled') && messages
    })
    const inner = seen.find((message) => at(message, 'params', 'arguments', 'key') === 'cancelled')?.['id']
    expect(seen.filter(({ method }) => method === 'notifications/cancelled').map(({ params }) => params)).toEqual([{ requestId: inner, reason: 'enough' }])
    await watcher.call('release', { key: 'kept', value: { kept: true } })
    expect(returned(await kept.message(isAnswer(7)))).toEqual({ kept: true })
  })

  test('cannot cancel what is not theirs: an id of another is nothing to the child', async () => {
    const proxy = await startShared()
    const [attacker, victim] = [await openSession(proxy.url), await openSession(proxy.url)]
    const held = await hold(victim, 7, 'k', attacker)
    const inner = (await seenBy(attacker)).find((message) => at(message, 'params', 'arguments', 'key') === 'k')?.['id']
    for (const requestId of [7, '7', inner]) await finished(await attacker.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } }))
    expect((await seenBy(attacker)).filter(({ method }) => method === 'notifications/cancelled')).toEqual([])
    await victim.call('release', { key: 'k' })
    expect(returned(await held.message(isAnswer(7)))).toEqual({})
  })

  test('see log lines of their own call alone, and none when it cannot be told whose they are', async () => {
    const proxy = await startShared()
    const [speaker, other] = [await openSession(proxy.url), await openSession(proxy.url)]
    const ears = await Promise.all([speaker.listen(), other.listen()])
    const line = (data: string): Json => ({ messages: [{ method: 'notifications/message', params: { level: 'info', data } }] })
    const alone = await finished(await speaker.post(callMessage(1, 'notify', line('alone'))))
    expect(alone.messages.map((message) => at(message, 'params', 'data') ?? message['id'])).toEqual(['alone', 1])
    const held = await hold(other, 1, 'k', speaker)
    const together = await finished(await speaker.post(callMessage(2, 'notify', line('together'))))
    expect(together.messages.map(({ id }) => id)).toEqual([2])
    await other.call('release', { key: 'k' })
    await held.whole()
    expect([...held.messages, ...ears.flatMap(({ messages }) => messages)].filter(({ method }) => method === 'notifications/message')).toEqual([])
    await Promise.all(ears.map((ear) => ear.stop()))
  })

  test('are told of changes of a list, all of them, and of a resource only those who subscribed to it', async () => {
    const proxy = await startShared()
    const sessions = [await openSession(proxy.url), await openSession(proxy.url)]
    const [subscriber, other] = sessions as [Session, Session]
    const [subscribed, unsubscribed] = await Promise.all([subscriber.listen(), other.listen()])
    await finished(await subscriber.post({ jsonrpc: '2.0', id: 1, method: 'resources/subscribe', params: { uri: 'test://a' } }))
    await finished(await other.post({ jsonrpc: '2.0', id: 1, method: 'resources/subscribe', params: { uri: 'test://b' } }))
    await other.call('notify', {
      messages: [
        { method: 'notifications/resources/updated', params: { uri: 'test://a' } },
        { method: 'notifications/resources/updated', params: { uri: 'test://nobody' } },
        { method: 'notifications/tools/list_changed' },
      ],
    })
    for (const ear of [subscribed, unsubscribed]) await ear.message(({ method }) => method === 'notifications/tools/list_changed')
    expect(subscribed.messages.map((message) => at(message, 'params', 'uri') ?? message['method'])).toEqual(['test://a', 'notifications/tools/list_changed'])
    expect(unsubscribed.messages.map(({ method }) => method)).toEqual(['notifications/tools/list_changed'])
    await Promise.all([subscribed.stop(), unsubscribed.stop()])
  })

  test('give up a subscription for themselves: the child hears of it when nobody is left', async () => {
    const proxy = await startShared()
    const [one, two] = [await openSession(proxy.url), await openSession(proxy.url)]
    const asking = (id: number, method: string): Json => ({ jsonrpc: '2.0', id, method, params: { uri: 'test://a' } })
    for (const session of [one, two]) await finished(await session.post(asking(1, 'resources/subscribe')))
    const answer = await finished(await one.post(asking(2, 'resources/unsubscribe')))
    expect(answer.messages).toEqual([{ jsonrpc: '2.0', id: 2, result: {} }])
    expect((await seenBy(two)).filter(({ method }) => method === 'resources/unsubscribe')).toEqual([])
    await two.end()
    await until('the end of the subscription', async () => (await seenBy(one)).some(({ method }) => method === 'resources/unsubscribe'))
    expect((await seenBy(one)).filter(({ method }) => method === 'resources/unsubscribe')).toHaveLength(1)
  })

  test('are asked by the server only when the call it serves is surely theirs, and only what they offer', async () => {
    const proxy = await startShared()
    const able = await openSession(proxy.url, { capabilities: { sampling: {} } })
    const unable = await openSession(proxy.url)
    const question = { method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } }
    const ask = async (session: Session, id: number): Promise<Stream> => session.post(callMessage(id, 'ask', question))

    const asked = await ask(able, 1)
    const { id } = await asked.message(({ method }) => method === question.method)
    // Another cannot answer for it.
    await finished(await unable.post({ jsonrpc: '2.0', id: String(id), result: { forged: true } }))
    await finished(await able.post({ jsonrpc: '2.0', id: String(id), result: { genuine: true } }))
    expect(returned(await asked.message(isAnswer(1)))).toEqual({ result: { genuine: true }, error: null })

    const notOffered = await finished(await ask(unable, 1))
    expect(returned(notOffered.messages.at(-1) ?? {})).toMatchObject({ result: null, error: { code: -32601 } })
    expect(notOffered.messages).toHaveLength(1)

    const held = await hold(unable, 2, 'k', able)
    const unclear = await finished(await ask(able, 2))
    expect(returned(unclear.messages.at(-1) ?? {})).toMatchObject({ result: null, error: { code: -32601 } })
    expect(unclear.messages).toHaveLength(1)
    await able.call('release', { key: 'k' })
    await held.whole()
    expect(held.messages).toHaveLength(1)
  })

  test('leave without harm to the others, and their calls are cancelled at the child', async () => {
    const proxy = await startShared()
    const [leaver, stayer] = [await openSession(proxy.url), await openSession(proxy.url)]
    const { pid } = await stayer.call('who')
    const left = await hold(leaver, 7, 'left', stayer)
    const stayed = await hold(stayer, 7, 'stayed', stayer)
    await leaver.end()
    await left.whole()
    const seen = await until('the cancellation', async () => {
      const messages = await seenBy(stayer)
      return messages.some(({ method }) => method === 'notifications/cancelled') && messages
    })
    const inner = seen.find((message) => at(message, 'params', 'arguments', 'key') === 'left')?.['id']
    expect(seen.filter(({ method }) => method === 'notifications/cancelled').map((message) => at(message, 'params', 'requestId'))).toEqual([inner])
    // What the child says to a call that was left reaches nobody.
    await stayer.call('release', { key: 'left', value: { secret: true } })
    await stayer.call('release', { key: 'stayed', value: { stayed: true } })
    await stayed.whole()
    expect(stayed.messages).toEqual([expect.objectContaining({ id: 7, result: expect.objectContaining({ structuredContent: { stayed: true } }) })])
    expect(isAlive(Number(pid))).toBe(true)
  })

  test('all hear at once when it dies, and a new one serves them on, and those who come', async () => {
    const proxy = await startShared()
    const [one, two] = [await openSession(proxy.url), await openSession(proxy.url)]
    const streams = [await hold(one, 7, 'a', two), await hold(two, 7, 'b', one)]
    const { pid } = await one.call('who')
    process.kill(Number(pid), 'SIGKILL')
    for (const stream of streams) expect(at(await stream.message(isAnswer(7)), 'error', 'message')).toContain('SIGKILL')
    const { pid: successor } = await one.call('who')
    expect(successor).not.toBe(pid)
    const next = await openSession(proxy.url)
    expect([(await two.call('who'))['pid'], (await next.call('who'))['pid']]).toEqual([successor, successor])
  })

  test('over HTTP+SSE and Streamable HTTP share it as well', async () => {
    const proxy = await startShared()
    const session = await openSession(proxy.url)
    const sse = await openSse(proxy.url)
    expect((await sse.call('who'))['pid']).toBe((await session.call('who'))['pid'])
    await sse.stream.stop()
  })
})
