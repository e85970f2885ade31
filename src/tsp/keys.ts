// The keys of a VID in the form in which node:crypto works fast with them. Who may be believed about them was decided where they come from.
import type { KeyObject } from 'node:crypto'

import { privateKeyOf, publicKeyOf, publicTextOf } from '../identity/okp.ts'

/** What a peer's signatures are verified with, and what is sealed to it. */
export interface PeerKeys {
  readonly verifying: KeyObject
  readonly sealing: KeyObject
  /** The bytes of `sealing`, which go into the key that is agreed. */
  readonly sealingBytes: Buffer
}

export interface OwnKeys extends PeerKeys {
  readonly signing: KeyObject
  readonly opening: KeyObject
}

/** Ed25519 to sign and X25519 to seal; each 32 bytes of base64url. */
export interface PublicKeyTexts {
  readonly verifying: string
  readonly sealing: string
}

/** The seed of Ed25519 and the scalar of X25519; each 32 bytes of base64url. */
export interface SecretKeyTexts {
  readonly signing: string
  readonly opening: string
}

const imported = new WeakMap<PublicKeyTexts, PeerKeys>()

/** Throws what node:crypto throws for what is no key. The resolver gives the same texts as long as it remembers them. */
export function peerKeysOf(texts: PublicKeyTexts): PeerKeys {
  const known = imported.get(texts)
  if (known) return known
  const { verifying, sealing } = texts
  const keys = { verifying: publicKeyOf('Ed25519', verifying), sealing: publicKeyOf('X25519', sealing), sealingBytes: Buffer.from(sealing, 'base64url') }
  imported.set(texts, keys)
  return keys
}

/** The public keys are computed: beside a secret that is not theirs they would be believed. */
export function ownKeysOf({ signing, opening }: SecretKeyTexts): OwnKeys {
  const [signingKey, openingKey] = [privateKeyOf('Ed25519', signing), privateKeyOf('X25519', opening)]
  return {
    signing: signingKey,
    opening: openingKey,
    ...peerKeysOf({ verifying: publicTextOf(signingKey), sealing: publicTextOf(openingKey) }),
  }
}
