// Makes sealed boxes, which openmcp only opens: so that they can be opened in tests.
import { diffieHellman } from 'node:crypto'

import { privateKeyOf, publicTextOf } from '../../src/identity/okp.ts'
import { DATA } from '../../src/tsp/cesr.ts'
import type { Sealing } from '../../src/tsp/seal.ts'
import { boxOf } from '../../src/tsp/sealed-box.ts'

export function sealedBoxOf(ephemeralSecret: Buffer): Sealing {
  const privateKey = privateKeyOf('X25519', ephemeralSecret.toString('base64url'))
  return {
    code: DATA.sealedBox,
    digestKind: 'blake2b256',
    seal(to, plaintext) {
      const ephemeral = Buffer.from(publicTextOf(privateKey), 'base64url')
      const agreed = diffieHellman({ privateKey, publicKey: to.sealing })
      return Buffer.concat([ephemeral, boxOf(agreed, ephemeral, to.sealingBytes).encrypt(plaintext)])
    },
  }
}
