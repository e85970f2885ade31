// Under which names we are known: what the Host check lets in, and the public URL.
import { readServerPath, serverPath } from '../protocol/server-path.ts'
import type { Places } from '../tokens/places.ts'
import type { HostRules } from './hosts.ts'

export interface PlacesOptions {
  rules: Pick<HostRules, 'allowsHost'>
  tls: boolean
  /** What clients beyond a reverse proxy call; its host is one of the rules'. */
  publicUrl: URL | undefined
  pathPrefix: string
}

/** Where MCP is spoken: each is a resource of its own name. */
const RESOURCES = ['', '/mcp', '/sse']
const AUDIENCES_KEPT = 1000

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

  /** By audience: which server it is for, or `all`. A look at a URL on every request would be felt. */
  const openedBy = new Map<string, { server: string | undefined } | 'all'>()

  function openedWith(audience: string): { server: string | undefined } | 'all' {
    const place = placeIn(audience, pathPrefix)
    return !place || place.path === '' ? 'all' : { server: place.server }
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
      const place = placeIn(audience, pathPrefix)
      return place && isOwn(place.base) ? `${place.base}${place.path}` : undefined
    },
    opens(audience, server) {
      let opened = openedBy.get(audience)
      if (!opened) {
        if (openedBy.size >= AUDIENCES_KEPT) openedBy.clear()
        openedBy.set(audience, (opened = openedWith(audience)))
      }
      return opened === 'all' || opened.server === server
    },
  }
}

/** Where below our prefix a URL points to, in its one spelling. The host is not looked at: to be ours or not is another question. */
function placeIn(audience: string, prefix: string): { base: string; path: string; server: string | undefined } | undefined {
  const url = URL.parse(audience)
  if (!url || url.hash !== '' || url.search !== '' || url.username !== '' || url.password !== '') return undefined
  // `https://h` and `https://h/` are one, and some clients end every URL with a slash.
  const whole = url.pathname.replace(/\/$/, '')
  if (!whole.startsWith(prefix)) return undefined
  const base = `${url.origin}${prefix}`
  const path = whole.slice(prefix.length)
  if (RESOURCES.includes(path)) return { base, path, server: undefined }
  const named = readServerPath(path)
  return named && RESOURCES.includes(named.rest) ? { base, path: `${serverPath(named.name)}${named.rest}`, server: named.name } : undefined
}
