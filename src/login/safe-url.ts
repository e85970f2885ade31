// Which addresses that a server names may be used in a login.
import { OpenMcpError } from '../errors.ts'
import { isLoopbackHost } from '../protocol/loopback.ts'
import { shownUrl } from './shown-url.ts'

/** To the parser of URLs `$(id).example` and `a;b` are hosts as well. A person is shown it, and some browsers are opened by a shell. */
const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])$/

/** https; http for loopback alone, and loopback only `beside` what is there too: another could point us at our own machine. */
export function requireSafe(url: URL, beside: string, what: string): void {
  const loopback = isLoopbackHost(url.hostname)
  if (loopback && !isLoopbackHost(beside)) throw new OpenMcpError('login_failed', `${what} would be on this machine, and ${beside} is not`)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback)) {
    throw new OpenMcpError('login_failed', `${what} is not reached over https, so nothing is proved to it`, { hint: 'http is for loopback alone' })
  }
  if (!HOST.test(url.hostname)) throw new OpenMcpError('login_failed', `${what} would be at a host that is not written like one`)
}

/** The same address, in which no shell would find anything but the signs between its parts. */
export function quoted(url: URL): URL {
  const plain = new URL(url)
  plain.pathname = plain.pathname.replaceAll(/[^\w./~%-]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
  plain.search = plain.searchParams.toString()
  plain.hash = ''
  return plain
}

/** An endpoint that an issuer names in its metadata; undefined when it names none. */
export function endpointOf(issuer: string, endpoint: unknown, what: string): URL | undefined {
  if (endpoint === undefined) return undefined
  const home = new URL(issuer)
  const url = typeof endpoint === 'string' && endpoint.length <= 2048 && URL.canParse(endpoint) ? new URL(endpoint) : undefined
  if (!url || url.username !== '' || url.password !== '' || url.hash !== '') {
    throw new OpenMcpError('login_failed', `where ${shownUrl(home)} ${what} is no URL of an endpoint`)
  }
  requireSafe(url, home.hostname, `where the issuer ${shownUrl(home)} ${what}`)
  return url
}
