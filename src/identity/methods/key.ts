// did:key: the DID is the key. key-did-resolver reads it, and reads more than one spelling of a key: here one is its name.
import { parse } from 'did-resolver'
import { getResolver } from 'key-did-resolver'

import { OpenMcpError } from '../../errors.ts'
import { membersOf } from '../json.ts'
import { multibaseOf } from '../public-key.ts'
import { authenticationKeysOf } from '../read-document.ts'
import { identifierOf, type Vid } from '../vid.ts'
import type { DidMethod } from './method.ts'

export function createKeyMethod(): DidMethod {
  const read = getResolver()['key']
  return {
    immutable: true,
    async resolve(vid) {
      const [key] = authenticationKeysOf(await documentOf(vid), vid)
      if (!key) throw new OpenMcpError('identity_invalid', 'the did:key is not of Ed25519, P-256 or secp256k1')
      if (multibaseOf(key) !== identifierOf(vid)) throw new OpenMcpError('identity_invalid', 'the did:key is not spelled as its key is')
      return { state: 'found', authentication: [key] }
    },
  }

  async function documentOf(vid: Vid): Promise<unknown> {
    const parsed = parse(vid)
    // The resolver it is handed is for methods that need others; this one needs none.
    const result = parsed && (await read?.(vid, parsed, { resolve: unused }, {}))
    if (!result?.didDocument) throw new OpenMcpError('identity_invalid', 'the did:key is not a key')
    const { didDocument } = result
    return {
      ...didDocument,
      verificationMethod: didDocument.verificationMethod?.map((method) => ({ ...method, ...withWholeCoordinates(method.publicKeyJwk) })),
    }
  }
}

/** key-did-resolver writes a coordinate without its leading zeros; RFC 7518 §6.2.1.2 wants all 32 bytes. */
function withWholeCoordinates(jwk: unknown): object {
  const members = membersOf(jwk)
  if (!members) return {}
  const whole = (name: string): object => {
    const value = members.get(name)
    return typeof value === 'string'
      ? { [name]: Buffer.from(Buffer.from(value, 'base64url').toString('hex').padStart(64, '0'), 'hex').toString('base64url') }
      : {}
  }
  return { publicKeyJwk: { ...Object.fromEntries(members), ...whole('x'), ...whole('y') } }
}

function unused(): never {
  throw new Error('did:key asks no other resolver')
}
