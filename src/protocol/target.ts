// UPSTREAM, as people write it: host:port[/path], http(s)://…, tcp://host:port or ws(s)://…, and how a DID is told from them.
import { OpenMcpError } from '../errors.ts'
import { isLoopbackHost } from './loopback.ts'

const MAX_LENGTH = 4096
const WHAT_WORKS = 'host:port[/path], http(s)://…, tcp://host:port and ws(s)://… work'

/** Whether it is spoken with over a connection that messages are sent on, and not by requests. */
export function isSocket(url: URL): boolean {
  return ['tcp:', 'ws:', 'wss:'].includes(url.protocol)
}

/**
 * The URLs an UPSTREAM stands for, in the order to try them: two of HTTP when it names no path, one otherwise (`/` is a path).
 * Refuses what openmcp cannot reach yet (`unavailable_option`), a DID, which is for whoever asks with `schemeOf` first, and a secret or a
 * fragment in the URL.
 */
export function parseTarget(text: string): readonly URL[] {
  refuseUnreadable(text)
  const scheme = schemeOf(text)
  if (scheme !== undefined) refuseScheme(scheme, text)
  const authority = authorityOf(text)
  refuseAuthority(authority, scheme, text)
  const url = urlOf(scheme === undefined ? `${schemeFor(authority)}://${text}` : text, text)
  if (scheme === 'tcp') return [tcpOf(url, text)]
  if (isSocket(url)) return [url]
  return namesPath(text) ? [url] : [withPath(url, '/mcp'), withPath(url, '/sse')]
}

/** The scheme of `scheme://…` or `did:…`, in lower case; undefined for `host:port` and anything else. */
export function schemeOf(text: string): string | undefined {
  return /^(?:([a-z][a-z0-9+.-]*):\/\/|(did):)/i.exec(text)?.slice(1).find(Boolean)?.toLowerCase()
}

/** An UPSTREAM fit for a message: without its user, query and fragment, which may hold a secret. */
export function shownTarget(text: string): string {
  return text.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, '$1').replace(/[?#].*$/s, '')
}

function refuseUnreadable(text: string): void {
  if (text === '') throw new OpenMcpError('usage', 'the upstream is empty', { hint: WHAT_WORKS })
  if (text.length > MAX_LENGTH) throw new OpenMcpError('usage', `the upstream is longer than ${MAX_LENGTH} characters`)
  // The URL parser drops tabs and line ends and turns a backslash into a slash: what is connected to must be what was read.
  // oxlint-disable-next-line no-control-regex -- control characters are what this is about
  if (/[\s\\\u0000-\u001f\u007f]/.test(text)) throw new OpenMcpError('usage', 'the upstream holds a space, a backslash or a control character')
}

function refuseScheme(scheme: string, text: string): void {
  if (['http', 'https', 'tcp', 'ws', 'wss'].includes(scheme)) return
  if (scheme === 'did') throw new OpenMcpError('usage', 'a DID is no URL', { hint: 'openmcp run -p PORT:did:… serves what it names' })
  throw new OpenMcpError('usage', `'${shownTarget(text)}': openmcp does not speak ${scheme}://`, { hint: WHAT_WORKS })
}

/** TCP has a host and a port, and nothing else to say. */
function tcpOf(url: URL, text: string): URL {
  if (url.port === '') throw new OpenMcpError('usage', `the upstream '${shownTarget(text)}' has no port`, { hint: 'write tcp://HOST:PORT' })
  if (url.pathname !== '' && url.pathname !== '/') {
    throw new OpenMcpError('usage', `the upstream '${shownTarget(text)}' has a path, which TCP does not have`, { hint: 'write tcp://HOST:PORT' })
  }
  if (url.search !== '') throw new OpenMcpError('usage', `the upstream '${shownTarget(text)}' has a query, which TCP does not have`)
  return new URL(`tcp://${url.host.toLowerCase()}`)
}

function authorityOf(text: string): string {
  return afterScheme(text).split(/[/?#]/, 1)[0] ?? ''
}

function afterScheme(text: string): string {
  return text.replace(/^[a-z][a-z0-9+.-]*:\/\//i, '')
}

function refuseAuthority(authority: string, scheme: string | undefined, text: string): void {
  const shown = `'${shownTarget(text)}'`
  if (authority.includes('@')) {
    throw new OpenMcpError('usage', `the upstream ${shown} has a user or password in its URL`, {
      hint: "send it as a header: --header-file FILE, or -H 'Authorization: Basic …'",
    })
  }
  if (text.includes('#')) throw new OpenMcpError('usage', `the upstream ${shown} has a fragment`, { hint: "leave out '#' and what follows" })
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(authority) ?? []
  if (scheme === undefined) refuseBareHost(host, port, authority, shown)
  if (host === '') throw new OpenMcpError('usage', `the upstream ${shown} names no host`, { hint: WHAT_WORKS })
  if (port !== undefined && !isPort(port)) throw new OpenMcpError('usage', `the upstream ${shown} has no port from 1 to 65535 after its host`)
}

/** Without a scheme there is no telling a bare name from a mistyped word, or a number from a port. */
function refuseBareHost(host: string, port: string | undefined, authority: string, shown: string): void {
  if (/^\d+$/.test(host || authority)) {
    throw new OpenMcpError('usage', `the upstream ${shown} is a number where a host belongs`, { hint: 'write the host too, like 127.0.0.1:9000' })
  }
  if (host === '' && authority.includes('::')) {
    throw new OpenMcpError('usage', `the upstream ${shown} has an IPv6 address without brackets`, { hint: 'write [::1]:8000' })
  }
  if (host !== '' && port === undefined) {
    throw new OpenMcpError('usage', `the upstream ${shown} has no port`, { hint: `write ${authority}:PORT, or https://${authority} for the usual one` })
  }
}

function isPort(text: string): boolean {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65535
}

function schemeFor(authority: string): 'http' | 'https' {
  return isLoopbackHost(authority.replace(/:\d+$/, '')) ? 'http' : 'https'
}

function urlOf(href: string, text: string): URL {
  try {
    return new URL(href)
  } catch (cause) {
    throw new OpenMcpError('usage', `'${shownTarget(text)}' is not an upstream`, { hint: WHAT_WORKS, cause })
  }
}

function namesPath(text: string): boolean {
  return /^[^/?]*\//.test(afterScheme(text))
}

function withPath(url: URL, path: string): URL {
  const copy = new URL(url)
  copy.pathname = path
  return copy
}
