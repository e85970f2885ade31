import { parseVid, shortFormOf } from '../identity/vid.ts'
import { parseTrustRule } from '../policy/rules.ts'
import type { TrustRule } from '../policy/shapes.ts'

/** A rule as a person wrote it, about the identity in the spelling in which it will be proved. */
export function readTrustRule(value: unknown): TrustRule {
  const rule = parseTrustRule(value)
  return { ...rule, id: identityOf(rule.id) }
}

/** A DID in the one spelling that is compared; a pattern, `any` and what an issuer vouches for as they are. */
export function identityOf(id: string): string {
  return id.startsWith('did:') && !/[*|]/.test(id) ? shortFormOf(parseVid(id)) : id
}
