// `oauth` of a server of the file: how we prove ourselves to it.
import { describe, expect, test } from 'vitest'
import { readArguments } from '../../src/cli/arguments.ts'
import { parseConfig } from '../../src/cli/config-file.ts'
import { RUN_OPTIONS } from '../../src/cli/option-table.ts'
import { createProver } from '../../src/cli/prove-servers.ts'
import { runOptions, type RunOptions } from '../../src/cli/run-options.ts'
import { fetchWith } from '../../src/login/credential-fetch.ts'
import { littleLogin } from '../login/little-login.ts'
import { refusalOf } from '../login/refusal.ts'
import { forThisTest } from '../support/tidy.ts'
import { SILENT } from '../upstream/scripted-pipe.ts'
import { machineWith } from './machine.ts'
import { refusalIn } from './refusal.ts'

const url = 'https://far.example/mcp'
const client = { clientId: 'us', clientSecret: '${SECRET}' }

function typed(entry: object, more: readonly string[] = []): RunOptions {
  const machine = machineWith({ env: { SECRET: 'shh-canary' }, files: { '/home/ann/c.json': JSON.stringify({ mcpServers: { far: { url, ...entry } } }) } })
  const absolute = {
    ...machine,
    resolve: (path: string) => (path.startsWith('/') ? path : machine.resolve(path)),
    readText: (path: string) => machine.readText(path.startsWith('/') ? path : machine.resolve(path)),
  }
  return runOptions(readArguments(['--config', 'c.json', '-p', '0', ...more], RUN_OPTIONS), absolute, parseConfig)
}

test('client_credentials is the client with its secret, and what it asks for', () => {
  const { servers, warnings } = typed({ oauth: { ...client, tokenUrl: 'https://id.example/token', scope: 'a b', resource: 'api://far' } })
  const proof = {
    id: 'us',
    secret: 'shh-canary',
    address: new URL(url),
    tokenUrl: new URL('https://id.example/token'),
    issuer: undefined,
    scope: 'a b',
    resource: 'api://far',
  }
  expect(servers).toMatchObject([{ name: 'far', proof: { client: proof } }])
  expect(warnings.join()).not.toContain('canary')
})

test('an issuer that is named is where the secret goes', () => {
  const { servers } = typed({ oauth: { ...client, grant: 'client_credentials', issuer: 'https://id.example/tenant' } })
  expect(servers).toMatchObject([{ proof: { client: { issuer: new URL('https://id.example/tenant'), tokenUrl: undefined } } }])
})

test.each([[{ oauth: { clientId: 'us' } }], [{ oauth: { grant: 'device' } }], [{}]])('%j is what a person has logged in for', (entry) => {
  expect(typed(entry).servers).toMatchObject([{ proof: { logins: { resource: new URL(url) } } }])
})

test('whoever has to log in is told to by the name of the server where the file says how, and by its address where it does not', async () => {
  const { resource } = await forThisTest(littleLogin())
  const hintOf = async (more: object): Promise<string | undefined> => {
    const [server] = await createProver(SILENT)(typed({ url: resource.href, ...more }).servers)
    if (!server?.credential) throw new Error('a server without a credential')
    const request = { method: 'POST', url: resource }
    return (await refusalOf(server.credential.refused(request, { status: 401, challenge: undefined, nonce: undefined, sent: {} }))).hint
  }
  expect(await hintOf({ oauth: { scope: 'a' } })).toBe('openmcp login far --config c.json')
  expect(await hintOf({})).toContain(`openmcp login ${resource.href}; or`)
})

test.each<[object, string]>([
  [{ oauth: { ...client, tokenUrl: 'https://id.example/token' }, tls: { verify: false } }, 'with tls.verify false nobody knows to whom'],
  [{ oauth: { clientId: 'us', clientSecret: 'canary\nx', tokenUrl: 'https://id.example/token' } }, 'oauth.clientSecret: must be one line'],
])('%j is refused', (entry, words) => {
  const { message, hint } = refusalIn('an entry', () => typed(entry))
  expect(message).toContain(words)
  expect(`${message} ${hint}`).not.toContain('canary')
})

test('two servers of one file have a token each, from where each is told', async () => {
  const issuers = await Promise.all([0, 1].map(() => forThisTest(littleLogin({ clients: { us: 'shh' } }))))
  const prove = createProver(SILENT)
  const servers = issuers.map(({ resource, origin }, index) => ({
    ...typed({}).servers[0]!,
    name: `s${index}`,
    proof: { client: { id: 'us', secret: 'shh', address: resource, tokenUrl: new URL('/token', origin) } },
  }))
  const proved = await prove(servers)
  for (const [index, { credential }] of proved.entries()) {
    const issuer = issuers[index]
    if (!credential || !issuer) throw new Error('a server without a credential')
    const fetched = fetchWith(
      { headers: async (request) => credential.headers(request), refused: (...about) => credential.refused(...about) },
      globalThis.fetch,
    )
    expect((await fetched(issuer.resource, { method: 'POST', body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }) })).status).toBe(200)
  }
  expect(issuers.map(({ forms, tokensSeen }) => [forms.length, tokensSeen.size])).toEqual([
    [1, 1],
    [1, 1],
  ])
})

describe('a login of each caller', () => {
  test.each([[{ per: 'caller', scope: 'a' }], [{ multi_user: true, scope: 'a' }]])(
    '%j is one of each, and never what somebody has logged in for at the terminal',
    (oauth) => {
      const [server] = typed({ oauth }, ['--security']).servers
      expect(server).toMatchObject({ own: { server: 'far', address: new URL(url), scope: 'a', directory: expect.stringMatching(/logins$/) } })
      expect(server?.proof).toBeUndefined()
    },
  )

  test('has the trust and the timeout that its file says', () => {
    const [server] = typed({ oauth: { per: 'caller', trustPkce: true, sessionTimeoutMinutes: 30 } }, ['--security']).servers
    expect(server).toMatchObject({ own: { isPkceTrusted: true, idleSeconds: 1800 } })
  })

  test.each([
    ['without --security', { oauth: { per: 'caller' } }, [], 'nobody is asked who they are'],
    ['at one server for all', { oauth: { per: 'caller' }, isolation: 'shared' }, ['--security'], 'shared is one for all'],
    ['at several addresses', { oauth: { per: 'caller' }, fallback: ['https://other.example/mcp'] }, ['--security'], 'caller is for one address'],
    ['where nobody knows who answers', { oauth: { per: 'caller' }, tls: { verify: false } }, ['--security'], 'nobody knows to whom'],
  ])('%s is a mistake', (where, entry, more, words) => {
    expect(refusalIn(where, () => typed(entry, more)).message).toContain(words)
  })
})
