// A key as its row in the store has it.
import { OpenMcpError } from '../errors.ts'
import { jsonIn } from '../protocol/json.ts'
import { isObject } from '../protocol/message.ts'
import type { Row } from '../store/shapes.ts'

export interface ApiKey {
  /** Names the key; nothing can be done with it. */
  readonly id: string
  readonly identity: string
  readonly label: string
  readonly scopes: readonly string[]
  readonly createdAtMs: number
  /** Undefined: until it is revoked. */
  readonly expiresAtMs: number | undefined
}

export interface KeptKey extends ApiKey {
  readonly hash: string
  readonly slot: string
}

/** Throws `store_failed`. */
export function readKey({ key: hash, value, expiresAtMs }: Row): KeptKey {
  const row = jsonIn(value)
  if (isObject(row)) {
    const { id, identity, label, scopes, createdAtMs, slot } = row
    const isNamed = typeof id === 'string' && typeof identity === 'string' && typeof label === 'string'
    const isScoped = Array.isArray(scopes) && scopes.every((scope) => typeof scope === 'string')
    if (isNamed && isScoped && typeof createdAtMs === 'number' && typeof slot === 'string') {
      return { id, identity, label, scopes, createdAtMs, expiresAtMs, hash, slot }
    }
  }
  throw new OpenMcpError('store_failed', 'the store does not hold what it should', { detail: 'a row of api_keys' })
}
