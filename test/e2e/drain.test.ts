// Stopping while something is being served.
import { describe, expect, test } from 'vitest'
import type { Json } from '../support/json.ts'
import { callMessage, initializeMessage, returned, serve, type Proxy } from '../support/openmcp.ts'
import { gone, isAlive, killAfterTest } from '../support/processes.ts'
import { listening, scripted, sdkServerFile } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { open, openSession, openSocket, openSse, type Session, type Stream } from '../support/wire.ts'

const isAnswer = (id: number | string) => (message: Json) => message['id'] === id && message['method'] === undefined

/** A call that reports progress until it is told to end by the test, and is known to be under way. */
async function underWay(session: Session): Promise<{ stream: Stream; pid: number }> {
  const pid = Number((await session.call('who'))['pid'])
  killAfterTest(pid)
  const stream = await session.post(callMessage('under way', 'count', { marker: 'm', steps: 300 }, { progressToken: 'p' }))
  await stream.message(({ method }) => method === 'notifications/progress')
  return { stream, pid }
}

async function stopping(proxy: Proxy, signal: NodeJS.Signals): Promise<void> {
  proxy.signal(signal)
  await proxy.says(/stopping/)
}

describe('a signal', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('%s lets the call in flight finish; then exit code 0, and no child is left', async (signal) => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const { stream, pid } = await underWay(await openSession(proxy.url))
    await stopping(proxy, signal)
    expect(isAlive(pid)).toBe(true)
    await stream.whole()
    expect(stream.over).toBe('ended')
    expect(returned(stream.messages.at(-1) ?? {})).toEqual({ marker: 'm' })
    expect(await proxy.ended).toEqual({ code: 0, signal: null })
    await gone(pid)
  })

  test('lets a call over HTTP+SSE finish', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const session = await openSse(proxy.url)
    await session.post(callMessage('under way', 'count', { marker: 'm', steps: 300 }, { progressToken: 'p' }))
    await session.stream.message(({ method }) => method === 'notifications/progress')
    await stopping(proxy, 'SIGTERM')
    expect(returned(await session.stream.message(isAnswer('under way')))).toEqual({ marker: 'm' })
    await session.stream.whole()
    expect(await proxy.ended).toEqual({ code: 0, signal: null })
  })

  test('lets a call to an upstream over HTTP finish', async () => {
    const server = await forThisTest(listening([sdkServerFile(), 'http']))
    const proxy = await forThisTest(serve({ upstream: `${server.origin}/mcp` }))
    const session = await openSession(proxy.url)
    const stream = await session.post(callMessage('under way', 'progress', { steps: 3, everyMs: 100 }, { progressToken: 'p' }))
    await stream.message(({ method }) => method === 'notifications/progress')
    await stopping(proxy, 'SIGTERM')
    await stream.whole()
    expect(returned(stream.messages.at(-1) ?? {})).toEqual({ steps: 3 })
    expect(await proxy.ended).toEqual({ code: 0, signal: null })
  })

  test('lets nobody in any more, neither on a new connection nor on one that was open before', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const { stream } = await underWay(await openSession(proxy.url))
    // A connection in the middle of a request: it was not idle when the signal came.
    const body = JSON.stringify(initializeMessage(1))
    const head = `POST /mcp HTTP/1.1\r\nhost: ${proxy.url.host}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\ncontent-length: ${body.length}\r\n`
    const begun = await forThisTest(openSocket(proxy.url))
    begun.write(head)
    await stopping(proxy, 'SIGTERM')
    begun.write(`\r\n${body}`)
    const refused = await until('a refusal', () => /^HTTP\/1\.1 503 [^]*\r\n\r\n.+$/.exec(begun.text()))
    expect(refused[0]).toContain('openmcp is stopping')
    expect(refused[0]).toMatch(/^retry-after: \d+/im)
    await expect(open(proxy.url, { body: initializeMessage(1) })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await stream.whole()
    expect(await proxy.ended).toEqual({ code: 0, signal: null })
  })

  test('ends streams that wait for nothing at once', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const session = await openSession(proxy.url)
    const [general, sse] = [await session.listen(), await openSse(proxy.url)]
    await stopping(proxy, 'SIGTERM')
    await Promise.all([general.whole(), sse.stream.whole()])
    expect(await proxy.ended).toEqual({ code: 0, signal: null })
  })

  test('waits no longer than --drain: then the call fails, exit code 0 all the same', async () => {
    const proxy = await forThisTest(serve({ command: scripted(), options: ['--drain', '0.3'] }))
    const session = await openSession(proxy.url)
    const pid = Number((await session.call('who'))['pid'])
    killAfterTest(pid)
    const never = await session.post(callMessage(1, 'hold', { key: 'never' }))
    proxy.signal('SIGTERM')
    expect(await proxy.ended).toEqual({ code: 0, signal: null })
    await never.whole()
    await gone(pid)
  })

  test.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const)('that comes twice ends everything now: after a second %s exit code %d, and no child is left', async (second, code) => {
    const proxy = await forThisTest(serve({ command: scripted('--ignore-eof', '--ignore-term') }))
    const session = await openSession(proxy.url)
    const pid = Number((await session.call('who'))['pid'])
    killAfterTest(pid)
    const never = await session.post(callMessage(1, 'hold', { key: 'never' }))
    await stopping(proxy, 'SIGTERM')
    proxy.signal(second)
    expect(await proxy.ended).toEqual({ code, signal: null })
    await gone(pid)
    await never.whole()
  })
})
