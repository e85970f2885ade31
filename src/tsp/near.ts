// How near a peer may live: no nearer than we do ourselves. What a document says of addresses is what its owner wants us to connect to.
import { kindOfAddress } from '../identity/addresses.ts'
import type { Near } from '../identity/guarded-fetch.ts'
import { isLoopbackHost } from '../protocol/loopback.ts'

/** Peers of whoever is reached at one of these hosts: on this machine, in a private network, or on the public internet alone. */
export function nearOf(...hosts: readonly string[]): Near {
  const kinds = hosts.map((host) => (isLoopbackHost(host) ? 'loopback' : kindOfAddress(host.replace(/^\[(.*)\]$/, '$1'))))
  return { trustLoopback: kinds.includes('loopback'), trustPrivate: kinds.includes('private') }
}
