// A request to an http:// or https:// address that a peer named: it leads only where a fetch would, follows nothing, and believes no
// certificate that it was not told to.
import { request as requestHttp, type ClientRequest, type RequestOptions } from 'node:http'
import { request as requestHttps } from 'node:https'

import { OpenMcpError } from '../../errors.ts'
import { lookupFor, type LookupAll, type Near } from '../../identity/guarded-fetch.ts'

export interface Egress extends Near {
  lookup?: LookupAll | undefined
  /** All certificates that are believed, in PEM; those of Node when it is left out. */
  ca?: readonly string[] | undefined
}

const MOST_HEADER_BYTES = 16 * 1024

/** Throws `egress_refused` for what needs no look-up to be refused. */
export function requestTo(
  address: URL,
  { lookup, ca, ...near }: Egress,
  options: Pick<RequestOptions, 'method' | 'agent' | 'headers' | 'signal'>,
): ClientRequest {
  if (address.username !== '' || address.password !== '') throw new OpenMcpError('egress_refused', 'an address with a name or a password in it is not sent to')
  const guarded = { ...options, lookup: lookupFor(address.hostname, { ...near, ...(lookup && { lookup }) }), maxHeaderSize: MOST_HEADER_BYTES }
  if (address.protocol === 'http:') return requestHttp(address, guarded)
  // Said, because the environment may say otherwise.
  return requestHttps(address, { ...guarded, rejectUnauthorized: true, minVersion: 'TLSv1.2', ...(ca && { ca: [...ca] }) })
}
