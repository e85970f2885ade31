// Several URLs that are one upstream: sessions are shared out among them, and fall-backs are tried in the order they were named.
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { HttpUpstream } from '../protocol/exchange.ts'
import { createEndpoints, type Endpoints } from './endpoints.ts'
import { createHttpClient, lowerCased, type HttpClient } from './http-client.ts'
import { DISCOVER, DISCOVER_HEADERS, look } from './look.ts'
import { RETRY, type ConnectOptions, type RemoteServer } from './options.ts'
import { overHttp, type Remote } from './over-http.ts'
import { createStreamableHttp } from './streamable-http.ts'

const PROBE_MS = 1000

/** Several are not looked at before somebody asks: one of them may be away, and the first that answers does. */
export function several(target: RemoteServer, options: ConnectOptions): Remote {
  const [first] = target.urls
  const clients: HttpClient[] = []
  const endpoint = (urls: readonly URL[]): HttpUpstream => {
    const [url] = urls
    if (!url) throw new OpenMcpError('internal', 'a remote target without a URL')
    const isOurs = url.origin === first?.origin || target.others?.includes(urls) === true
    const client = createHttpClient(url.origin, isOurs ? lowerCased(target.headers) : {}, options.limits, {
      credential: url.origin === first?.origin ? options.credential : undefined,
      way: target.way,
    })
    clients.push(client)
    return lookedAt(() => httpAmong(client, urls, target.transport, options))
  }
  const tiers = [[target.urls, ...(target.others ?? [])].map(endpoint), ...(target.fallbacks ?? []).map((urls) => [endpoint(urls)])]
  const endpoints = createEndpoints(tiers, { now: options.now, random: Math.random })
  const prober = setInterval(() => {
    for (const due of endpoints.due()) probe(due, endpoints)
  }, PROBE_MS)
  prober.unref()
  const remote = overHttp(endpoints, target.retry ?? RETRY, options)
  return {
    ...remote,
    async close(graceSeconds) {
      clearInterval(prober)
      await remote.close(graceSeconds)
      await Promise.all(clients.map((client) => client.close()))
    },
  }
}

/** Any answer at all says that somebody is there. */
function probe(upstream: HttpUpstream, endpoints: Endpoints<HttpUpstream>): void {
  const stop = upstream.exchange(
    { method: 'POST', sessionId: undefined, headers: DISCOVER_HEADERS, body: JSON.stringify(DISCOVER) },
    {
      head() {
        endpoints.works(upstream)
        setImmediate(stop)
      },
      chunk: () => true,
      drained: () => {},
      end: () => {},
      failed: () => endpoints.failed(upstream),
    },
  )
}

/** What it is, is found out by the first who asks, and by the next one when that fails. */
function lookedAt(find: () => Promise<HttpUpstream>): HttpUpstream {
  let found: HttpUpstream | undefined
  let finding: Promise<HttpUpstream> | undefined
  return {
    kind: 'http',
    exchange(request, reply) {
      if (found) return found.exchange(request, reply)
      let stopped = false
      let stop = (): void => {
        stopped = true
      }
      finding ??= find().finally(() => (finding = undefined))
      finding.then(
        (upstream) => {
          found = upstream
          if (!stopped) stop = upstream.exchange(request, reply)
        },
        (error: unknown) => stopped || reply.failed(toOpenMcpError(error)),
      )
      return () => stop()
    },
  }
}

async function httpAmong(
  client: HttpClient,
  urls: readonly URL[],
  transport: RemoteServer['transport'],
  { limits, log }: ConnectOptions,
): Promise<HttpUpstream> {
  let reason: OpenMcpError | undefined
  for (const url of urls) {
    const looked = transport === 'http' ? 'http' : await look(client, url, limits, log)
    if (looked === 'http') return createStreamableHttp(client, url)
    reason ??= looked === 'sse' ? new OpenMcpError('upstream_not_mcp', `${url.host} speaks HTTP+SSE, and sessions are shared out over Streamable HTTP`) : looked
    if (reason.code === 'upstream_unreachable') break
  }
  throw reason ?? new OpenMcpError('upstream_not_mcp', 'the upstream does not speak MCP')
}
