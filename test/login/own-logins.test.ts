// Logins of callers' own, as they are begun and kept: whom we send people and secrets to, and what two processes make of one login.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'

import { createOwnLogins, type OwnLogins, type OwnLoginsOptions } from '../../src/login/own-logins.ts'
import { createLog } from '../../src/observe/log.ts'
import { oidcUpstream } from '../support/oidc-upstream.ts'
import { allowed, surfer } from '../support/own-login.ts'
import { forThisTest } from '../support/tidy.ts'

const RESOURCE = new URL('https://mcp.example.com/mcp')
const HOW = { redirectUri: 'https://us.example/oauth/far/callback', state: 's' }
const LOG = createLog({ level: 'error', format: 'text', write: () => {}, now: Date.now })

function ownLogins(more: Partial<OwnLoginsOptions> & Pick<OwnLoginsOptions, 'fetch'>): OwnLogins {
  return createOwnLogins({ server: 'far', address: RESOURCE, directory: '/nowhere', client: { id: 'us' }, now: Date.now, log: LOG, ...more })
}

/** A web in which there is this resource, and the issuer that it names at the moment. */
interface Web {
  readonly fetch: (input: string | URL | Request) => Promise<Response>
  named: string
  readonly asked: string[]
}

function webOf(metadata: object): Web {
  const web: Web = {
    named: 'https://id.example',
    asked: [],
    fetch(input) {
      const { url } = new Request(input)
      web.asked.push(url)
      const { named } = web
      if (url === RESOURCE.href) return Promise.resolve(new Response(null, { status: 401, headers: { 'www-authenticate': 'Bearer' } }))
      if (url === 'https://mcp.example.com/.well-known/oauth-protected-resource/mcp') {
        return Promise.resolve(Response.json({ resource: RESOURCE.href, authorization_servers: [named] }))
      }
      const server = { issuer: named, authorization_endpoint: `${named}/authorize`, token_endpoint: `${named}/token`, ...metadata }
      const isIts = url === `${named}/.well-known/oauth-authorization-server`
      return Promise.resolve(isIts ? Response.json(server) : Response.json({}, { status: 404 }))
    },
  }
  return web
}

describe('an issuer that does not say that it has PKCE', () => {
  test('is sent nobody', async () => {
    await expect(ownLogins(webOf({})).begin(HOW)).rejects.toMatchObject({ code: 'login_failed', hint: expect.stringContaining('oauth.trustPkce') })
  })

  test('is sent people, with a challenge, where its operator vouches for it', async () => {
    const { url } = await ownLogins({ ...webOf({}), isPkceTrusted: true }).begin(HOW)
    expect([url.origin, url.searchParams.get('code_challenge_method')]).toEqual(['https://id.example', 'S256'])
  })

  test('is sent nobody where it says that it has another kind', async () => {
    const own = ownLogins({ ...webOf({ code_challenge_methods_supported: ['plain'] }), isPkceTrusted: true })
    await expect(own.begin(HOW)).rejects.toMatchObject({ code: 'login_failed' })
  })
})

test('the secret of a client is for the issuer that was named first, and a server that names another gets nobody sent there', async () => {
  const web = webOf({ code_challenge_methods_supported: ['S256'] })
  const own = ownLogins({ fetch: web.fetch, client: { id: 'us', secret: 'canary' } })
  await own.begin(HOW)
  web.named = 'https://evil.example'
  await expect(own.begin(HOW)).rejects.toMatchObject({ code: 'login_failed', message: expect.stringContaining('names another issuer than before') })
  web.named = 'https://id.example'
  await own.begin(HOW)
  expect(web.asked).not.toContain('https://evil.example/token')
  // Who has no secret has none to lose.
  const open = ownLogins({ fetch: web.fetch })
  await open.begin(HOW)
  web.named = 'https://other.example'
  expect((await open.begin(HOW)).url.origin).toBe('https://other.example')
})

test('two processes with one store renew a login once', async () => {
  const far = await forThisTest(oidcUpstream())
  const directory = await mkdtemp(join(tmpdir(), 'openmcp-own-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  let later = 0
  const now = (): number => Date.now() + later
  const one = (): OwnLogins => ownLogins({ address: far.url, directory, client: {}, fetch, now })
  const [here, there] = [one(), one()]
  const redirectUri = 'http://127.0.0.1:1/callback'
  const begun = await here.begin({ redirectUri, state: 'state-of-this-one' })
  await here.finish('ann', begun, (await allowed(surfer('ann'), begun.url)).searchParams)
  const headers = async (own: OwnLogins): Promise<unknown> =>
    (await own.credentialOf('ann', 'https://us.example').headers({ method: 'POST', url: far.url }))['authorization']
  const first = await headers(here)
  later = 3_601_000
  const all = await Promise.all([headers(here), headers(there), headers(here), headers(there)])
  expect(new Set(all).size).toBe(1)
  expect(all[0]).not.toBe(first)
  expect([far.given, far.refused, far.revoked]).toEqual([['authorization_code', 'refresh_token'], [], []])
  // What the one forgets, the other has not either.
  await here.forget('ann')
  await expect(headers(there)).rejects.toMatchObject({ code: 'login_needed' })
})
