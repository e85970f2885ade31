// Where a VID of ours is reached by TSP: a URL whose scheme says how messages are carried to it.
import { createServer, isIP } from 'node:net'

import { OpenMcpError } from '../../errors.ts'

const MOST_ENDPOINT = 2048
const HINT = 'for example tcp://127.0.0.1:13371, tls://tsp.example.com:13372 or https://tsp.example.com/tsp'

/** The endpoint as it is written into documents. Throws `identity_invalid` for what openmcp cannot be reached at. */
export function parseEndpoint(text: unknown): string {
  if (typeof text !== 'string' || text.length > MOST_ENDPOINT || !URL.canParse(text)) throw invalid('a TSP endpoint is a URL')
  const url = new URL(text)
  if (!['tcp:', 'tls:', 'http:', 'https:'].includes(url.protocol))
    throw invalid(`a TSP endpoint is of tcp, tls, http or https, and not of ${url.protocol.slice(0, 32)}`)
  if (url.hostname === '') throw invalid('the TSP endpoint names no host')
  if (url.username !== '' || url.password !== '') throw invalid('a TSP endpoint is published: it holds no user and no password')
  if (url.hash !== '' || text.includes('#')) throw invalid('a TSP endpoint has no fragment')
  if (url.protocol === 'http:' || url.protocol === 'https:') return url.href
  if (url.port === '') throw invalid(`a TSP endpoint of ${url.protocol.slice(0, -1)} names its port`)
  if (!['', '/'].includes(url.pathname) || url.search !== '')
    throw invalid(`a TSP endpoint of ${url.protocol.slice(0, -1)} is a host and a port, and nothing behind them`)
  return `${url.protocol}//${url.host}`
}

/** The same endpoint with a free port of that address in the place of port 0. Throws `identity_invalid` where this machine cannot know one. */
export async function withPort(endpoint: string): Promise<string> {
  const url = new URL(endpoint)
  if (url.port !== '0') return endpoint
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const isBound = url.protocol === 'tcp:' || url.protocol === 'tls:'
  if (!isBound || (isIP(host) === 0 && host !== 'localhost')) throw invalid('port 0 is a free port of this machine: the TSP endpoint names its own')
  return `${url.protocol}//${url.hostname}:${await freePortOf(host)}`
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
