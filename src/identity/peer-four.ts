// did:peer:4 as TSP writes it: its document is in its long form, and the hash of that is the short one, which is the identity.
import { createHash } from 'node:crypto'

import { toBase58 } from './base58.ts'
import type { TspProfile } from './document.ts'
import { parseVid, type Vid } from './vid.ts'

/** JSON in multicodec's table, as varint. */
export const JSON_PREFIX = [0x80, 0x04] as const
/** SHA-256 and its length, in multihash's. */
const HASH_PREFIX = [0x12, 0x20] as const
const ED25519_PREFIX = [0xed, 0x01] as const
const X25519_PREFIX = [0xec, 0x01] as const

/** Both forms of the identity with these keys. The order of the members makes its name, and is that of tsp_sdk. */
export function peerFourOf({ verifying, sealing, endpoint }: TspProfile): { short: Vid; long: Vid } {
  const document = {
    '@context': 'https://www.w3.org/ns/did/v1',
    verificationMethod: [multikey('#key-1', ED25519_PREFIX, verifying), multikey('#key-2', X25519_PREFIX, sealing)],
    authentication: ['#key-1'],
    keyAgreement: ['#key-2'],
    service: [{ id: '#tsp', type: 'tsp', serviceEndpoint: { uri: endpoint } }],
  }
  const encoded = multibase(JSON_PREFIX, Buffer.from(JSON.stringify(document)))
  const short = `did:peer:4${hashOfPeerFour(encoded)}`
  return { short: parseVid(short), long: parseVid(`${short}:${encoded}`) }
}

/** Of the document as it is encoded in the long form. */
export function hashOfPeerFour(encoded: string): string {
  return multibase(HASH_PREFIX, createHash('sha256').update(encoded).digest())
}

function multikey(id: string, prefix: readonly number[], key: string): object {
  return { id, type: 'Multikey', publicKeyMultibase: multibase(prefix, Buffer.from(key, 'base64url')) }
}

function multibase(prefix: readonly number[], bytes: Uint8Array): string {
  return `z${toBase58(Buffer.concat([Buffer.from(prefix), bytes]))}`
}
