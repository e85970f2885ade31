// `--tsp message` by tcp:// and tls://: what related VIDs send in sealed sessions comes to a door like every other.
import { createTspDoor, type TspDoorOptions, type TspSession } from '../downstream/tsp.ts'
import type { Vid } from '../identity/vid.ts'
import type { Sessions } from '../protocol/session.ts'
import type { SecuredTsp } from '../security/tsp.ts'
import { frameOf } from '../tsp/session-frame.ts'
import { createHostedSessions } from '../tsp/session.ts'

export interface SealedInOptions extends Omit<TspDoorOptions, 'sealed' | 'send' | 'limits'> {
  tsp: Pick<SecuredTsp, 'node' | 'callerOf'>
  sessions: Sessions<TspSession>
  limits: TspDoorOptions['limits'] & { sessions: number }
  now: () => number
}

export function listenSealed({ tsp, now, ...door }: SealedInOptions): void {
  const { node, callerOf } = tsp
  const hosted = createHostedSessions({ mostPerPeer: door.limits.sessions, now })
  const { hear } = createTspDoor({
    ...door,
    active(caller) {
      door.active(caller)
      // A caller that came by TSP is the VID that it came as, for as long as its relationship.
      node.isUsed({ from: caller.id as Vid, relationship: { id: caller.tokenId, untilMs: caller.expiresAt * 1000 } })
    },
    sealed: {
      hear(peer, data) {
        const frame = frameOf(data)
        return frame && hosted.hear(peer, frame)
      },
      end: hosted.end,
    },
    async send(vid, frame) {
      // As above.
      await node.send(vid as Vid, frame)
    },
  })
  node.onHeard((heard) => {
    const caller = callerOf(heard)
    return caller !== undefined && hear(caller, heard.data)
  })
}
