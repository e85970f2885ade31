// The document of a did:web or did:webvh that tsp_sdk can read: it takes nothing beside these members, and no key of another kind.
import type { TspProfile } from '../document.ts'
import type { Vid } from '../vid.ts'

/** A key of Ed25519 by its DID URL. Of several the first one is what a peer by TSP checks signatures with. */
interface VerifyingKey {
  readonly kid: string
  readonly x: string
}

/** `keys` are those that sign: one, under the name that tsp_sdk gives it, unless they are named. */
export function tspDocumentOf(
  vid: Vid,
  { verifying, sealing, endpoint }: TspProfile,
  keys: readonly VerifyingKey[] = [{ kid: `${vid}#verification-key`, x: verifying }],
): object {
  const method = (id: string, crv: 'Ed25519' | 'X25519', use: 'sig' | 'enc', x: string): object => ({
    id,
    type: 'JsonWebKey2020',
    controller: vid,
    publicKeyJwk: { kty: 'OKP', crv, use, x },
  })
  const sealingId = `${vid}#encryption-key`
  return {
    '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/suites/jws-2020/v1'],
    id: vid,
    verificationMethod: [...keys.map(({ kid, x }) => method(kid, 'Ed25519', 'sig', x)), method(sealingId, 'X25519', 'enc', sealing)],
    authentication: keys.map(({ kid }) => kid),
    keyAgreement: [sealingId],
    service: [{ id: `${vid}#tsp-transport`, type: 'TSPTransport', serviceEndpoint: endpoint }],
  }
}
