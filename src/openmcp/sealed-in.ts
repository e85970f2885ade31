// The ways in by TSP: `/tsp` for all that comes by HTTP and, where MCP is heard, what related VIDs send in sealed sessions.
import { createSealedDoor, openedBody } from '../downstream/sealed.ts'
import type { Handler } from '../downstream/mcp.ts'
import { createTspDoor, type TspDoorOptions, type TspSession } from '../downstream/tsp.ts'
import type { Guard } from '../http/guard.ts'
import { createTspDoor as createHttpDoor } from '../http/tsp.ts'
import type { Vid } from '../identity/vid.ts'
import type { Sessions } from '../protocol/session.ts'
import type { SecuredTsp } from '../security/tsp.ts'
import { frameOf } from '../tsp/session-frame.ts'
import { createHostedSessions } from '../tsp/session.ts'

/** The server that is spoken to by TSP. */
export interface TspServer extends Pick<TspDoorOptions, 'upstream' | 'gate' | 'calls'> {
  sessions: Sessions<TspSession>
  /** What is asked under a seal by HTTP is served as at /mcp, but for where its body comes from. */
  serve(bodyOf: typeof openedBody): Handler
}

export interface TspInOptions extends Omit<TspDoorOptions, 'sealed' | 'send' | 'limits' | 'sessions' | keyof TspServer> {
  tsp: SecuredTsp
  guard: Pick<Guard, 'enter'>
  /** Undefined: tokens alone are given. */
  server: TspServer | undefined
  proxied: boolean
  limits: TspDoorOptions['limits'] & { sessions: number; messageBytes: number }
  now: () => number
}

/** Returns the door at `/tsp`. */
export function openTspIn({ guard, server, proxied, ...options }: TspInOptions): ReturnType<typeof createHttpDoor> {
  const { tsp, limits, log, now } = options
  if (server) hearSessions({ ...options, ...server })
  const answer =
    server &&
    tsp.tmcp &&
    createSealedDoor({
      open: tsp.tmcp.take,
      admit(req, res, heard) {
        const caller = tsp.callerOf(heard)
        if (caller) guard.enter(req, res, caller)
        return caller !== undefined
      },
      serve: server.serve(openedBody),
      mostAnswerBytes: limits.messageBytes,
      log,
    })
  return createHttpDoor({ take: tsp.node.take, answer, refused: tsp.node.missed, proxied, log, now })
}

function hearSessions({ tsp, now, ...door }: Omit<TspInOptions, 'guard' | 'server' | 'proxied'> & Omit<TspServer, 'serve'>): void {
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
