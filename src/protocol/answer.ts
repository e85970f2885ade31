// JSON-RPC answers that openmcp makes itself.
import { JSON_RPC_CODE, type OpenMcpError } from '../errors.ts'
import type { JsonRpcId } from './message.ts'

/**
 * The JSON-RPC error for a failure, as one line. Without an id the member is `null` as JSON-RPC 2.0 §5 wants it, except in
 * the 2026-07-28 revision, whose schema has no `null` there.
 */
export function errorText(error: OpenMcpError, id: JsonRpcId | undefined, era: 'legacy' | 'modern' = 'legacy'): string {
  const message = error.hint === undefined ? error.message : `${error.message} (${error.hint})`
  return JSON.stringify({
    jsonrpc: '2.0',
    ...(id !== undefined ? { id } : era === 'legacy' ? { id: null } : {}),
    error: { code: JSON_RPC_CODE[error.code], message, ...(error.data === undefined ? {} : { data: error.data }) },
  })
}
