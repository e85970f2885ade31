// Tokens that were taken back before their time. What is known is in memory, so that asking costs nothing on every request;
// the store tells of what others took back.
import type { Store } from '../store/shapes.ts'

export interface Revocation {
  /** Remembered until the token would have expired (Infinity: for ever). Durable when this settles. */
  revoke(tokenId: string, expiresAtMs: number): Promise<void>
  /** From a moment on. False: it was taken back before, by whichever process, and what was said then stays. */
  revokeFrom(tokenId: string, fromMs: number, expiresAtMs: number): Promise<boolean>
  /** What was said stays, for no longer than this. Whatever somebody else has said meanwhile stays as it is. */
  shorten(tokenId: string, fromMs: number, expiresAtMs: number): Promise<void>
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
    async revoke(tokenId, expiresAtMs) {
      // First here: if the store fails, this process at least lets the token in no more.
      ours.set(tokenId, { fromMs: 0, expiresAtMs })
      await store.put('revoked', { key: tokenId, value: '', expiresAtMs: endOf(expiresAtMs) })
    },
    async revokeFrom(tokenId, fromMs, expiresAtMs) {
      const isFirst = await store.add('revoked', { key: tokenId, value: String(fromMs), expiresAtMs: endOf(expiresAtMs) })
      // What this process knows of an earlier end stays.
      if (isFirst && !ours.has(tokenId)) ours.set(tokenId, { fromMs, expiresAtMs })
      return isFirst
    },
    async shorten(tokenId, fromMs, expiresAtMs) {
      const value = fromMs === 0 ? '' : String(fromMs)
      if (!(await store.swap('revoked', tokenId, value, { value, expiresAtMs }))) return
      if (ours.get(tokenId)?.fromMs === fromMs) ours.set(tokenId, { fromMs, expiresAtMs })
    },
    isRevoked(tokenId) {
      const isPast = (fromMs: number | undefined): boolean => fromMs !== undefined && fromMs <= now()
      return isPast(stored.get(tokenId)) || isPast(ours.get(tokenId)?.fromMs)
    },
    reload,
  }
}

function endOf(expiresAtMs: number): number | undefined {
  return expiresAtMs === Infinity ? undefined : expiresAtMs
}
