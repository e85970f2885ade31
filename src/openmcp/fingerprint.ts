// Whether a server is configured as it was before.
import { createHash } from 'node:crypto'

/** The same for the same settings, whatever order they were written in. Secrets are in there: what is kept is a digest. */
export function fingerprintOf(settings: unknown): string {
  return createHash('sha256').update(inOrder(settings)).digest('base64url')
}

function inOrder(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  )
}
