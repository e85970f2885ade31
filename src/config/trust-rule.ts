import { checkLongForm } from '../identity/methods/peer.ts'
import { parseVid, shortFormOf } from '../identity/vid.ts'
import { parseTrustRule } from '../policy/rules.ts'
import type { TrustRule } from '../policy/shapes.ts'

/** A rule as a person wrote it, about the identity in the spelling in which it will be proved. */
export function readTrustRule(value: unknown): TrustRule {
  const rule = parseTrustRule(value)
  const id = identityOf(rule.id)
  if (!isLongForm(rule.id)) return { ...rule, id }
  const long = parseVid(rule.id)
  checkLongForm(long)
  return { ...rule, id, long }
}

/** A DID in the one spelling that is compared; a pattern, `any` and what an issuer vouches for as they are. */
export function identityOf(id: string): string {
  return id.startsWith('did:') && !/[*|]/.test(id) ? shortFormOf(parseVid(id)) : id
}

/** Whether it carries the document of a did:peer:4, and is not only its name. */
function isLongForm(id: string): boolean {
  return /^did:peer:4[^:*|]+:[^:*|]+$/.test(id)
}
