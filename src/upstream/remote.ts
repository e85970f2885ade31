// What stands behind a URL: Streamable HTTP first, then HTTP+SSE (2025-11-25 basic/transports, "Backwards Compatibility").
import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { Caller } from '../protocol/caller.ts'
import type { MessageUpstream, Upstream } from '../protocol/exchange.ts'
import type { Limits } from '../protocol/limits.ts'
import { isObject } from '../protocol/message.ts'
import { META_CAPABILITIES, META_VERSION, MODERN_VERSIONS } from '../protocol/revision.ts'
import type { ConnectOptions, RemoteServer } from './options.ts'
import { createHttpClient, refusedBy, wantsCredential, type HttpClient } from './http-client.ts'
import { createHttpLink } from './http-link.ts'
import { createParamHeaders } from '../protocol/param-headers.ts'
import { createPool } from './pool.ts'
import { openSse } from './sse.ts'
import { createStreamableHttp } from './streamable-http.ts'

export interface Remote {
  upstream: Upstream
  messages: MessageUpstream
  pipes(): number
  endOf(isOver: (caller: Caller) => boolean): Promise<void>
  close(graceSeconds?: number): Promise<void>
}

export async function findRemote(target: RemoteServer, options: ConnectOptions): Promise<Remote> {
  const [first] = target.urls
  if (!first) throw new OpenMcpError('internal', 'a remote target without a URL')
  const client = createHttpClient(first.origin, lowerCased(target.headers), options.limits, options.credential)
  try {
    if (target.transport === 'http') return streamableHttp(client, first, options)
    if (target.transport === 'sse') return sse(client, target.urls.at(-1) ?? first, options)
    const reasons: OpenMcpError[] = []
    for (const url of target.urls) {
      const looked = await look(client, url, options.limits, options.log)
      if (looked === 'http') return streamableHttp(client, url, options)
      if (looked === 'sse') return sse(client, url, options)
      reasons.push(looked)
      if (looked.code === 'upstream_unreachable') break
    }
    throw reasons.find((reason) => reason.code !== 'upstream_not_mcp') ?? reasons[0] ?? new OpenMcpError('upstream_not_mcp', 'the upstream does not speak MCP')
  } catch (error) {
    await client.close()
    throw error
  }
}

function streamableHttp(client: HttpClient, url: URL, { limits, log }: ConnectOptions): Remote {
  log.debug('the upstream speaks Streamable HTTP', { path: url.pathname })
  let open = 0
  // A link without a session serves one request: what a list of tools taught one, the next must know.
  const paramHeaders = createParamHeaders()
  const messages: MessageUpstream = {
    kind: 'messages',
    open(events) {
      open++
      const link = createHttpLink({ client, url, events, paramHeaders: createParamHeaders(), limits, log })
      return { ...link, close: () => link.close().finally(() => open--) }
    },
    stateless: () => createHttpLink({ client, url, events: { unsolicited: () => {}, ended: () => {} }, paramHeaders, limits, log }),
  }
  return { upstream: createStreamableHttp(client, url), messages, pipes: () => open, endOf: () => Promise.resolve(), close: () => client.close() }
}

function sse(client: HttpClient, url: URL, options: ConnectOptions): Remote {
  options.log.debug('the upstream speaks HTTP+SSE', { path: url.pathname })
  const pool = createPool({ open: (events) => openSse(client, url, events, options.limits), ...options })
  return {
    upstream: pool,
    messages: pool,
    pipes: () => pool.size,
    endOf: pool.endOf,
    async close(graceSeconds) {
      await pool.close(graceSeconds)
      await client.close()
    },
  }
}

/** Asks without leaving a trace: `server/discover` opens no session, and every server of Streamable HTTP answers it, if only with an error. */
async function look(client: HttpClient, url: URL, limits: Limits, log: Log): Promise<'http' | 'sse' | OpenMcpError> {
  const posted = await ask(client, { method: 'POST', url, headers: DISCOVER_HEADERS, body: JSON.stringify(DISCOVER) }, limits)
  if (posted instanceof OpenMcpError) return posted
  if (wantsCredential(posted.status)) {
    log.warn(refusedBy(posted.status).message, { hint: refusedBy(posted.status).hint })
    return 'http'
  }
  if (speaksJsonRpc(posted)) return 'http'
  const streamed = await ask(client, { method: 'GET', url, headers: { accept: 'text/event-stream' }, endless: true }, limits)
  if (streamed instanceof OpenMcpError) return streamed
  if (streamed.status === 200 && streamed.contentType.startsWith('text/event-stream')) return /^event: ?endpoint\r?$/m.test(streamed.body) ? 'sse' : 'http'
  return new OpenMcpError(
    'upstream_not_mcp',
    `${url.origin}${url.pathname} does not speak MCP (HTTP ${posted.status} to POST, HTTP ${streamed.status} to GET)`,
    {
      hint: 'check the path: MCP is mostly served at /mcp or /sse',
    },
  )
}

const [MODERN] = MODERN_VERSIONS
const DISCOVER = {
  jsonrpc: '2.0',
  id: 'openmcp',
  method: 'server/discover',
  params: { _meta: { [META_VERSION]: MODERN, [META_CAPABILITIES]: {}, 'io.modelcontextprotocol/clientInfo': { name: 'openmcp', version: '1' } } },
}
const DISCOVER_HEADERS = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': MODERN ?? '',
  'mcp-method': 'server/discover',
}
const LOOK_BYTES = 64 * 1024

interface Looked {
  status: number
  contentType: string
  body: string
}

function speaksJsonRpc({ status, contentType, body }: Looked): boolean {
  if (status === 202) return true
  // An address of HTTP+SSE may say in JSON-RPC that it takes no POST.
  if (status === 405) return false
  if (contentType.startsWith('text/event-stream')) return status === 200
  try {
    const value: unknown = JSON.parse(body)
    return isObject(value) && (value['jsonrpc'] === '2.0' || isObject(value['error']))
  } catch {
    return false
  }
}

/** One look at an answer: its head and what comes of it soon, never more than a few kilobytes. */
function ask(client: HttpClient, request: Parameters<HttpClient['request']>[0], limits: Limits): Promise<Looked | OpenMcpError> {
  return new Promise((resolve) => {
    const looked: Looked = { status: 0, contentType: '', body: '' }
    const done = (answer: Looked | OpenMcpError): void => {
      clearTimeout(timer)
      resolve(answer)
      setImmediate(stop)
    }
    const late = (): void =>
      done(
        looked.status > 0
          ? looked
          : new OpenMcpError('upstream_unreachable', `the upstream ${request.url.origin} did not answer within ${limits.connectSeconds} s`),
      )
    const timer = setTimeout(late, limits.connectSeconds * 1000)
    const stop = client.request(request, {
      head(status, { contentType }) {
        looked.status = status
        looked.contentType = contentType ?? ''
      },
      chunk(bytes) {
        looked.body += bytes.toString()
        const enough = looked.contentType.startsWith('text/event-stream') && /^(?:event|data|id|retry):[^]*\n\r?\n/m.test(looked.body)
        if (enough || looked.body.length > LOOK_BYTES) done(looked)
      },
      end: () => done(looked),
      failed: done,
    })
  })
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
