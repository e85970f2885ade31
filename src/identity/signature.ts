// Whether a signature is of a key: in the thread pool, for the three algorithms with which a DID may log in.
import { createPublicKey, verify, type KeyObject } from 'node:crypto'

import type { SignatureAlgorithm, VerificationKey } from './document.ts'
import { isVid, shortFormOf, type Vid } from './vid.ts'

/** Of all three algorithms (RFC 8037 §3.1, RFC 7518 §3.4, RFC 8812 §3.2). */
const SIGNATURE_BYTES = 64

/** Ed25519 has its hash in it. */
const HASH: Readonly<Record<SignatureAlgorithm, string | null>> = { EdDSA: null, ES256: 'sha256', ES256K: 'sha256' }

const imported = new WeakMap<VerificationKey, KeyObject>()

/** False for everything that is not a good signature, a key that is none included. */
export async function verifySignature(key: VerificationKey, signingInput: Uint8Array, signature: Uint8Array): Promise<boolean> {
  if (signature.length !== SIGNATURE_BYTES) return false
  const publicKey = importedOf(key)
  if (!publicKey) return false
  return new Promise((resolve) => {
    verify(HASH[key.alg], signingInput, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature, (error, good) => resolve(!error && good))
  })
}

/** The key that the kid of a JWT names: by its whole DID URL, by `#fragment` or by the fragment. */
export function keyForKid(keys: readonly VerificationKey[], vid: Vid, kid: string): VerificationKey | undefined {
  const hash = kid.indexOf('#')
  if (hash > 0 && !isSameIdentity(kid.slice(0, hash), vid)) return undefined
  const fragment = kid.slice(hash + 1)
  const named = keys.find(({ id }) => id.slice(id.indexOf('#') + 1) === fragment)
  if (named) return named
  // MCP-I names the one key of a did:key by its place instead of its text.
  return fragment === 'keys-1' && vid.startsWith('did:key:') && keys.length === 1 ? keys[0] : undefined
}

function isSameIdentity(text: string, vid: Vid): boolean {
  return text === vid || (isVid(text) && shortFormOf(text) === shortFormOf(vid))
}

function importedOf(key: VerificationKey): KeyObject | undefined {
  const known = imported.get(key)
  if (known) return known
  try {
    const publicKey = createPublicKey({ key: { ...key.jwk }, format: 'jwk' })
    imported.set(key, publicKey)
    return publicKey
  } catch {
    return undefined
  }
}
