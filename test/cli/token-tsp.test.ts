// `openmcp token did:…`: what is typed, and what is said.
import { decodeJwt } from 'jose'
import { describe, expect, test } from 'vitest'

import { shortFormOf, type Vid } from '../../src/identity/vid.ts'
import { openDpopKey } from '../../src/login/dpop-key.ts'
import { isJson, type Json } from '../support/json.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { proofKey } from '../support/did.ts'
import { secured, type Secured, type SecuredOptions } from '../support/secured.ts'
import { ask } from '../support/wire.ts'
import { newTspIdentity } from '../tsp/peer.ts'
import { ownHome } from './home.ts'
import { type, type Transcript } from './terminal.ts'

const TSP: NonNullable<SecuredOptions['security']> = { tsp: { modes: ['verify'], id: 'tsp' } }

interface Person {
  typed(...argv: string[]): Promise<Transcript>
  /** The VID of a new identity for TSP of theirs, in its short form. */
  create(name: string): Promise<Vid>
}

function person(): Person {
  const { env } = ownHome()
  const typed: Person['typed'] = (...argv) => type(argv, { env })
  return {
    typed,
    create: async (name) => shortFormOf((await typed('id', 'create', name, '--tsp')).stdout.trim() as Vid), // what the program prints
  }
}

async function trusting(): Promise<{ node: Secured; remote: string; ann: Person; did: Vid }> {
  const ann = person()
  const did = await ann.create('ann')
  const node = await secured({ trusted: [did], security: TSP })
  return { node, remote: node.tsp ?? '', ann, did }
}

describe('openmcp token did:…', () => {
  test('prints a token, what it is for, and the key that it is bound to, with which it opens MCP', async () => {
    const { node, remote, ann, did } = await trusting()
    const { code, stdout, stderr } = await ann.typed('token', remote)
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr:
        `openmcp: ${did} has a token for ${node.url.href} for 900 s, scope mcp\n` +
        'openmcp: warning: what is printed holds the private key that the token is bound to: whoever has both can use it\n',
    })
    const printed = jsonIn(stdout)
    const key = { kty: 'EC', crv: 'P-256', x: expect.any(String), y: expect.any(String), d: expect.any(String) }
    expect(printed).toEqual({ access_token: expect.any(String), token_type: 'DPoP', expires_in: 900, scope: 'mcp', resource: node.url.href, dpop_jwk: key })
    expect(await statusWith(node, printed)).toBe(200)
    expect(await statusWith(node, { ...printed, dpop_jwk: (await proofKey()).privateJwk })).toBe(401)
  })

  test('takes --scope and --dpop, which it is without', async () => {
    const { remote, ann } = await trusting()
    const { stdout } = await ann.typed('token', remote, '--dpop', '--scope', 'mcp:tools')
    expect(decodeJwt(String(jsonIn(stdout)['access_token']))).toMatchObject({ scope: 'mcp:tools' })
  })

  test('of a stranger says whom the other must trust, and how, within its time', async () => {
    const { remote } = await trusting()
    const eve = person()
    const did = await eve.create('eve')
    expect(await eve.typed('token', remote, '--timeout', '0.3')).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        'openmcp: error: no answer by TSP within 0.3 s\n' +
          `openmcp: hint: is it running, does it trust us \\(openmcp trust add ${did}\\), can it reach us at tcp://127.0.0.1:\\d+, and does it speak revision 3\\?\n$`,
      ),
    })
  })

  test('of a node that does not run says so', async () => {
    const ann = person()
    await ann.create('ann')
    const { long } = await newTspIdentity()
    expect(await ann.typed('token', long)).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('cannot be reached: nobody listens there') })
  })

  test('by its short form alone cannot be found', async () => {
    const ann = person()
    await ann.create('ann')
    const { vid } = await newTspIdentity()
    expect(await ann.typed('token', vid)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/by its short form alone nobody finds did:peer:4\S+\nopenmcp: hint: give its long form/),
    })
  })

  test('--enrol LINK: who redeems it first is trusted, and nobody after', async () => {
    const node = await secured({ security: TSP })
    const [ann, eve] = [person(), person()]
    const [remote, link] = [node.tsp ?? '', node.enrolment?.href ?? '']
    expect(await ann.typed('token', remote, '--enrol', link)).toMatchObject({ code: 0 })
    expect(await ann.typed('token', remote)).toMatchObject({ code: 0 })
    const { code, stdout, stderr } = await eve.typed('token', remote, '--enrol', link, '--timeout', '0.3')
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).not.toContain(link.slice(-20))
  })

  test('without an identity for TSP makes one', async () => {
    const ann = person()
    await ann.typed('id', 'create', 'ann')
    const node = await secured({ trusted: ['did:peer:*'], security: TSP })
    const { code, stderr } = await ann.typed('token', node.tsp ?? '')
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/^openmcp: there was no identity for TSP yet; made tsp: did:peer:4zQm\w+\n/) })
    expect((await ann.typed('id', 'list')).stdout).toMatch(/^tsp did:peer:4/m)
  })

  test('takes the identity that is named, the only one for TSP, or wants to know which; never the one that is asked', async () => {
    const { remote, ann, did } = await trusting()
    await ann.typed('id', 'create', 'key')
    await ann.create('bob')
    expect(await ann.typed('token', remote)).toEqual({
      code: 2,
      stdout: '',
      stderr: 'openmcp: error: there are 2 identities for TSP, and none is named\nopenmcp: hint: --id ann, or --id bob\n',
    })
    expect(decodeJwt(String(jsonIn((await ann.typed('token', remote, '--id', 'ann')).stdout)['access_token'])).sub).toBe(did)
    expect(await ann.typed('token', remote, '--id', 'key')).toMatchObject({ code: 2, stderr: expect.stringContaining('TSP') })
    await ann.typed('id', 'deactivate', 'bob')
    expect(await ann.typed('token', remote)).toMatchObject({ code: 0 })
    await ann.typed('id', 'deactivate', 'ann')
    expect(await ann.typed('token', remote)).toMatchObject({ code: 2, stderr: expect.stringContaining('openmcp id create NAME --tsp makes one') })
  })

  test.each<[string[], string]>([
    [['did:'], 'this is not a DID'],
    [['did:peer:4nonsense'], 'the did:peer is not written as it must be'],
    [['did:web:h', 'did:web:i'], "one word too many: 'did:web:i'"],
    [['did:web:h', '--timeout', '0'], "--timeout: '0' is no number of seconds"],
    [['did:web:h', '--tsp-listen', '1'], '--tsp-listen takes HOST:PORT'],
    [['did:web:h', '--enrol', 'http://h/keys'], '--enrol is not an enrolment link'],
    [['http://h/mcp', '--tsp-listen', '127.0.0.1:1'], '--tsp-listen is for a token by TSP'],
  ])('%j is asked wrongly', async (argv, words) => {
    const { code, stdout, stderr } = await person().typed('token', ...argv)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(words)
  })
})

function jsonIn(stdout: string): Json {
  const printed: unknown = JSON.parse(stdout)
  return isJson(printed) ? printed : {}
}

/** As a program would use what was printed. */
async function statusWith({ url }: Secured, { access_token: token, dpop_jwk: jwk }: Json): Promise<number> {
  const key = await openDpopKey(isJson(jwk) ? jwk : {}, { now: Date.now })
  const dpop = await key.proof({ method: 'POST', url, accessToken: String(token) })
  const { status } = await ask(url, { headers: { authorization: `DPoP ${String(token)}`, dpop }, body: initializeMessage(1) })
  return status
}
