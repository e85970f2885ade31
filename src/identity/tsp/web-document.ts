// The document of a did:web or did:webvh that tsp_sdk can read: it takes nothing beside these members, and no key of another kind.
import type { TspProfile } from '../document.ts'
import type { Vid } from '../vid.ts'

export function tspDocumentOf(vid: Vid, { verifying, sealing, endpoint }: TspProfile): object {
  const method = (name: string, crv: 'Ed25519' | 'X25519', use: 'sig' | 'enc', x: string): object => ({
    id: `${vid}#${name}`,
    type: 'JsonWebKey2020',
    controller: vid,
    publicKeyJwk: { kty: 'OKP', crv, use, x },
  })
  return {
    '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/suites/jws-2020/v1'],
    id: vid,
    verificationMethod: [method('verification-key', 'Ed25519', 'sig', verifying), method('encryption-key', 'X25519', 'enc', sealing)],
    authentication: [`${vid}#verification-key`],
    keyAgreement: [`${vid}#encryption-key`],
    service: [{ id: `${vid}#tsp-transport`, type: 'TSPTransport', serviceEndpoint: endpoint }],
  }
}
