import { SignJWT, generateKeyPair, type CryptoKey } from 'jose'
import type { IdentitySigner } from '../../src/identity/shapes.ts'
import type { Vid } from '../../src/identity/vid.ts'

export interface TestSigner extends IdentitySigner {
  readonly publicKey: CryptoKey
}

/** An identity whose DID nobody resolves: who checks it here knows its key. */
export async function testSigner(did = 'did:web:ann.example'): Promise<TestSigner> {
  const { publicKey, privateKey } = await generateKeyPair('EdDSA')
  const vid = did as Vid // what parseVid would make of it
  const identity = { name: 'ann', vid, long: vid, kid: `${did}#key`, alg: 'EdDSA', createdAtMs: 0, deactivated: false } as const
  return {
    identity,
    publicKey,
    sign: (claims, typ) => new SignJWT({ ...claims }).setProtectedHeader({ alg: 'EdDSA', kid: identity.kid, typ }).sign(privateKey),
  }
}
