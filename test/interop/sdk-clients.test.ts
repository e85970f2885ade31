// The unmodified official SDK logs in with a DID: 401, metadata, token, tool call. What it calls sees nothing of that.
import { decodeJwt } from 'jose'
import { describe, expect, test } from 'vitest'

import { at } from '../support/json.ts'
import { secured, type Secured, type SecuredOptions } from '../support/secured.ts'
import { scripted } from '../support/servers.ts'
import { BEARER_LOGINS, DPOP_LOGINS, keyOwner, type Door } from './logins.ts'

const ALGORITHMS = ['EdDSA', 'ES256'] as const
const LOGINS = [...BEARER_LOGINS, ...DPOP_LOGINS]

const doorOf = ({ url, base }: Pick<Secured, 'url' | 'base'>): Door => ({ mcp: url, issuer: base })

/** A stdio child whose environment is all that openmcp gave to it. */
function child(): SecuredOptions {
  const [command = '', ...args] = scripted()
  return { options: { target: { kind: 'command', command, args, env: { GIVEN: 'yes' } } } }
}

describe.each(ALGORITHMS)('a did:key of %s', (alg) => {
  test.each(LOGINS)('$name: the SDK logs in and calls a tool of an HTTP upstream, which sees no token', async ({ connect }) => {
    const who = keyOwner(alg)
    const s = await secured({ trusted: [who.did] })
    const client = await connect(doorOf(s), who)
    expect(await client.callTool('echo')).toMatchObject({ content: [{ type: 'text', text: 'echo' }] })

    const { value } = client.token()
    expect(decodeJwt(value)).toMatchObject({ iss: s.base, sub: who.did, client_id: who.did, scope: 'mcp' })
    const reached = s.reached()
    expect(reached.map(({ body }) => body['method'])).toEqual(expect.arrayContaining(['initialize', 'tools/call']))
    for (const { headers } of reached) expect(Object.keys(headers)).not.toEqual(expect.arrayContaining([expect.stringMatching(/authorization|dpop|cookie/)]))
    expect(JSON.stringify(s.upstream.received)).not.toContain(value.split('.')[2])
    expect(s.log.join('\n')).not.toContain(value.split('.')[2])
  })

  test.each(LOGINS)('$name: the SDK logs in and calls a tool of a stdio child, which sees no token', async ({ connect }) => {
    const who = keyOwner(alg)
    const s = await secured({ trusted: [who.did], ...child() })
    const client = await connect(doorOf(s), who)
    expect(await client.callTool('echo', { text: 'hello' })).toMatchObject({ structuredContent: { text: 'hello' } })

    const { value } = client.token()
    const told = await client.callTool('who')
    expect(at(told, 'structuredContent', 'env')).toEqual({ GIVEN: 'yes' })
    const seen = JSON.stringify([told, await client.callTool('seen')])
    expect(seen).toContain('tools/call')
    expect(seen).not.toContain(value.split('.')[2])
    expect(seen).not.toContain(who.did)
  })
})

describe('what a client is told', () => {
  test.each(LOGINS)('$name: an identity that nobody trusts is not let in, and nothing reaches the upstream', async ({ connect }) => {
    const s = await secured({ trusted: [keyOwner('EdDSA').did] })
    await expect(connect(doorOf(s), keyOwner('EdDSA'))).rejects.toThrow('this proves no identity that is trusted here')
    expect(s.reached()).toEqual([])
  })

  test.each(BEARER_LOGINS)('$name: credentials of one issuer are not shown to another', async ({ connect }) => {
    const who = keyOwner('EdDSA')
    const s = await secured({ trusted: [who.did] })
    await expect(connect({ ...doorOf(s), issuer: 'https://other.example' }, who)).rejects.toThrow(/issuer|authorization server/i)
    expect(s.reached()).toEqual([])
  })

  test.each(LOGINS)('$name: tools that an identity may not use are neither listed nor callable', async ({ connect }) => {
    const who = keyOwner('ES256')
    const s = await secured({ trusted: [{ id: who.did, tools: ['echo'] }] })
    const client = await connect(doorOf(s), who)
    expect(await client.listTools()).toMatchObject({ tools: [{ name: 'echo' }] })
    await expect(client.callTool('secret')).rejects.toThrow('Unknown tool: secret')
  })

  // A stream ends with its token, and over SSE the stream is the session.
  test.each(LOGINS.filter(({ name }) => !name.endsWith('SSE')))(
    '$name: a token that has expired is replaced without a word to whoever calls',
    async ({ connect }) => {
      const who = keyOwner('EdDSA')
      const s = await secured({ trusted: [who.did], security: { tokenSeconds: 60 } })
      const client = await connect(doorOf(s), who)
      const first = client.token().value
      s.pass(61)
      expect(await client.callTool('echo')).toMatchObject({ content: [{ text: 'echo' }] })
      expect(client.token().value).not.toBe(first)
    },
  )
})

describe('DPoP', () => {
  test.each(DPOP_LOGINS)('$name: the token is bound to the key of the session', async ({ connect }) => {
    const who = keyOwner('EdDSA')
    const s = await secured({ trusted: [who.did], security: { dpop: 'required' } })
    const client = await connect(doorOf(s), who)
    expect(await client.callTool('echo')).toMatchObject({ content: [{ text: 'echo' }] })
    const { value, type } = client.token()
    expect(type).toBe('DPoP')
    expect(decodeJwt(value)).toMatchObject({ cnf: { jkt: expect.stringMatching(/^[\w-]{43}$/) } })
  })

  test.each(DPOP_LOGINS)('$name: a nonce is asked for, sent, and renewed, at the issuer and at the way in', async ({ connect }) => {
    const who = keyOwner('EdDSA')
    const s = await secured({ trusted: [who.did], security: { dpop: 'nonce' } })
    const client = await connect(doorOf(s), who)
    for (const _ of [1, 2, 3]) expect(await client.callTool('echo')).toMatchObject({ content: [{ text: 'echo' }] })
  })

  test.each(BEARER_LOGINS)('$name: a client without a proof gets no token where one is required', async ({ connect }) => {
    const who = keyOwner('EdDSA')
    const s = await secured({ trusted: [who.did], security: { dpop: 'required' } })
    await expect(connect(doorOf(s), who)).rejects.toThrow('send a DPoP proof')
    expect(s.reached()).toEqual([])
  })
})
