// did:peer 2 and 4: the DID carries its keys (2) or its whole document (4).
import { OpenMcpError } from '../../errors.ts'
import { fromBase58, toBase58 } from '../base58.ts'
import { membersOf, parseJson } from '../json.ts'
import { hashOfPeerFour, JSON_PREFIX } from '../peer-four.ts'
import { identifierOf, shortFormOf, type Vid } from '../vid.ts'
import { foundIn, type DidMethod, type Outcome } from './method.ts'

const MOST_DOCUMENT = 4096
/** A point costs a millisecond, and whoever makes such a DID makes another one for every request. */
const MOST_KEYS = 4

interface Shown {
  readonly long: Vid
  /** What its document says, with the short form as its name. */
  outcome?: Outcome
}

interface PeerMethod {
  readonly short: DidMethod
  readonly long: DidMethod
  /** A DID that was found before was shown again: if it is a long form, its short one is known for as long as if it were new. */
  shownAgain(vid: Vid): void
  keep(vids: Iterable<Vid>): void
}

/**
 * The short form of did:peer:4 is found only while its long form is remembered: at most `mostLongForms` of those that somebody showed,
 * and beside them at most `mostKept` that we keep.
 */
export function createPeerMethod({ mostLongForms, mostKept }: { mostLongForms: number; mostKept: number }): PeerMethod {
  const passing = new Map<Vid, Shown>()
  const kept = new Map<Vid, Shown>()
  return {
    long: {
      immutable: true,
      async resolve(vid) {
        if (identifierOf(vid).startsWith('2')) return foundIn(documentOfTwo(vid), vid)
        const outcome = foundIn(documentOfFour(vid, vid), vid)
        shownAgain(vid)
        return outcome
      },
    },
    short: {
      immutable: false,
      async resolve(vid) {
        const shown = kept.get(vid) ?? passing.get(vid)
        if (!shown) return { state: 'not_found', why: 'the long form of this did:peer:4 was not shown' }
        // Its keys are points to be checked, which takes a millisecond, and by TSP it is asked for with every message.
        shown.outcome ??= foundIn(documentOfFour(shown.long, vid), vid)
        return shown.outcome
      },
    },
    shownAgain,
    keep(vids) {
      for (const vid of vids) {
        const short = shortFormOf(vid)
        const shown = kept.get(short) ?? passing.get(short) ?? (short === vid || !isOfItsDocument(vid) ? undefined : { long: vid })
        if (!shown) continue
        passing.delete(short)
        setLast(kept, short, shown, mostKept)
      }
    },
  }

  function shownAgain(vid: Vid): void {
    const short = shortFormOf(vid)
    if (short !== vid && !kept.has(short)) setLast(passing, short, passing.get(short) ?? { long: vid }, mostLongForms)
  }
}

/** Throws `identity_invalid` for a long form that names nobody, or nobody who could be asked. */
export function checkLongForm(long: Vid): void {
  foundIn(documentOfFour(long, long), long)
}

/** The one that was set first is forgotten first. */
function setLast(shown: Map<Vid, Shown>, short: Vid, one: Shown, most: number): void {
  shown.delete(short)
  shown.set(short, one)
  const [oldest] = shown.keys()
  if (shown.size > most && oldest !== undefined) shown.delete(oldest)
}

/** Keys are numbered from 1 in the order of their elements; services have no number. */
function documentOfTwo(vid: Vid): object {
  const elements = identifierOf(vid).split('.').slice(1)
  const keys = elements.filter((element) => !element.startsWith('S'))
  if (keys.filter((element) => element.startsWith('V')).length > MOST_KEYS) throw tooManyKeys()
  const numbered = keys.map((element, index) => ({
    purpose: element.charAt(0),
    id: `#key-${index + 1}`,
    publicKeyMultibase: correctedMultibase(element.slice(1)),
  }))
  const idsFor = (wanted: string): string[] => numbered.filter(({ purpose }) => purpose === wanted).map(({ id }) => id)
  return {
    id: vid,
    verificationMethod: numbered.map(({ id, publicKeyMultibase }) => ({ id, type: 'Multikey', controller: vid, publicKeyMultibase })),
    authentication: idsFor('V'),
    keyAgreement: idsFor('E'),
    service: elements
      .filter((element) => element.startsWith('S'))
      .slice(0, 1)
      .flatMap((element) => serviceOf(element.slice(1))),
  }
}

/** TSP up to its revision 2 wrote the length of a key where the second byte of its kind belongs: 0x20 for 0x01. Nothing else has that kind. */
function correctedMultibase(text: string): string {
  const bytes = fromBase58(text.slice(1), MOST_DOCUMENT)
  if (!bytes || bytes.length !== 34 || bytes[1] !== 0x20 || (bytes[0] !== 0xed && bytes[0] !== 0xec)) return text
  return `z${toBase58(Buffer.from(bytes).fill(0x01, 1, 2))}`
}

/** In a did:peer:2 names are one letter long. One that cannot be read takes no key from anybody. */
function serviceOf(encoded: string): object[] {
  try {
    const members = membersOf(parseJson(Buffer.from(encoded, 'base64url').toString('utf8')))
    return members ? [{ type: members.get('t'), serviceEndpoint: members.get('s') }] : []
  } catch {
    return []
  }
}

/** The document that a long form carries, named by `vid`: the long form itself, or its short one. */
function documentOfFour(long: Vid, vid: Vid): object {
  if (!isOfItsDocument(long)) throw invalid('the hash in the did:peer:4 is not of its document')
  const encoded = encodedIn(long)
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
  return {
    id: vid,
    verificationMethod: completed('verificationMethod'),
    authentication: completed('authentication'),
    keyAgreement: completed('keyAgreement'),
    service: members.get('service'),
  }
}

/** Whether the short form in a long one is the hash of the document behind it: otherwise it names somebody else. */
function isOfItsDocument(long: Vid): boolean {
  return shortFormOf(long) === `did:peer:4${hashOfPeerFour(encodedIn(long))}`
}

function encodedIn(long: Vid): string {
  return identifierOf(long).split(':')[1] ?? ''
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
