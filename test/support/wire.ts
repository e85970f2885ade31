// HTTP by hand: any header, any body, streams as they come, sockets cut in the middle.
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { at, isJson, jsonOf, type Json } from './json.ts'
import { INITIALIZED, initializeMessage, returned, callMessage } from './openmcp.ts'
import { until } from './until.ts'

export interface Asked {
  method?: string
  headers?: Readonly<Record<string, string>>
  /** An object is sent as JSON, and says so. */
  body?: Json | readonly Json[] | string | Buffer
}

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  text: string
  /** The body as a JSON object; empty when it is none. */
  json: Json
}

export interface ServerEvent {
  event: string
  id: string | undefined
  data: string
}

/** An HTTP answer while it comes. */
export interface Stream {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Events so far, without those that are there for their id alone. */
  readonly events: readonly ServerEvent[]
  /** The messages so far, from events or from a JSON body. */
  readonly messages: readonly Json[]
  readonly text: string
  /** It came to its end, or was cut. */
  readonly over: 'ended' | 'cut' | undefined
  /** The first message that fits, now or later. */
  message(fits: (message: Json) => boolean): Promise<Json>
  whole(): Promise<void>
  /** Cuts the connection. */
  stop(): Promise<void>
}

const TAKES_BOTH = 'application/json, text/event-stream'

/** Asks, and reads the answer to its end. */
export async function ask(url: URL, asked: Asked = {}): Promise<Answer> {
  const stream = await open(url, asked)
  await stream.whole()
  const { status, headers, text } = stream
  return { status, headers, text, json: jsonIn(text) }
}

/** Asks, and returns once the head of the answer is there. */
export function open(url: URL, { method, headers = {}, body }: Asked = {}): Promise<Stream> {
  const isText = body === undefined || typeof body === 'string' || Buffer.isBuffer(body)
  const sent = isText ? body : JSON.stringify(body)
  const asJson: Record<string, string> = isText ? {} : { 'content-type': 'application/json' }
  return new Promise((resolve, reject) => {
    const req = httpRequest(url, {
      // A connection of its own, so that what happens to it happens to nobody else.
      agent: false,
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: { ...asJson, ...(sent === undefined ? {} : { 'content-length': String(Buffer.byteLength(sent)) }), ...headers },
    })
    req.once('error', reject)
    req.once('response', (res) => {
      let text = ''
      let over: Stream['over']
      res.setEncoding('utf8')
      res.on('data', (piece: string) => (text += piece))
      res.on('end', () => (over = 'ended'))
      res.on('error', () => {})
      res.on('close', () => (over ??= 'cut'))
      const isEvents = res.headers['content-type']?.startsWith('text/event-stream') === true
      const stream: Stream = {
        status: res.statusCode ?? 0,
        headers: res.headers,
        get text() {
          return text
        },
        get over() {
          return over
        },
        get events() {
          return isEvents ? eventsIn(text) : []
        },
        get messages() {
          if (isEvents) return messagesOf(eventsIn(text))
          return over === undefined || text === '' ? [] : [JSON.parse(text)].flat().map(jsonOf)
        },
        message: (fits) =>
          until('a message', () => {
            const found = stream.messages.find(fits)
            if (!found && over) throw new Error(`the answer is over (${over}) without it: HTTP ${stream.status} ${text}`)
            return found
          }),
        async whole() {
          await until('the end of the answer', () => over)
        },
        async stop() {
          req.destroy()
          await until('the end of the connection', () => over)
        },
      }
      resolve(stream)
    })
    req.end(sent)
  })
}

/** Bytes as they are, on a connection of their own; what came back until the other side closed it, politely or not. */
export function raw(url: URL, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(url.port), url.hostname)
    let text = ''
    socket.setEncoding('latin1')
    socket.on('data', (piece: string) => (text += piece))
    socket.once('error', (error: NodeJS.ErrnoException) => (['ECONNRESET', 'EPIPE'].includes(error.code ?? '') ? resolve(text) : reject(error)))
    socket.once('close', () => resolve(text))
    socket.end(bytes)
  })
}

export interface RawSocket {
  write(bytes: string): void
  /** Reads nothing from now on, and again from now on. */
  pause(): void
  resume(): void
  /** Whether the other side closed it, politely or not. */
  isClosed(): boolean
  /** What came back so far. */
  text(): string
  stop(): Promise<void>
}

/** A connection to write to piece by piece. */
export function openSocket(url: URL): Promise<RawSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(url.port), url.hostname)
    let text = ''
    socket.setEncoding('latin1').on('data', (piece: string) => (text += piece))
    socket.on('error', reject)
    socket.once('connect', () =>
      resolve({
        write: (bytes) => void socket.write(bytes),
        pause: () => void socket.pause(),
        resume: () => void socket.resume(),
        isClosed: () => socket.readableEnded || socket.destroyed,
        text: () => text,
        async stop() {
          socket.destroy()
        },
      }),
    )
  })
}

export interface Session {
  readonly id: string
  readonly url: URL
  /** The answer to `initialize`. */
  readonly initialized: Json
  post(body: Json | readonly Json[], headers?: Readonly<Record<string, string>>): Promise<Stream>
  /** A tool call to its answer, and what the tool returned. */
  call(name: string, args?: Json): Promise<Json>
  listen(headers?: Readonly<Record<string, string>>): Promise<Stream>
  end(): Promise<Answer>
}

let nextId = 1000

/** A session over Streamable HTTP, initialised. */
export async function openSession(url: URL, { version = '2025-11-25', capabilities = {} }: { version?: string; capabilities?: Json } = {}): Promise<Session> {
  const answer = await ask(url, { headers: { accept: TAKES_BOTH }, body: initializeMessage('initialize', version, capabilities) })
  const id = answer.headers['mcp-session-id']
  if (answer.status !== 200 || typeof id !== 'string') throw new Error(`no session: HTTP ${answer.status} ${answer.text}`)
  const [message] = messagesIn(answer)
  const headers = { accept: TAKES_BOTH, 'mcp-session-id': id, 'mcp-protocol-version': version }
  const session: Session = {
    id,
    url,
    initialized: message ?? {},
    post: (body, more) => open(url, { headers: { ...headers, ...more }, body }),
    async call(name, args) {
      const callId = nextId++
      const stream = await session.post(callMessage(callId, name, args))
      return returned(await stream.message((one) => one['id'] === callId && one['method'] === undefined))
    },
    listen: (more) => open(url, { headers: { ...headers, accept: 'text/event-stream', ...more } }),
    end: () => ask(url, { method: 'DELETE', headers }),
  }
  const taken = await session.post(INITIALIZED)
  await taken.whole()
  return session
}

export interface SseSession {
  readonly stream: Stream
  /** Where the stream said to post. */
  readonly endpoint: string
  post(message: Json | readonly Json[] | string, headers?: Readonly<Record<string, string>>): Promise<Answer>
  /** A tool call to its answer, and what the tool returned. */
  call(name: string, args?: Json): Promise<Json>
}

/** A session over HTTP+SSE, initialised. */
export async function openSse(origin: URL): Promise<SseSession> {
  const stream = await open(new URL('/sse', origin), { headers: { accept: 'text/event-stream' } })
  const endpoint = await until('the endpoint', () => {
    if (stream.over) throw new Error(`no stream: HTTP ${stream.status} ${stream.text}`)
    return stream.events.find(({ event }) => event === 'endpoint')?.data
  })
  const session: SseSession = {
    stream,
    endpoint,
    post: (body, headers = {}) => ask(new URL(endpoint, origin), { headers, body }),
    async call(name, args) {
      const id = nextId++
      await session.post(callMessage(id, name, args))
      return returned(await stream.message((message) => message['id'] === id && message['method'] === undefined))
    },
  }
  await session.post(initializeMessage('initialize', '2024-11-05'))
  await stream.message(({ id }) => id === 'initialize')
  await session.post(INITIALIZED)
  return session
}

/** The messages of an answer, whichever way it carries them. */
export function messagesIn({ headers, text }: Pick<Answer, 'headers' | 'text'>): Json[] {
  if (headers['content-type']?.startsWith('text/event-stream')) return messagesOf(eventsIn(text))
  return text === '' ? [] : [JSON.parse(text)].flat().map(jsonOf)
}

export const MODERN = '2026-07-28'

/** A request of the revision of 2026-07-28, complete. */
export function modernAsked(body: Json, headers: Readonly<Record<string, string>> = {}): Asked {
  const params = isJson(body['params']) ? body['params'] : {}
  const meta = isJson(params['_meta']) ? params['_meta'] : {}
  const name = at(params, 'name') ?? at(params, 'uri')
  return {
    headers: {
      accept: TAKES_BOTH,
      'mcp-protocol-version': MODERN,
      ...(typeof body['method'] === 'string' && { 'mcp-method': body['method'] }),
      ...(typeof name === 'string' && { 'mcp-name': name }),
      ...headers,
    },
    body: {
      ...body,
      params: { ...params, _meta: { 'io.modelcontextprotocol/protocolVersion': MODERN, 'io.modelcontextprotocol/clientCapabilities': {}, ...meta } },
    },
  }
}

function eventsIn(text: string): ServerEvent[] {
  const complete = text.slice(0, text.lastIndexOf('\n\n') + 2)
  return complete.split('\n\n').flatMap((block) => {
    const fields = block.split('\n').map((line) => /^(\w+): ?(.*)$/s.exec(line))
    const value = (name: string): string | undefined => fields.find((field) => field?.[1] === name)?.[2]
    const data = value('data')
    // An event without data is there for its id.
    return data === undefined || data === '' ? [] : [{ event: value('event') ?? 'message', id: value('id'), data }]
  })
}

function messagesOf(events: readonly ServerEvent[]): Json[] {
  return events.filter(({ event }) => event === 'message').map(({ data }) => jsonOf(JSON.parse(data)))
}

function jsonIn(text: string): Json {
  try {
    const value: unknown = JSON.parse(text)
    return isJson(value) ? value : {}
  } catch {
    return {}
  }
}
