// Every failure openmcp names. Anything else that is thrown is our bug and is told to nobody but the log.

export type ErrorCode =
  | 'usage' // asked wrongly on the command line
  | 'unavailable_option' // known by name, not built yet: refused instead of ignored
  | 'port_taken'
  | 'command_not_found'
  | 'child_failed' // a child would not start, or ended with a call in flight
  | 'upstream_unreachable'
  | 'upstream_refused' // the upstream wants a credential that we do not have
  | 'upstream_not_mcp'
  | 'upstream_broke' // it spoke, and then not MCP, or not to the end
  | 'parse'
  | 'invalid_request'
  | 'too_large'
  | 'unsupported_media'
  | 'not_acceptable'
  | 'method_not_allowed'
  | 'not_found'
  | 'session_missing'
  | 'session_unknown'
  | 'session_ended'
  | 'forbidden_host'
  | 'forbidden_origin'
  | 'header_mismatch'
  | 'invalid_envelope'
  | 'unsupported_version'
  | 'unauthorized' // no credential, or one that proves nothing here
  | 'insufficient_scope' // the credential is good, and not for this
  | 'unknown_name' // a tool that this caller may not use, as if it did not exist
  | 'arguments_invalid' // of a tool, by its own schema
  | 'needs_client' // a tool wants of its client what a plain HTTP call cannot give
  | 'untrusted' // proved who it is, and nobody has said that it may come in
  | 'identity_invalid' // a DID or its document that is not as it must be
  | 'identity_unresolved' // a DID whose document cannot be had now
  | 'egress_refused' // what a peer named must not be fetched
  | 'egress_failed' // what a peer named could not be fetched
  | 'keys_unsafe' // a key or its directory that others can read, or that is not ours
  | 'store_failed' // what is kept cannot be read or written: nothing is let through
  | 'key_server_away' // the server that knows the API keys does not answer: nothing is let in
  | 'tsp_refused' // a TSP message that is not taken: its sender hears nothing
  | 'login_needed' // an upstream wants a login of the caller's own, and there is none
  | 'login_failed' // an upstream's issuer did not give a token
  | 'busy' // a cap on sessions, children or streams is reached
  | 'timeout'
  | 'stopping'
  | 'internal'

/** Longest first, so that none is left in part. */
let unsayable: readonly string[] = []
/** Shorter ones stand in other words as well. */
const LEAST_SECRET = 6

/** No failure and no line of the log holds one of these from now on: not what a configuration was filled in with, wherever it comes to stand. */
export function neverSay(secrets: Iterable<string>): void {
  const spellings = [...secrets].flatMap((secret) => [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])
  const all = new Set([...unsayable, ...spellings.filter((spelling) => spelling.length >= LEAST_SECRET)])
  unsayable = [...all].toSorted((a, b) => b.length - a.length)
}

/** The same words without them. */
export function sayable(text: string): string {
  return unsayable.reduce((said, secret) => said.replaceAll(secret, '[secret]'), text)
}

export interface ErrorOptions {
  /** A thing to try, for a person. */
  hint?: string
  /** For the log alone: never told to a caller. */
  detail?: string
  /** Machine-readable company of the JSON-RPC error. */
  data?: unknown
  cause?: unknown
}

/** A failure with a name. The message helps a person act; `detail` is for the log alone. */
export class OpenMcpError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly detail: string | undefined
  readonly data: unknown

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(sayable(message), options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'OpenMcpError'
    this.code = code
    this.hint = options.hint === undefined ? undefined : sayable(options.hint)
    this.detail = options.detail
    this.data = options.data
  }
}

/** What was thrown, as a failure we name; a stranger becomes `internal` and keeps its own words for the log. */
export function toOpenMcpError(thrown: unknown): OpenMcpError {
  if (thrown instanceof OpenMcpError) return thrown
  const detail = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
  return new OpenMcpError('internal', 'an internal error of openmcp', { detail, cause: thrown })
}

/** The HTTP status of each failure (CONTRACT: refusals). */
export const HTTP_STATUS = {
  usage: 500,
  unavailable_option: 500,
  port_taken: 500,
  command_not_found: 502,
  child_failed: 502,
  upstream_unreachable: 502,
  upstream_refused: 502,
  upstream_not_mcp: 502,
  upstream_broke: 502,
  parse: 400,
  invalid_request: 400,
  too_large: 413,
  unsupported_media: 415,
  not_acceptable: 406,
  method_not_allowed: 405,
  not_found: 404,
  session_missing: 400,
  session_unknown: 404,
  session_ended: 404,
  forbidden_host: 403,
  forbidden_origin: 403,
  header_mismatch: 400,
  invalid_envelope: 400,
  unsupported_version: 400,
  unauthorized: 401,
  insufficient_scope: 403,
  unknown_name: 200,
  arguments_invalid: 422,
  needs_client: 409,
  untrusted: 403,
  identity_invalid: 400,
  identity_unresolved: 503,
  egress_refused: 400,
  egress_failed: 502,
  keys_unsafe: 500,
  store_failed: 503,
  key_server_away: 503,
  tsp_refused: 400,
  // The answer of a call, as it is for the protocol: for a 401 a client would throw away what it has for us.
  login_needed: 200,
  login_failed: 502,
  busy: 503,
  timeout: 504,
  stopping: 503,
  internal: 500,
} as const satisfies Record<ErrorCode, number>

/** The JSON-RPC error code of each failure (JSON-RPC 2.0 §5.1; -32001, -32020, -32042: MCP). */
export const JSON_RPC_CODE = {
  usage: -32603,
  unavailable_option: -32603,
  port_taken: -32603,
  command_not_found: -32603,
  child_failed: -32603,
  upstream_unreachable: -32603,
  upstream_refused: -32603,
  upstream_not_mcp: -32603,
  upstream_broke: -32603,
  parse: -32700,
  invalid_request: -32600,
  too_large: -32600,
  unsupported_media: -32000,
  not_acceptable: -32000,
  method_not_allowed: -32000,
  not_found: -32601,
  session_missing: -32000,
  session_unknown: -32001,
  session_ended: -32001,
  forbidden_host: -32000,
  forbidden_origin: -32000,
  header_mismatch: -32020,
  invalid_envelope: -32602,
  unsupported_version: -32022,
  unauthorized: -32000,
  insufficient_scope: -32000,
  unknown_name: -32602,
  arguments_invalid: -32602,
  needs_client: -32000,
  untrusted: -32000,
  identity_invalid: -32000,
  identity_unresolved: -32000,
  egress_refused: -32000,
  egress_failed: -32000,
  keys_unsafe: -32603,
  store_failed: -32603,
  key_server_away: -32603,
  tsp_refused: -32000,
  login_needed: -32042,
  login_failed: -32603,
  busy: -32000,
  timeout: -32001,
  stopping: -32000,
  internal: -32603,
} as const satisfies Record<ErrorCode, number>

/** The exit code of each failure: 2 when asked wrongly, 1 otherwise. */
export const EXIT_CODE = {
  usage: 2,
  unavailable_option: 2,
  port_taken: 1,
  command_not_found: 1,
  child_failed: 1,
  upstream_unreachable: 1,
  upstream_refused: 1,
  upstream_not_mcp: 1,
  upstream_broke: 1,
  parse: 1,
  invalid_request: 1,
  too_large: 1,
  unsupported_media: 1,
  not_acceptable: 1,
  method_not_allowed: 1,
  not_found: 1,
  session_missing: 1,
  session_unknown: 1,
  session_ended: 1,
  forbidden_host: 1,
  forbidden_origin: 1,
  header_mismatch: 1,
  invalid_envelope: 1,
  unsupported_version: 1,
  unauthorized: 1,
  insufficient_scope: 1,
  unknown_name: 1,
  arguments_invalid: 1,
  needs_client: 1,
  untrusted: 1,
  identity_invalid: 1,
  identity_unresolved: 1,
  egress_refused: 1,
  egress_failed: 1,
  keys_unsafe: 1,
  store_failed: 1,
  key_server_away: 1,
  tsp_refused: 1,
  login_needed: 1,
  login_failed: 1,
  busy: 1,
  timeout: 1,
  stopping: 1,
  internal: 1,
} as const satisfies Record<ErrorCode, number>
