// What goes wrong at this door, in its one shape: `{ detail: { message, code, … } }`, of which mcpo's clients read `detail.message`.
import type { Refusal } from '../downstream/refuse.ts'
import { HTTP_STATUS, type ErrorCode, type OpenMcpError } from '../errors.ts'
import { isObject } from '../protocol/message.ts'
import type { Mismatch } from './check.ts'
import { needsClientBy } from './needs-client.ts'

/** The same statuses as everywhere, but for what on JSON-RPC's doors is an answer, and here a place that is not there, or a login. */
export const PLAIN_STATUS: Readonly<Record<ErrorCode, number>> = { ...HTTP_STATUS, unknown_name: 404, login_needed: 401 }

export interface Details {
  server?: string | undefined
  /** Each place of the arguments that does not fit. */
  errors?: readonly Mismatch[] | undefined
  data?: unknown
}

export function refusalOf(error: OpenMcpError, { server, errors }: Details = {}): Refusal {
  const { code, message, hint, data } = error
  const refused = { hint, server, errors, data }
  if (code === 'login_needed') return { ...refusal(PLAIN_STATUS[code], code, message, { ...refused, ...forMcpo(data) }), headers: ASKS_FOR_LOGIN }
  return refusal(PLAIN_STATUS[code], code, message, refused)
}

/** Not of who the caller is here: that was shown (RFC 9470 §3). */
const ASKS_FOR_LOGIN = { 'www-authenticate': 'Bearer error="insufficient_user_authentication"' }

/** Where the caller's own login at the server begins, in mcpo's members. */
function forMcpo(data: unknown): { error: string; authorization_url: unknown } {
  const asked: unknown = isObject(data) ? data['elicitations'] : undefined
  const first: unknown = Array.isArray(asked) ? asked[0] : undefined
  return { error: 'authentication_required', authorization_url: isObject(first) ? first['url'] : undefined }
}

/** The tool ran and says that it failed. No status that something on the way would take for a reason to send the call again. */
export function refusalOfTool(message: string, server: string): Refusal {
  const needsClient = needsClientBy(message)
  if (needsClient) return refusalOf(needsClient, { server })
  return refusal(500, 'tool_failed', message, { server })
}

/** By the code that JSON-RPC or MCP gives it: as mcpo does, and 409 for what a client would have had to do its part in. */
export function refusalOfServer(code: number, message: string, data: unknown, server: string): Refusal {
  const needsClient = needsClientBy(message)
  if (needsClient) return refusalOf(needsClient, { server })
  return refusal(STATUS_OF_CODE.get(code) ?? 500, NEEDS_CLIENT.has(code) ? 'needs_client' : 'server_error', message, { server, data })
}

const NEEDS_CLIENT = new Set([-32_021, -32_042])
const STATUS_OF_CODE = new Map([
  [-32_700, 400],
  [-32_600, 400],
  [-32_601, 404],
  [-32_602, 422],
  [-32_002, 404],
  [-32_021, 409],
  [-32_042, 409],
])

function refusal(
  status: number,
  code: string,
  message: string,
  details: Details & { hint?: string | undefined; error?: string; authorization_url?: unknown },
): Refusal {
  return { status, text: JSON.stringify({ detail: { message, code, ...details } }) }
}
