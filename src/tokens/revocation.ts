// Tokens that were taken back before their time. What is known is in memory, so that asking costs nothing on every request;
// the store tells of what others took back.
import type { Store } from '../store/shapes.ts'

export interface Revocation {
  /** Remembered until the token would have expired. Durable when this settles. */
  revoke(tokenId: string, expiresAtMs: number): Promise<void>
  isRevoked(tokenId: string): boolean
  /** Reads what other processes wrote; on `store_failed` what was known stays known. */
  reload(): Promise<void>
}

export async function createRevocation({ store, now }: { store: Store; now: () => number }): Promise<Revocation> {
  /** Taken back here: a list that was read before the row was written must not forget them. */
  const ours = new Map<string, number>()
  let stored = new Set<string>()
  const reload = async (): Promise<void> => {
    const rows = await store.list('revoked')
    stored = new Set(rows.map(({ key }) => key))
    for (const [tokenId, expiresAtMs] of ours) if (expiresAtMs <= now()) ours.delete(tokenId)
  }
  await reload()
  return {
    async revoke(tokenId, expiresAtMs) {
      // First here: if the store fails, this process at least lets the token in no more.
      ours.set(tokenId, expiresAtMs)
      await store.put('revoked', { key: tokenId, value: '', expiresAtMs })
    },
    isRevoked: (tokenId) => stored.has(tokenId) || ours.has(tokenId),
    reload,
  }
}
