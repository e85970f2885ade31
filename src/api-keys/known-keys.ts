// Where the keys are known: here, or at another server. In either case there is one way to look at a key that a caller shows.
import { OpenMcpError } from '../errors.ts'
import { openIdentity } from '../identity/own-identities.ts'
import type { SecurityOptions } from '../oauth/options.ts'
import type { Log } from '../observe/log.ts'
import type { Verifier } from '../tokens/verifier.ts'
import { createHashingMark } from './hashing-mark.ts'
import { createKeyRing, type KeyRing, type KeyRingOptions } from './key-ring.ts'
import { createKeyServer } from './key-server.ts'
import { createKeyVerifier, type KeyVerifierOptions } from './verify.ts'

export interface KnownKeys {
  readonly ring: KeyRing
  readonly verify: Verifier
  /** Why no keys are made, seen or changed here. Undefined: they are. */
  readonly closed: string | undefined
  /** Why no new ones are made. */
  readonly noNewKeys: string | undefined
}

export type KnownKeysOptions = Pick<KeyRingOptions, 'store' | 'hashing' | 'ends' | 'now'> &
  Pick<SecurityOptions, 'keys' | 'keyServer' | 'dpop' | 'tokenSeconds'> &
  Pick<KeyVerifierOptions, 'isStillThere'> & { log: Log }

/** Fails with `usage` or `keys_unsafe`. */
export async function createKnownKeys({
  keys,
  keyServer,
  dpop,
  store,
  hashing,
  ends,
  isStillThere,
  tokenSeconds,
  log,
  now,
}: KnownKeysOptions): Promise<KnownKeys> {
  const ring = createKeyRing({ store, hashing, ends, now })
  const isBound = dpop !== 'optional'
  if (!keyServer) {
    await createHashingMark({ store, hashing }).check()
    return {
      ring,
      verify: createKeyVerifier({ find: ring.find, used: ring.used, isStillThere, openSeconds: undefined, now }),
      closed: undefined,
      noNewKeys: isBound ? BOUND : undefined,
    }
  }
  if (isBound) {
    throw new OpenMcpError('usage', 'a key server is of no use where tokens must be bound to a key (--dpop): an API key cannot be', {
      hint: 'drop one of them',
    })
  }
  const { url, id } = keyServer
  // It does not tell of keys that it takes back: what they opened is held like what a token opened.
  const find = createKeyServer({ url, signer: await openIdentity(keys, id), fetch: globalThis.fetch, log, now })
  return { ring, verify: createKeyVerifier({ find, used() {}, isStillThere, openSeconds: tokenSeconds, now }), closed: ELSEWHERE, noNewKeys: undefined }
}

const BOUND = 'whoever calls here proves a key with every request (DPoP), which nobody can do with an API key: get a token instead'
const ELSEWHERE = 'the API keys of this server are made and kept at another one: ask whoever runs it where'
