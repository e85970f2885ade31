// An upstream that goes away while it is used, and several that are one: seen by clients, through openmcp.
import { PassThrough } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'

import { openmcp, type RemoteTarget } from '../../src/openmcp.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { at } from '../support/json.ts'
import { restartable, type Restartable } from '../support/restartable.ts'
import { until } from '../support/until.ts'
import { ask, openSession, openSse, type Session } from '../support/wire.ts'
import { SILENT } from './scripted-pipe.ts'

async function inFrontOf([first, ...others]: readonly Restartable[], more: Partial<RemoteTarget> = {}): Promise<URL> {
  if (!first) throw new Error('somebody has to be there')
  const proxy = await openmcp(
    {
      target: {
        kind: 'remote',
        urls: [first.url],
        transport: 'http',
        headers: { 'x-ours': 'secret' },
        ...(others.length > 0 && { others: others.map(({ url }) => [url]) }),
        retry: { attempts: 8, delayMs: 20 },
        ...more,
      },
      listen: { host: '127.0.0.1', port: 0, allowHosts: [], allowOrigins: [], exposeHeaders: [], pathPrefix: '', insecureNoAuth: false },
      name: 'default',
      isolation: 'session',
      limits: { ...DEFAULT_LIMITS, drainSeconds: 0 },
      log: { level: 'error', format: 'text' },
    },
    { stdin: new PassThrough(), stdout: new PassThrough(), now: Date.now, log: SILENT },
  )
  onTestFinished(() => proxy.close())
  if (!proxy.url) throw new Error('it listens')
  return proxy.url
}

const LIST = { jsonrpc: '2.0', id: 5, method: 'tools/list' }

async function listed(session: Session): Promise<unknown> {
  const stream = await session.post(LIST)
  return at(await stream.message(({ id }) => id === LIST.id), 'result', 'by')
}

test('an upstream that is killed and started again under load is noticed by nobody who only asks', async () => {
  const server = await restartable('a')
  const url = await inFrontOf([server])
  const sessions = await Promise.all(Array.from({ length: 10 }, () => openSession(url)))
  let asked = 0
  const all = sessions.map(async (session) => {
    const answers: unknown[] = []
    for (let turn = 0; turn < 20; turn++) {
      answers.push(await listed(session))
      asked++
    }
    return answers
  })
  await until('some of them', () => asked > 50)
  await server.stop()
  await server.start()
  expect((await Promise.all(all)).flat()).toEqual(Array.from({ length: 200 }, () => 'a'))
  expect(server.asked.filter((one) => one === 'initialize')).toHaveLength(20)
})

test('nor by a client of HTTP+SSE, whose answers are read', async () => {
  const server = await restartable('a')
  const { stream, post } = await openSse(await inFrontOf([server]))
  await post(LIST)
  await stream.message(({ id }) => id === LIST.id)
  server.forget()
  await post({ ...LIST, id: 6 })
  expect(at(await stream.message(({ id }) => id === 6), 'result', 'by')).toBe('a')
})

test('of several endpoints a dead one is left, its sessions go on elsewhere, and it is returned to', async () => {
  const [a, b] = await Promise.all([restartable('a'), restartable('b')])
  const url = await inFrontOf([a, b])
  const sessions = [await openSession(url), await openSession(url), await openSession(url), await openSession(url)]
  const by = async (): Promise<string[]> => (await Promise.all(sessions.map(listed))).map(String).toSorted((x, y) => x.localeCompare(y))
  expect(await by()).toEqual(['a', 'a', 'b', 'b'])
  await a.stop()
  expect(await by()).toEqual(['b', 'b', 'b', 'b'])
  await a.start()
  await until('a', async () => {
    const session = await openSession(url)
    return (await listed(session)) === 'a'
  })
})

test('a fall-back of another origin hears no header of ours', async () => {
  const [a, b] = await Promise.all([restartable('a'), restartable('b')])
  const url = await inFrontOf([a], { fallbacks: [[b.url]], retry: { attempts: 0, delayMs: 0 } })
  await openSession(url)
  expect(a.headers.at(-1)?.['x-ours']).toBe('secret')
  await a.stop()
  const { initialized } = await openSession(url)
  expect(at(initialized, 'result', 'serverInfo', 'name')).toBe('b')
  expect(b.headers.map((headers) => headers['x-ours'])).toEqual([undefined, undefined])
})

test('when nobody is there, clients hear it', async () => {
  const [a, b] = await Promise.all([restartable('a'), restartable('b')])
  const url = await inFrontOf([a, b], { retry: { attempts: 1, delayMs: 1 } })
  await Promise.all([a.stop(), b.stop()])
  const state = async (): Promise<unknown> => at((await ask(new URL('/status', url))).json, 'server_instances', 'default')
  expect(await state()).toBe('running')
  const { status, text } = await ask(url, { body: LIST })
  expect(await state()).toBe('unreachable')
  expect([status, text]).toEqual([502, expect.stringContaining('nothing listens there')])
})
