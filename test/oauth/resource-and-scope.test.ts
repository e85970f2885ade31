// What a token is for: a resource of ours in one spelling, and scopes that trust gives.
import { decodeJwt } from 'jose'
import { describe, expect, test } from 'vitest'

import { assertionClaims, holder, type Holder } from '../support/did.ts'
import { JWT_BEARER, bearer, secured, type Secured } from '../support/secured.ts'
import { ask, type Answer } from '../support/wire.ts'

async function asked(s: Secured, who: Holder, form: Readonly<Record<string, string>>): Promise<Answer> {
  return s.post('/token', { grant_type: JWT_BEARER, assertion: await who.sign(assertionClaims(who.did, s.base)), ...form })
}

function audienceOf({ json }: Answer): unknown {
  return typeof json['access_token'] === 'string' ? decodeJwt(json['access_token']).aud : json['error']
}

describe.each(['', '/x'])('the resource, with the path prefix "%s"', (pathPrefix) => {
  test('is where MCP is served when nothing is said', async () => {
    const ann = await holder()
    const s = await secured({ trusted: [ann.did], listen: { pathPrefix } })
    for (const form of [{}, { resource: '' }, { audience: '' }]) expect(audienceOf(await asked(s, ann, form))).toBe(s.url.href)
  })

  test('is ours in every spelling, and one in the token', async () => {
    const ann = await holder()
    const s = await secured({ trusted: [ann.did], listen: { pathPrefix, allowHosts: ['Proxy.Example'] } })
    const { port } = s.url
    const spellings: Record<string, string> = {
      [`${s.base}/mcp`]: `${s.base}/mcp`,
      [`${s.base}/mcp/`]: `${s.base}/mcp`,
      [`${s.base}/sse`]: `${s.base}/sse`,
      [s.base]: s.base,
      [`${s.base}/`]: s.base,
      [`HTTP://127.0.0.1:${port}${pathPrefix}/mcp`]: `${s.base}/mcp`,
      [`http://127.1:${port}${pathPrefix}/mcp`]: `${s.base}/mcp`,
      [`http://LocalHost:${port}${pathPrefix}/mcp`]: `http://localhost:${port}${pathPrefix}/mcp`,
      [`http://[::1]:${port}${pathPrefix}/mcp`]: `http://[::1]:${port}${pathPrefix}/mcp`,
      [`http://proxy.example${pathPrefix}/mcp`]: `http://proxy.example${pathPrefix}/mcp`,
      [`http://proxy.example:80${pathPrefix}/mcp`]: `http://proxy.example${pathPrefix}/mcp`,
    }
    for (const [resource, audience] of Object.entries(spellings)) {
      const answer = await asked(s, ann, { resource })
      expect([resource, audienceOf(answer)]).toEqual([resource, audience])
      const { status } = await ask(s.url, { method: 'PUT', headers: bearer(String(answer.json['access_token'])) })
      expect([resource, status]).toEqual([resource, 405])
    }
  })

  test('is refused when it is of somebody else, or more than a place', async () => {
    const ann = await holder()
    const s = await secured({ trusted: [ann.did], listen: { pathPrefix } })
    const { port } = s.url
    const foreign = [
      'https://other.example/mcp',
      `https://127.0.0.1:${port}${pathPrefix}/mcp`,
      `http://127.0.0.1:1${pathPrefix}/mcp`,
      `http://127.0.0.1${pathPrefix}/mcp`,
      `http://127.0.0.1:${port}.other.example${pathPrefix}/mcp`,
      `http://other.example:${port}${pathPrefix}/mcp`,
      `${s.base}/other`,
      `${s.base}/mcp/other`,
      `${s.base}/MCP`,
      `${s.base}//mcp`,
      `${s.base}/mcp//`,
      `${s.base}/%6dcp`,
      `${s.base}/mcp?a=b`,
      `${s.base}/mcp#a`,
      `http://user@127.0.0.1:${port}${pathPrefix}/mcp`,
      `http://:password@127.0.0.1:${port}${pathPrefix}/mcp`,
      `${pathPrefix}/mcp`,
      'mcp',
      `ftp://127.0.0.1:${port}${pathPrefix}/mcp`,
      `urn:${s.base}`,
      ann.did,
      `http://127.0.0.1:${port}${pathPrefix}/mcp http://other.example`,
      'a'.repeat(8000),
    ]
    for (const resource of foreign) {
      for (const name of ['resource', 'audience']) {
        const answer = await asked(s, ann, { [name]: resource })
        expect([resource, answer.status, answer.json]).toEqual([
          resource,
          400,
          { error: 'invalid_target', error_description: 'resource is none that is served here' },
        ])
      }
    }
  })
})

describe('the public URL', () => {
  test('names the issuer and the resources to whoever calls by it, and to nobody else', async () => {
    const ann = await holder()
    const s = await secured({ trusted: [ann.did], listen: { publicUrl: new URL('https://mcp.example'), allowHosts: ['mcp.example'], pathPrefix: '/x' } })
    const headers = { host: 'mcp.example' }
    const base = 'https://mcp.example/x'
    const assertion = await ann.sign(assertionClaims(ann.did, base))
    const answer = await s.post('/token', { grant_type: JWT_BEARER, assertion, resource: `${base}/mcp` }, headers)
    expect(decodeJwt(String(answer.json['access_token']))).toMatchObject({ iss: base, aud: `${base}/mcp` })
    const refused = await ask(s.url, { method: 'PUT', headers })
    expect(refused.headers['www-authenticate']).toContain('resource_metadata="https://mcp.example/.well-known/oauth-protected-resource/x/mcp"')
    expect((await ask(s.url, { method: 'PUT', headers: { ...headers, ...bearer(String(answer.json['access_token'])) } })).status).toBe(405)
    expect((await asked(s, ann, { resource: 'http://mcp.example/x/mcp' })).json['error']).toBe('invalid_target')
    expect(audienceOf(await asked(s, ann, {}))).toBe(s.url.href)
  })
})

describe('a path prefix that is itself called like a door', () => {
  test('makes no assertion a token', async () => {
    const ann = await holder()
    for (const pathPrefix of ['/mcp', '/a/sse']) {
      const s = await secured({ trusted: [ann.did], listen: { pathPrefix } })
      const assertion = await ann.sign(assertionClaims(ann.did, s.base))
      expect((await ask(s.url, { method: 'PUT', headers: bearer(assertion) })).status).toBe(401)
      expect((await ask(s.url, { method: 'PUT', headers: bearer(await ann.sign(assertionClaims(ann.did, s.url.href))) })).status).toBe(405)
      expect((await ask(s.url, { method: 'PUT', headers: bearer(await s.token(ann)) })).status).toBe(405)
    }
  })
})

describe('scopes', () => {
  const withScopes = async (scopes: readonly string[] | undefined): Promise<{ s: Secured; ann: Holder }> => {
    const ann = await holder()
    return { s: await secured({ trusted: [{ id: ann.did, scopes }] }), ann }
  }

  test.each([
    ['everything, when nothing is said', undefined, '', 'mcp'],
    ['everything, when it is asked for', undefined, 'mcp', 'mcp'],
    ['a part of everything', undefined, 'mcp:tools', 'mcp:tools'],
    ['parts, each once', undefined, 'mcp:tools mcp:prompts mcp:tools', 'mcp:tools mcp:prompts'],
    ['no part beside the whole', undefined, 'mcp mcp:tools', 'mcp'],
    ['what is known, of what is asked', undefined, 'mcp offline_access openid', 'mcp'],
    ['the parts that are given, of everything', ['mcp:tools', 'mcp:prompts'], 'mcp', 'mcp:tools mcp:prompts'],
    ['the parts that are given, when nothing is said', ['mcp:tools'], '', 'mcp:tools'],
    ['the part that is given, of two', ['mcp:tools'], 'mcp:tools mcp:resources', 'mcp:tools'],
    ['the right to ask about tokens, when it is asked for', ['mcp', 'introspect'], 'introspect', 'introspect'],
    ['no right to ask about tokens unasked', ['mcp', 'introspect'], '', 'mcp'],
  ])('%s', async (_name, given, scope, expected) => {
    const { s, ann } = await withScopes(given)
    const answer = await asked(s, ann, { scope })
    expect(answer.json['scope']).toBe(expected)
    expect(decodeJwt(String(answer.json['access_token']))['scope']).toBe(expected)
  })

  test.each([
    ['that nobody knows', undefined, 'openid offline_access'],
    ['that are not given', ['mcp:tools'], 'mcp:resources'],
    ['to ask about tokens, for whoever has everything else', undefined, 'introspect'],
    ['when none are given', [], ''],
    ['with commas', undefined, 'mcp,mcp:tools'],
    ['in capitals', undefined, 'MCP'],
  ])('are refused %s', async (_name, given, scope) => {
    const { s, ann } = await withScopes(given)
    const answer = await asked(s, ann, { scope })
    expect([answer.status, answer.json['error']]).toEqual([400, 'invalid_scope'])
  })
})
