// What a caller has open ends with the caller: streams, sessions, calls in flight. What others have open does not.
import { describe, expect, test } from 'vitest'

import { addTrust, removeTrust } from '../../src/policy/rules.ts'
import type { Store } from '../../src/store/shapes.ts'
import { didHost, type DidHost } from '../support/did-host.ts'
import { holder, secondsNow, type Signer } from '../support/did.ts'
import { at, type Json } from '../support/json.ts'
import { callMessage } from '../support/openmcp.ts'
import { bearer, secured, sessionWith, toolServer, type Secured } from '../support/secured.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { json, type Received } from '../support/upstream.ts'
import { ask, open, type Answer, type Stream } from '../support/wire.ts'

/** A call of `slow` waits until the test answers it. */
interface SlowServer {
  answer(received: Received, res: Parameters<typeof toolServer>[1]): void
  waiting(id: number): (() => void) | undefined
}

function slowServer(): SlowServer {
  const waiting = new Map<unknown, () => void>()
  return {
    answer(received, res) {
      const { id } = received.body
      if (at(received.body, 'params', 'name') !== 'slow') return toolServer(received, res)
      waiting.set(id, () => json(res, 200, { jsonrpc: '2.0', id, result: { content: [] } }))
    },
    waiting: (id) => waiting.get(id),
  }
}

/** Everything that one caller can have open. */
interface Everything {
  session: string
  /** Where the SSE session is posted to. */
  endpoint: URL
  stream: Stream
  sse: Stream
  /** A call in flight: its answer, or how it broke off. */
  call: Promise<Answer | 'cut'>
}

let nextId = 100

async function openAll(s: Secured, server: SlowServer, headers: Readonly<Record<string, string>>): Promise<Everything & { id: number }> {
  const session = await sessionWith(s, headers)
  const stream = await open(s.url, { headers: { ...headers, 'mcp-session-id': session, accept: 'text/event-stream' } })
  const sse = await open(new URL('/sse', s.base), { headers })
  const endpoint = new URL(await until('the endpoint', () => sse.events[0]?.data), s.base)
  const id = nextId++
  const call = ask(s.url, { headers: { ...headers, 'mcp-session-id': session }, body: callMessage(id, 'slow') }).catch(() => 'cut' as const)
  await until('the call upstream', () => server.waiting(id))
  return { session, endpoint, stream, sse, call, id }
}

/** Waits for the end of the streams; what became of the call. */
async function ended({ stream, sse, call }: Everything): Promise<Answer | 'cut'> {
  await until('the end of the stream', () => stream.over)
  await until('the end of the SSE session', () => sse.over)
  return call
}

function within(s: Secured, headers: Readonly<Record<string, string>>, session: string): Promise<Answer> {
  return ask(s.url, { headers: { ...headers, 'mcp-session-id': session }, body: { jsonrpc: '2.0', id: 1, method: 'tools/list' } })
}

const SERVED = { ends: [undefined, undefined], listed: 200, posted: 202, called: 200 }

async function service(
  s: Secured,
  server: SlowServer,
  headers: Readonly<Record<string, string>>,
  { session, endpoint, stream, sse, call, id }: Everything & { id: number },
): Promise<object> {
  const ends = [stream.over, sse.over]
  const { status: listed } = await within(s, headers, session)
  const { status: posted } = await ask(endpoint, { headers, body: callMessage(1, 'echo') })
  server.waiting(id)?.()
  const answer = await call
  return { ends, listed, posted, called: answer === 'cut' ? answer : answer.status }
}

interface Stage {
  s: Secured
  server: SlowServer
  store: Store
  host: DidHost
  /** Trusted by a row of the store, with a document on the host. */
  ann: ReturnType<DidHost['identity']>
}

async function stage(): Promise<Stage & { others: Everything & { id: number }; othersHeaders: Readonly<Record<string, string>> }> {
  const [host, bob, server] = [await forThisTest(didHost()), await holder(), slowServer()]
  const ann = host.identity('ann')
  const s = await secured({ durable: true, trusted: [bob.did], security: { didSeconds: 1 }, answer: server.answer })
  const store = await s.otherProcess()
  await addTrust(store, { id: ann.did })
  await until('trust to be heard of', () => s.token(ann).catch(() => undefined))
  const othersHeaders = bearer(await s.token(bob))
  return { s, server, store, host, ann, othersHeaders, others: await openAll(s, server, othersHeaders) }
}

describe('everything that a caller has open ends, and nothing of others', () => {
  const ways: Record<string, (stage: Stage, token: string) => Promise<unknown>> = {
    'when the token is taken back': ({ s }, token) => s.post('/revoke', { token }),
    'when trust is removed by another process': ({ store, ann }) => removeTrust(store, ann.did),
    'when trust is replaced by one that has ended': ({ store, ann, s }) => addTrust(store, { id: ann.did, untilMs: s.now() - 1 }),
    'when the identity is deactivated by another process': ({ store, ann }) => store.put('deactivated', { key: ann.did, value: '', expiresAtMs: undefined }),
    'when its document is not there any more': async ({ host }) => host.host('ann', 404),
    'when its document has no key to log in with any more': async ({ host, ann }) => host.host('ann', { ...ann.document, authentication: [] }),
    'when its document is one of another DID': async ({ host, ann }) => host.host('ann', { ...ann.document, id: host.did('bob') }),
  }
  test.each(Object.entries(ways))('%s', async (_name, end) => {
    const all = await stage()
    const { s, server, ann, others, othersHeaders } = all
    const token = await s.token(ann)
    const held = await openAll(s, server, bearer(token))
    await end(all, token)
    expect(await ended(held)).toBe('cut')
    expect((await within(s, bearer(token), held.session)).status).toBe(401)
    expect((await ask(held.endpoint, { headers: bearer(token), body: callMessage(1, 'echo') })).status).toBe(401)
    expect(await service(s, server, othersHeaders, others)).toEqual(SERVED)
  })

  test('and a session that ended with its caller does not come back with the trust', async () => {
    const { s, server, ann, store } = await stage()
    const held = await openAll(s, server, bearer(await s.token(ann)))
    await removeTrust(store, ann.did)
    expect(await ended(held)).toBe('cut')
    await addTrust(store, { id: ann.did })
    const token = await until('trust to be heard of', () => s.token(ann).catch(() => undefined))
    expect((await within(s, bearer(token), held.session)).status).toBe(404)
    expect((await ask(held.endpoint, { headers: bearer(token), body: callMessage(1, 'echo') })).status).toBe(404)
  })

  test('and the upstream hears that its session is over', async () => {
    const { s, server, ann } = await stage()
    const token = await s.token(ann)
    await openAll(s, server, bearer(token))
    s.reached()
    await s.post('/revoke', { token })
    expect(await until('the goodbye', () => s.upstream.received.some(({ method }) => method === 'DELETE'))).toBe(true)
  })
})

test('a document that cannot be had just now ends nothing', async () => {
  const { s, server, host, ann, others, othersHeaders } = await stage()
  const headers = bearer(await s.token(ann))
  const held = await openAll(s, server, headers)
  host.host('ann', 500)
  const asked = host.asked.length
  await until('its document to be asked for', () => host.asked.slice(asked).filter((path) => path.includes('ann')).length >= 2)
  expect(await service(s, server, headers, held)).toEqual(SERVED)
  expect(await service(s, server, othersHeaders, others)).toEqual(SERVED)
})

test('trust that ends by its own time ends what is open', async () => {
  const [ann, bob, server] = [await holder(), await holder(), slowServer()]
  const s = await secured({ trusted: [{ id: ann.did, untilMs: Date.now() + 300_000 }, bob.did], answer: server.answer })
  const [mine, others] = [bearer(await s.token(ann)), bearer(await s.token(bob))]
  const [held, theirs] = [await openAll(s, server, mine), await openAll(s, server, others)]
  s.pass(301)
  expect(await ended(held)).toBe('cut')
  expect((await within(s, mine, held.session)).status).toBe(401)
  expect(await service(s, server, others, theirs)).toEqual(SERVED)
})

test('what a delegate has open ends with the one it acts for', async () => {
  const { s, server, store, ann } = await stage()
  const bot = await holder()
  await addTrust(store, { id: bot.did })
  const delegated = await until('trust to be heard of', async () => {
    const form = {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: await s.token(ann),
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      actor_token: await s.token(bot).catch(() => ''),
      actor_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    }
    const { json: answered } = await s.post('/token', form)
    return typeof answered['access_token'] === 'string' && answered['access_token']
  })
  const held = await openAll(s, server, bearer(delegated))
  await removeTrust(store, ann.did)
  expect(await ended(held)).toBe('cut')
})

describe('when the time of a token runs out', () => {
  const later = (who: Pick<Signer, 'did' | 'sign'>, seconds: number): Json => ({ iat: secondsNow() + seconds, exp: secondsNow() + seconds + 60, sub: who.did })

  test('streams end, and a call in flight is answered', async () => {
    const [ann, server] = [await holder(), slowServer()]
    const s = await secured({ trusted: [ann.did], answer: server.answer })
    const headers = bearer(await s.token(ann))
    const held = await openAll(s, server, headers)
    s.pass(901)
    await until('the end of the streams', () => held.stream.over && held.sse.over)
    expect((await within(s, headers, held.session)).status).toBe(401)
    server.waiting(held.id)?.()
    expect(await held.call).toMatchObject({ status: 200 })
    const fresh = await s.token(ann, { claims: later(ann, 901) })
    expect((await within(s, bearer(fresh), held.session)).status).toBe(200)
  })

  test('a stream stays open on a newer token that its caller has shown in its session, and ends with that one', async () => {
    const [ann, bob, server] = [await holder(), await holder(), slowServer()]
    const s = await secured({ trusted: [ann.did, bob.did], answer: server.answer })
    const held = await openAll(s, server, bearer(await s.token(ann)))
    const theirs = await openAll(s, server, bearer(await s.token(bob)))
    s.pass(600)
    const newer = await s.token(ann, { claims: later(ann, 600) })
    expect((await within(s, bearer(newer), held.session)).status).toBe(200)
    expect((await ask(held.endpoint, { headers: bearer(newer), body: callMessage(1, 'echo') })).status).toBe(202)
    s.pass(301)
    // Who did not come back with a newer one is the clock here.
    await until('the end of the streams of the other', () => theirs.stream.over && theirs.sse.over)
    expect([held.stream.over, held.sse.over]).toEqual([undefined, undefined])
    await s.post('/revoke', { token: newer })
    await until('the end of the streams', () => held.stream.over && held.sse.over)
  })

  test('a newer token of somebody else keeps nothing open', async () => {
    const [ann, bob, server] = [await holder(), await holder(), slowServer()]
    const s = await secured({ trusted: [ann.did, bob.did], answer: server.answer })
    const held = await openAll(s, server, bearer(await s.token(ann)))
    s.pass(600)
    const newer = bearer(await s.token(bob, { claims: later(bob, 600) }))
    expect((await within(s, newer, held.session)).status).toBe(404)
    s.pass(301)
    await until('the end of the streams', () => held.stream.over && held.sse.over)
  })
})

test('what the holder of a key has open stays open while others come and go', async () => {
  const [ann, server] = [await holder(), slowServer()]
  const key = { 'x-api-key': 'k'.repeat(32) }
  const s = await secured({ trusted: [ann.did], security: { apiKeys: [key['x-api-key']] }, answer: server.answer })
  const token = await s.token(ann)
  const [ofKey, held] = [await openAll(s, server, key), await openAll(s, server, bearer(token))]
  await s.post('/revoke', { token })
  expect(await ended(held)).toBe('cut')
  s.pass(100_000)
  const second = await openAll(s, server, bearer(await s.token(ann, { claims: { iat: secondsNow() + 100_000, exp: secondsNow() + 100_060 } })))
  s.pass(1000)
  await until('the end of the streams', () => second.stream.over && second.sse.over)
  expect(await service(s, server, key, ofKey)).toEqual(SERVED)
})

test('what strangers show is neither read nor watched', async () => {
  const host = await forThisTest(didHost())
  const [ann, stranger] = [host.identity('ann'), host.identity('stranger')]
  const s = await secured({ trusted: [ann.did], security: { didSeconds: 1 } })
  const claims = (who: Signer): Json => ({ iss: who.did, sub: who.did, aud: s.url.href, exp: secondsNow() + 120, jti: 'a' })
  const shown = async (who: Signer): Promise<number> => (await ask(s.url, { method: 'PUT', headers: bearer(await who.sign(claims(who))) })).status
  expect([await shown(stranger), await shown(ann)]).toEqual([401, 405])
  const read = (name: string): number => host.asked.filter((path) => path.includes(name)).length
  await until('the one that is trusted to be looked at again', () => read('ann') >= 3)
  expect(read('stranger')).toBe(0)
})
