// What somebody attempts who can send any bytes, record those of others, and has a VID that is trusted for little or not at all.
import { createServer } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'

import { createSealedDoor } from '../../src/downstream/sealed.ts'
import { parseVid, shortFormOf } from '../../src/identity/vid.ts'
import { ownKeysOf, peerKeysOf } from '../../src/tsp/keys.ts'
import { sealMessage, type Receiver } from '../../src/tsp/seal.ts'
import { QUIET, resolver, someVid } from '../support/sealed.ts'
import { secured } from '../support/secured.ts'
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

async function receiverOf(vid: string | undefined): Promise<Receiver> {
  const resolution = await resolver().resolve(parseVid(vid))
  if (resolution.state !== 'found' || !resolution.tsp) throw new Error('it is found')
  return { vid: shortFormOf(parseVid(vid)), keys: peerKeysOf(resolution.tsp) }
}
