// What a server on the other side of a login may cost: one deadline for all of it, a size for each answer, no redirects.
import { OpenMcpError } from '../errors.ts'
import { shownUrl } from './shown-url.ts'

export type Fetch = typeof globalThis.fetch

export interface FetchBounds {
  /** Milliseconds for a whole login. */
  waitMs: number
  /** Bytes of one answer. */
  bytes: number
}

export const LOGIN_BOUNDS: FetchBounds = { waitMs: 20_000, bytes: 64 * 1024 }

/** One request, its answer read to the end. What fails is `login_failed`, in words. */
export type BoundedFetch = (url: string, init?: BoundedInit) => Promise<Response>

interface BoundedInit {
  method?: string
  headers?: Record<string, string>
  body?: string | URLSearchParams | undefined
  /** The answer may have no end, and only its head is wanted. */
  headOnly?: boolean
}

/** The deadline begins now: make one for each login. */
export function boundedFetch(fetch: Fetch, { waitMs, bytes }: FetchBounds): BoundedFetch {
  const signal = AbortSignal.timeout(waitMs)
  return async (url, { method = 'GET', headers = {}, body, headOnly = false } = {}) => {
    const where = shownUrl(new URL(url))
    try {
      const response = await fetch(url, { method, headers, ...(body !== undefined && { body }), redirect: 'manual', signal })
      if (headOnly) {
        // Whether the rest still comes is nothing to a login.
        void response.body?.cancel().catch(() => {})
        return response
      }
      const text = await textWithin(response, bytes)
      if (text === undefined) throw new OpenMcpError('login_failed', `${where} answers with more than ${bytes / 1024} KiB`)
      if (response.status >= 300 && response.status < 400) {
        throw new OpenMcpError('login_failed', `${where} redirects (HTTP ${response.status}), and a login follows no redirect`)
      }
      return new Response([204, 205].includes(response.status) ? null : text, { status: response.status, headers: response.headers })
    } catch (cause) {
      if (cause instanceof OpenMcpError) throw cause
      if (signal.aborted) throw new OpenMcpError('login_failed', `${where} did not answer within ${waitMs / 1000} s`, { cause })
      throw new OpenMcpError('login_failed', `${where} cannot be reached: ${reasonOf(cause)}`, { hint: 'check the address, and whether it runs', cause })
    }
  }
}

async function textWithin(response: Response, bytes: number): Promise<Buffer<ArrayBuffer> | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  // The body of a Response can be iterated in Node, which the types of the web do not say.
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength
    if (size > bytes) return undefined
    chunks.push(Buffer.from(chunk))
  }
  return Buffer.concat(chunks)
}

const WORDS = new Map([
  ['ECONNREFUSED', 'nothing listens there'],
  ['ENOTFOUND', 'no such host'],
  ['EAI_AGAIN', 'the host name could not be looked up'],
  ['ECONNRESET', 'it closed the connection'],
  ['UND_ERR_SOCKET', 'it closed the connection'],
  ['UND_ERR_CONNECT_TIMEOUT', 'it does not answer'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'its certificate is its own word'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'its certificate comes from an authority that is not trusted here'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'its certificate comes from an authority that is not trusted here'],
  ['CERT_HAS_EXPIRED', 'its certificate has expired'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'its certificate is for another name'],
])

/** `fetch` fails with one word for everything; the reason is its cause. */
function reasonOf(thrown: unknown): string {
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown
  // Of a proxy on the way, in words already.
  if (cause instanceof OpenMcpError) return cause.message
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  if (code !== '') return WORDS.get(code) ?? code
  // The web's fetch keeps away from ports of other protocols.
  return cause instanceof Error && cause.message === 'bad port' ? 'its port is one that web clients refuse' : 'for an unknown reason'
}
