// The client's half of `--tsp verify`: what it takes for a token, and what it says when there is none.
import { decodeJwt } from 'jose'
import { createServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'

import { OpenMcpError } from '../../src/errors.ts'
import { parseVid, type Vid } from '../../src/identity/vid.ts'
import { createDpopKey } from '../../src/login/dpop-key.ts'
import type { ObtainedToken } from '../../src/login/token-endpoint.ts'
import { obtainTokenByTsp, type TspLoginOptions } from '../../src/login/tsp-token.ts'
import { createLog } from '../../src/observe/log.ts'
import { didHost } from '../support/did-host.ts'
import { jsonOf, type Json } from '../support/json.ts'
import { secured } from '../support/secured.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { newTspIdentity, peer, tapped, type Peer } from '../tsp/peer.ts'

const now = Date.now
const log = createLog({ level: 'error', format: 'text', write: () => {}, now })

async function obtain(remote: Vid | string | undefined, options: Partial<TspLoginOptions> = {}): Promise<ObtainedToken> {
  const [own, dpop] = [options.own ?? (await newTspIdentity()), await createDpopKey({ now })]
  return obtainTokenByTsp({ own, remote: parseVid(remote), dpop, seconds: 10, log, now, ...options })
}

describe('a token by TSP', () => {
  test('is for the resource that the node names, bound to our key, and may what was asked for', async () => {
    const [own, dpop] = [await newTspIdentity(), await createDpopKey({ now })]
    const node = await secured({ trusted: [own.vid], security: { tsp: { modes: ['verify'], id: 'tsp' } } })
    const token = await obtain(node.tsp, { own, dpop, scope: 'mcp:tools' })
    expect(token).toMatchObject({ tokenType: 'DPoP', expiresInSeconds: 900, scope: 'mcp:tools', resource: node.url.href })
    expect(decodeJwt(token.accessToken)).toMatchObject({ sub: own.vid, cnf: { jkt: await dpop.thumbprint() } })
  })

  test('can be had again at once: the port is free, and the token from before holds on', async () => {
    const own = await newTspIdentity()
    const node = await secured({ trusted: [own.vid], security: { tsp: { modes: ['verify'], id: 'tsp' } } })
    const [first, second] = [await obtain(node.tsp, { own }), await obtain(node.tsp, { own })]
    expect(decodeJwt(second.accessToken)['origins']).toEqual(decodeJwt(first.accessToken)['origins'])
    expect(node.log.filter((line) => line.includes('has ended'))).toEqual([])
  })

  test('comes to where our endpoint leads, when that is not where we listen', async () => {
    const wire = await tapped()
    const own = await newTspIdentity({ endpoint: wire.endpoint })
    const node = await secured({ trusted: [own.vid], security: { tsp: { modes: ['verify'], id: 'tsp' } } })
    expect(await obtain(node.tsp, { own, listen: wire.to })).toMatchObject({ resource: node.url.href })
    // The accept, the challenge and the token.
    expect(wire.frames().length).toBe(3)
  })

  test('is had with an enrolment link, once', async () => {
    const node = await secured({ security: { tsp: { modes: ['verify'], id: 'tsp' } } })
    const enrolment = node.enrolment?.href
    expect(await obtain(node.tsp, { enrolment })).toMatchObject({ resource: node.url.href })
    await expect(obtain(node.tsp, { enrolment, seconds: 0.5 })).rejects.toMatchObject({ code: 'timeout' })
  })
})

describe('whoever gets none hears why', () => {
  test('nobody listens there', async () => {
    await expect(obtain((await newTspIdentity()).long)).rejects.toMatchObject({
      code: 'upstream_unreachable',
      message: expect.stringContaining('nobody listens there'),
    })
  })

  test('silence: whom the other must trust, and how', async () => {
    const [own, deaf] = [await newTspIdentity(), await peer({ trusts: () => false })]
    await expect(obtain(deaf.identity.long, { own, seconds: 0.3 })).rejects.toMatchObject({
      code: 'timeout',
      message: 'no answer by TSP within 0.3 s',
      hint: expect.stringContaining(`openmcp trust add ${own.vid}`),
    })
  })

  test('a node that gives no tokens', async () => {
    const { identity } = await peer({ takes: () => true })
    await expect(obtain(identity.long, { seconds: 0.5 })).rejects.toMatchObject({
      code: 'timeout',
      message: expect.stringContaining('gave no token within 0.5 s'),
      hint: expect.stringContaining('--tsp verify'),
    })
  })

  test('a relationship that the other side ends', async () => {
    const node = await answering((_ask, { node: own }, from) => void own.cancel(from))
    await expect(obtain(node.identity.long)).rejects.toMatchObject({ code: 'login_failed', message: 'the other side has ended the relationship' })
  })

  test.each([
    ['invalid_grant', /gives did:peer:4\S+ no token \(invalid_grant\)/, /openmcp trust add did:peer:4/],
    ['invalid_scope', /does not give did:peer:4\S+ the scope mcp:none/, /--scope/],
    ['slow_down', /gives no token now \(slow_down\)/, /later/],
    [{ html: '\u001B[2J' }, /gives no token now/, /later/],
  ])('a refusal: %j', async (error, message, hint) => {
    const node = await answering(({ nonce }, { node: own }, from) => own.send(from, json({ type: 'openmcp/token-refused', error, nonce })))
    await expect(obtain(node.identity.long, { scope: 'mcp:none' })).rejects.toMatchObject({
      code: 'login_failed',
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
    })
  })

  test.each<[string, Json]>([
    ['a token that no header can carry', { access_token: 'a\nb' }],
    ['no token at all', { access_token: undefined }],
    ['a token that is bound to nothing', { token_type: 'Bearer' }],
    ['a token for nowhere', { resource: 'nowhere' }],
    ['a life that is no number', { expires_in: 'long' }],
  ])('what is answered is %s', async (_what, changes) => {
    const token = { type: 'openmcp/token', access_token: 'a.b.c', token_type: 'DPoP', expires_in: 60, scope: 'mcp', resource: 'https://h/mcp', ...changes }
    const node = await answering(({ nonce, challenge }, { node: own }, from) =>
      own.send(from, json(challenge === undefined ? { type: 'openmcp/token-challenge', challenge: 'c', nonce } : { ...token, nonce })),
    )
    await expect(obtain(node.identity.long)).rejects.toMatchObject({ code: 'login_failed', message: 'the answer is no token that is bound to a key' })
  })

  test('answers to another ask, and of another kind, are none', async () => {
    const node = await answering(async ({ nonce }, { node: own }, from) => {
      await own.send(from, json({ type: 'openmcp/token-challenge', challenge: 'c', nonce: 'of-another-ask-before' }))
      await own.send(
        from,
        json({ type: 'openmcp/token', access_token: 'a.b.c', token_type: 'DPoP', expires_in: 60, scope: 'mcp', resource: 'https://h/mcp', nonce }),
      )
    })
    await expect(obtain(node.identity.long, { seconds: 0.5 })).rejects.toMatchObject({ code: 'timeout' })
  })

  test('the port of our own endpoint is taken', async () => {
    const [own, remote] = [await newTspIdentity(), await newTspIdentity()]
    const { port } = new URL(own.profile.endpoint)
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(Number(port), '127.0.0.1', resolve))
    onTestFinished(() => void other.close())
    await expect(obtain(remote.long, { own })).rejects.toMatchObject({
      code: 'port_taken',
      message: expect.stringContaining(`127.0.0.1:${port}`),
      hint: expect.stringContaining('--id'),
    })
  })

  test('a VID whose document cannot be had, or says nothing of TSP', async () => {
    const host = await forThisTest(didHost())
    host.identity('ann')
    await expect(obtain(host.did('nobody'))).rejects.toMatchObject({ code: 'identity_unresolved', message: expect.stringContaining('cannot be resolved') })
    await expect(obtain(host.did('ann'))).rejects.toMatchObject({ code: 'identity_unresolved', message: expect.stringContaining('says nothing of TSP') })
    await expect(obtain((await newTspIdentity()).vid)).rejects.toMatchObject({
      code: 'identity_unresolved',
      message: expect.stringContaining('by its short form alone'),
    })
  })

  test('it is asked of ourselves, or by an identity to which no answer could come', async () => {
    const own = await newTspIdentity()
    await expect(obtain(own.long, { own })).rejects.toMatchObject({ code: 'usage', message: expect.stringContaining('our own identity') })
    const web = await newTspIdentity({ endpoint: 'https://ann.example/tsp' })
    await expect(obtain(own.long, { own: web })).rejects.toMatchObject({ code: 'usage', message: expect.stringContaining('nothing listens there') })
  })

  test('nobody waits any more: then nothing listens either', async () => {
    const [own, deaf] = [await newTspIdentity(), await peer({ trusts: () => false })]
    const waiting = new AbortController()
    const token = obtain(deaf.identity.long, { own, signal: waiting.signal })
    token.catch(() => {})
    await until('it to wait', () => deaf.node.dropped()['untrusted'])
    waiting.abort(new OpenMcpError('stopping', 'enough'))
    await expect(token).rejects.toMatchObject({ code: 'stopping', message: 'enough' })
    const again = createServer()
    await new Promise<void>((resolve, reject) => again.once('error', reject).listen(Number(new URL(own.profile.endpoint).port), '127.0.0.1', resolve))
    again.close()
  })
})

type Answering = (ask: Json, node: Peer, from: Vid) => unknown

/** A node that takes every invite, and answers what is asked as it is told. */
async function answering(answer: Answering): Promise<Peer> {
  const node = await peer({ takes: () => false })
  node.node.onHeard(({ from, data }) => {
    void answer(jsonOf(JSON.parse(data.toString())), node, from)
    return true
  })
  return node
}

function json(message: Json): Buffer {
  return Buffer.from(JSON.stringify(message))
}
