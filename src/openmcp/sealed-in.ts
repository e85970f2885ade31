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
  /** Told of every message of a caller. */
  active(): void
  limits: TspDoorOptions['limits'] & { sessions: number }
  now: () => number
}

export function listenSealed({ tsp, active, now, ...door }: SealedInOptions): void {
  const { node, callerOf } = tsp
  const hosted = createHostedSessions({ mostPerPeer: door.limits.sessions, now })
  const { hear } = createTspDoor({
    ...door,
    sealed: {
      hear(peer, data) {
        const frame = frameOf(data)
        return frame && hosted.hear(peer, frame)
      },
      end: hosted.end,
    },
    async send(vid, frame) {
      // A caller that came by TSP is the VID that it came as.
      await node.send(vid as Vid, frame)
    },
  })
  node.onHeard((heard) => {
    const caller = callerOf(heard)
    if (!caller) return false
    active()
    return hear(caller, heard.data)
  })
}
