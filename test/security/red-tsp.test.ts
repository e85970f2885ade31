// What somebody attempts who can send any bytes, record those of others, and has a VID that is trusted for little or not at all.
import { createServer } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'

import { createSealedDoor } from '../../src/downstream/sealed.ts'
import { parseVid, shortFormOf } from '../../src/identity/vid.ts'
import { ownKeysOf, peerKeysOf } from '../../src/tsp/keys.ts'
import { sealMessage, type Receiver } from '../../src/tsp/seal.ts'
import type { Json } from '../support/json.ts'
import { callMessage, initializeMessage } from '../support/openmcp.ts'
import { handPeer, QUIET, resolver, sealedNode, someVid } from '../support/sealed.ts'
import { secured } from '../support/secured.ts'
import { listen } from '../tsp/carriage/wire.ts'
import { network } from '../tsp/network.ts'
import { until } from '../support/until.ts'
import { ask } from '../support/wire.ts'

describe('a flood of forged messages', () => {
  test('under one name whose document hangs keeps nobody else from being heard', async () => {
    const add = network()
    const [slow, mallory, alice] = [add('slow'), add('mallory'), add('alice')]
    const bob = add('bob', { trusts: (vid) => (vid === slow.vid ? new Promise(() => {}) : Promise.resolve(true)), mostAtOnce: 32 })
    const { message } = sealMessage({ from: { vid: slow.vid, keys: mallory.keys }, to: bob, payload: { kind: 'padding' } })
    for (let sent = 0; sent < 100; sent++) void bob.endpoint.take(message)
    await alice.endpoint.invite(bob.long)
    await until('it is formed', () => alice.states.includes('formed'))
    await Promise.all(Array.from({ length: 4 }, () => alice.endpoint.send(bob.vid, Buffer.from('hello'))))
    await until('all of it', () => bob.heard.length === 4)
    expect(new Set(bob.dropped)).toEqual(new Set(['busy']))
  })

  test('under several such names neither', async () => {
    const add = network()
    const names = Array.from({ length: 8 }, (_, n) => add(`slow ${n}`))
    const alice = add('alice')
    const hanging = new Set(names.map(({ vid }) => vid))
    const bob = add('bob', { trusts: (vid) => (hanging.has(vid) ? new Promise(() => {}) : Promise.resolve(true)) })
    for (const { vid } of names) {
      const { message } = sealMessage({ from: { vid, keys: alice.keys }, to: bob, payload: { kind: 'padding' } })
      for (let sent = 0; sent < 300; sent++) void bob.endpoint.take(message)
    }
    await alice.endpoint.invite(bob.long)
    await until('it is formed', () => alice.states.includes('formed'))
    expect(bob.states).toEqual(['formed'])
  })
})

test('silence comes when it says nothing of how long a message was looked at', async () => {
  const nobody = (): never => {
    throw new Error('nothing behind it is reached')
  }
  const [acts, released]: [(() => void)[], string[]] = [[], []]
  const door = createSealedDoor({
    open: async () => undefined,
    admit: nobody,
    serve: nobody,
    mostAnswerBytes: 1,
    hush: () => ({ keep: (act) => acts.push(act), break: nobody }),
    log: QUIET,
  })
  const server = createServer((req, res) =>
    door({ did: 'did:web:a.example', req, res, bytes: Buffer.from('AAAA'), giveBack: nobody, release: () => released.push('the body') }),
  )
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const answered: number[] = []
  const address = server.address()
  const asking = ask(new URL(`http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/`), { method: 'POST', body: 'AAAA' })
  void asking.then(({ status }) => answered.push(status))
  await until('it to be looked at', () => acts.length === 1)
  expect([answered, released]).toEqual([[], ['the body']])
  acts[0]?.()
  expect(await asking).toMatchObject({ status: 202, text: '' })
})

test('no document makes the node post to what is no door of TSP on its own machine', async () => {
  const posted: (string | undefined)[] = []
  const server = createServer((req, res) => (posted.push(req.url), res.end()))
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const origin = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  // Nobody is trusted yet, so whoever comes is heard.
  const node = await secured({ security: { tsp: { modes: ['verify'], id: 'tsp' } } })
  const wrong = ['/', '/containers/it/stop', '/stop?/tsp', '/tsp?stop', '/stop#/tsp', '/tspx', '/stop/[vid_placeholder]/now', '/[vid_placeholder]?stop']
  for (const path of [...wrong, '/tsp', '/endpoint/[vid_placeholder]']) {
    const stranger = someVid({ endpoint: `${origin}${path}` })
    const sealed = sealMessage({ from: { vid: stranger.long, keys: ownKeysOf(stranger.secrets) }, to: await receiverOf(node.tsp), payload: { kind: 'invite' } })
    expect((await ask(new URL(`${node.base}/tsp`), { method: 'POST', body: sealed.message })).status).toBe(202)
  }
  await until('the two that are', () => posted.length === 2)
  expect(posted).toEqual(['/tsp', expect.stringMatching(/^\/endpoint\/did:peer:4zQm\w+$/)])
  expect(node.log.filter((line) => line.includes('reason=unreachable'))).toHaveLength(wrong.length)
})

describe('somebody who is trusted', () => {
  test('is nobody else: the short form of a VID does not go with the document of another, and both go on', async () => {
    const [ann, mallory] = [someVid(), someVid()]
    const node = await sealedNode({ trusted: [ann.vid] })
    const forged = parseVid(`${ann.vid}:${mallory.long.split(':')[3]}`)
    for (const payload of [{ kind: 'invite' }, { kind: 'application', data: Buffer.from('{"openmcp":"open"}') }] as const) {
      const { message } = sealMessage({ from: { vid: forged, keys: ownKeysOf(mallory.secrets) }, to: await receiverOf(node.vid), payload })
      for (const did of [forged, ann.vid])
        expect(await handPeer(ann, node).post(message.toString('base64url'), { did })).toMatchObject({ status: 202, text: '' })
    }
    expect(node.log.filter((line) => line.includes('was not taken reason=unresolved')).length).toBeGreaterThan(0)
    expect(await handPeer(ann, node).relate()).toBe(true)
    expect(node.reached()).toEqual([])
  })

  test('says nothing over one carriage by what was recorded on the other', async () => {
    const { url, taken } = await listen()
    const ann = someVid({ endpoint: url.href })
    const node = await sealedNode({ trusted: [ann.vid] })
    const peer = handPeer(ann, node)
    expect(await peer.relate()).toBe(true)
    const { text } = await peer.way.seal({ method: 'POST', headers: {}, body: Buffer.from(JSON.stringify(initializeMessage(1))) })
    for (let times = 0; times < 2; times++) {
      expect((await ask(new URL(`${node.base}/tsp`), { method: 'POST', body: Buffer.from(text, 'base64url') })).status).toBe(202)
    }
    // At its own endpoint its VID hears each time that there is no such session.
    await until('both to be answered', () => taken.length === 2)
    expect(node.reached()).toEqual([])
    expect((await peer.post(text)).status).toBe(200)
    expect(node.reached().map(({ body }) => body['method'])).toEqual(['initialize'])
  })

  test('does no more under a seal than with a token: a scope and the tools are what they are', async () => {
    const ann = someVid()
    const node = await sealedNode({ trusted: [{ id: ann.vid, scopes: ['mcp:tools'], tools: ['echo'] }] })
    const peer = handPeer(ann, node)
    await peer.relate()
    const said = async (body: Json): Promise<string> => {
      const sealed = await peer.way.seal({ method: 'POST', headers: {}, body: Buffer.from(JSON.stringify(body)) })
      const piece = await sealed.open((await peer.post(sealed.text)).text)
      return piece?.kind === 'head' ? piece.body.toString() : ''
    }
    for (const method of ['resources/list', 'resources/subscribe', 'prompts/get', 'completion/complete', 'anything/else'])
      expect(await said({ jsonrpc: '2.0', id: 1, method, params: {} })).toContain('the credential is not for this')
    const batch = [callMessage(1, 'echo'), callMessage(2, 'secret')]
    for (const body of [callMessage(2, 'secret'), { ...callMessage(3, 'echo'), Method: 'tools/list' }]) expect(await said(body)).toContain('"error"')
    const sealed = await peer.way.seal({ method: 'POST', headers: {}, body: Buffer.from(JSON.stringify(batch)) })
    await sealed.open((await peer.post(sealed.text)).text)
    expect(node.reached()).toEqual([])
  })
})

async function receiverOf(vid: string | undefined): Promise<Receiver> {
  const resolution = await resolver().resolve(parseVid(vid))
  if (resolution.state !== 'found' || !resolution.tsp) throw new Error('it is found')
  return { vid: shortFormOf(parseVid(vid)), keys: peerKeysOf(resolution.tsp) }
}
