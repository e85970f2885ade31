import { OpenMcpError } from '../../errors.ts'
import { DEFAULT_LIMITS } from '../../protocol/limits.ts'
import { whyUnreachable } from '../../upstream/unreachable.ts'
import { connectorOf, type Way } from '../../upstream/way.ts'
import type { Watch } from './found.ts'

/** How long it takes to open a connection to a URL's host, TLS and a proxy included. Throws in words why it cannot be opened. */
export async function timeConnection(url: URL, way: Way | undefined, { signal, now }: Pick<Watch, 'signal' | 'now'>): Promise<number> {
  const hostname = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const started = now()
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    connectorOf(way ?? {}, DEFAULT_LIMITS)({ hostname, host: url.host, protocol: url.protocol, port: url.port }, (error, socket) => {
      socket?.destroy()
      if (error) reject(unreachable(url.host, error))
      else resolve(now() - started)
    })
  })
}

function unreachable(host: string, cause: Error): OpenMcpError {
  // Of a proxy, in words already.
  if (cause instanceof OpenMcpError) return cause
  const { why, hint = 'is this the right host and port' } = whyUnreachable(cause)
  return new OpenMcpError('upstream_unreachable', `${host} is not reachable: ${why}`, { hint, cause })
}
