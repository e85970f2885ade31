// What stands behind a URL, found out by asking.
import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { Limits } from '../protocol/limits.ts'
import { isObject } from '../protocol/message.ts'
import { META_CAPABILITIES, META_VERSION, MODERN_VERSIONS } from '../protocol/revision.ts'
import { refusedBy, wantsCredential, type HttpClient } from './http-client.ts'

/** Asks without leaving a trace: `server/discover` opens no session, and every server of Streamable HTTP answers it, if only with an error. */
export async function look(client: HttpClient, url: URL, limits: Limits, log: Log): Promise<'http' | 'sse' | OpenMcpError> {
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
/** A question that opens no session. */
export const DISCOVER = {
  jsonrpc: '2.0',
  id: 'openmcp',
  method: 'server/discover',
  params: { _meta: { [META_VERSION]: MODERN, [META_CAPABILITIES]: {}, 'io.modelcontextprotocol/clientInfo': { name: 'openmcp', version: '1' } } },
}
export const DISCOVER_HEADERS = {
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
