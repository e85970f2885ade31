// A VID: the identifier that a caller proves to hold, here always a DID. Lengths are checked before anything decodes.
import { keccak_256 } from '@noble/hashes/sha3.js'

import { OpenMcpError } from '../errors.ts'

export type Vid = string & { readonly __vid: unique symbol } // only parseVid makes one

/** Decoding base58 takes the square of the length: 100,000 characters would hold the loop for seconds. */
const MOST_CHARACTERS: ReadonlyMap<string, number> = new Map([
  ['jwk', 1024],
  // The long form of did:peer:4 carries its document.
  ['peer', 4096],
])
const MOST_CHARACTERS_OTHERWISE = 512
const MOST_CHARACTERS_OF_ANY = 4096

/** did-core §3.1. The identifier may hold empty parts, and must not end with one. */
const DID = /^did:([a-z0-9]+):((?:[\w.-]|%[0-9A-F]{2}|:)*(?:[\w.-]|%[0-9A-F]{2}))$/

/** What a DID of these methods looks like beside that, so that one identity has one spelling. */
const SPELLINGS: ReadonlyMap<string, (identifier: string) => string | undefined> = new Map([
  ['key', ofForm(/^z[1-9A-HJ-NP-Za-km-z]+$/, 'did:key is z and base58')],
  ['jwk', ofForm(/^[\w-]+$/, 'did:jwk is base64url')],
  [
    'peer',
    ofForm(/^(2(\.[AEVID]z[1-9A-HJ-NP-Za-km-z]+|\.S[\w-]+)+|4zQm[1-9A-HJ-NP-Za-km-z]+(:z[1-9A-HJ-NP-Za-km-z]+)?)$/, 'of did:peer the forms 2 and 4 are read'),
  ],
  ['web', (identifier) => wrongPlace(identifier.split(':'))],
  ['webvh', wrongWebvh],
  ['pkh', wrongWallet],
])

/** A DID as it is compared everywhere. Throws `identity_invalid`. A wallet's address is made lower-case; all else must be written as it is compared. */
export function parseVid(text: unknown): Vid {
  if (typeof text !== 'string') throw invalid('a DID is a text', 'for example did:key:z6Mk…')
  if (text.length > MOST_CHARACTERS_OF_ANY) throw invalid('the DID is too long', `${MOST_CHARACTERS_OF_ANY} characters are the most`)
  const [, method, identifier] = DID.exec(text) ?? []
  if (method === undefined || identifier === undefined) throw invalid('this is not a DID', 'did:METHOD:IDENTIFIER, without a path, a query or a fragment')
  const most = MOST_CHARACTERS.get(method) ?? MOST_CHARACTERS_OTHERWISE
  if (text.length > most) throw invalid(`the did:${method} is too long`, `${most} characters are the most`)
  const wrong = SPELLINGS.get(method)?.(identifier)
  if (wrong !== undefined) throw invalid(`the did:${method} is not written as it must be`, wrong)
  // What was read above is what the brand promises.
  return (method === 'pkh' ? text.toLowerCase() : text) as Vid
}

/** Whether a text is a DID in the one spelling that is compared. */
export function isVid(text: unknown): text is Vid {
  try {
    return parseVid(text) === text
  } catch {
    return false
  }
}

export function methodOf(vid: Vid): string {
  return vid.slice(4, vid.indexOf(':', 4))
}

/** The identifier after `did:METHOD:`. */
export function identifierOf(vid: Vid): string {
  return vid.slice(vid.indexOf(':', 4) + 1)
}

/** did:peer:4 has a long form, which carries its document, and a short form: they name one identity. Every other DID is its own. */
export function shortFormOf(vid: Vid): Vid {
  // The short form of what was read is a did:peer:4 as well.
  return vid.startsWith('did:peer:4') ? (vid.split(':').slice(0, 3).join(':') as Vid) : vid
}

function ofForm(form: RegExp, hint: string): (identifier: string) => string | undefined {
  return (identifier) => (form.test(identifier) ? undefined : hint)
}

function wrongWebvh(identifier: string): string | undefined {
  const [scid = '', ...place] = identifier.split(':')
  if (!/^[1-9A-HJ-NP-Za-km-z]{20,128}$/.test(scid)) return 'did:webvh:SCID:HOST[:PATH…]'
  return wrongPlace(place)
}

function wrongPlace([host = '', ...path]: readonly string[]): string | undefined {
  const [, name = '', port] = /^([a-z0-9.-]{1,253})(?:%3A([1-9]\d{0,4}))?$/.exec(host) ?? []
  if (name === '') return 'the host is lower-case, in ASCII, and a port follows it after %3A'
  if (port === '443' || Number(port ?? 1) > 65_535) return 'the port is left away when it is 443, and is at most 65535'
  // 0x7f.1 and 2130706433 are further spellings of an address, and a dot at the end is one of a name.
  if (name.endsWith('.') || hostnameOf(name) !== name) return 'the host is not spelled as it is connected to'
  const wrong = path.find((segment) => !/^[\w.-]+$/.test(segment) || /^\.+$/.test(segment))
  return wrong === undefined ? undefined : 'parts of the path are letters, digits, dot, hyphen and underscore'
}

function hostnameOf(name: string): string | undefined {
  return URL.canParse(`https://${name}/`) ? new URL(`https://${name}/`).hostname : undefined
}

function wrongWallet(identifier: string): string | undefined {
  const [, address] = /^eip155:(?:0|[1-9]\d{0,31}):0x([0-9a-fA-F]{40})$/.exec(identifier) ?? []
  if (address === undefined) return 'of did:pkh wallets of eip155 are read: did:pkh:eip155:1:0x…'
  const isPlain = address === address.toLowerCase()
  return isPlain || address === checksummed(address.toLowerCase()) ? undefined : 'the letters of the address do not make its checksum (EIP-55)'
}

/** EIP-55: a letter is a capital where the hash of the lower-case address has a high digit. */
function checksummed(address: string): string {
  const hash = Buffer.from(keccak_256(Buffer.from(address, 'latin1'))).toString('hex')
  return Array.from(address, (c, index) => (Number.parseInt(hash.charAt(index), 16) >= 8 ? c.toUpperCase() : c)).join('')
}

function invalid(message: string, hint: string): OpenMcpError {
  return new OpenMcpError('identity_invalid', message, { hint })
}
