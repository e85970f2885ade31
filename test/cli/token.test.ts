import { decodeJwt } from 'jose'
import { describe, expect, test } from 'vitest'
import { parseVid, shortFormOf } from '../../src/identity/vid.ts'
import { at } from '../support/json.ts'
import { INITIALIZED, initializeMessage } from '../support/openmcp.ts'
import { bearer, secured, sessionWith, type Secured } from '../support/secured.ts'
import { ask } from '../support/wire.ts'
import { ownHome } from './home.ts'
import { type, type Transcript } from './terminal.ts'

interface Person {
  typed(...argv: string[]): Promise<Transcript>
  /** The DID of a new identity of theirs. */
  create(name: string): Promise<string>
}

function person(): Person {
  const { env } = ownHome()
  const typed: Person['typed'] = (...argv) => type(argv, { env })
  return { typed, create: async (name) => (await typed('id', 'create', name)).stdout.trim() }
}

/** A node that trusts one identity of a person. */
async function trusting(options: Parameters<typeof secured>[0] = {}): Promise<{ node: Secured; ann: Person; did: string }> {
  const ann = person()
  const did = await ann.create('ann')
  return { node: await secured({ trusted: [did], ...options }), ann, did }
}

describe('openmcp token', () => {
  test('prints a token that opens the resource, and nothing else on stdout', async () => {
    const { node, ann, did } = await trusting()
    const { code, stdout, stderr } = await ann.typed('token', node.url.href)
    expect({ code, stderr }).toEqual({ code: 0, stderr: `openmcp: ${did} has a token for ${node.url.href} for 900 s, scope mcp\n` })
    expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/)
    expect(decodeJwt(stdout.trim())).toMatchObject({ sub: did, aud: node.url.href })
    expect(await sessionWith(node, bearer(stdout.trim()))).toEqual(expect.any(String))
  })

  test('asks for no more than --scope says', async () => {
    const { node, ann } = await trusting()
    const { stdout } = await ann.typed('token', node.url.href, '--scope', 'mcp:tools  mcp:prompts')
    expect(decodeJwt(stdout.trim())).toMatchObject({ scope: 'mcp:tools mcp:prompts' })
  })

  test('knows the resource by host and port, and by its older address', async () => {
    const { node, ann } = await trusting()
    expect(await ann.typed('token', node.url.host)).toMatchObject({ code: 0, stderr: expect.stringContaining(`token for ${node.base}/mcp `) })
    expect(await ann.typed('token', `${node.base}/sse`)).toMatchObject({ code: 0, stderr: expect.stringContaining(`token for ${node.base}/sse `) })
  })

  test('--dpop prints the token with the key that it is bound to, and without that key it is worth nothing', async () => {
    const { node, ann } = await trusting()
    const { stdout, stderr } = await ann.typed('token', node.url.href, '--dpop')
    const printed: unknown = JSON.parse(stdout)
    expect(printed).toMatchObject({ token_type: 'DPoP', expires_in: 900, scope: 'mcp', dpop_jwk: { kty: 'EC', d: expect.any(String) } })
    expect(stderr).toContain('openmcp: warning: what is printed holds the private key that the token is bound to: whoever has both can use it\n')
    const { status } = await ask(node.url, { headers: bearer(String(at(printed, 'access_token'))), body: initializeMessage(1) })
    expect(status).toBe(401)
  })

  test.each(['required', 'nonce'] as const)('of a node where DPoP is %s needs --dpop, and says so', async (dpop) => {
    const { node, ann } = await trusting({ security: { dpop } })
    expect(await ann.typed('token', node.url.href)).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('openmcp: hint: add --dpop\n') })
    expect(await ann.typed('token', node.url.href, '--dpop')).toMatchObject({ code: 0, stdout: expect.stringContaining('"DPoP"') })
  })

  test('of a did:peer:4 is given for its short form, which the node needs not have seen before', async () => {
    const ann = person()
    const long = parseVid((await ann.typed('id', 'create', 'tsp', '--tsp')).stdout.trim())
    const did = shortFormOf(long)
    const node = await secured({ trusted: [did] })
    const { code, stdout, stderr } = await ann.typed('token', node.url.href, '--id', 'tsp')
    expect({ code, stderr }).toEqual({ code: 0, stderr: `openmcp: ${did} has a token for ${node.url.href} for 900 s, scope mcp\n` })
    expect(decodeJwt(stdout.trim())).toMatchObject({ sub: did })
    expect(await sessionWith(node, bearer(stdout.trim()))).toEqual(expect.any(String))
  })

  test('takes no identity for TSP that is not named', async () => {
    const { node, ann, did } = await trusting()
    await ann.typed('id', 'create', 'tsp', '--tsp')
    expect(decodeJwt((await ann.typed('token', node.url.href)).stdout.trim())).toMatchObject({ sub: did })
  })

  test('of a stranger is refused, and says who has to do what', async () => {
    const eve = person()
    const did = await eve.create('eve')
    const node = await secured()
    expect(await eve.typed('token', node.url.href)).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining(
        `openmcp: hint: if it does not trust this identity yet: openmcp trust add ${did} on its machine, or redeem its enrolment link with --enrol`,
      ),
    })
  })

  test('without an identity makes one', async () => {
    const { typed } = person()
    const node = await secured({ trusted: [{ id: 'did:key:*' }] })
    const { code, stderr } = await typed('token', node.url.href)
    const { stdout } = await typed('id', 'list')
    const [, did = ''] = /^default (did:key:z6Mk\S+)\n$/.exec(stdout) ?? []
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: `openmcp: there was no identity yet; made default: ${did}\nopenmcp: ${did} has a token for ${node.url.href} for 900 s, scope mcp\n`,
    })
  })

  test('makes none in the place of those that were deactivated', async () => {
    const { node, ann } = await trusting()
    await ann.typed('id', 'deactivate', 'ann')
    const { code, stdout, stderr } = await ann.typed('token', node.url.href)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toBe('openmcp: error: every identity here is deactivated\nopenmcp: hint: openmcp id create NAME makes another one\n')
    expect(node.reached()).toEqual([])
  })

  test('with several identities wants to know which', async () => {
    const { node, ann, did } = await trusting()
    await ann.create('bob')
    expect(await ann.typed('token', node.url.href)).toEqual({
      code: 2,
      stdout: '',
      stderr: 'openmcp: error: there are 2 identities, and none is named\nopenmcp: hint: --id ann, or --id bob\n',
    })
    expect(decodeJwt((await ann.typed('token', node.url.href, '--id', 'ann')).stdout.trim()).sub).toBe(did)
    await ann.typed('id', 'deactivate', 'bob')
    expect(await ann.typed('token', node.url.href)).toMatchObject({ code: 0 })
    expect(await ann.typed('token', node.url.href, '--id', 'bob')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('the identity bob is deactivated'),
    })
  })

  test('--enrol LINK: who redeems it first is trusted, and nobody after', async () => {
    const node = await secured()
    const [ann, eve] = [person(), person()]
    const link = node.enrolment?.href ?? ''
    expect(await ann.typed('token', node.url.href, '--enrol', link)).toMatchObject({ code: 0 })
    expect(await ann.typed('token', node.url.href)).toMatchObject({ code: 0 })
    const { code, stdout, stderr } = await eve.typed('token', node.url.href, '--enrol', link)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain('an enrolment link is good once, for 15 minutes')
    expect(stderr).not.toContain(link.slice(-20))
  })

  test.each<[string[], string]>([
    [[], 'openmcp token does not say for which resource'],
    [['http://h/mcp', 'http://i/mcp'], "openmcp token: one word too many: 'http://i/mcp'"],
    [['ftp://h/mcp'], 'ftp'],
    [['did:web:'], 'this is not a DID'],
    [['did:web:h', '--timeout', 'long'], "--timeout: 'long' is no number of seconds"],
    [['http://h/mcp', '--timeout', '5'], '--timeout is for a token by TSP'],
    [['http://h/mcp', '--scope', ' '], '--scope takes scopes with a space between them'],
    [['http://h/mcp', '--enrol', 'http://h/keys'], '--enrol is not an enrolment link'],
    [['http://h/mcp', '--id', 'nobody'], 'there is no identity nobody'],
    [['http://h/mcp', '--nope'], 'unknown option --nope'],
    [['http://h/mcp', '--store', 'memory:'], 'unknown option --store'],
  ])('%j is asked wrongly', async (argv, words) => {
    const { typed } = person()
    const { code, stdout, stderr } = await typed('token', ...argv)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(words)
  })

  test('of a resource beyond loopback that is not reached over https is not asked for', async () => {
    const { typed } = person()
    expect(await typed('token', 'http://mcp.example.com/mcp')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('http://mcp.example.com/mcp is not reached over https: a token would be read on its way'),
    })
  })
})

describe('openmcp trust', () => {
  test('is followed by a node that runs on the same store: who is removed is out', async () => {
    const ann = person()
    const did = await ann.create('ann')
    const { home, env } = ownHome()
    const operator = (...argv: string[]): Promise<Transcript> => type(argv, { env })
    await operator('trust', 'add', did)
    const node = await secured({ security: { store: `file:${home}/store.db` } })
    const { stdout: token } = await ann.typed('token', node.url.href)
    const headers = bearer(token.trim())
    const session = { ...headers, 'mcp-session-id': await sessionWith(node, headers) }
    expect((await ask(node.url, { headers: session, body: INITIALIZED })).status).toBe(202)
    await operator('trust', 'remove', did)
    await expect.poll(async () => (await ask(node.url, { headers: session, body: INITIALIZED })).status, { timeout: 15_000 }).toBe(401)
    await operator('trust', 'add', did)
    await expect.poll(async () => (await ann.typed('token', node.url.href)).code, { timeout: 15_000 }).toBe(0)
    await operator('id', 'deactivate', did)
    await expect.poll(async () => (await ann.typed('token', node.url.href)).code, { timeout: 15_000 }).toBe(1)
  })
})
