// What stands behind a URL: Streamable HTTP first, then HTTP+SSE (2025-11-25 basic/transports, "Backwards Compatibility").
import { OpenMcpError } from '../errors.ts'
import { createEndpoints } from './endpoints.ts'
import { connectFound } from './found.ts'
import { createHttpClient, lowerCased, type HttpClient } from './http-client.ts'
import { createLastingPipe } from './lasting-pipe.ts'
import { look } from './look.ts'
import { RETRY, type Connection, type ConnectOptions, type RemoteServer, type Retry } from './options.ts'
import { overHttp, type Remote } from './over-http.ts'
import { createPool } from './pool.ts'
import { openSse } from './sse.ts'
import { createStreamableHttp } from './streamable-http.ts'

export function connectRemote(target: RemoteServer, options: ConnectOptions): Connection {
  return connectFound({
    find: () => findRemote(target, options),
    again: 'every request will try again',
    isForGood: ({ code }) => code === 'internal',
    log: options.log,
  })
}

/** What there is, or why there is nothing. */
export async function findRemote(target: RemoteServer, options: ConnectOptions): Promise<Remote> {
  if (!target.others?.length && !target.fallbacks?.length) return findOne(target, options)
  const { several } = await import('./several.ts')
  return several(target, options)
}

async function findOne(target: RemoteServer, options: ConnectOptions): Promise<Remote> {
  const [first] = target.urls
  if (!first) throw new OpenMcpError('internal', 'a remote target without a URL')
  const client = createHttpClient(first.origin, lowerCased(target.headers), options.limits, { credential: options.credential, way: target.way })
  try {
    if (target.transport === 'http') return streamableHttp(client, first, target.retry ?? RETRY, options)
    if (target.transport === 'sse') return sse(client, target.urls.at(-1) ?? first, options)
    const reasons: OpenMcpError[] = []
    for (const url of target.urls) {
      const looked = await look(client, url, options.limits, options.log)
      if (looked === 'http') return streamableHttp(client, url, target.retry ?? RETRY, options)
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

export function streamableHttp(client: HttpClient, url: URL, retry: Retry, options: ConnectOptions): Remote {
  options.log.debug('the upstream speaks Streamable HTTP', { path: url.pathname })
  const endpoints = createEndpoints([[createStreamableHttp(client, url)]], { now: options.now, random: Math.random })
  const remote = overHttp(endpoints, retry, options)
  return {
    ...remote,
    async close(graceSeconds) {
      await remote.close(graceSeconds)
      await client.close()
    },
  }
}

function sse(client: HttpClient, url: URL, options: ConnectOptions): Remote {
  options.log.debug('the upstream speaks HTTP+SSE', { path: url.pathname })
  const open = createLastingPipe((events) => openSse(client, url, events, options.limits), { ...RETRY, ...options })
  const pool = createPool({ open, ...options })
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
