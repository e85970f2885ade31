// The end of a key, written where the ends of tokens are: what it has opened ends within a second, in every process on the store.
import type { Revocation } from '../tokens/revocation.ts'
import type { KeyEnds } from './key-ring.ts'

/** What a key has opened elsewhere is over long before: so long its end is remembered. */
const REMEMBERED_MS = 7 * 24 * 3_600_000

export function createKeyEnds({ revocation, now, ended }: { revocation: Revocation; now: () => number; ended(): void }): KeyEnds {
  return {
    async now(id) {
      await revocation.revoke(keyTokenId(id), Infinity).finally(ended)
    },
    async from(id, atMs) {
      return revocation.revokeFrom(keyTokenId(id), atMs, Infinity).finally(ended)
    },
    settled: (id, atMs) => revocation.shorten(keyTokenId(id), atMs ?? 0, Math.max(atMs ?? 0, now()) + REMEMBERED_MS),
  }
}

/** What stands in the table of what was taken back. */
export function keyTokenId(id: string): string {
  return `key:${id}`
}
