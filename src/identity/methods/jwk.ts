// did:jwk: the DID is a JWK in base64url.
import { OpenMcpError } from '../../errors.ts'
import { membersOf, parseJson } from '../json.ts'
import { publicKeyOfJwk } from '../public-key.ts'
import { identifierOf } from '../vid.ts'
import type { DidMethod } from './method.ts'

export function createJwkMethod(): DidMethod {
  return {
    immutable: true,
    async resolve(vid) {
      const identifier = identifierOf(vid)
      const bytes = Buffer.from(identifier, 'base64url')
      if (bytes.toString('base64url') !== identifier) throw new OpenMcpError('identity_invalid', 'the did:jwk is not base64url')
      const jwk = parseJson(bytes.toString('utf8'))
      const key = publicKeyOfJwk(jwk)
      if (key) return { state: 'found', authentication: [{ id: `${vid}#0`, ...key }] }
      // A key for encryption is a good identity, which nobody can log in with.
      if (membersOf(jwk)?.get('use') === 'enc') return { state: 'found', authentication: [] }
      throw new OpenMcpError('identity_invalid', 'the did:jwk is not of Ed25519, P-256 or secp256k1')
    },
  }
}
