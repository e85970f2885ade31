// Which proxy a connection goes through, as every program of a machine is told it: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.
import { BlockList, isIP } from 'node:net'

import { OpenMcpError } from '../errors.ts'
import { isLoopbackHost } from '../protocol/loopback.ts'

export interface Proxies {
  /** For http:// and ws://. May hold a user and a password: never shown. */
  http?: URL
  /** For https:// and wss://. */
  https?: URL
  /** NO_PROXY, as it stands. */
  except: string
}

const MOST_CHARS = 16 * 1024

/**
 * Lower case goes before upper case, and the variable of the scheme before ALL_PROXY; one that is set to nothing stands for none.
 * Undefined: no proxy. Fails with `usage` for what is no URL.
 */
export function proxiesIn(env: Readonly<Record<string, string | undefined>>): Proxies | undefined {
  const valueOf = (name: string): { name: string; value: string } | undefined => {
    const found = [name.toLowerCase(), name].find((each) => env[each] !== undefined)
    return found === undefined ? undefined : { name: found, value: env[found] ?? '' }
  }
  const all = valueOf('ALL_PROXY')
  const proxyOf = (name: string): URL | undefined => {
    const given = valueOf(name) ?? all
    return given && given.value !== '' ? parseProxy(given.value, given.name) : undefined
  }
  const [http, https] = [proxyOf('HTTP_PROXY'), proxyOf('HTTPS_PROXY')]
  if (!http && !https) return undefined
  return { ...(http && { http }), ...(https && { https }), except: (valueOf('NO_PROXY')?.value ?? '').slice(0, MOST_CHARS) }
}

const HINT = 'write http://HOST:PORT, name the upstream in NO_PROXY, or unset it'

/** The text is not repeated in a refusal: it may hold a password. */
function parseProxy(text: string, name: string): URL {
  const href = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  const url = URL.canParse(href) && isDecodable(href) ? new URL(href) : undefined
  if (url && url.hostname !== '' && ['', '/'].includes(url.pathname) && url.search === '') return url
  throw new OpenMcpError('usage', `${name} is no URL of a proxy`, { hint: HINT })
}

/** As a user and a password in it will have to be. */
function isDecodable(text: string): boolean {
  try {
    return decodeURIComponent(text) !== ''
  } catch {
    return false
  }
}

export interface Place {
  /** An IPv6 address without brackets. */
  hostname: string
  port: number
}

/**
 * This machine is reached without a proxy always: it would be another one there. Fails with `usage` where the proxy is one that
 * openmcp does not speak: what is meant to go through it does not go around it.
 */
export function proxyFor({ http, https, except }: Proxies, protocol: string, to: Place): URL | undefined {
  const proxy = ['https:', 'wss:'].includes(protocol) ? https : http
  if (!proxy || isLoopbackHost(to.hostname) || isExcepted(except, to)) return undefined
  if (/^https?:$/.test(proxy.protocol)) return proxy
  throw new OpenMcpError('usage', `the proxy for ${to.hostname} is ${proxy.protocol}//, which openmcp does not speak`, { hint: HINT })
}

/** Names stand for themselves and what is below them; `*` for all; an address, or a range as 10.0.0.0/8; each with a port or without. */
function isExcepted(except: string, { hostname, port }: Place): boolean {
  const host = hostname.toLowerCase().replace(/\.$/, '')
  return except
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => {
      if (entry === '*') return true
      const [, name = entry, ofPort] = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(entry) ?? []
      if (name === '' || (ofPort !== undefined && Number(ofPort) !== port)) return false
      const bare = name.replace(/^\[(.*)\]$/, '$1').replace(/^\*?\./, '')
      return isIP(host) === 0 ? host === bare || host.endsWith(`.${bare}`) : isWithin(host, bare)
    })
}

function isWithin(address: string, entry: string): boolean {
  const [network = '', bits] = entry.split('/')
  const kind = isIP(network)
  if (kind === 0 || kind !== isIP(address)) return false
  const family = kind === 6 ? 'ipv6' : 'ipv4'
  const most = kind === 6 ? 128 : 32
  if (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= most)) return false
  const list = new BlockList()
  list.addSubnet(network, bits === undefined ? most : Number(bits), family)
  return list.check(address, family)
}
