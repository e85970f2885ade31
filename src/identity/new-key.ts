// New private keys. The pair comes as DER and is read again: Node 20 can wait for ever when a pair that it has just made is exported as a
// JWK, because the export holds a lock that the garbage collection it sets off waits for.
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'

const PRIVATE = { type: 'pkcs8', format: 'der' } as const
const PUBLIC = { type: 'spki', format: 'der' } as const

export function newPrivateKey(curve: 'Ed25519' | 'P-256' | 'secp256k1'): KeyObject {
  const { privateKey } =
    curve === 'Ed25519'
      ? generateKeyPairSync('ed25519', { privateKeyEncoding: PRIVATE, publicKeyEncoding: PUBLIC })
      : generateKeyPairSync('ec', { namedCurve: curve, privateKeyEncoding: PRIVATE, publicKeyEncoding: PUBLIC })
  return createPrivateKey({ key: privateKey, ...PRIVATE })
}
