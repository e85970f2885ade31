// Seals what one of our VIDs says, and has it carried to where the document of the other says.
import type { TspProfile } from '../identity/document.ts'
import type { Vid } from '../identity/vid.ts'
import { Dropped, shortened } from './dropped.ts'
import type { EndpointOptions, Waiting } from './endpoint-options.ts'
import { peerKeysOf } from './keys.ts'
import type { NewPayload } from './payload-write.ts'
import { sealMessage, type Receiver, type SealedMessage } from './seal.ts'

export interface Outgoing {
  /** Fails with a drop for `unresolved`. */
  profileOf(vid: Vid): Promise<TspProfile>
  /** To whoever waits, or to the address of the profile. */
  carryTo(remote: Vid, profile: TspProfile, payload: NewPayload, waiting?: Waiting): Promise<SealedMessage>
}

export function createOutgoing({ own, resolver, carry }: Pick<EndpointOptions, 'own' | 'resolver' | 'carry'>): Outgoing {
  return {
    async profileOf(vid) {
      const resolution = await resolver.resolve(vid)
      if (resolution.state !== 'found') throw new Dropped('unresolved', `${shortened(vid)} cannot be resolved: ${resolution.why}`)
      if (!resolution.tsp) throw new Dropped('unresolved', `the document of ${shortened(vid)} says nothing of TSP`)
      return resolution.tsp
    },
    async carryTo(remote, profile, payload, waiting) {
      const to: Receiver = { vid: remote, keys: peerKeysOf(profile) }
      const sealed = sealMessage({ from: own, to, payload })
      if (waiting) waiting.carry(sealed.message)
      else await carry(new URL(profile.endpoint), sealed.message, remote)
      return sealed
    },
  }
}
