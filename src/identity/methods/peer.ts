// did:peer 2 and 4: the DID carries its keys (2) or its whole document (4).
import { createHash } from 'node:crypto'

import { OpenMcpError } from '../../errors.ts'
import { fromBase58, toBase58 } from '../base58.ts'
import type { VerificationKey } from '../document.ts'
import { membersOf, parseJson } from '../json.ts'
import { authenticationKeysOf } from '../read-document.ts'
import { identifierOf, shortFormOf, type Vid } from '../vid.ts'
import type { DidMethod, Outcome } from './method.ts'

const MOST_DOCUMENT = 4096
/** A point costs a millisecond, and whoever makes such a DID makes another one for every request. */
const MOST_KEYS = 4
/** JSON in multicodec's table, as varint. */
const JSON_PREFIX = [0x80, 0x04]

/** The short form of did:peer:4 is found only while its long form is remembered: at most `mostLongForms` of them. */
export function createPeerMethod({ mostLongForms }: { mostLongForms: number }): { short: DidMethod; long: DidMethod } {
  const longForms = new Map<Vid, Vid>()
  return {
    long: {
      immutable: true,
      async resolve(vid) {
        if (identifierOf(vid).startsWith('2')) return found(keysOfTwo(vid))
        const authentication = keysOfFour(vid, vid)
        remember(vid)
        return found(authentication)
      },
    },
    short: {
      immutable: false,
      async resolve(vid) {
        const long = longForms.get(vid)
        return long === undefined ? { state: 'not_found', why: 'the long form of this did:peer:4 was not shown' } : found(keysOfFour(long, vid))
      },
    },
  }

  function remember(long: Vid): void {
    const short = shortFormOf(long)
    longForms.delete(short)
    longForms.set(short, long)
    const [oldest] = longForms.keys()
    if (longForms.size > mostLongForms && oldest !== undefined) longForms.delete(oldest)
  }
}

function found(authentication: readonly VerificationKey[]): Outcome {
  return { state: 'found', authentication }
}

/** Keys are numbered from 1 in the order of their elements; services have no number. */
function keysOfTwo(vid: Vid): VerificationKey[] {
  const keys = identifierOf(vid)
    .split('.')
    .slice(1)
    .filter((element) => !element.startsWith('S'))
  if (keys.filter((element) => element.startsWith('V')).length > MOST_KEYS) throw tooManyKeys()
  const numbered = keys.map((element, index) => ({ purpose: element.charAt(0), id: `#key-${index + 1}`, publicKeyMultibase: element.slice(1) }))
  return authenticationKeysOf(
    {
      id: vid,
      verificationMethod: numbered.map(({ id, publicKeyMultibase }) => ({ id, type: 'Multikey', controller: vid, publicKeyMultibase })),
      authentication: numbered.filter(({ purpose }) => purpose === 'V').map(({ id }) => id),
    },
    vid,
  )
}

/** The keys in the document that a long form carries, named by `vid`: the long form itself, or its short one. */
function keysOfFour(long: Vid, vid: Vid): VerificationKey[] {
  const [hash = '', encoded = ''] = identifierOf(long).slice(1).split(':')
  const digest = createHash('sha256').update(encoded).digest()
  if (hash !== `z${toBase58(Buffer.concat([Buffer.from([0x12, 0x20]), digest]))}`) throw invalid('the hash in the did:peer:4 is not of its document')
  const bytes = fromBase58(encoded.slice(1), MOST_DOCUMENT)
  if (!bytes || bytes[0] !== JSON_PREFIX[0] || bytes[1] !== JSON_PREFIX[1]) throw invalid('the did:peer:4 carries no JSON')
  const document = parseJson(Buffer.from(bytes.subarray(2)).toString('utf8'))
  const members = membersOf(document)
  if (!members || members.has('id')) throw invalid('the document in a did:peer:4 is an object without an id')
  const completed = (name: string): unknown => {
    const list = members.get(name)
    return Array.isArray(list) ? list.map((entry: unknown) => withController(entry, vid)) : list
  }
  const authentication = members.get('authentication')
  if (Array.isArray(authentication) && authentication.length > MOST_KEYS) throw tooManyKeys()
  return authenticationKeysOf({ id: vid, verificationMethod: completed('verificationMethod'), authentication: completed('authentication') }, vid)
}

/** A method that names nobody is controlled by the DID. */
function withController(entry: unknown, vid: Vid): unknown {
  const members = membersOf(entry)
  return members ? { controller: vid, ...Object.fromEntries(members) } : entry
}

function tooManyKeys(): OpenMcpError {
  return invalid(`a did:peer has at most ${MOST_KEYS} keys to log in with`)
}

function invalid(message: string): OpenMcpError {
  return new OpenMcpError('identity_invalid', message)
}
