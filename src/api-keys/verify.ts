// From an API key to the caller it proves, for whoever remembers verdicts: what can change is asked again within a minute.
import { ownerOf, type Caller } from '../protocol/caller.ts'
import type { Verification, Verifier } from '../tokens/verifier.ts'
import { API_KEY } from '../tokens/api-key.ts'
import { keyTokenId } from './ends.ts'
import type { ApiKey } from './kept-key.ts'
import type { KeyRing } from './key-ring.ts'

/** Where keys are known. Fails with `key_server_away` or `store_failed`: then it is not known, and nobody is let in. */
export type FindKey = (secret: string) => Promise<ApiKey | undefined>

export interface KeyVerifierOptions {
  find: FindKey
  used: KeyRing['used']
  /** A key is all that its holder shows: nobody else asks whether the identity still is what it was. */
  isStillThere(identity: string): Promise<boolean>
  /** So long what a key opened stays open without the key being shown again. Undefined: whoever takes it back tells. */
  openSeconds: number | undefined
  now: () => number
}

const FRESH_MS = 60_000

export function createKeyVerifier({ find, used, isStillThere, openSeconds, now }: KeyVerifierOptions): Verifier {
  return async (secret): Promise<Verification> => {
    if (!API_KEY.test(secret)) return { rejected: 'not written as a key is' }
    const key = await find(secret)
    if (!key) return { rejected: 'no key of anybody' }
    if (key.expiresAtMs !== undefined && key.expiresAtMs <= now()) return { rejected: 'expired' }
    if (!(await isStillThere(key.identity))) return { rejected: 'its identity is withdrawn' }
    used(key)
    const tokenId = keyTokenId(key.id)
    const endMs = Math.min(key.expiresAtMs ?? Infinity, openSeconds === undefined ? Infinity : now() + openSeconds * 1000)
    const caller: Caller = {
      id: key.identity,
      via: 'key',
      scopes: key.scopes,
      act: [],
      tokenId,
      expiresAt: endMs / 1000,
      owner: ownerOf({ id: key.identity, act: [] }),
    }
    return { caller: Object.freeze(caller), jkt: undefined, audience: '', notBefore: 0, lineage: [tokenId], kid: undefined, freshUntilMs: now() + FRESH_MS }
  }
}
