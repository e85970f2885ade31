// One Streamable HTTP upstream made of several, or of one that is started anew: sessions stay with the endpoint they were opened
// at, and where that has forgotten them they are opened again behind the client's back.
//
// What is repeated: a request that never left, and one that was answered 404 for its session, for neither was acted on. A request
// that may have been acted on is repeated only when its method does nothing: never a tool call.
import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import { createEventReader } from '../protocol/event-stream.ts'
import type { ByteReply, ForwardedHeaders, HttpRequest, HttpUpstream, ResponseHead } from '../protocol/exchange.ts'
import { jsonIn } from '../protocol/json.ts'
import { isObject, type JsonObject } from '../protocol/message.ts'
import type { Endpoints } from './endpoints.ts'
import { wasNeverSent } from './http-client.ts'

export interface LastingHttpOptions {
  endpoints: Endpoints<HttpUpstream>
  /** How often a request is sent again that may be, beside the tries at other endpoints. */
  attempts: number
  /** Before the first of them; doubled with each, and by chance half of it more. */
  delayMs: number
  random: () => number
  now: () => number
  log: Log
}

interface LastingSession {
  readonly id: string
  endpoint: HttpUpstream
  upstreamId: string
  /** With which it can be opened again. */
  readonly opening: Opening
  version: string | undefined
  /** While it is being opened again. */
  again: Promise<boolean> | undefined
  over: () => void
}

interface Opening {
  readonly message: JsonObject
  readonly headers: ForwardedHeaders
}

const NOTHING = (): void => {}
/** An `initialize` is small. */
const OPENING_BYTES = 256 * 1024
const ACCEPT_BOTH: ForwardedHeaders = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
/** A client waits so long for its session without giving up. Who asks for more is heard by the client itself. */
const LONGEST_WAIT_MS = 10_000
/** Methods that may be sent twice: what they ask for is the same the second time. */
const HARMLESS = new Set([
  'ping',
  'server/discover',
  'tools/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'prompts/list',
  'prompts/get',
  'completion/complete',
])

export function createLastingHttp({ endpoints, attempts, delayMs, random, now, log }: LastingHttpOptions): HttpUpstream {
  const sessions = new Map<string, LastingSession>()
  /** There is nothing to weigh then. */
  const alone = endpoints.all.length === 1 ? endpoints.all[0] : undefined
  let lastId = 0

  function exchange(request: HttpRequest, reply: ByteReply): () => void {
    const session = request.sessionId === undefined ? undefined : sessions.get(request.sessionId)
    if (request.sessionId !== undefined && !session) {
      reply.failed(ended())
      return () => {}
    }
    if (session) session.version ??= request.headers['mcp-protocol-version']
    const opening = session ? undefined : openingOf(request)
    /** Without where it left off in a session that is no more. */
    let sent: HttpRequest = request
    const tried = new Set<HttpUpstream>()
    let stopped = false
    let stopTry = NOTHING
    let over = NOTHING
    let left = attempts

    function go(): void {
      const endpoint = session?.endpoint ?? alone ?? endpoints.pick(tried) ?? endpoints.pick()
      if (!endpoint) return reply.failed(new OpenMcpError('internal', 'an upstream without an endpoint'))
      tried.add(endpoint)
      attempt(endpoint)
    }

    function attempt(endpoint: HttpUpstream): void {
      over()
      over = alone ? NOTHING : endpoints.begin(endpoint)
      let hasHead = false
      const upstreamId = session?.upstreamId
      stopTry = endpoint.exchange(
        { ...sent, sessionId: upstreamId },
        {
          head(status, answered) {
            const waitMs = session ? undefined : askedToWaitMs(status, answered, now())
            if (waitMs !== undefined && isHarmless(request, opening) && mayWait(waitMs)) return busy(endpoint, waitMs)
            hasHead = true
            endpoints.works(endpoint)
            if (session && status === 404 && request.method !== 'DELETE' && sent === request) return forgotten(session, upstreamId)
            if (session && status === 404) forget(session)
            reply.head(status, opening && status < 300 ? opened(endpoint, opening, answered) : answered)
          },
          chunk: reply.chunk,
          drained: reply.drained,
          end() {
            over()
            if (request.method === 'DELETE' && session) forget(session)
            reply.end()
          },
          failed(error) {
            over()
            // Whoever says so is there, and may have done what was asked.
            if (error.code === 'session_ended') {
              if (session) forget(session)
              return reply.failed(error)
            }
            if (!hasHead) endpoints.failed(endpoint)
            if (hasHead || !mayRepeat(error, request)) return reply.failed(error)
            again(error)
          },
        },
      )
    }

    const isElsewhere = (): boolean => endpoints.all.some((one) => !tried.has(one))

    function mayWait(waitMs: number): boolean {
      return isElsewhere() || (left > 0 && waitMs <= LONGEST_WAIT_MS)
    }

    /** It has not begun with it, and says when to come back. */
    function busy(endpoint: HttpUpstream, waitMs: number): void {
      stopTry()
      over()
      endpoints.failed(endpoint)
      if (isElsewhere()) return go()
      left--
      const timer = setTimeout(() => (tried.clear(), go()), waitMs * (1 + random() / 2))
      stopTry = () => clearTimeout(timer)
    }

    /** The endpoint knows the session no more. What it says beside that nobody reads. */
    function forgotten(lost: LastingSession, upstreamId: string | undefined): void {
      stopTry()
      const { 'last-event-id': _of, ...headers } = request.headers
      sent = { ...request, headers }
      // Somebody else may have found it out before, and this is news of the one that is gone.
      const isOpenAgain = lost.upstreamId === upstreamId ? reopened(lost) : Promise.resolve(true)
      void isOpenAgain.then((isOpen) => {
        if (stopped) return
        if (isOpen) return attempt(lost.endpoint)
        forget(lost)
        reply.failed(ended())
      })
    }

    function again(error: OpenMcpError): void {
      // Another endpoint costs no wait.
      if (!session && isElsewhere()) return go()
      if (session && endpoints.all.some((one) => one !== session.endpoint && endpoints.isUp(one))) return void elsewhere(session, error)
      if (left-- <= 0) return session ? void elsewhere(session, error) : reply.failed(error)
      const timer = setTimeout(() => (tried.clear(), go()), delayMs * 2 ** (attempts - left - 1) * (1 + random() / 2))
      stopTry = () => clearTimeout(timer)
    }

    /** Its endpoint stays away: the session goes on at another, where there is one. */
    async function elsewhere(moving: LastingSession, error: OpenMcpError): Promise<void> {
      const isOpen = endpoints.all.length > 1 && (await reopened(moving))
      if (stopped) return
      if (isOpen) attempt(moving.endpoint)
      else reply.failed(error)
    }

    go()
    return () => {
      stopped = true
      over()
      stopTry()
    }
  }

  /** The name under which our side knows a session stays, whatever the upstream calls it by then. */
  function opened(endpoint: HttpUpstream, opening: Opening, answered: ResponseHead): ResponseHead {
    if (answered.sessionId === undefined) return answered
    const id = `s${++lastId}`
    sessions.set(id, { id, endpoint, upstreamId: answered.sessionId, opening, version: undefined, again: undefined, over: endpoints.begin(endpoint) })
    return { ...answered, sessionId: id }
  }

  function forget(session: LastingSession): void {
    if (sessions.delete(session.id)) session.over()
  }

  /** Several requests find out at once that their session is gone; it is opened once. */
  function reopened(session: LastingSession): Promise<boolean> {
    session.again ??= reopen(session)
      .catch(() => false)
      .finally(() => (session.again = undefined))
    return session.again
  }

  async function reopen(session: LastingSession): Promise<boolean> {
    const endpoint = endpoints.isUp(session.endpoint) ? session.endpoint : endpoints.pick()
    if (!endpoint) return false
    const { message, headers } = session.opening
    const id = 'openmcp:again'
    const first = await whole(endpoint, { method: 'POST', sessionId: undefined, headers, body: JSON.stringify({ ...message, id }) })
    const result = first.status < 300 ? resultIn(first, id) : undefined
    if (!result || first.sessionId === undefined) return false
    const version = typeof result['protocolVersion'] === 'string' ? result['protocolVersion'] : undefined
    // The client has agreed on a revision, and will not agree again.
    if (session.version !== undefined && version !== session.version) return false
    session.version = version
    const body = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })
    const second = await whole(endpoint, { method: 'POST', sessionId: first.sessionId, headers: { ...ACCEPT_BOTH, ...versionHeader(version) }, body })
    if (second.status >= 300) return false
    session.over()
    Object.assign(session, { endpoint, upstreamId: first.sessionId, over: endpoints.begin(endpoint) })
    log.warn('the upstream had forgotten a session; it is opened again, and what the upstream kept in it is gone')
    return true
  }

  return { kind: 'http', exchange }
}

function ended(): OpenMcpError {
  return new OpenMcpError('session_ended', 'the upstream has ended this session', { hint: 'connect again' })
}

function versionHeader(version: string | undefined): ForwardedHeaders {
  return version === undefined ? {} : { 'mcp-protocol-version': version }
}

function mayRepeat(error: OpenMcpError, { method, body }: HttpRequest): boolean {
  if (wasNeverSent(error)) return true
  if (error.code !== 'upstream_broke') return false
  if (method === 'GET') return true
  return method === 'POST' && onlyAsks(body)
}

/** To be asked for a session twice harms no server that has not begun with the first. */
function isHarmless({ method, body }: HttpRequest, opening: Opening | undefined): boolean {
  return opening !== undefined || (method === 'POST' && onlyAsks(body))
}

function onlyAsks(body: HttpRequest['body']): boolean {
  if (body === undefined || body.length > OPENING_BYTES) return false
  // A batch may hold anything.
  const message = jsonIn(body.toString())
  return isObject(message) && typeof message['method'] === 'string' && HARMLESS.has(message['method'])
}

/** `Retry-After` of 429 and 503 (RFC 9110 §10.2.3): seconds, or a date. */
function askedToWaitMs(status: number, { others }: ResponseHead, nowMs: number): number | undefined {
  const asked = status === 429 || status === 503 ? others['retry-after'] : undefined
  if (asked === undefined) return undefined
  const waitMs = /^\d{1,6}$/.test(asked) ? Number(asked) * 1000 : Date.parse(asked) - nowMs
  return Number.isNaN(waitMs) ? undefined : Math.max(0, waitMs)
}

function openingOf({ method, headers, body }: HttpRequest): Opening | undefined {
  if (method !== 'POST' || body === undefined || body.length > OPENING_BYTES || !body.includes('"initialize"')) return undefined
  const message: unknown = JSON.parse(body.toString()) // it was parsed when it came in
  return isObject(message) && message['method'] === 'initialize' ? { message, headers } : undefined
}

interface Whole {
  status: number
  sessionId: string | undefined
  contentType: string
  text: string
}

/** A short answer, read to its end. */
function whole(endpoint: HttpUpstream, request: HttpRequest): Promise<Whole> {
  return new Promise((resolve, reject) => {
    const found: Whole = { status: 0, sessionId: undefined, contentType: '', text: '' }
    const stop = endpoint.exchange(request, {
      head(status, { sessionId, contentType = '' }) {
        Object.assign(found, { status, sessionId, contentType })
      },
      chunk(bytes) {
        found.text += bytes.toString()
        if (found.text.length <= OPENING_BYTES) return true
        stop()
        reject(new OpenMcpError('upstream_broke', 'the answer to initialize is too large'))
        return true
      },
      drained: () => {},
      end: () => resolve(found),
      failed: reject,
    })
  })
}

function resultIn({ contentType, text }: Whole, id: string): JsonObject | undefined {
  const texts: string[] = []
  if (contentType.startsWith('text/event-stream')) createEventReader(OPENING_BYTES, ({ data }) => void texts.push(data)).feed(Buffer.from(text))
  else texts.push(text)
  for (const one of texts) {
    const message = jsonIn(one)
    if (isObject(message) && message['id'] === id) return isObject(message['result']) ? message['result'] : undefined
  }
  return undefined
}
