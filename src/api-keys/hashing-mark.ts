// Under which secret the keys of a store are hashed. Another secret would void all of them without a word.
import { createHmac } from 'node:crypto'

import { OpenMcpError } from '../errors.ts'
import type { Store } from '../store/shapes.ts'

export interface HashingMark {
  /** Fails with `keys_unsafe` when there are keys that were hashed under another secret. */
  check(): Promise<void>
  /** The same, before the first key is made: from then on the store knows the secret. */
  claim(): Promise<void>
}

/** No slot has such a name. */
const KEY = 'hashing'

export function createHashingMark({ store, hashing }: { store: Store; hashing: () => Uint8Array }): HashingMark {
  // No API key is this text.
  const mark = (): string => createHmac('sha256', hashing()).update('openmcp hashes API keys under this').digest('base64url')

  /** The mark of another secret, under which nothing is left. */
  async function other(): Promise<string | undefined> {
    const found = (await store.get('api_key_slots', KEY))?.value
    if (found === undefined || found === mark()) return undefined
    if ((await store.list('api_keys')).length === 0) return found
    throw new OpenMcpError(
      'keys_unsafe',
      'the API keys in the store were hashed under a secret that is not in the directory of keys: none of them would work',
      {
        hint: 'put api-keys-1.json back from a copy; without one, revoke them (openmcp key list, openmcp key revoke KEY) and make new ones',
      },
    )
  }

  return {
    async check() {
      await other()
    },
    async claim() {
      if (await store.add('api_key_slots', { key: KEY, value: mark(), expiresAtMs: undefined })) return
      const left = await other()
      if (left !== undefined) await store.swap('api_key_slots', KEY, left, { value: mark(), expiresAtMs: undefined })
    },
  }
}
