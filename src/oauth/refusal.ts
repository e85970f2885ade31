// No, in the words of OAuth (RFC 6749 §5.2, RFC 7009, RFC 8707, RFC 9449). Made anew each time: what is shared leaks.

/** The HTTP status of each word. */
const STATUS = {
  invalid_request: 400,
  invalid_client: 401,
  invalid_grant: 400,
  invalid_scope: 400,
  invalid_target: 400,
  unauthorized_client: 400,
  unsupported_grant_type: 400,
  unsupported_response_type: 400,
  unsupported_token_type: 400,
  invalid_dpop_proof: 400,
  use_dpop_nonce: 400,
  temporarily_unavailable: 503,
  server_error: 500,
} as const

export type OAuthError = keyof typeof STATUS

export function isOAuthError(word: unknown): word is OAuthError {
  return typeof word === 'string' && Object.hasOwn(STATUS, word)
}

export interface Refusal {
  readonly error: OAuthError
  readonly status: number
  /** Fixed words of ours: nothing of what was sent comes back. */
  readonly description: string
  /** For the log alone. */
  readonly why: string | undefined
}

export function refusal(error: OAuthError, description: string, why?: string): Refusal {
  return { error, status: STATUS[error], description, why }
}

export function isRefusal(value: object): value is Refusal {
  return 'error' in value && 'description' in value
}

/** The reason that has a line of its own in the log, with the name and what to do. */
export const NOT_TRUSTED = 'not trusted'
