// Under which names we are known: what the Host check lets in, and the public URL.
import type { Places } from '../tokens/places.ts'
import type { HostRules } from './hosts.ts'

export interface PlacesOptions {
  rules: Pick<HostRules, 'allowsHost'>
  tls: boolean
  /** What clients beyond a reverse proxy call; its host is one of the rules'. */
  publicUrl: URL | undefined
  pathPrefix: string
}

/** Where MCP is spoken: each is a resource of its own name, and all are one server. */
const RESOURCES = ['', '/mcp', '/sse']

export function createPlaces({ rules, tls, publicUrl, pathPrefix }: PlacesOptions): Places {
  const scheme = tls ? 'https' : 'http'
  /** Bases that were found to be ours, so that a request costs one look. */
  const known = new Set<string>()

  function isOwn(base: string): boolean {
    if (known.has(base)) return true
    const found = work(base)
    if (found) known.add(base)
    return found
  }

  function work(base: string): boolean {
    const url = URL.parse(base)
    if (!url || `${url.origin}${pathPrefix}` !== base) return false
    if (url.host === publicUrl?.host) return url.origin === publicUrl.origin
    return url.protocol === `${scheme}:` && rules.allowsHost(url.host, undefined)
  }

  return {
    baseOf({ headers: { host = '' }, socket }) {
      const name = host.toLowerCase()
      if (publicUrl && name === publicUrl.host) return `${publicUrl.origin}${pathPrefix}`
      const base = `${scheme}://${name}${pathPrefix}`
      // Bound to every address, the one this came in on is ours as well; the Host check has said so.
      if (!known.has(base) && known.size < 100 && rules.allowsHost(name, socket.localAddress)) known.add(base)
      return base
    },
    isOwnIssuer: isOwn,
    resourceOf(audience) {
      const url = URL.parse(audience)
      if (!url || url.hash !== '' || url.search !== '' || url.username !== '' || url.password !== '') return undefined
      // `https://h` and `https://h/` are one, and some clients end every URL with a slash.
      const text = `${url.origin}${url.pathname.replace(/\/$/, '')}`
      const path = RESOURCES.find((one) => text.endsWith(`${pathPrefix}${one}`) && isOwn(text.slice(0, text.length - one.length)))
      return path === undefined ? undefined : text
    },
  }
}
