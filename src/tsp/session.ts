// Sessions inside a relationship. A TSP message says nothing of when it was written, so one that somebody recorded opens again for ever:
// here each message is of one session, which both sides named anew, and has a number that is taken once.
//
// A session is begun by `open` with a nonce of the client, and `opened` with a name that the node gives: so `opened` is no older than the
// nonce, and a message that names the session is no older than the name. Both halves are state alone: who carries the frames (docs of
// session-frame.ts) seals them to the VID that the other half knows, and gives in what came sealed from it.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

import type { Hearing, SealedSession } from '../protocol/sealed-session.ts'
import { closeFrame, messageFrame, openedFrame, openFrame, refusedFrame, type SessionFrame } from './session-frame.ts'

export type { SealedSession }

export interface Beginning {
  /** To be sent to the node. */
  readonly frame: Buffer
  /** The session, when the frame is the node's answer to this beginning; `refused` says why there is none. Undefined: it is of something else. */
  answered(frame: SessionFrame): { opened: SealedSession } | { refused: string } | undefined
}

/** The client's half: one session is begun. */
export function beginSession(random: Random = randomBytes): Beginning {
  const nonce = random(NONCE_BYTES).toString('base64url')
  return {
    frame: openFrame(nonce),
    answered(frame) {
      if ((frame.kind !== 'opened' && frame.kind !== 'refused') || frame.nonce !== nonce) return undefined
      return frame.kind === 'opened' ? { opened: sealedSession(frame.session) } : { refused: frame.why }
    },
  }
}

export interface HostedSessions {
  /**
   * What a frame of a peer comes to. `peer` names the VID and the relationship in which it came: a session is there for nobody else, and
   * not in the next relationship of the same two. Undefined: it is for a client's half, and not for us.
   */
  hear(peer: string, frame: SessionFrame): Hearing | undefined
  /** Forgets a session, for good; returns the frame that tells the peer. Undefined: there is none. */
  end(peer: string, session: string, why: string): Buffer | undefined
}

export interface HostedSessionsOptions {
  /** Sessions that one peer may have at once, in all its relationships. */
  mostPerPeer: number
  now: () => number
  random?: Random
}

type Random = (bytes: number) => Buffer

/** What is known of one peer; nothing before its first message in a session. */
interface Peer {
  readonly live: Map<string, SealedSession>
  /** How many of its sessions have ended lately. */
  ended: number
}

const NONCE_BYTES = 16
/** So long after `opened` the first message may come. */
const UNUSED_MS = 30_000
/** Sessions of one peer that may end within that time. */
const MOST_ENDED = 1024
const WINDOW = 1024

/**
 * The node's half. An `open` leaves nothing here, however often it is sent again: the name that answers it says by itself, under a key of
 * this process, whose it is and when it was given. So only a message that came after it, and was sealed by that peer, makes a session.
 */
export function createHostedSessions({ mostPerPeer, now: clock, random = randomBytes }: HostedSessionsOptions): HostedSessions {
  const now = neverBack(clock)
  const key = random(32)
  const peers = new Map<string, Peer>()
  /** Names that may still be good for a first message, and must not be: whose, and until when. In the order of their ends. */
  const ended = new Map<string, { peer: string; untilMs: number }>()

  function nameFor(peer: string): string {
    const stamp = Buffer.alloc(STAMP_BYTES)
    stamp.writeUIntBE(now(), 0, TIME_BYTES)
    random(STAMP_BYTES - TIME_BYTES).copy(stamp, TIME_BYTES)
    return Buffer.concat([stamp, seenBy(peer, stamp)]).toString('base64url')
  }

  function seenBy(peer: string, stamp: Buffer): Buffer {
    return createHmac('sha256', key)
      .update(stamp)
      .update(peer)
      .digest()
      .subarray(0, NAME_BYTES - STAMP_BYTES)
  }

  /** When the name was given to this peer, if it was. */
  function givenMs(peer: string, name: string): number | undefined {
    const bytes = Buffer.from(name, 'base64url')
    if (bytes.length !== NAME_BYTES) return undefined
    const stamp = bytes.subarray(0, STAMP_BYTES)
    return timingSafeEqual(bytes.subarray(STAMP_BYTES), seenBy(peer, stamp)) ? stamp.readUIntBE(0, TIME_BYTES) : undefined
  }

  function known(peer: string): Peer {
    const found = peers.get(peer) ?? { live: new Map<string, SealedSession>(), ended: 0 }
    peers.set(peer, found)
    return found
  }

  function forgetEnded(): void {
    for (const [name, { peer, untilMs }] of ended) {
      if (untilMs > now()) return
      ended.delete(name)
      const found = known(peer)
      found.ended--
      if (found.ended === 0 && found.live.size === 0) peers.delete(peer)
    }
  }

  /** The session of a first message; why there is none, as a code, otherwise. */
  function realised(peer: string, name: string): SealedSession | string {
    const given = givenMs(peer, name)
    if (given === undefined || given > now() || given + UNUSED_MS <= now()) return 'session_unknown'
    forgetEnded()
    if (ended.has(name)) return 'session_unknown'
    const found = known(peer)
    if (found.live.size >= mostPerPeer || found.ended >= MOST_ENDED) return 'busy'
    const session = sealedSession(name)
    found.live.set(name, session)
    return session
  }

  function message(peer: string, frame: SessionFrame & { kind: 'message' }): Hearing {
    const there = peers.get(peer)?.live.get(frame.session)
    const session = there ?? realised(peer, frame.session)
    // Who was away, or speaks to us after we were, learns that it has to begin anew.
    if (typeof session === 'string') return { kind: 'answer', frame: closeFrame(frame.session, session) }
    if (!session.takes(frame.n)) return { kind: 'repeated' }
    return { kind: 'message', session, isFirst: !there, message: frame.message }
  }

  function forget(peer: string, name: string): boolean {
    const found = peers.get(peer)
    if (!found?.live.delete(name)) return false
    found.ended++
    ended.set(name, { peer, untilMs: now() + UNUSED_MS })
    forgetEnded()
    return true
  }

  return {
    hear(peer, frame) {
      switch (frame.kind) {
        case 'open':
          return { kind: 'answer', frame: opening(peer, frame.nonce) }
        case 'message':
          return message(peer, frame)
        case 'close':
          return forget(peer, frame.session) ? { kind: 'closed', session: frame.session } : undefined
        case 'opened':
        case 'refused':
          return undefined
      }
    },
    end: (peer, name, why) => (forget(peer, name) ? closeFrame(name, why) : undefined),
  }

  function opening(peer: string, nonce: string): Buffer {
    const isFull = (peers.get(peer)?.live.size ?? 0) >= mostPerPeer
    return isFull ? refusedFrame(nonce, 'busy') : openedFrame(nonce, nameFor(peer))
  }
}

/** A clock that is put back would make a name good again whose end is forgotten. */
function neverBack(clock: () => number): () => number {
  let last = clock()
  let ms = last
  return () => {
    const next = clock()
    ms += Math.max(0, next - last)
    last = next
    return ms
  }
}

/** When it was given, in milliseconds, and a number by chance; and what shows that it was given by us, to whom. */
const [TIME_BYTES, STAMP_BYTES, NAME_BYTES] = [6, 14, 30]

function sealedSession(id: string): SealedSession {
  const takes = createWindow()
  let sent = 0
  return { id, takes, wrap: (message) => messageFrame(id, ++sent, message) }
}

/** Takes each number once. What is older than the last 1024 could have been taken, so it is not. */
function createWindow(): (n: number) => boolean {
  let highest = 0
  /** Passed over and not yet taken, in rising order. */
  const missing = new Set<number>()
  return (n) => {
    if (n <= highest) return missing.delete(n)
    for (let gap = Math.max(highest + 1, n - WINDOW + 1); gap < n; gap++) missing.add(gap)
    highest = n
    for (const gap of missing) {
      if (gap > highest - WINDOW) break
      missing.delete(gap)
    }
    return true
  }
}
