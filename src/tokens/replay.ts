// One memory for everything that may be used once: assertions of every kind and DPoP proofs (GHSA-3p3g: one kind was forgotten).
import { createHash } from 'node:crypto'

import type { Store } from '../store/shapes.ts'

export interface Replay {
  /** True for one caller alone, ever, until `expiresAtMs`. Fails with `store_failed`: then nothing may be let in. */
  isFirst(kind: 'assertion' | 'dpop' | 'challenge', by: string, id: string, expiresAtMs: number): Promise<boolean>
}

export function createReplay(store: Store): Replay {
  return {
    isFirst(kind, by, id, expiresAtMs) {
      const key = createHash('sha256')
        .update(JSON.stringify([kind, by, id]))
        .digest('base64url')
      return store.add('replay', { key, value: '', expiresAtMs })
    },
  }
}
