// Issuers as they are met: where their metadata is, how they spell themselves, and what they leave out.
import { describe, expect, test } from 'vitest'
import { logIn } from '../../src/login/log-in.ts'
import type { Invitation } from '../../src/login/wait-for-code.ts'
import { refusalOf } from './refusal.ts'

const RESOURCE = 'https://mcp.example.com/mcp'

interface Shape {
  /** As the resource names it; undefined: the resource has no metadata. */
  named?: string
  /** Where its metadata is. Everything else there is 404. */
  at: string
  metadata: Record<string, unknown>
  /** Of the resource, as its metadata spells it. */
  resource?: string
  trustsPkce?: boolean
}

const S256 = { code_challenge_methods_supported: ['S256'] }
const ENTRA = 'https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555'
const OKTA = 'https://dev-1.okta.com/oauth2/default'
const AUTH0 = 'https://people.eu.auth0.com'
const KEYCLOAK = 'https://id.example/realms/people'
const COGNITO = 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc'

const SHAPES: Readonly<Record<string, Shape & { expected: { issuer: string; page: string } }>> = {
  'Entra: a path, OpenID appended, nothing said of PKCE': {
    named: `${ENTRA}/v2.0`,
    at: `${ENTRA}/v2.0/.well-known/openid-configuration`,
    metadata: { issuer: `${ENTRA}/v2.0`, authorization_endpoint: `${ENTRA}/oauth2/v2.0/authorize`, token_endpoint: `${ENTRA}/oauth2/v2.0/token` },
    trustsPkce: true,
    expected: { issuer: `${ENTRA}/v2.0`, page: `${ENTRA}/oauth2/v2.0/authorize` },
  },
  'Okta: a custom authorization server, OpenID appended': {
    named: OKTA,
    at: `${OKTA}/.well-known/openid-configuration`,
    metadata: { issuer: OKTA, authorization_endpoint: `${OKTA}/v1/authorize`, token_endpoint: `${OKTA}/v1/token`, ...S256 },
    expected: { issuer: OKTA, page: `${OKTA}/v1/authorize` },
  },
  'Auth0: a slash at the end, which the resource leaves out': {
    named: AUTH0,
    at: `${AUTH0}/.well-known/oauth-authorization-server`,
    metadata: { issuer: `${AUTH0}/`, authorization_endpoint: `${AUTH0}/authorize`, token_endpoint: `${AUTH0}/oauth/token`, ...S256 },
    expected: { issuer: `${AUTH0}/`, page: `${AUTH0}/authorize` },
  },
  'Auth0: OpenID alone': {
    named: `${AUTH0}/`,
    at: `${AUTH0}/.well-known/openid-configuration`,
    metadata: { issuer: `${AUTH0}/`, authorization_endpoint: `${AUTH0}/authorize`, token_endpoint: `${AUTH0}/oauth/token`, ...S256 },
    expected: { issuer: `${AUTH0}/`, page: `${AUTH0}/authorize` },
  },
  'Keycloak: a realm, OpenID appended': {
    named: KEYCLOAK,
    at: `${KEYCLOAK}/.well-known/openid-configuration`,
    metadata: {
      issuer: KEYCLOAK,
      authorization_endpoint: `${KEYCLOAK}/protocol/openid-connect/auth`,
      token_endpoint: `${KEYCLOAK}/protocol/openid-connect/token`,
      code_challenge_methods_supported: ['plain', 'S256'],
    },
    expected: { issuer: KEYCLOAK, page: `${KEYCLOAK}/protocol/openid-connect/auth` },
  },
  'Keycloak: a realm, RFC 8414 inserted': {
    named: KEYCLOAK,
    at: 'https://id.example/.well-known/oauth-authorization-server/realms/people',
    metadata: { issuer: KEYCLOAK, authorization_endpoint: `${KEYCLOAK}/auth`, token_endpoint: `${KEYCLOAK}/token`, ...S256 },
    expected: { issuer: KEYCLOAK, page: `${KEYCLOAK}/auth` },
  },
  'authentik: a path with a slash at its end': {
    named: 'https://id.example/application/o/mcp/',
    at: 'https://id.example/application/o/mcp/.well-known/openid-configuration',
    metadata: {
      issuer: 'https://id.example/application/o/mcp/',
      authorization_endpoint: 'https://id.example/application/o/authorize/',
      token_endpoint: 'https://id.example/application/o/token/',
      ...S256,
    },
    expected: { issuer: 'https://id.example/application/o/mcp/', page: 'https://id.example/application/o/authorize/' },
  },
  'a path, OpenID inserted': {
    named: 'https://id.example/tenant',
    at: 'https://id.example/.well-known/openid-configuration/tenant',
    metadata: { issuer: 'https://id.example/tenant', authorization_endpoint: 'https://id.example/a', token_endpoint: 'https://id.example/t', ...S256 },
    expected: { issuer: 'https://id.example/tenant', page: 'https://id.example/a' },
  },
  'Google: endpoints at other hosts': {
    named: 'https://accounts.google.com',
    at: 'https://accounts.google.com/.well-known/openid-configuration',
    metadata: {
      issuer: 'https://accounts.google.com',
      authorization_endpoint: 'https://accounts.google.com/o/oauth2/v2/auth',
      token_endpoint: 'https://oauth2.googleapis.com/token',
      code_challenge_methods_supported: ['plain', 'S256'],
    },
    expected: { issuer: 'https://accounts.google.com', page: 'https://accounts.google.com/o/oauth2/v2/auth' },
  },
  'Cognito: pages at another host, nothing said of PKCE': {
    named: COGNITO,
    at: `${COGNITO}/.well-known/openid-configuration`,
    metadata: {
      issuer: COGNITO,
      authorization_endpoint: 'https://people.auth.eu-west-1.amazoncognito.com/oauth2/authorize',
      token_endpoint: 'https://people.auth.eu-west-1.amazoncognito.com/oauth2/token',
    },
    trustsPkce: true,
    expected: { issuer: COGNITO, page: 'https://people.auth.eu-west-1.amazoncognito.com/oauth2/authorize' },
  },
  'a resource that spells itself with a slash at its end': {
    named: 'https://id.example',
    at: 'https://id.example/.well-known/oauth-authorization-server',
    metadata: { issuer: 'https://id.example', authorization_endpoint: 'https://id.example/a', token_endpoint: 'https://id.example/t', ...S256 },
    resource: `${RESOURCE}/`,
    expected: { issuer: 'https://id.example', page: 'https://id.example/a' },
  },
  'a server of 2025-03-26, which is its own issuer': {
    at: 'https://mcp.example.com/.well-known/oauth-authorization-server',
    metadata: {
      issuer: 'https://mcp.example.com',
      authorization_endpoint: 'https://mcp.example.com/authorize',
      token_endpoint: 'https://mcp.example.com/token',
      ...S256,
    },
    expected: { issuer: 'https://mcp.example.com', page: 'https://mcp.example.com/authorize' },
  },
}

/** A web in which there is only this. Its requests, in order. */
function webOf({ named, at, metadata, resource = RESOURCE }: Shape): { fetch: typeof globalThis.fetch; asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    fetch: (input) => {
      const url = new Request(input).url
      asked.push(url)
      if (url === RESOURCE) return Promise.resolve(new Response(null, { status: 401, headers: { 'www-authenticate': 'Bearer' } }))
      const isOwn = named !== undefined && url === 'https://mcp.example.com/.well-known/oauth-protected-resource/mcp'
      if (isOwn) return Promise.resolve(Response.json({ resource, authorization_servers: [named] }))
      return Promise.resolve(url === at ? Response.json(metadata) : Response.json({}, { status: 404 }))
    },
  }
}

/** Where the person is sent. */
async function sentBy(shape: Shape): Promise<Invitation & { asked: string[] }> {
  const { fetch, asked } = webOf(shape)
  const ending = new AbortController()
  let shown: Invitation | undefined
  const person = {
    show(invitation: Invitation) {
      shown = invitation
      ending.abort(new Error('enough was seen'))
    },
    onPasted: () => () => {},
    tellWrong: () => {},
  }
  const options = { resource: new URL(RESOURCE), client: { id: 'mine' }, bound: false, isPkceTrusted: shape.trustsPkce, now: Date.now, signal: ending.signal }
  await logIn({ ...options, person, fetch }).catch((thrown: unknown) => {
    if (!shown) throw thrown
  })
  if (!shown) throw new Error('nobody was sent anywhere')
  return { ...shown, asked }
}

describe('a login finds', () => {
  test.each(Object.entries(SHAPES))('%s', async (_name, { expected, ...shape }) => {
    const { issuer, url, asked } = await sentBy(shape)
    expect({ issuer, page: `${url.origin}${url.pathname}` }).toEqual(expected)
    expect(url.searchParams.get('resource')).toBe(shape.resource ?? RESOURCE)
    // Nothing is asked after it was found, and nobody but the resource and its issuer is asked anything.
    expect(asked.at(-1)).toBe(shape.at)
    const known = [RESOURCE, shape.named ?? RESOURCE].map((each) => new URL(each).origin)
    expect(asked.filter((each) => !known.includes(new URL(each).origin))).toEqual([])
  })
})

describe('a login does not begin', () => {
  const { expected: _, ...good } = SHAPES['a path, OpenID inserted'] ?? { at: '', metadata: {}, expected: {} }

  test.each<[string, Shape, RegExp]>([
    [
      'where the tenant of an issuer is a gap to fill',
      { ...good, metadata: { ...good.metadata, issuer: 'https://id.example/{tenantid}' } },
      /speaks of another issuer/,
    ],
    ['where a path is spelt in other letters', { ...good, metadata: { ...good.metadata, issuer: 'https://id.example/Tenant' } }, /speaks of another issuer/],
    [
      'where a slash at the end of a path is in one spelling alone',
      { ...good, metadata: { ...good.metadata, issuer: 'https://id.example/tenant/' } },
      /another issuer/,
    ],
    [
      'where nothing is said of PKCE and nobody vouches for it',
      { ...good, metadata: { ...good.metadata, code_challenge_methods_supported: undefined } },
      /PKCE S256/,
    ],
    [
      'where PKCE is said to be another, though somebody vouches for it',
      { ...good, metadata: { ...good.metadata, code_challenge_methods_supported: ['plain'] }, trustsPkce: true },
      /PKCE S256/,
    ],
    ['where a page would be a file', { ...good, metadata: { ...good.metadata, authorization_endpoint: 'file:///etc/passwd' } }, /is not reached over https/],
    [
      'where a page would be on this machine',
      { ...good, metadata: { ...good.metadata, authorization_endpoint: 'http://127.0.0.1/a' } },
      /would be on this machine/,
    ],
    [
      'where a server that is its own issuer names another',
      { at: 'https://mcp.example.com/.well-known/oauth-authorization-server', metadata: good.metadata },
      /speaks of another issuer/,
    ],
  ])('%s', async (_name, shape, words) => {
    const { message, code } = await refusalOf(sentBy(shape))
    expect({ message, code }).toEqual({ message: expect.stringMatching(words), code: 'login_failed' })
  })

  test('where metadata lead from one place to the next without an end', async () => {
    let count = 0
    const endless: typeof globalThis.fetch = () => {
      const location = `https://mcp.example.com/${++count}`
      const challenge = `Bearer resource_metadata="${location}"`
      return Promise.resolve(new Response(null, { status: count === 1 ? 401 : 302, headers: { location, 'www-authenticate': challenge } }))
    }
    const person = { show: () => {}, onPasted: () => () => {}, tellWrong: () => {} }
    const asked = logIn({ resource: new URL(RESOURCE), client: {}, bound: false, person, fetch: endless, now: Date.now, signal: new AbortController().signal })
    expect((await refusalOf(asked)).message).toContain('follows no redirect')
    expect(count).toBeLessThanOrEqual(5)
  })
})
