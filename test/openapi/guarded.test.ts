// Whoever calls a tool by plain HTTP has to prove who they are, and may what they may by MCP.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'

import { member, tools } from '../openmcp/several.ts'
import { running } from '../openmcp/stage.ts'
import { assertionClaims, holder } from '../support/did.ts'
import { at, type Json } from '../support/json.ts'
import { bearer, JWT_BEARER, secured, type Secured } from '../support/secured.ts'
import { ask } from '../support/wire.ts'

const calls = ({ upstream: { received } }: Secured): unknown[] =>
  received.filter(({ body }) => body['method'] === 'tools/call').map(({ body }) => at(body, 'params', 'name'))

const pathsOf = (json: Json): string[] => Object.keys(at(json, 'paths') ?? {})

test.each([
  ['POST', '/tools/echo'],
  ['POST', '/echo'],
  ['POST', '/servers/test/tools/echo'],
  ['POST', '/test/echo'],
  ['GET', '/openapi.json'],
  ['GET', '/servers/test/openapi.json'],
  ['GET', '/test/openapi.json'],
  ['GET', '/prompts/echo'],
  ['GET', '/resources/echo'],
])('%s %s is for callers', async (method, path) => {
  const proxy = await secured({ options: { openapi: {} } })
  for (const headers of [{}, { authorization: 'Bearer nothing' }]) {
    const answer = await ask(new URL(proxy.base + path), { method, headers, ...(method === 'POST' && { body: {} }) })
    expect([answer.status, at(answer.json, 'detail', 'code')]).toEqual([401, 'unauthorized'])
    expect(answer.headers['www-authenticate']).toContain('resource_metadata=')
  }
  expect(proxy.reached()).toEqual([])
})

describe('a caller that may use one tool of two', () => {
  const limited = async (): Promise<{ proxy: Secured; headers: Readonly<Record<string, string>> }> => {
    const who = await holder()
    const proxy = await secured({ options: { openapi: {} }, trusted: [{ id: who.did, tools: ['echo'] }] })
    return { proxy, headers: bearer(await proxy.token(who)) }
  }

  test('finds the other neither in the document nor by its name', async () => {
    const { proxy, headers } = await limited()
    const document = await ask(new URL(`${proxy.base}/openapi.json`), { headers })
    expect([document.status, pathsOf(document.json)]).toEqual([200, ['/tools/echo']])
    const refused = await ask(new URL(`${proxy.base}/tools/secret`), { headers, body: {} })
    const unknown = await ask(new URL(`${proxy.base}/tools/nothing`), { headers, body: {} })
    expect([refused.status, refused.json]).toEqual([404, unknown.json])
    expect((await ask(new URL(`${proxy.base}/tools/echo`), { headers, body: {} })).status).toBe(200)
    expect(calls(proxy)).toEqual(['echo'])
  })

  test('has a document of its own', async () => {
    const [one, all] = await Promise.all([holder(), holder()])
    const proxy = await secured({ options: { openapi: {} }, trusted: [{ id: one.did, tools: ['echo'] }, all.did] })
    const seen: string[][] = []
    for (const who of [one, all, one]) {
      const { json, headers } = await ask(new URL(`${proxy.base}/openapi.json`), { headers: bearer(await proxy.token(who)) })
      seen.push(pathsOf(json))
      expect(headers['cache-control']).toContain('private')
    }
    expect(seen).toEqual([['/tools/echo'], ['/tools/echo', '/tools/secret'], ['/tools/echo']])
  })
})

test('a token that is not for tools is not for these, and the challenge says what is', async () => {
  const who = await holder()
  const proxy = await secured({ options: { openapi: {} }, trusted: [who.did] })
  const headers = bearer(await proxy.token(who, { form: { scope: 'mcp:resources' } }))
  for (const asked of [{ path: '/tools/echo', body: {} }, { path: '/openapi.json' }]) {
    const { path, ...how } = asked
    const answer = await ask(new URL(proxy.base + path), { headers, ...how })
    expect([answer.status, at(answer.json, 'detail', 'code')]).toEqual([403, 'insufficient_scope'])
    expect(answer.headers['www-authenticate']).toContain('scope="mcp:tools"')
  }
  expect(calls(proxy)).toEqual([])
})

test('callers share no session with the server, and whoever is trusted no more has none', async () => {
  const people = await Promise.all([holder(), holder()])
  const [ann, bob] = people
  const proxy = await secured({ options: { openapi: {} }, trusted: people.map(({ did }) => did) })
  const call = async (who: typeof ann): Promise<number> =>
    (await ask(new URL(`${proxy.base}/tools/echo`), { headers: bearer(await proxy.token(who)), body: {} })).status
  expect([await call(ann), await call(bob), await call(ann)]).toEqual([200, 200, 200])
  const initialized = proxy.upstream.received.filter(({ body }) => body['method'] === 'initialize')
  expect(initialized).toHaveLength(2)
  const token = await proxy.token(ann)
  await proxy.configure({ identities: [{ id: bob.did }], issuers: [], selfIssued: true })
  expect((await ask(new URL(`${proxy.base}/tools/echo`), { headers: bearer(token), body: {} })).status).toBe(401)
})

test('what proves the caller to us goes no further', async () => {
  const who = await holder()
  const proxy = await secured({ options: { openapi: {} }, trusted: [who.did] })
  await ask(new URL(`${proxy.base}/tools/echo`), { headers: { ...bearer(await proxy.token(who)), cookie: 'a=b' }, body: {} })
  for (const { headers } of proxy.reached()) expect([headers.authorization, headers.cookie]).toEqual([undefined, undefined])
})

test('a page of somebody else may not call', async () => {
  const proxy = await secured({ options: { openapi: {} } })
  expect((await ask(new URL(`${proxy.base}/tools/echo`), { headers: { origin: 'https://evil.example' }, body: {} })).status).toBe(403)
  expect(proxy.reached()).toEqual([])
})

test('where no server is at the root, the document there names a token for all of them, and that of a server one for it', async () => {
  const { server } = await member('one', tools(['echo']))
  const home = await mkdtemp(join(tmpdir(), 'openmcp-'))
  onTestFinished(() => rm(home, { recursive: true, force: true }))
  const who = await holder()
  const { proxy, at: under } = await running([{ ...server, openapi: {} }], [], {
    security: {
      keys: home,
      store: 'memory:',
      apiKeys: [],
      tokenSeconds: 900,
      dpop: 'optional',
      trustLoopback: true,
      didSeconds: 60,
      trust: { identities: [{ id: who.did }], issuers: [], selfIssued: true },
    },
  })
  const base = proxy.url?.origin ?? ''
  const metadataAt = async (path: string): Promise<Json> => {
    const { headers } = await ask(under(path))
    return (await ask(new URL(/resource_metadata="([^"]+)"/.exec(String(headers['www-authenticate']))?.[1] ?? ''))).json
  }
  expect((await metadataAt('/openapi.json'))['resource']).toBe(base)
  expect((await metadataAt('/servers/one/openapi.json'))['resource']).toBe(`${base}/servers/one/mcp`)
  const call = async (resource: string): Promise<number> => {
    const assertion = await who.sign(assertionClaims(who.did, base))
    const form = new URLSearchParams({ grant_type: JWT_BEARER, assertion, resource })
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const { json } = await ask(under('/token'), { method: 'POST', headers, body: form.toString() })
    return (await ask(under('/servers/one/tools/echo'), { headers: bearer(String(json['access_token'])), body: {} })).status
  }
  expect([await call(base), await call(`${base}/servers/one/mcp`), await call(`${base}/mcp`)]).toEqual([200, 200, 401])
})
