// Tokens that were taken back before their time. What is known is in memory, so that asking costs nothing on every request;
// the store tells of what others took back.
import type { Store } from '../store/shapes.ts'

export interface Revocation {
  /** From now on, or from a moment on; remembered until the token would have expired. Durable when this settles. */
  revoke(tokenId: string, expiresAtMs: number, fromMs?: number): Promise<void>
  isRevoked(tokenId: string): boolean
  /** Reads what other processes wrote; on `store_failed` what was known stays known. */
  reload(): Promise<void>
}

export async function createRevocation({ store, now }: { store: Store; now: () => number }): Promise<Revocation> {
  /** Taken back here: a list that was read before the row was written must not forget them. */
  const ours = new Map<string, { fromMs: number; expiresAtMs: number }>()
  let stored = new Map<string, number>()
  const reload = async (): Promise<void> => {
    const rows = await store.list('revoked')
    stored = new Map(rows.map(({ key, value }) => [key, Number(value)]))
    for (const [tokenId, { expiresAtMs }] of ours) if (expiresAtMs <= now()) ours.delete(tokenId)
  }
  await reload()
  return {
    async revoke(tokenId, expiresAtMs, fromMs = 0) {
      // First here: if the store fails, this process at least lets the token in no more.
      ours.set(tokenId, { fromMs, expiresAtMs })
      await store.put('revoked', { key: tokenId, value: fromMs === 0 ? '' : String(fromMs), expiresAtMs })
    },
    isRevoked(tokenId) {
      const fromMs = stored.get(tokenId) ?? ours.get(tokenId)?.fromMs
      return fromMs !== undefined && fromMs <= now()
    },
    reload,
  }
}
