// Official SDK clients, each way in, behind one face: what a test asks is the same for all of them.
import { Client as ClientV2, StreamableHTTPClientTransport as HttpTransportV2 } from '@modelcontextprotocol/client'
import { StdioClientTransport as StdioTransportV2 } from '@modelcontextprotocol/client/stdio'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import * as z from 'zod'
import { isJson, jsonOf, type Json } from './json.ts'
import { PROGRAM, serve, type Proxy, type Served } from './openmcp.ts'

export interface Caller {
  /** Every message of the server, as it came over the transport. */
  readonly messages: readonly Json[]
  /** HTTP answers: which request each belongs to, and the messages in it. Empty on stdio. */
  readonly streams: readonly Stream[]
  /** The revision agreed on, where the SDK tells. */
  readonly revision: string | undefined
  request(method: string, params?: Json, options?: { signal?: AbortSignal }): Promise<Json>
  notify(method: string, params?: Json): Promise<void>
  /** Listens for changes as the revision of 2026-07-28 does. */
  listen(filter: Json): Promise<void>
  /** Closes the client, and the proxy that was started for it. */
  stop(): Promise<void>
}

export interface Stream {
  readonly httpMethod: string
  readonly request: Json | undefined
  readonly messages: Json[]
}

/** What the clients say when the server asks them. */
export const SAMPLED = { role: 'assistant', content: { type: 'text', text: 'sampled by the client' }, model: 'a-model' } as const
export const ELICITED = { action: 'accept', content: { username: 'ann', email: 'ann@example.com', name: 'ann' } } as const
export const ROOTS = { roots: [{ uri: 'file:///home/ann/work', name: 'work' }] }

const NAME = { name: 'e2e', version: '1.0.0' }
const CAPABILITIES = { sampling: {}, elicitation: {}, roots: { listChanged: true } }
const TIMEOUT_MS = 15_000
const ANYTHING = z.looseObject({})

export interface WayIn {
  readonly name: string
  connect(served: Served): Promise<Caller>
}

export const LEGACY_WAYS_IN: readonly WayIn[] = [
  { name: 'Streamable HTTP, SDK v1', connect: (served) => overHttp(served, v1Http) },
  {
    name: 'Streamable HTTP, SDK v2',
    connect: (served) => overHttp(served, (proxy, streams) => v2(new HttpTransportV2(proxy.url, { fetch: recording(streams) }), 'legacy', streams)),
  },
  { name: 'HTTP+SSE, SDK v1', connect: (served) => overHttp(served, (proxy, streams) => v1(new SSEClientTransport(proxy.at('/sse')), streams)) },
  { name: 'stdio, SDK v1', connect: (served) => v1(new StdioClientTransport(stdioCommand(served)), []) },
]

export const MODERN_WAYS_IN: readonly WayIn[] = [
  {
    name: 'Streamable HTTP, SDK v2',
    connect: (served) => overHttp(served, (proxy, streams) => v2(new HttpTransportV2(proxy.url, { fetch: recording(streams) }), 'auto', streams)),
  },
  { name: 'stdio, SDK v2', connect: (served) => v2(new StdioTransportV2(stdioCommand(served)), 'auto', []) },
]

/** The v1 client over Streamable HTTP. */
function v1Http(proxy: Proxy, streams: Stream[]): Promise<Caller> {
  return v1(new StreamableHTTPClientTransport(proxy.url, { fetch: recording(streams) }), streams)
}

async function overHttp(served: Served, connect: (proxy: Proxy, streams: Stream[]) => Promise<Caller>): Promise<Caller> {
  const proxy = await serve(served)
  try {
    const caller = await connect(proxy, [])
    const leave = caller.stop
    const stop = async (): Promise<void> => {
      await leave()
      await proxy.stop()
    }
    return Object.assign(caller, { stop })
  } catch (error) {
    await proxy.stop()
    throw error
  }
}

function stdioCommand({ options = [], upstream, command }: Served): { command: string; args: string[]; stderr: 'ignore' } {
  const published = upstream === undefined ? [] : ['-p', upstream]
  return { command: process.execPath, args: [PROGRAM, 'run', ...options, ...published, ...(command ? ['--', ...command] : [])], stderr: 'ignore' }
}

async function v1(transport: SSEClientTransport | StdioClientTransport | StreamableHTTPClientTransport, streams: Stream[]): Promise<Caller> {
  const client = new ClientV1(NAME, { capabilities: CAPABILITIES })
  client.setRequestHandler(CreateMessageRequestSchema, () => ({ ...SAMPLED }))
  client.setRequestHandler(ElicitRequestSchema, () => ({ ...ELICITED }))
  client.setRequestHandler(ListRootsRequestSchema, () => ROOTS)
  await client.connect(transport)
  const messages = tapped(transport)
  return {
    messages,
    streams,
    revision: undefined,
    request: (method, params, options) => client.request({ method, ...(params && { params }) }, ANYTHING, { timeout: TIMEOUT_MS, ...options }),
    notify: (method, params) => client.notification({ method, ...(params && { params }) }),
    listen: () => Promise.reject(new Error('a client of an older revision has nothing like it')),
    async stop() {
      if (transport instanceof StreamableHTTPClientTransport) await transport.terminateSession().catch(() => {})
      await client.close()
    },
  }
}

async function v2(transport: HttpTransportV2 | StdioTransportV2, mode: 'legacy' | 'auto', streams: Stream[]): Promise<Caller> {
  const client = new ClientV2(NAME, { capabilities: CAPABILITIES, versionNegotiation: { mode } })
  client.setRequestHandler('sampling/createMessage', () => ({ ...SAMPLED }))
  client.setRequestHandler('elicitation/create', () => ({ action: ELICITED.action, content: { ...ELICITED.content } }))
  client.setRequestHandler('roots/list', () => ROOTS)
  await client.connect(transport)
  const messages = tapped(transport)
  return {
    messages,
    streams,
    get revision() {
      return client.getNegotiatedProtocolVersion()
    },
    async request(method, params = {}, options) {
      // These two keep what the list of tools says about headers, and send them.
      if (mode === 'auto' && method === 'tools/list') return client.listTools(params, { timeout: TIMEOUT_MS, ...options })
      if (mode === 'auto' && method === 'tools/call') return client.callTool({ name: '', ...params }, { timeout: TIMEOUT_MS, ...options })
      return client.request({ method, params }, ANYTHING, { timeout: TIMEOUT_MS, ...options })
    },
    notify: (method, params) => client.notification({ method, ...(params && { params }) }),
    async listen(filter) {
      await client.listen(filter)
    },
    async stop() {
      if (transport instanceof HttpTransportV2) await transport.terminateSession().catch(() => {})
      await client.close()
    },
  }
}

/** Every message that reaches the client from now on. */
function tapped(transport: { onmessage?: ((message: never, extra?: never) => void) | undefined }): Json[] {
  const messages: Json[] = []
  const deliver = transport.onmessage
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- a transport is no EventTarget
  transport.onmessage = (message: never, extra?: never) => {
    messages.push(jsonOf(message))
    deliver?.(message, extra)
  }
  return messages
}

type Fetch = (url: string | URL, init?: RequestInit) => Promise<Response>

/** fetch, which notes on the way which message came in which answer. */
function recording(streams: Stream[]): Fetch {
  return async (url, init) => {
    const body: unknown = typeof init?.body === 'string' ? JSON.parse(init.body) : undefined
    const stream: Stream = { httpMethod: init?.method ?? 'GET', request: isJson(body) ? body : undefined, messages: [] }
    streams.push(stream)
    const response = await fetch(url, init)
    if (!response.body || !response.headers.get('content-type')?.startsWith('text/event-stream')) return response
    const decoder = new TextDecoder()
    let begun = ''
    const noting = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        begun += decoder.decode(chunk, { stream: true })
        const lines = begun.split('\n')
        begun = lines.pop() ?? ''
        for (const line of lines) if (line.startsWith('data: {')) stream.messages.push(jsonOf(JSON.parse(line.slice(6))))
        controller.enqueue(chunk)
      },
    })
    return new Response(response.body.pipeThrough(noting), { status: response.status, headers: response.headers })
  }
}
