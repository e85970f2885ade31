import { SSEClientTransport, SseError } from '@modelcontextprotocol/sdk/client/sse.js'
import { StreamableHTTPClientTransport, StreamableHTTPError } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { OpenMcpError } from '../../errors.ts'
import type { RemoteTarget } from '../../openmcp.ts'
import { shownTarget } from '../../protocol/target.ts'
import { whyUnreachable } from '../../upstream/unreachable.ts'
import { timeConnection } from './connection.ts'
import { discover, inspectModern } from './modern.ts'
import type { Found, Watch } from './found.ts'
import { inspectLegacy } from './legacy.ts'

/** Tries each URL, Streamable HTTP before SSE, until one answers as MCP server. */
export async function inspectRemote(target: RemoteTarget, watch: Watch): Promise<Found> {
  const [first] = target.urls
  if (first === undefined) throw new OpenMcpError('usage', 'there is no upstream to test')
  const connectMs = await timeConnection(first, target.way, watch)
  const tried: string[] = []
  for (const url of target.urls) {
    const found = await inspectUrl(url, target, watch, tried)
    if (found !== undefined) return { ...found, times: { ...found.times, connectMs } }
  }
  throw new OpenMcpError('upstream_not_mcp', `${first.host} answers, but not as an MCP server: ${tried.join(', ')}`, { hint: hintFor(tried) })
}

async function inspectUrl(url: URL, { headers, transport }: RemoteTarget, watch: Watch, tried: string[]): Promise<Found | undefined> {
  const how = { requestInit: { headers: { ...headers } }, fetch: watch.fetch }
  const legacy = async (kind: 'streamable http' | 'sse'): Promise<Found | undefined> => {
    const way = kind === 'sse' ? new SSEClientTransport(url, how) : new StreamableHTTPClientTransport(url, how)
    try {
      const found = await inspectLegacy(way, watch, way instanceof StreamableHTTPClientTransport ? () => way.terminateSession() : undefined)
      return { ...found, transport: `${kind} (${shownTarget(url.href)})`, revisions: [found.protocol] }
    } catch (error) {
      tried.push(`${kind} at ${url.pathname}: ${whyNot(error, url, watch.signal)}`)
      return undefined
    }
  }
  const streamed = transport === 'sse' ? undefined : await legacy('streamable http')
  const modern = transport === 'sse' ? undefined : await discover(url, headers, watch)
  if (streamed !== undefined) return { ...streamed, revisions: [...new Set([...streamed.revisions, ...(modern?.revisions ?? [])])].toSorted() }
  if (modern !== undefined) return inspectModern(modern, watch)
  return transport === 'http' ? undefined : legacy('sse')
}

function hintFor(tried: readonly string[]): string {
  const all = (part: string): boolean => tried.every((each) => each.includes(part))
  if (tried.some((each) => each.includes('text/html'))) return 'that is a web page: name the path of its MCP endpoint, like http://host:port/mcp'
  if (tried[0]?.endsWith('it hung up')) return 'does it speak TLS: try the other one of http:// and https://'
  if (all(': 404')) return 'nothing is at that path: name the one of its MCP endpoint, like http://host:port/mcp'
  if (all(': 405')) return 'that path takes neither POST nor GET: is it the one of its MCP endpoint'
  if (tried.some((each) => / 5\d\d$/.test(each))) return 'it fails on its own side: its log says why'
  return 'name the path of its endpoint, like http://host:port/mcp'
}

/** In a few words, why this was no MCP server; throws when trying elsewhere would not help. */
function whyNot(error: unknown, url: URL, signal: AbortSignal): string {
  if (signal.aborted || error instanceof OpenMcpError) throw error
  const status = error instanceof StreamableHTTPError || error instanceof SseError ? error.code : undefined
  if (status === 401) {
    throw new OpenMcpError('upstream_refused', `${shownTarget(url.href)} wants a login (401)`, {
      hint: "--header-file FILE with a line 'Authorization: Bearer ...' sends one",
      cause: error,
    })
  }
  if (status === 403)
    throw new OpenMcpError('upstream_refused', `${shownTarget(url.href)} refuses us (403)`, {
      hint: 'it may want a credential: --header-file FILE',
      cause: error,
    })
  if (status !== undefined && status >= 100) return String(status)
  if (!(error instanceof Error)) return String(error)
  const deepest = causeOf(error)
  if ('code' in deepest) return whyUnreachable(deepest).why
  return error.message.replace(/^(?:Streamable HTTP|SSE) error: /, '').slice(0, 200)
}

function causeOf(error: Error): Error {
  return error.cause instanceof Error ? causeOf(error.cause) : error
}
