// The keys with which a DID may log in, read from its document: those of `authentication`, controlled by the DID itself.
import { OpenMcpError } from '../errors.ts'
import type { VerificationKey } from './document.ts'
import { membersOf } from './json.ts'
import { publicKeyOfBase58, publicKeyOfJwk, publicKeyOfMultibase, type PublicKey } from './public-key.ts'
import type { Vid } from './vid.ts'

const MOST_METHODS = 32
const MOST_FRAGMENT = 256

export type Method = ReadonlyMap<string, unknown>

/** How each type of verification method holds its key. Other types are no keys to log in with. */
const KEY_OF: ReadonlyMap<unknown, (method: Method) => PublicKey | undefined> = new Map([
  ['JsonWebKey', jwkOf],
  ['JsonWebKey2020', jwkOf],
  ['Multikey', multikeyOf],
  ['Ed25519VerificationKey2020', ofCurve('EdDSA', multikeyOf)],
  ['Ed25519VerificationKey2018', ofCurve('EdDSA', (method) => (method.has('publicKeyBase58') ? base58Of(method, 'Ed25519') : jwkOf(method)))],
  ['EcdsaSecp256k1VerificationKey2019', ofCurve('ES256K', secp256k1Of)],
  // What key-did-resolver calls the same.
  ['Secp256k1VerificationKey2018', ofCurve('ES256K', secp256k1Of)],
])

/** Throws `identity_invalid` for a document that is not of this DID or contradicts itself. A document with no key to log in with is a good one. */
export function authenticationKeysOf(document: unknown, vid: Vid): VerificationKey[] {
  return methodsOf(document, vid, 'authentication').flatMap(({ id, method }) => {
    const key = KEY_OF.get(method.get('type'))?.(method)
    return key ? { id, ...key } : []
  })
}

/** The verification methods of one relationship that are the DID's own, in their order there. */
export function methodsOf(document: unknown, vid: Vid, relationship: 'authentication' | 'keyAgreement'): { id: string; method: Method }[] {
  const members = membersOf(document)
  if (!members) throw invalid('the DID document is not an object')
  if (members.get('id') !== vid) throw invalid('the DID document is of another DID')
  const methods = listOf(members, 'verificationMethod')
  const related = listOf(members, relationship)
  const named = new Map<string, Method>()
  for (const entry of [...methods, ...related.filter((reference) => typeof reference !== 'string')]) {
    const method = membersOf(entry)
    if (!method) throw invalid('a verification method is not an object')
    const id = absolute(method.get('id'), vid)
    if (named.has(id)) throw invalid('two verification methods have the same id')
    named.set(id, method)
  }
  const ids = new Set(related.map((entry) => absolute(typeof entry === 'string' ? entry : membersOf(entry)?.get('id'), vid)))
  return [...ids].flatMap((id) => {
    const method = named.get(id)
    // A reference into another document, or a key that somebody else controls, is not this DID's own.
    return method && id.startsWith(`${vid}#`) && method.get('controller') === vid ? { id, method } : []
  })
}

function listOf(members: ReadonlyMap<string, unknown>, name: string): readonly unknown[] {
  const list = members.get(name) ?? []
  if (!Array.isArray(list)) throw invalid(`${name} is not a list`)
  if (list.length > MOST_METHODS) throw invalid(`${name} has more than ${MOST_METHODS} entries`)
  return list
}

function absolute(id: unknown, vid: Vid): string {
  if (typeof id !== 'string') throw invalid('a verification method has no id')
  if (id.length > vid.length + MOST_FRAGMENT) throw invalid('the id of a verification method is too long')
  return id.startsWith('#') ? vid + id : id
}

function jwkOf(method: Method): PublicKey | undefined {
  return publicKeyOfJwk(method.get('publicKeyJwk'))
}

function multikeyOf(method: Method): PublicKey | undefined {
  return publicKeyOfMultibase(method.get('publicKeyMultibase'))
}

function base58Of(method: Method, curve: 'Ed25519' | 'secp256k1'): PublicKey {
  return publicKeyOfBase58(method.get('publicKeyBase58'), curve)
}

function secp256k1Of(method: Method): PublicKey | undefined {
  if (method.has('publicKeyBase58')) return base58Of(method, 'secp256k1')
  return method.has('publicKeyMultibase') ? multikeyOf(method) : jwkOf(method)
}

/** A type that names its curve and holds a key of another is not what it says. */
function ofCurve(alg: PublicKey['alg'], read: (method: Method) => PublicKey | undefined): (method: Method) => PublicKey | undefined {
  return (method) => {
    const key = read(method)
    if (key && key.alg !== alg) throw invalid('a verification method holds a key of another type')
    return key
  }
}

function invalid(message: string): OpenMcpError {
  return new OpenMcpError('identity_invalid', message)
}
