// Whether a JWT was signed by a key with which this DID may log in.
import type { VerificationKey } from '../identity/document.ts'
import type { Resolver } from '../identity/shapes.ts'
import { keyForKid, verifySignature } from '../identity/signature.ts'
import type { Vid } from '../identity/vid.ts'
import type { Jwt } from './jwt.ts'

/** Young enough that a key which was just added is in it, old enough that nobody can make us fetch on every request. */
const FRESH_MS = 5000
/** A JWT without a kid is tried with so many keys. */
const MOST_KEYS = 4

/** Whether its document is somewhere else: the others are computed from the DID itself. */
export function isFetched(did: string): boolean {
  return /^did:web(?:vh)?:/.test(did)
}

/** Undefined: it was. Otherwise why not, for the log. `failed` in front: the document could not be had, so nothing is known. */
export async function wrongDidSignature(jwt: Jwt, vid: Vid, resolver: Resolver): Promise<string | undefined> {
  const wrong = await wrongBy(jwt, vid, resolver, undefined)
  if (wrong !== NO_SUCH_KEY) return wrong
  return wrongBy(jwt, vid, resolver, FRESH_MS)
}

const NO_SUCH_KEY = 'no authentication key of that kid and algorithm'

async function wrongBy(jwt: Jwt, vid: Vid, resolver: Resolver, maxAgeMs: number | undefined): Promise<string | undefined> {
  const resolution = await resolver.resolve(vid, maxAgeMs === undefined ? {} : { maxAgeMs })
  if (resolution.state !== 'found') return `${resolution.state}: ${resolution.why}`
  const keys = candidates(jwt, vid, resolution.authentication)
  if (keys.length === 0) return NO_SUCH_KEY
  for (const key of keys) if (await verifySignature(key, jwt.signingInput, jwt.signature)) return undefined
  return 'the signature is wrong'
}

function candidates({ header }: Jwt, vid: Vid, keys: readonly VerificationKey[]): VerificationKey[] {
  const { alg, kid } = header
  // RFC 9864 names EdDSA by its curve; both are one.
  const wanted = alg === 'Ed25519' ? 'EdDSA' : alg
  const fitting = keys.filter((key) => key.alg === wanted)
  if (kid === undefined) return fitting.slice(0, MOST_KEYS)
  const named = typeof kid === 'string' ? keyForKid(fitting, vid, kid) : undefined
  return named ? [named] : []
}
