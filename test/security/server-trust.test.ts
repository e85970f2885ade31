// Who is trusted at some servers only: for them there are no others, on whatever way they come.
import { describe, expect, onTestFinished, test } from 'vitest'

import type { NamedServer } from '../../src/openmcp/servers.ts'
import { addTrust, removeTrust } from '../../src/policy/rules.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { keyOf, keyProver } from '../api-keys/stage.ts'
import { holder, type Holder } from '../support/did.ts'
import { at, type Json } from '../support/json.ts'
import { INITIALIZED, callMessage, initializeMessage } from '../support/openmcp.ts'
import { bearer, secured, toolServer, type Secured } from '../support/secured.ts'
import { until } from '../support/until.ts'
import { upstream, type Upstream } from '../support/upstream.ts'
import { ask, MODERN, open, type Answer } from '../support/wire.ts'

const OPENING = initializeMessage(1)
type Headers = Readonly<Record<string, string>>

interface Stage {
  s: Secured
  behind: Readonly<Record<string, Upstream>>
  ann: Holder
  /** With a token for all that there is. */
  headers: Headers
  to(path: string): URL
  post(path: string, body: Json, headers?: Headers): Promise<Answer>
}

/** Ann may use git alone, of the root, git and mail. */
async function stage({ servers = ['git'], more = {} }: { servers?: readonly string[]; more?: Parameters<typeof secured>[0] } = {}): Promise<Stage> {
  const behind = { git: await upstream(toolServer), mail: await upstream(toolServer) }
  onTestFinished(async () => void (await Promise.all(Object.values(behind).map(({ stop }) => stop()))))
  const named = Object.entries(behind).map(([name, { origin }]): NamedServer => ({
    name,
    target: { kind: 'remote', urls: [new URL('/mcp', origin)], transport: 'http', headers: {} },
    isolation: 'session',
    limits: DEFAULT_LIMITS,
  }))
  const ann = await holder()
  const s = await secured({ durable: true, trusted: [], ...more, options: { servers: named, ...more.options } })
  await s.otherProcess().then((store) => addTrust(store, { id: ann.did, servers }))
  let headers: Headers | undefined
  await until('the rule', async () => {
    headers = await s.token(ann, { form: { resource: s.base } }).then(bearer, () => undefined)
    return headers !== undefined
  })
  const to = (path: string): URL => new URL(`${s.base}${path}`)
  return { s, behind, ann, headers: headers ?? {}, to, post: (path, body, own = {}) => ask(to(path), { headers: { ...headers, ...own }, body }) }
}

const asked = ({ received }: Upstream): unknown[] =>
  received.map(({ body }) => body['method']).filter((method) => method !== 'server/discover' && method !== undefined)

describe('for whoever is trusted at one server', () => {
  const HIDDEN = ['/mcp', '/servers/mail/mcp']

  test('the others are as those that there are none of, on every way in, and nothing reaches them', async () => {
    const { behind, s, to, headers, post } = await stage()
    const none = await post('/servers/none/mcp', OPENING)
    expect([none.status, at(none.json, 'error', 'message')]).toEqual([404, expect.stringContaining('there is no such server here')])
    const told = ({ status, text, headers: { date: _date, ...rest } }: Answer): unknown => ({ status, text, rest })
    for (const path of HIDDEN) {
      expect(told(await post(path, OPENING))).toEqual(told(none))
      for (const how of [{ method: 'GET' }, { method: 'DELETE' }, { method: 'PUT' }, { method: 'POST', body: 'no JSON' }]) {
        const [here, there] = [await ask(to(path), { headers, ...how }), await ask(to('/servers/none/mcp'), { headers, ...how })]
        expect(told(here)).toEqual(told(there))
      }
      const sse = path.replace(/mcp$/, 'sse')
      expect(told(await ask(to(sse), { headers }))).toEqual(told(await ask(to('/servers/none/sse'), { headers })))
      const messages = path.replace(/mcp$/, 'messages?sessionId=x')
      expect(told(await post(messages, callMessage(1, 'echo')))).toEqual(told(await post('/servers/none/messages?sessionId=x', callMessage(1, 'echo'))))
      const meta = { 'io.modelcontextprotocol/protocolVersion': MODERN, 'io.modelcontextprotocol/clientCapabilities': {} }
      const modern = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'echo', _meta: meta } }
      expect((await post(path, modern, { 'mcp-protocol-version': MODERN, 'mcp-method': 'tools/call', 'mcp-name': 'echo' })).status).toBe(404)
    }
    expect((await post('/servers/git/mcp', OPENING)).status).toBe(200)
    expect([asked(behind['mail']!), s.reached()]).toEqual([[], []])
    expect(asked(behind['git']!)).toEqual(['initialize'])
  })

  test('/status names that one alone, and to nobody it names any', async () => {
    const { to, headers } = await stage()
    const shown = (await ask(to('/status'), { headers })).json
    expect([shown['server_instances'], Object.keys(at(shown, 'servers') as object)]).toEqual([{ git: 'running' }, ['git']])
    expect(Object.keys((await ask(to('/status'))).json).toSorted()).toEqual(['sessions', 'streams', 'upstreams'])
  })

  test('a session of the one is none at another, whoever may use both', async () => {
    const { post } = await stage({ servers: ['git', 'mail'] })
    const id = String((await post('/servers/git/mcp', OPENING)).headers['mcp-session-id'])
    expect((await post('/servers/git/mcp', INITIALIZED, { 'mcp-session-id': id })).status).toBe(202)
    const strange = await post('/servers/mail/mcp', callMessage(2, 'echo'), { 'mcp-session-id': id })
    const unknown = await post('/servers/mail/mcp', callMessage(2, 'echo'), { 'mcp-session-id': `${id.slice(0, -1)}_` })
    expect([strange.status, strange.text]).toEqual([404, unknown.text])
  })

  test('nor is one of the older HTTP at the messages of another, or of the root', async () => {
    const { s, behind, to, headers, post } = await stage({ servers: ['git', 'mail', 'test'] })
    const stream = await open(to('/servers/git/sse'), { headers: { ...headers, accept: 'text/event-stream' } })
    const endpoint = await until('the endpoint', () => stream.events[0]?.data)
    const query = endpoint.slice(endpoint.indexOf('?'))
    expect(endpoint.startsWith('/servers/git/messages?')).toBe(true)
    s.reached()
    for (const path of ['/messages', '/message', '/servers/mail/messages', '/servers/mail/message']) {
      const [strange, unknown] = [
        await post(`${path}${query}`, callMessage(2, 'echo')),
        await post(`${path}?sessionId=${'a'.repeat(43)}`, callMessage(2, 'echo')),
      ]
      expect([strange.status, strange.text]).toEqual([404, unknown.text])
    }
    expect([asked(behind['mail']!), s.reached()]).toEqual([[], []])
    expect((await post(endpoint, callMessage(2, 'echo'))).status).toBe(202)
  })

  test('a key of an identity opens no more than the identity may, and one of the operator opens all', async () => {
    const key = 'a'.repeat(40)
    const { s, behind, post } = await stage({ more: { security: { apiKeys: [key] } } })
    const prover = keyProver()
    await addTrust(await s.otherProcess(), { id: prover.did, servers: ['git'] })
    const { secret } = await until('the rule', () => keyOf(s, prover).catch(() => undefined))
    for (const path of HIDDEN) expect((await post(path, OPENING, { authorization: `Bearer ${secret}` })).status).toBe(404)
    expect([asked(behind['mail']!), s.reached()]).toEqual([[], []])
    expect((await post('/servers/git/mcp', OPENING, { authorization: `Bearer ${secret}` })).status).toBe(200)
    for (const path of [...HIDDEN, '/servers/git/mcp']) expect((await post(path, OPENING, { authorization: `Bearer ${key}` })).status).toBe(200)
  })
})

describe('when trust at a server ends', () => {
  test('what is open there ends within a second, and what is open at another goes on', async () => {
    const { s, ann, post, to, headers } = await stage({ servers: ['git', 'mail'] })
    const sessions = await Promise.all(['git', 'mail'].map(async (name) => String((await post(`/servers/${name}/mcp`, OPENING)).headers['mcp-session-id'])))
    const listen = (name: string, id: string | undefined): ReturnType<typeof open> =>
      open(to(`/servers/${name}/mcp`), { headers: { ...headers, accept: 'text/event-stream', 'mcp-session-id': id ?? '' } })
    const [git, mail] = [await listen('git', sessions[0]), await listen('mail', sessions[1])]
    const sse = await open(to('/servers/mail/sse'), { headers: { ...headers, accept: 'text/event-stream' } })
    const store = await s.otherProcess()
    await addTrust(store, { id: ann.did, servers: ['git'] })
    await until('their end', () => mail.over !== undefined && sse.over !== undefined)
    expect(git.over).toBeUndefined()
    expect((await post('/servers/mail/mcp', callMessage(2, 'echo'), { 'mcp-session-id': sessions[1] ?? '' })).status).toBe(404)
    expect((await post('/servers/git/mcp', callMessage(2, 'echo'), { 'mcp-session-id': sessions[0] ?? '' })).status).toBe(200)
    await addTrust(store, { id: ann.did })
    await until('all again', async () => (await post('/servers/mail/mcp', OPENING)).status === 200)
    expect((await post('/servers/mail/mcp', callMessage(2, 'echo'), { 'mcp-session-id': sessions[1] ?? '' })).status).toBe(404)
    await removeTrust(store, ann.did)
    await until('the end of all', () => git.over !== undefined)
  })
})
