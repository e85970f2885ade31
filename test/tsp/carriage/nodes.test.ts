// Nodes that cannot be reached themselves: what is for them waits at an intermediary, each end's answers included.
import { expect, onTestFinished, test } from 'vitest'

import { newOkpPair } from '../../../src/identity/okp.ts'
import { peerFourOf } from '../../../src/identity/peer-four.ts'
import type { TspIdentity } from '../../../src/identity/tsp/piv.ts'
import { createLog } from '../../../src/observe/log.ts'
import { createCarriage, listenFor } from '../../../src/tsp/carriage.ts'
import { peer, type Peer } from '../peer.ts'
import { intermediary } from './intermediary.ts'

test('two nodes behind an intermediary are related and speak, also after it was cut', async () => {
  const there = await intermediary()
  const [alice, bob] = [await behind(there.url), await behind(there.url)]
  await alice.node.relate(bob.identity.long, 10)
  bob.node.onHeard(({ from, data }) => {
    void bob.node.send(from, Buffer.from(JSON.stringify({ heard: JSON.parse(data.toString()) })))
    return true
  })
  expect(await alice.say(bob.vid, { n: 1 })).toEqual({ heard: { n: 1 } })
  there.cut()
  expect(await alice.say(bob.vid, { n: 2 })).toEqual({ heard: { n: 2 } })
  // For each its own, and what came is not asked for again.
  expect(there.asked.map(({ path }) => path).toSorted()).toEqual([alice, alice, bob, bob].map(({ vid }) => `/endpoint/${vid}`).toSorted())
  expect(there.asked.filter(({ lastId }) => lastId === undefined)).toHaveLength(2)
})

async function behind(url: URL): Promise<Peer> {
  const identity = identityAt(new URL('/endpoint/[vid_placeholder]', url).href)
  const one = await peer({ identity })
  const carriage = createCarriage({ trustLoopback: true })
  const log = createLog({ level: 'error', format: 'text', write: () => {}, now: Date.now })
  const listener = await listenFor({
    endpoint: new URL(identity.profile.endpoint.replace('[vid_placeholder]', identity.vid)),
    take: one.node.take,
    receive: (address, receiving) => carriage.receiveFrom(address, { ...receiving, log }),
  })
  onTestFinished(() => listener.close())
  return one
}

function identityAt(endpoint: string): TspIdentity {
  const [signing, opening] = [newOkpPair('Ed25519'), newOkpPair('X25519')]
  const profile = { verifying: signing.x, sealing: opening.x, endpoint }
  const { short, long } = peerFourOf(profile)
  return { vid: short, long, profile, secrets: { signing: signing.d, opening: opening.d } }
}
