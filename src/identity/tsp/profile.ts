// What a DID document says for TSP: the first key of each purpose, and the service, as tsp_sdk reads them.
import { diffieHellman } from 'node:crypto'

import { OpenMcpError } from '../../errors.ts'
import { fromBase58 } from '../base58.ts'
import type { TspProfile } from '../document.ts'
import { membersOf } from '../json.ts'
import { privateKeyOf, publicKeyOf } from '../okp.ts'
import { authenticationKeysOf, methodsOf, type Method } from '../read-document.ts'
import { shortFormOf, type Vid } from '../vid.ts'

const MOST_KEY = 64
const MOST_ENDPOINT = 2048
/** did:peer and did:web name it otherwise. */
const SERVICE_TYPES: readonly unknown[] = ['tsp', 'TSPTransport']
const X25519 = 'ec01'
const ANY_SECRET = privateKeyOf('X25519', Buffer.alloc(32, 1).toString('base64url'))

/** Undefined for a document that says nothing of TSP, or nothing that can be used: its holder may still log in by other ways. */
export function tspProfileOf(document: unknown, vid: Vid): TspProfile | undefined {
  try {
    const [first] = authenticationKeysOf(document, vid)
    const [agreement] = methodsOf(document, vid, 'keyAgreement')
    const endpoint = endpointIn(document, vid)
    const sealing = agreement && sealingKeyOf(agreement.method)
    if (first?.jwk.crv !== 'Ed25519' || sealing === undefined || endpoint === undefined) return undefined
    return { verifying: first.jwk.x, sealing, endpoint }
  } catch (thrown) {
    if (thrown instanceof OpenMcpError) return undefined
    throw thrown
  }
}

function endpointIn(document: unknown, vid: Vid): string | undefined {
  const services = membersOf(document)?.get('service')
  if (!Array.isArray(services)) return undefined
  const service = services.map(membersOf).find((members) => SERVICE_TYPES.includes(members?.get('type')))
  const stated = service?.get('serviceEndpoint')
  const text = typeof stated === 'string' ? stated : membersOf(stated)?.get('uri')
  if (typeof text !== 'string' || text.length > MOST_ENDPOINT) return undefined
  // A did:peer:4 cannot know its own name while it is made.
  const endpoint = text.replace('[vid_placeholder]', shortFormOf(vid))
  return URL.canParse(endpoint) ? endpoint : undefined
}

function sealingKeyOf(method: Method): string | undefined {
  const x = method.has('publicKeyJwk') ? xOf(membersOf(method.get('publicKeyJwk'))) : ofMultibase(method.get('publicKeyMultibase'))
  return x !== undefined && agreesOnSomething(x) ? x : undefined
}

function xOf(jwk: ReadonlyMap<string, unknown> | undefined): string | undefined {
  const [kty, crv, x, use] = ['kty', 'crv', 'x', 'use'].map((name) => jwk?.get(name))
  return kty === 'OKP' && crv === 'X25519' && (use === undefined || use === 'enc') && typeof x === 'string'
    ? whole(Buffer.from(x.slice(0, MOST_KEY), 'base64url'), x)
    : undefined
}

function ofMultibase(text: unknown): string | undefined {
  const bytes = typeof text === 'string' && text.startsWith('z') ? fromBase58(text.slice(1), MOST_KEY) : undefined
  return bytes && Buffer.from(bytes.subarray(0, 2)).toString('hex') === X25519 ? whole(Buffer.from(bytes.subarray(2))) : undefined
}

/** 32 bytes, and where they were base64url, the one text that they have. */
function whole(bytes: Buffer, text?: string): string | undefined {
  const x = bytes.toString('base64url')
  return bytes.length === 32 && (text === undefined || text === x) ? x : undefined
}

/** With a point of small order everybody agrees on zeros, and node:crypto throws. */
function agreesOnSomething(x: string): boolean {
  try {
    diffieHellman({ privateKey: ANY_SECRET, publicKey: publicKeyOf('X25519', x) })
    return true
  } catch {
    return false
  }
}
