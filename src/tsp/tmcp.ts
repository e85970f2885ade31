// What comes to a node of ours as TMCP carries it, in the body of an HTTP request whose sender waits for the answer: about the
// relationship, about a session, or HTTP under the seal, which goes on to whoever serves that.
import { OpenMcpError } from '../errors.ts'
import { isVid, shortFormOf, type Vid } from '../identity/vid.ts'
import { errorText } from '../protocol/answer.ts'
import type { CarriedPiece, OpenedRequest } from '../protocol/carried.ts'
import { jsonIn } from '../protocol/json.ts'
import { isId, isObject, type JsonRpcId } from '../protocol/message.ts'
import type { Heard } from './endpoint-options.ts'
import type { TspNode } from './node.ts'
import { frameOf } from './session-frame.ts'
import { createHostedSessions, type HostedSessions, type SealedSession } from './session.ts'
import { forgottenText, messageIn, pieceText, requestIn } from './tmcp-text.ts'

/** Undefined: silence, which is all that is heard by whoever is not spoken with. */
export type Taken =
  | undefined
  /** The whole answer. */
  | { readonly kind: 'said'; readonly text: string }
  | ({ readonly kind: 'asked'; readonly heard: Heard } & OpenedRequest)

export interface Tmcp {
  /** One body, posted under the name of a VID. Never fails. */
  take(did: string, text: string): Promise<Taken>
}

export interface TmcpOptions {
  node: Pick<TspNode, 'take' | 'sealerFor'>
  /** Whether somebody with a relationship may ask here now. Nothing is kept for anybody else, and nothing said. */
  admits(heard: Heard): boolean
  /** Sessions that one peer may have at once: those of processes that are gone make room. */
  mostPerPeer?: number
  sessions?: HostedSessions
  now: () => number
}

type Seal = (data: Uint8Array) => Buffer

interface Live {
  readonly from: Vid
  readonly peer: string
  usedMs: number
  holds: number
}

const MOST_PER_PEER = 64
/** So long a session is kept in which nothing is asked: its client begins another when it comes back. */
const IDLE_MS = 3600_000

export function createTmcp({ node, admits, mostPerPeer = MOST_PER_PEER, now, sessions = createHostedSessions({ mostPerPeer, now }) }: TmcpOptions): Tmcp {
  const live = new Map<string, Live>()

  /** Before one more is begun: what lies idle is ended, and at the cap what has lain longest. */
  function makeRoom(from: Vid, peer: string): void {
    const own: [string, Live][] = []
    for (const [name, session] of live) {
      // Of a relationship that is over: else a peer would have as many again with each that it begins.
      if (session.from === from && session.peer !== peer) end(name, session)
      else if (session.holds > 0) continue
      else if (session.usedMs + IDLE_MS <= now()) end(name, session)
      else if (session.peer === peer) own.push([name, session])
    }
    const [oldest] = own.toSorted(([, a], [, b]) => a.usedMs - b.usedMs)
    if (oldest && [...live.values()].filter((session) => session.peer === peer).length >= mostPerPeer) end(...oldest)
  }

  function end(name: string, { peer }: Live): void {
    live.delete(name)
    sessions.end(peer, name, 'session_ended')
  }

  function answered(heard: Heard, seal: Seal): Taken {
    const frame = frameOf(heard.data)
    if (!frame) {
      const bare = bareRequestIn(heard.data)
      return bare && said(seal, Buffer.from(errorText(BARE, bare.id)))
    }
    // A session is of one VID and of one relationship.
    const peer = `${heard.from} ${heard.relationship.id}`
    if (frame.kind === 'open') makeRoom(heard.from, peer)
    const hearing = sessions.hear(peer, frame)
    switch (hearing?.kind) {
      case 'answer':
        return said(seal, frame.kind === 'message' ? forgottenText({ session: frame.session, n: frame.n, why: whyIn(hearing.frame) }) : hearing.frame)
      case 'closed':
        live.delete(hearing.session)
        return undefined
      case 'message':
        return asked(heard, peer, hearing, seal)
      case 'repeated':
      case undefined:
        return undefined
    }
  }

  function asked(heard: Heard, peer: string, { session, message }: { session: SealedSession; message: Buffer }, seal: Seal): Taken {
    const known = live.get(session.id) ?? { from: heard.from, peer, usedMs: 0, holds: 0 }
    known.usedMs = now()
    live.set(session.id, known)
    const carried = requestIn(message)
    if (!carried) return undefined
    let part = 0
    return {
      kind: 'asked',
      heard,
      request: carried.request,
      seal(piece: CarriedPiece) {
        const sealed = seal(session.wrap(pieceText({ re: carried.id, part: part + 1 }, piece))).toString('base64url')
        part++
        return sealed
      },
      hold() {
        known.holds++
        return () => {
          known.holds--
          known.usedMs = now()
        }
      },
    }
  }

  return {
    async take(did, text) {
      const message = messageIn(text)
      if (!isVid(did) || !message) return undefined
      const from = shortFormOf(did)
      // Called while the message is taken, or never.
      const came: { heard?: Heard; carried?: Buffer } = {}
      await node.take(message, {
        from,
        hear: (heard) => void (came.heard = heard),
        carry: (carried) => void (came.carried = carried),
      })
      if (came.carried) return { kind: 'said', text: came.carried.toString('base64url') }
      if (!came.heard || !admits(came.heard)) return undefined
      const seal = await sealerFor(from)
      return seal && answered(came.heard, seal)
    },
  }

  async function sealerFor(vid: Vid): Promise<Seal | undefined> {
    // A relationship may have ended since.
    return node.sealerFor(vid).catch(() => undefined)
  }
}

function said(seal: Seal, data: Buffer): Taken {
  return { kind: 'said', text: seal(data).toString('base64url') }
}

const BARE = new OpenMcpError('invalid_request', 'a TSP message has nothing by which it is known to be new, so nothing is done for a JSON-RPC message alone', {
  hint: 'openmcp asks with a session and a number: openmcp run -p did:…',
})

function whyIn(frame: Buffer): string {
  const close = frameOf(frame)
  return close?.kind === 'close' ? close.why : 'session_unknown'
}

/** To read more than that would take long, for an answer that says no. */
const MOST_BARE_BYTES = 64 * 1024

/** Other peers speak MCP over TSP in other ways. Nothing else that is bare is answered. */
function bareRequestIn(data: Buffer): { id: JsonRpcId | undefined } | undefined {
  if (data.length > MOST_BARE_BYTES) return undefined
  const value = jsonIn(data.toString())
  if (!isObject(value) || typeof value['method'] !== 'string') return undefined
  return { id: isId(value['id']) ? value['id'] : undefined }
}
