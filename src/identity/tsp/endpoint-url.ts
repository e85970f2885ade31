// Where a VID of ours is reached by TSP: a URL whose scheme says how messages are carried to it.
import { createServer, isIP } from 'node:net'

import { OpenMcpError } from '../../errors.ts'

const MOST_ENDPOINT = 2048
/** Every address of this machine, to whoever listens, and none to whoever connects. */
const UNSPECIFIED: readonly string[] = ['0.0.0.0', '[::]']
const HINT = 'for example tcp://127.0.0.1:13371, tls://tsp.example.com:13372 or https://tsp.example.com/tsp'

/** As it was written: a did:peer:4 is a hash of that text. Throws `identity_invalid` for what openmcp cannot be reached at. */
export function checkedEndpoint(text: unknown): string {
  const { url, written } = endpointIn(text)
  if (url.port === '0') throw invalid('nothing is reached at port 0')
  return written
}

/** Of an identity that is not made yet: port 0 of an address of this machine is one that is free then. Throws as `checkedEndpoint` does. */
export function checkNewEndpoint(text: string): void {
  const { url, host } = endpointIn(text)
  if (url.port === '0' && (isWeb(url) || (isIP(bare(host)) === 0 && host !== 'localhost')))
    throw invalid('port 0 is a free port of this machine: this TSP endpoint names its own')
}

/** The endpoint in the one spelling in which a new document names it, with a free port in the place of port 0. */
export async function newEndpoint(text: string): Promise<string> {
  checkNewEndpoint(text)
  const { url, host } = endpointIn(text)
  if (isWeb(url)) return url.href
  return `${url.protocol}//${host}:${url.port === '0' ? await freePortOf(bare(host)) : url.port}`
}

/** `host` is in the one spelling of an address or a name, which the URL of a scheme that is not of the web does not have. */
function endpointIn(text: unknown): { url: URL; host: string; written: string } {
  if (typeof text !== 'string' || text.length > MOST_ENDPOINT || !URL.canParse(text)) throw invalid('a TSP endpoint is a URL')
  const url = new URL(text)
  const scheme = url.protocol.slice(0, -1)
  if (!['tcp', 'tls', 'http', 'https'].includes(scheme)) throw invalid(`a TSP endpoint is of tcp, tls, http or https, and not of ${scheme.slice(0, 32)}`)
  if (url.hostname === '') throw invalid('the TSP endpoint names no host')
  const host = URL.canParse(`http://${url.hostname}/`) ? new URL(`http://${url.hostname}/`).hostname : ''
  if (host === '') throw invalid('the host of the TSP endpoint is neither a name nor an address')
  if (UNSPECIFIED.includes(host)) throw invalid(`nobody reaches ${host}: a TSP endpoint is the address that others use`)
  if (url.username !== '' || url.password !== '') throw invalid('a TSP endpoint is published: it holds no user and no password')
  if (text.includes('#')) throw invalid('a TSP endpoint has no fragment')
  if (isWeb(url)) return { url, host, written: text }
  if (url.port === '') throw invalid(`a TSP endpoint of ${scheme} names its port`)
  if (!['', '/'].includes(url.pathname) || text.includes('?')) throw invalid(`a TSP endpoint of ${scheme} is a host and a port, and nothing behind them`)
  return { url, host, written: text }
}

/** An IPv6 address stands in brackets in a URL. */
function bare(host: string): string {
  return host.replace(/^\[|\]$/g, '')
}

function isWeb({ protocol }: URL): boolean {
  return protocol === 'http:' || protocol === 'https:'
}

function freePortOf(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (cause) => reject(new OpenMcpError('identity_invalid', `${host} is no address of this machine`, { hint: HINT, cause })))
    server.listen(0, host, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

function invalid(message: string): OpenMcpError {
  return new OpenMcpError('identity_invalid', message, { hint: HINT })
}
