// Why a connection does not come about, in words, and what to try.
export interface Unreachable {
  /** Behind `cannot be reached: `. */
  why: string
  hint?: string
}

/** What Node and undici say by a code. Something else keeps its own words, which name no secret of ours. */
export function whyUnreachable(cause: unknown): Unreachable {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  const known = REASONS.get(code)
  if (known) return { why: known[0], ...(known[1] !== undefined && { hint: known[1] }) }
  return { why: code === '' ? (cause instanceof Error ? cause.message : 'unknown reason') : code }
}

const TRUST = '--tls-ca FILE trusts an authority of yours, and so does NODE_EXTRA_CA_CERTS=FILE'
const NO_TLS = ['it does not speak TLS', 'is it http:// (or ws://, tcp://) that is spoken there'] as const
const UNKNOWN_AUTHORITY = ['its certificate comes from an authority that is not trusted here', TRUST] as const
const NO_ANSWER = ['it does not answer', 'is there a firewall between, or a proxy to go through (HTTPS_PROXY)'] as const

const REASONS = new Map<string, readonly [why: string, hint?: string]>([
  ['ECONNREFUSED', ['nothing listens there', 'is the server started, and is this its port']],
  ['ENOTFOUND', ['no such host', 'is the host spelled right']],
  ['EAI_AGAIN', ['the host name could not be looked up', 'is this machine on line']],
  ['ETIMEDOUT', NO_ANSWER],
  ['UND_ERR_CONNECT_TIMEOUT', NO_ANSWER],
  ['EHOSTUNREACH', ['no route to the host', 'is this machine on the right network']],
  ['ENETUNREACH', ['no route to the host', 'is this machine on the right network']],
  ['ECONNRESET', ['it hung up', 'does it speak TLS: try the other one of http:// and https://']],
  ['UND_ERR_SOCKET', ['it hung up', 'does it speak TLS: try the other one of http:// and https://']],
  ['EPROTO', NO_TLS],
  ['ERR_SSL_WRONG_VERSION_NUMBER', NO_TLS],
  ['ERR_SSL_PACKET_LENGTH_TOO_LONG', NO_TLS],
  ['CERT_HAS_EXPIRED', ['its certificate has expired', 'whoever runs it has to renew it']],
  ['CERT_NOT_YET_VALID', ['its certificate is not valid yet', 'is the clock of this machine right']],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', ['its certificate is its own word', TRUST]],
  ['SELF_SIGNED_CERT_IN_CHAIN', UNKNOWN_AUTHORITY],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', UNKNOWN_AUTHORITY],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', UNKNOWN_AUTHORITY],
  ['ERR_TLS_CERT_ALTNAME_INVALID', ['its certificate is for another name', 'is the host spelled as the certificate has it']],
])
