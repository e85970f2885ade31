// The first trust of a node: a secret that its operator read from the terminal, good for one identity, once.
import { createHash, randomBytes } from 'node:crypto'

import type { Store } from '../store/shapes.ts'
import { parseIdentityPattern } from './patterns.ts'
import { addTrust } from './rules.ts'

export interface Enrolment {
  /** 256 bits as base64url. Only its hash is stored. */
  issue(options: { lifetimeSeconds: number }): Promise<string>
  /** Whether there is such a link that nobody has redeemed yet. */
  isOpen(secret: string): Promise<boolean>
  /** True for one caller alone, and then there is a rule of trust without limits for `identity`. */
  redeem(secret: string, identity: string): Promise<boolean>
}

export interface EnrolmentOptions {
  store: Store
  now: () => number
  random?: (bytes: number) => Buffer
}

const SECRET = /^[\w-]{43}$/

export function createEnrolment({ store, now, random = randomBytes }: EnrolmentOptions): Enrolment {
  return {
    async issue({ lifetimeSeconds }) {
      const secret = random(32).toString('base64url')
      await store.put('enrolment', { key: hashOf(secret), value: '', expiresAtMs: now() + lifetimeSeconds * 1000 })
      return secret
    },
    isOpen: async (secret) => SECRET.test(secret) && (await store.get('enrolment', hashOf(secret))) !== undefined,
    async redeem(secret, identity) {
      // The subject of an issuer may be `*`, and as a rule that would be everybody there.
      if (!SECRET.test(secret) || parseIdentityPattern(identity)?.kind !== 'exact') return false
      // Taken first: if the rule cannot be written then, the secret is lost, and not the other way round.
      if (!(await store.take('enrolment', hashOf(secret)))) return false
      await addTrust(store, { id: identity })
      return true
    },
  }
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url')
}
