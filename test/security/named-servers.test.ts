// What somebody may who has a token for one of several servers.
import { expect, onTestFinished, test } from 'vitest'

import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import type { NamedServer } from '../../src/openmcp/servers.ts'
import { holder } from '../support/did.ts'
import { at } from '../support/json.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { bearer, secured, toolServer, type Secured } from '../support/secured.ts'
import { upstream, type Upstream } from '../support/upstream.ts'
import { ask } from '../support/wire.ts'

const OPENING = initializeMessage(1)
const NAMED = ['git', 'mail']

/** The root and two named servers, each in front of an upstream of its own. */
async function three(): Promise<{ s: Secured; behind: readonly Upstream[]; reached(): string[]; token(path: string): Promise<string> }> {
  const behind = await Promise.all(NAMED.map(() => upstream(toolServer)))
  onTestFinished(async () => void (await Promise.all(behind.map(({ stop }) => stop()))))
  const servers = NAMED.map((name, index): NamedServer => {
    const url = new URL('/mcp', behind[index]?.origin)
    return { name, target: { kind: 'remote', urls: [url], transport: 'http', headers: {} }, isolation: 'session', limits: DEFAULT_LIMITS }
  })
  const ann = await holder()
  const s = await secured({ trusted: [ann.did], options: { servers } })
  return {
    s,
    behind,
    reached: () => [s.upstream, ...behind].flatMap(({ received }, index) => (received.length > 0 ? [['root', ...NAMED][index] ?? ''] : [])),
    token: (path) => s.token(ann, { form: { resource: `${s.base}${path}` } }),
  }
}

const PATHS = ['/mcp', '/servers/git/mcp', '/servers/mail/mcp']

test.each([
  ['/mcp', [200, 401, 401]],
  ['/sse', [200, 401, 401]],
  ['/servers/git/mcp', [401, 200, 401]],
  ['/servers/git/sse', [401, 200, 401]],
  ['/servers/git', [401, 200, 401]],
  ['/servers/g%69t/mcp', [401, 200, 401]],
  ['/servers/mail/mcp', [401, 401, 200]],
  ['/servers/none/mcp', [401, 401, 401]],
  ['', [200, 200, 200]],
])('a token for %s opens what it is for', async (resource, expected) => {
  const { s, reached, token } = await three()
  const headers = bearer(await token(resource))
  const statuses: number[] = []
  for (const path of PATHS) statuses.push((await ask(new URL(`${s.base}${path}`), { headers, body: OPENING })).status)
  expect(statuses).toEqual(expected)
  expect(reached()).toEqual(['root', ...NAMED].filter((_name, index) => expected[index] === 200))
})

test.each(['/servers/git/mcp/x', '/servers/git/tools', '/servers/a%2fb/mcp', '/servers//mcp', '/servers/../mcp/mcp', '/servers/git/mcp?x=1'])(
  'there is no token for %s',
  async (resource) => {
    const { token } = await three()
    await expect(token(resource)).rejects.toThrow('invalid_target')
  },
)

test('a client finds its way to a token from the door of a named server, and the document says which', async () => {
  const { s, token } = await three()
  const { status, headers } = await ask(new URL(`${s.base}/servers/git/mcp`), { headers: bearer(await token('/mcp')), body: OPENING })
  const [, metadata = ''] = /resource_metadata="([^"]+)"/.exec(headers['www-authenticate'] ?? '') ?? []
  expect([status, metadata]).toEqual([401, `${s.base}/.well-known/oauth-protected-resource/servers/git/mcp`])
  expect((await ask(new URL(metadata))).json).toMatchObject({ resource: `${s.base}/servers/git/mcp`, authorization_servers: [s.base] })
})

test('whether there is a server of a name is told to nobody without a token for it', async () => {
  const { s, token } = await three()
  const words = async (path: string, headers = {}): Promise<string> => {
    const { status, text } = await ask(new URL(`${s.base}${path}`), { headers, body: OPENING })
    return `${status} ${text}`
  }
  expect(await words('/servers/none/mcp')).toBe(await words('/servers/git/mcp'))
  const forRoot = bearer(await token('/mcp'))
  expect(await words('/servers/none/mcp', forRoot)).toBe(await words('/servers/git/mcp', forRoot))
  expect(await words('/servers/none/mcp', bearer(await token('')))).toMatch(/^404 /)
})

test('a token for one server does not show what else there is', async () => {
  const { s, token } = await three()
  const status = new URL(`${s.base}/status`)
  expect((await ask(status, { headers: bearer(await token('/servers/git/mcp')) })).status).toBe(401)
  expect(at((await ask(status, { headers: bearer(await token('')) })).json, 'server_instances')).toEqual({ test: 'running', git: 'running', mail: 'running' })
})
