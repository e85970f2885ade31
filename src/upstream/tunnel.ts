// A connection to a server through a proxy: CONNECT (RFC 9110 §9.3.6), and from there on the proxy hears nothing that is not meant for it.
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Duplex } from 'node:stream'
import { isIP, type Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'

import { OpenMcpError } from '../errors.ts'
import type { Place } from './proxies.ts'
import { whyUnreachable } from './unreachable.ts'

interface TunnelOptions {
  timeoutMs: number
  /** Whose certificates are believed where the proxy itself is reached by https. */
  tls: Pick<ConnectionOptions, 'secureContext' | 'rejectUnauthorized'>
}

const NAMED = 'HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names it, and NO_PROXY what is reached without'

type Done = (...outcome: [error: null, socket: Socket] | [error: OpenMcpError, socket: null]) => void

/** Fails with `upstream_unreachable`, in words that name the proxy by host and port alone. Nothing of a request has left by then. */
export function openTunnel(proxy: URL, { hostname, port }: Place, { timeoutMs, tls }: TunnelOptions, done: Done): void {
  const isTls = proxy.protocol === 'https:'
  const host = proxy.hostname.replace(/^\[(.*)\]$/, '$1')
  const authority = `${hostname.includes(':') ? `[${hostname}]` : hostname}:${port}`
  let isOver = false
  const asking = (isTls ? requestHttps : requestHttp)({
    method: 'CONNECT',
    host,
    port: proxy.port || (isTls ? 443 : 80),
    path: authority,
    headers: { host: authority, ...credentialOf(proxy) },
    agent: false,
    // Node would take the name of the server, from the header, for that of the proxy.
    ...(isTls && { ...tls, servername: isIP(host) === 0 ? host : '' }),
  })
  const fail = (why: string, more: { hint?: string; cause?: unknown } = {}): void => {
    if (isOver) return
    isOver = true
    clearTimeout(late)
    asking.destroy()
    done(new OpenMcpError('upstream_unreachable', `the proxy ${proxy.host} ${why}`, more), null)
  }
  const late = setTimeout(() => fail('does not answer', { hint: NAMED }), timeoutMs)
  asking.once('connect', ({ statusCode = 0 }, socket: Duplex, early: Buffer) => {
    if (statusCode === 407) return fail('wants to know who we are (HTTP 407)', { hint: 'a proxy variable may be http://USER:PASSWORD@HOST:PORT' })
    if (statusCode < 200 || statusCode > 299) return fail(`opens no way to ${authority} (HTTP ${statusCode})`, { hint: NAMED })
    isOver = true
    clearTimeout(late)
    if (early.length > 0) socket.unshift(early)
    // Node's types leave open what its agents make of a connection; without an agent it is the socket that was opened.
    done(null, socket as Socket)
  })
  asking.on('error', (cause) => fail(`cannot be reached: ${whyUnreachable(cause).why}`, { hint: NAMED, cause }))
  asking.end()
}

/** RFC 9110 §11.7.2: for the proxy, and never for whoever is behind it. */
function credentialOf({ username, password }: URL): { 'proxy-authorization'?: string } {
  if (username === '' && password === '') return {}
  const plain = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { 'proxy-authorization': `Basic ${Buffer.from(plain).toString('base64')}` }
}
