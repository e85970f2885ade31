// piv.json, in which tsp_sdk keeps a VID and its secrets: read to take an identity over, and written to carry one there.
import { OpenMcpError } from '../../errors.ts'
import type { TspProfile } from '../document.ts'
import { membersOf } from '../json.ts'
import { isOkpKey, privateKeyOf, publicTextOf, type OkpCurve } from '../okp.ts'
import { peerFourOf } from '../peer-four.ts'
import { parseVid, shortFormOf, type Vid } from '../vid.ts'

export interface TspIdentity {
  /** Of a did:peer:4 the short form. */
  readonly vid: Vid
  /** What introduces a did:peer:4; of every other VID itself. */
  readonly long: Vid
  readonly profile: TspProfile
  /** The seed of Ed25519 and the scalar of X25519, 32 bytes of base64url each. */
  readonly secrets: { readonly signing: string; readonly opening: string }
}

const MOST_ENDPOINT = 2048

/** The text of a piv.json, which is the identity: whoever has it is it. */
export function pivOf({ vid, profile, secrets }: TspIdentity): string {
  const piv = {
    id: vid,
    transport: profile.endpoint,
    sigKeyType: 'Ed25519',
    publicSigkey: profile.verifying,
    encKeyType: 'X25519',
    publicEnckey: profile.sealing,
    sigkey: secrets.signing,
    enckey: secrets.opening,
  }
  return `${JSON.stringify(piv, null, 2)}\n`
}

/** Throws `identity_invalid` for one whose secrets are not those of its public keys, or whose VID has other keys. */
export function parsePiv(piv: unknown): TspIdentity {
  const members = membersOf(piv)
  if (!members) throw invalid('a piv.json is an object')
  const named = parseVid(members.get('id'))
  const signing = secretOf('Ed25519', members, 'sigKeyType', 'sigkey', 'publicSigkey')
  const opening = secretOf('X25519', members, 'encKeyType', 'enckey', 'publicEnckey')
  const endpoint = members.get('transport')
  if (typeof endpoint !== 'string' || endpoint.length > MOST_ENDPOINT || !URL.canParse(endpoint)) throw invalid('the transport of a piv.json is a URL')
  const profile = { verifying: signing.x, sealing: opening.x, endpoint }
  return { vid: shortFormOf(named), long: longFormOf(named, profile), profile, secrets: { signing: signing.d, opening: opening.d } }
}

function longFormOf(vid: Vid, profile: TspProfile): Vid {
  if (!vid.startsWith('did:peer:4')) return vid
  const { short, long } = peerFourOf(profile)
  if (vid !== short && vid !== long) throw invalid('the did:peer:4 is not made of these keys and this transport')
  return long
}

function secretOf(crv: OkpCurve, members: ReadonlyMap<string, unknown>, type: string, secret: string, stated: string): { d: string; x: string } {
  // Of the first versions none says it, and there was no other.
  const kind = members.get(type)
  if (kind !== undefined && kind !== crv) throw invalid(`the ${type} of a piv.json that is read is ${crv}`)
  const d = members.get(secret)
  if (!isOkpKey(d)) throw invalid(`the ${secret} of a piv.json is 32 bytes of base64url`)
  const x = publicTextOf(privateKeyOf(crv, d))
  if (members.get(stated) !== x) throw invalid(`the ${secret} of the piv.json does not belong to its ${stated}`)
  return { d, x }
}

function invalid(message: string): OpenMcpError {
  return new OpenMcpError('identity_invalid', message)
}
