// The key flow as this page speaks it.
import { Told, type Identity } from './identity.ts'
import { isJson, STRANGE, textIn, textsIn, type Json } from './server.ts'
import { signedRequest } from './signed.ts'

export interface Key {
  readonly id: string
  readonly label: string
  readonly scopes: readonly string[]
  readonly createdAt: string
  readonly expiresAt: string | undefined
  readonly lastUsedAt: string | undefined
}

export interface Answered {
  readonly keys: readonly Key[]
  /** Shown once. */
  readonly secret: string | undefined
}

export type Act = 'get-api-key' | 'gen-api-key' | 'rotate-api-key' | 'revoke-api-key'

export async function askKeys(identity: Identity, act: Act, more: Json, signal: AbortSignal): Promise<Answered> {
  const { keys, api_key: secret } = await signedRequest(identity, { challenge: 'challenge', act, more, signal })
  if (!Array.isArray(keys)) throw new Told(STRANGE)
  return { keys: keys.filter(isJson).map(keyIn), secret: textIn(secret) }
}

function keyIn({ id, label, scopes, created_at: createdAt, expires_at: expiresAt, last_used_at: lastUsedAt }: Json): Key {
  return {
    id: textIn(id) ?? '',
    label: textIn(label) ?? '',
    scopes: textsIn(scopes),
    createdAt: textIn(createdAt) ?? '',
    expiresAt: textIn(expiresAt),
    lastUsedAt: textIn(lastUsedAt),
  }
}
