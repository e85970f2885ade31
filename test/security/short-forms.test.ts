// A did:peer:4 that proves itself by its short form, which says nothing of its keys: the node has to know what is behind it.
import { expect, test } from 'vitest'

import { newOkpPair, privateKeyOf } from '../../src/identity/okp.ts'
import { peerFourOf } from '../../src/identity/peer-four.ts'
import type { Vid } from '../../src/identity/vid.ts'
import { addTrust } from '../../src/policy/rules.ts'
import { knowVid } from '../../src/tsp/known-vids.ts'
import { assertionClaims, signerOf, type Signer } from '../support/did.ts'
import { bearer, JWT_BEARER, secured, sessionWith } from '../support/secured.ts'
import { until } from '../support/until.ts'

interface PeerHolder extends Signer {
  short: Vid
  long: Vid
}

/** It says its short form alone. */
function peerFour(): PeerHolder {
  const pair = newOkpPair('Ed25519')
  const { short, long } = peerFourOf({ verifying: pair.x, sealing: newOkpPair('X25519').x, endpoint: 'tcp://127.0.0.1:13371' })
  return { short, long, ...signerOf(short, `${short}#key-1`, { alg: 'EdDSA', privateKey: privateKeyOf('Ed25519', pair.d) }) }
}

test('it is not let in while nobody has shown its long form, and nothing is reached', async () => {
  const ann = peerFour()
  const s = await secured({ trusted: [ann.short] })
  const assertion = await ann.sign(assertionClaims(ann.did, s.base))
  expect(await s.post('/token', { grant_type: JWT_BEARER, assertion, resource: s.url.href })).toMatchObject({ status: 400, json: { error: 'invalid_grant' } })
  expect(s.reached()).toEqual([])
})

test('it is let in when the configuration names it by its long form', async () => {
  const ann = peerFour()
  const s = await secured({ trusted: [{ id: ann.short, long: ann.long }] })
  expect(await sessionWith(s, bearer(await s.token(ann)))).toEqual(expect.any(String))
})

test('it is let in once an operator has told its long form to a node that runs', async () => {
  const [ann, bob] = [peerFour(), peerFour()]
  const s = await secured({ durable: true, trusted: [bob.short] })
  await expect(s.token(ann)).rejects.toThrow('invalid_grant')
  const store = await s.otherProcess()
  await knowVid(store, ann.long, undefined)
  await addTrust(store, { id: ann.short })
  expect(await until('it is trusted', () => s.token(ann).catch(() => undefined))).toEqual(expect.any(String))
})
