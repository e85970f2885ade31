// Below which path clients find us when a proxy in front takes it off: as the operator says, or a proxy that the operator has named.
import type { IncomingHttpHeaders } from 'node:http'
import { BlockList } from 'node:net'

import { pathPrefixOf, type Network } from '../protocol/behind-proxy.ts'

export interface BehindProxy {
  /** What proxies in front take off. Then nobody is asked. */
  rootPath?: string | undefined
  /** Whose `X-Forwarded-Prefix` says it. */
  trustProxies?: readonly Network[] | undefined
}

interface Request {
  readonly headers: IncomingHttpHeaders
  readonly socket: { readonly remoteAddress?: string | undefined; readonly remoteFamily?: string | undefined }
}

/** Of each request. Whoever is not named says nothing, and what is no path, or more than one, is not heard. */
export function proxyPrefix({ rootPath, trustProxies = [] }: BehindProxy): (req: Request) => string {
  if (rootPath !== undefined) return () => rootPath
  if (trustProxies.length === 0) return () => ''
  const trusted = new BlockList()
  for (const { address, bits, family } of trustProxies) trusted.addSubnet(address, bits, family)
  return ({ socket, headers }) => {
    const { remoteAddress, remoteFamily } = socket
    const said = headers['x-forwarded-prefix']
    if (typeof said !== 'string' || said.length > MOST_CHARS || remoteAddress === undefined) return ''
    return trusted.check(remoteAddress, remoteFamily === 'IPv6' ? 'ipv6' : 'ipv4') ? (pathPrefixOf(said) ?? '') : ''
  }
}

const MOST_CHARS = 256
