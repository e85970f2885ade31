// Who may be called by which name, and from which web page. Both are checked before anything else, on every route:
// a name that an attacker points at us (DNS rebinding) carries the wrong Host, a foreign page the wrong Origin.
import { isIP } from 'node:net'

export interface HostRules {
  /** `Host` headers that are ours. */
  allowsHost(host: string | undefined, localAddress: string | undefined): boolean
  /** Web origins that may call: our own, and those the operator named. */
  allowsOrigin(origin: string): boolean
  /** Whether CORS headers are due: only for origins the operator named. */
  grantsOrigin(origin: string): boolean
}

export interface HostOptions {
  host: string
  /** The port that is listened on. */
  port: number
  tls: boolean
  allowHosts: readonly string[]
  allowOrigins: readonly string[]
}

const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]']

export function createHostRules({ host, port, tls, allowHosts, allowOrigins }: HostOptions): HostRules {
  const scheme = tls ? 'https' : 'http'
  const defaultPort = tls ? 443 : 80
  const withPort = (name: string): string[] => (port === defaultPort ? [name, `${name}:${port}`] : [`${name}:${port}`])
  const named = allowHosts.map((name) => name.toLowerCase())
  const anyAddress = host === '0.0.0.0' || host === '::'
  const own = isLoopback(host) ? LOOPBACK_NAMES : anyAddress ? LOOPBACK_NAMES : [bracketed(host)]
  const hosts = new Set([...own.flatMap(withPort), ...named.flatMap((name) => (hasPort(name) ? [name] : [name, ...withPort(name)]))])
  const granted = new Set(allowOrigins.map((origin) => origin.toLowerCase()))
  const origins = new Set([...granted, ...[...hosts].map((name) => `${scheme}://${name}`)])

  return {
    allowsHost(name, localAddress) {
      if (name === undefined) return false
      if (hosts.has(name)) return true
      const lower = name.toLowerCase()
      if (hosts.has(lower)) return true
      // Bound to every address: the one this connection came in on is ours too. No name can be pointed at an address literal.
      return anyAddress && localAddress !== undefined && withPort(bracketed(localAddress.replace(/^::ffff:/, ''))).includes(lower)
    },
    allowsOrigin: (origin) => origins.has(origin.toLowerCase()),
    grantsOrigin: (origin) => granted.has(origin.toLowerCase()),
  }
}

function bracketed(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host
}

function hasPort(name: string): boolean {
  return /:\d+$/.test(name) && !/^\[[^\]]*$/.test(name)
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}
