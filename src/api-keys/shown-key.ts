// A key as it is told to whoever has it, by the endpoints and by the command line: all but whose it is.
import type { JsonObject } from '../protocol/message.ts'
import type { ApiKey } from './kept-key.ts'
import type { ShownKey } from './key-ring.ts'

export function shownOf(key: ApiKey | ShownKey): JsonObject {
  const { id, label, scopes, createdAtMs, expiresAtMs } = key
  return {
    id,
    label,
    scopes,
    created_at: momentOf(createdAtMs),
    expires_at: momentOf(expiresAtMs),
    last_used_at: momentOf('lastUsedMs' in key ? key.lastUsedMs : undefined),
  }
}

function momentOf(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString()
}
