// Who may be called by which name, and from which web page. Both are checked before anything else, on every route:
// a name that an attacker points at us (DNS rebinding) carries the wrong Host, a foreign page the wrong Origin.
import { isIP } from 'node:net'

import { isLoopbackHost } from '../protocol/loopback.ts'

export interface HostRules {
  /** `Host` headers that are ours. */
  allowsHost(host: string | undefined, localAddress: string | undefined): boolean
  /** Web origins that may call: our own, and those the operator named. */
  allowsOrigin(origin: string, localAddress: string | undefined): boolean
  /** Whether CORS headers are due: only for origins the operator named. */
  grantsOrigin(origin: string): boolean
}

export interface HostOptions {
  host: string
  /** The port that is listened on; asked with the first request. */
  port(): number
  tls: boolean
  allowHosts: readonly string[]
  allowOrigins: readonly string[]
}

const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]']

export function createHostRules(options: HostOptions): HostRules {
  let known: Names | undefined
  const names = (): Names => (known ??= namesOf(options))
  /** Bound to every address: the one this connection came in on is ours too. No name can be pointed at an address literal. */
  const arrivedAt = (localAddress: string | undefined): string[] => {
    const { anyAddress, withPort } = names()
    return anyAddress && localAddress !== undefined ? withPort(bracketed(localAddress.replace(/^::ffff:/, ''))) : []
  }
  return {
    allowsHost(host, localAddress) {
      if (host === undefined) return false
      const { hosts } = names()
      return hosts.has(host) || hosts.has(host.toLowerCase()) || arrivedAt(localAddress).includes(host.toLowerCase())
    },
    allowsOrigin(origin, localAddress) {
      const { origins, scheme } = names()
      const asked = origin.toLowerCase()
      return origins.has(asked) || arrivedAt(localAddress).some((host) => asked === `${scheme}://${host}`)
    },
    grantsOrigin: (origin) => names().granted.has(origin.toLowerCase()),
  }
}

interface Names {
  hosts: ReadonlySet<string>
  origins: ReadonlySet<string>
  granted: ReadonlySet<string>
  anyAddress: boolean
  scheme: 'http' | 'https'
  withPort(name: string): string[]
}

function namesOf({ host, port: portOf, tls, allowHosts, allowOrigins }: HostOptions): Names {
  const port = portOf()
  const scheme = tls ? 'https' : 'http'
  const isDefaultPort = port === (tls ? 443 : 80)
  const withPort = (name: string): string[] => (isDefaultPort ? [name, `${name}:${port}`] : [`${name}:${port}`])
  const anyAddress = host === '0.0.0.0' || host === '::'
  const own = isLoopbackHost(host) || anyAddress ? [...LOOPBACK_NAMES, bracketed(host)] : [bracketed(host)]
  const named = allowHosts.map((name) => name.toLowerCase()).flatMap((name) => (/:\d+$/.test(name) ? [name] : [name, ...withPort(name)]))
  const hosts = new Set([...own.flatMap(withPort), ...named])
  const granted = new Set(allowOrigins.map((origin) => origin.toLowerCase()))
  const origins = new Set([...granted, ...[...hosts].map((name) => `${scheme}://${name}`)])
  return { hosts, origins, granted, anyAddress, scheme, withPort }
}

function bracketed(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host
}
