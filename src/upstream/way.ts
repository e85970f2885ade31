// How a connection to a server is made, beside its address: whose certificates are believed, and which proxy it goes through.
import { readFileSync } from 'node:fs'
import * as tls from 'node:tls'
import type { buildConnector as BuildConnector } from 'undici'
import buildConnector from 'undici/lib/core/connect.js'

import { proxyFor, type Proxies } from './proxies.ts'
import { openTunnel } from './tunnel.ts'

export interface Way {
  trust?: Trust
  /** Those that take connections to hosts beyond this machine. */
  proxies?: Proxies
}

/** Whose word for a certificate is taken. Nothing said: that of whoever this machine trusts. */
export interface Trust {
  /** PEM: these authorities as well. */
  ca?: string
  /** PEM: these, and nobody else. */
  only?: string
  /** Whoever answers is believed. */
  unchecked?: true
}

/** The same way for what must never go to a stranger: a proof of who we are, an issuer. */
export function checkedWay({ trust, ...way }: Way): Way {
  return trust && !trust.unchecked ? { ...way, trust } : way
}

/** For undici: connects to where a request goes, through a proxy where there is one for it. */
export function connectorOf({ trust, proxies }: Way, { connectSeconds }: { connectSeconds: number }): BuildConnector.connector {
  const timeout = connectSeconds * 1000
  const direct = buildConnector({ timeout, ...tlsOf(trust) })
  if (!proxies) return direct
  return (options, callback) => {
    const isTls = options.protocol === 'https:'
    const to = { hostname: options.hostname, port: Number(options.port || (isTls ? 443 : 80)) }
    const proxy = within(() => proxyFor(proxies, options.protocol, to))
    if (proxy instanceof Error) return callback(proxy, null)
    if (!proxy) return direct(options, callback)
    openTunnel(proxy, to, { timeoutMs: timeout, tls: tlsOf(trust?.unchecked ? {} : trust) }, (error, socket) => {
      if (error) callback(error, null)
      else if (isTls) direct({ ...options, httpSocket: socket }, callback)
      else callback(null, socket)
    })
  }
}

/** To undici a connector does not throw. */
function within<T>(act: () => T): T | Error {
  try {
    return act()
  } catch (error) {
    return error instanceof Error ? error : new Error('unknown', { cause: error })
  }
}

type TlsOptions = Pick<tls.ConnectionOptions, 'secureContext' | 'rejectUnauthorized'>

const contexts = new WeakMap<Trust, tls.SecureContext>()

/** What `tls.connect` is told. The authorities of a trust are read once. */
function tlsOf(trust: Trust = {}): TlsOptions {
  const { ca, only, unchecked } = trust
  if (unchecked) return { rejectUnauthorized: false }
  if (ca === undefined && only === undefined) return {}
  let secureContext = contexts.get(trust)
  if (!secureContext) contexts.set(trust, (secureContext = tls.createSecureContext({ ca: only ?? [...trustedHere(), ca ?? ''] })))
  return { secureContext }
}

/** Whoever names authorities takes the place of all that Node trusts by itself, so they are named again. */
function trustedHere(): readonly string[] {
  // Node 22.15 and later knows what else it was told to trust.
  if ('getCACertificates' in tls && typeof tls.getCACertificates === 'function') return tls.getCACertificates('default')
  const more = process.env['NODE_EXTRA_CA_CERTS'] ?? ''
  if (more === '') return tls.rootCertificates
  try {
    return [...tls.rootCertificates, readFileSync(more, 'utf8')]
  } catch {
    // Node has said so at its start, and goes on without them.
    return tls.rootCertificates
  }
}
