// One HTTP upstream: its connections, the headers that may pass in each direction, and its failures in our words.
import type { LookupFunction } from 'node:net'
import type { Dispatcher } from 'undici'
import Pool from 'undici/lib/dispatcher/pool.js'

import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { ForwardedHeaders, ResponseHead } from '../protocol/exchange.ts'
import type { Limits } from '../protocol/limits.ts'
import type { AnswerHandler, ClientRequest } from './http-request.ts'
import type { Credential, CredentialRefusal } from './options.ts'
import { createFollower, type Redirected, type SendOnce } from './redirects.ts'
import { whyUnreachable } from './unreachable.ts'
import { connectorOf, type Way } from './way.ts'

export interface HttpClient {
  /** Sends one request. Returns what ends it early; after that the handler hears nothing more. */
  request(request: ClientRequest, handler: AnswerHandler): () => void
  close(): Promise<void>
}

/** Headers of an answer that may be passed on to a client. */
export const PASSED_DOWN = [
  'cache-control',
  'retry-after',
  'x-accel-buffering',
  'allow',
  'content-encoding',
  'mcp-protocol-version',
  'traceparent',
  'tracestate',
]

/** How an upstream is reached, beside its address. */
export interface Reach {
  credential?: Credential | undefined
  way?: Way | undefined
  /** Says where the name may lead, when it was not the operator who named it: then no proxy looks the name up instead. */
  lookup?: LookupFunction | undefined
}

export function createHttpClient(origin: string, own: ForwardedHeaders, limits: Limits, { credential, way, lookup }: Reach = {}): HttpClient {
  const waitMs = limits.timeoutSeconds * 1000
  const pool = new Pool(origin, {
    connections: null,
    pipelining: 1,
    headersTimeout: waitMs,
    bodyTimeout: waitMs,
    connect: way && !lookup ? connectorOf(way, limits) : { timeout: limits.connectSeconds * 1000, ...(lookup && { lookup }) },
    maxHeaderSize: 64 * 1024,
  })
  const ownPairs = Object.entries(own).flat()
  const pairsOf = (headers: ForwardedHeaders, more: ForwardedHeaders | undefined): string[] => {
    const pairs = [...ownPairs]
    for (const [name, value] of Object.entries(headers)) if (!Object.hasOwn(own, name)) pairs.push(name, value)
    if (more) pairs.push(...Object.entries(more).flat())
    return pairs
  }

  const send: Send = ({ method, url, headers, body, endless }, more, handler, { unauthorized, insufficient, redirected }) => {
    let controller: Dispatcher.DispatchController | undefined
    let stopped = false
    const stop = (): void => {
      stopped = true
      controller?.abort(new Error('the reader left'))
    }
    pool.dispatch(
      {
        method,
        path: url.pathname + url.search,
        headers: pairsOf(headers, more),
        body: body ?? null,
        ...(endless ? { bodyTimeout: 0, headersTimeout: waitMs } : {}),
      },
      {
        onRequestStart(started) {
          controller = started
          if (stopped) stop()
        },
        onResponseStart(flow, status, answered) {
          if (stopped || status < 200) return
          const isRedirect = status >= 300 && status < 400
          const challenge = oneOf(answered, 'www-authenticate')
          const refused = status === 401 ? unauthorized : status === 403 && wantsScope(challenge) ? insufficient : undefined
          if (!isRedirect && !refused) return handler.head(status, headOf(answered), flow)
          stopped = true
          // Its body is read to its end where that is near, so that the connection can be used again.
          if (endless || !(Number(oneOf(answered, 'content-length')) <= UNREAD_BYTES)) flow.abort(new Error('nobody reads this'))
          if (isRedirect) redirected(status, oneOf(answered, 'location'))
          else refused?.({ status, challenge, nonce: oneOf(answered, 'dpop-nonce') })
        },
        onResponseData(_flow, chunk) {
          if (!stopped) handler.chunk(chunk)
        },
        onResponseEnd() {
          if (!stopped) handler.end()
        },
        onResponseError(_flow, cause) {
          if (!stopped) handler.failed(failureOf(cause, origin, limits))
        },
      },
    )
    return stop
  }

  return {
    request: createFollower(
      origin,
      credential ? withCredential(send, credential) : (request, handler, redirected) => send(request, undefined, handler, { redirected }),
    ),
    async close() {
      await pool.destroy()
    },
  }
}

type Unauthorized = Omit<CredentialRefusal, 'sent'>

/** What is no answer goes here, and the handler hears nothing of it. Without `unauthorized` a 401 is an answer, and so with the other. */
interface NoAnswer {
  redirected: Redirected
  unauthorized?: (refusal: Unauthorized) => void
  /** The credential is good, and not for this (RFC 6750 §3.1). */
  insufficient?: (refusal: Unauthorized) => void
}

function wantsScope(challenge: string | undefined): boolean {
  return challenge !== undefined && /\berror\s*=\s*"?insufficient_scope\b/i.test(challenge)
}

type Send = (request: ClientRequest, more: ForwardedHeaders | undefined, handler: AnswerHandler, noAnswer: NoAnswer) => () => void

const UNREAD_BYTES = 64 * 1024

/** Each request carries what the credential gives for it. One that is answered 401 is sent once more, if there is something new to prove with. */
function withCredential(send: Send, credential: Credential): SendOnce {
  return (request, handler, redirected) => {
    let stopped = false
    let stop = (): void => {}
    const fail = (thrown: unknown): void => {
      if (!stopped) handler.failed(toOpenMcpError(thrown))
    }
    let isWidened = false
    const deliver = async (unauthorized?: (refusal: CredentialRefusal) => void): Promise<void> => {
      const sent = await credential.headers(request)
      if (stopped) return
      stop = send(request, sent, handler, {
        redirected,
        ...(unauthorized && { unauthorized: (refusal) => unauthorized({ ...refusal, sent }) }),
        insufficient: (refusal) => void wider({ ...refusal, sent }).catch(fail),
      })
    }
    const again = async (refusal: CredentialRefusal): Promise<void> => {
      if (!(await credential.refused(request, refusal))) throw refusedBy(refusal.status)
      await deliver()
    }
    /** Once, where another has come in the place of what was shown. Else the credential says what a person can do. */
    const wider = async (refusal: CredentialRefusal): Promise<void> => {
      if (!(await credential.refused(request, refusal)) || isWidened) throw refusedBy(refusal.status)
      isWidened = true
      await deliver()
    }
    void deliver((refusal) => void again(refusal).catch(fail)).catch(fail)
    return () => {
      stopped = true
      stop()
    }
  }
}

type RawHeaders = Record<string, string | string[] | undefined>

function headOf(headers: RawHeaders): ResponseHead {
  const others: Record<string, string> = {}
  for (const name of PASSED_DOWN) {
    const value = oneOf(headers, name)
    if (value !== undefined) others[name] = value
  }
  return {
    contentType: oneOf(headers, 'content-type'),
    contentLength: oneOf(headers, 'content-length'),
    sessionId: oneOf(headers, 'mcp-session-id'),
    others,
  }
}

function oneOf(headers: RawHeaders, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value[0] : value
}

function failureOf(cause: unknown, origin: string, limits: Limits): OpenMcpError {
  // Of the look-up, which knows where the name may lead.
  if (cause instanceof OpenMcpError) return cause
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') {
    return new OpenMcpError('timeout', `no sign of an answer from the upstream within ${limits.timeoutSeconds} s`, {
      hint: '--timeout changes the limit',
      cause,
    })
  }
  const reached = ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(code)
  if (reached) return new OpenMcpError('upstream_broke', `the upstream ${origin} closed the connection before its answer ended`, { cause })
  const { why, hint } = whyUnreachable(cause)
  return new OpenMcpError('upstream_unreachable', `the upstream ${origin} cannot be reached: ${why}`, { ...(hint !== undefined && { hint }), cause })
}

/** Failures from before a request could have left: whoever sends it again sends it once. */
const BEFORE_SENDING = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'UND_ERR_CONNECT_TIMEOUT'])

/** Whether the upstream cannot have heard of the request that failed so. */
export function wasNeverSent({ code, cause }: OpenMcpError): boolean {
  return code === 'upstream_unreachable' && cause instanceof Error && 'code' in cause && BEFORE_SENDING.has(String(cause.code))
}

/** The failure of an upstream that wants a credential: ours to have, so it is never passed on as a 401 to the client. */
export function refusedBy(status: number): OpenMcpError {
  return new OpenMcpError('upstream_refused', `the upstream wants a credential (HTTP ${status})`, {
    hint: "prove who you are with --id NAME, or give it with -H 'Authorization: …' or --header-file",
  })
}

export function wantsCredential(status: number): boolean {
  return status === 401 || status === 407
}

/** Names of headers as they are compared. */
export function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
