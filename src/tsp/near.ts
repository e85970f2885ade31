// How near a peer may live: no nearer than we do ourselves. What a document says of addresses is what its owner wants us to connect to.
import { kindOfAddress } from '../identity/addresses.ts'
import type { Near } from '../identity/guarded-fetch.ts'
import { methodOf, type Vid } from '../identity/vid.ts'
import { isLoopbackHost } from '../protocol/loopback.ts'

/** Peers of whoever is reached at one of these hosts: on this machine, in a private network, or on the public internet alone. */
export function nearOf(...hosts: readonly string[]): Near {
  const kinds = hosts.map((host) => (isLoopbackHost(host) ? 'loopback' : kindOfAddress(host.replace(/^\[(.*)\]$/, '$1'))))
  return { trustLoopback: kinds.includes('loopback'), trustPrivate: kinds.includes('private') }
}

/** Whoever types a did:peer types its address, and in a did:web the host that it is of; what another host says of this machine is not followed. */
export function nearOfNamed(vid: Vid): Near {
  if (methodOf(vid) === 'peer') return { trustLoopback: true, trustPrivate: true }
  return nearOf(new URL(`http://${decodeURIComponent(vid.split(':').at(methodOf(vid) === 'web' ? 2 : 3) ?? '')}`).hostname)
}
