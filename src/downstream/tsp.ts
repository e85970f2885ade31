// MCP in sealed messages: what comes in a session was sealed and signed by the VID whose session it is. Whoever may not come in hears nothing.
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import { errorText } from '../protocol/answer.ts'
import type { Caller } from '../protocol/caller.ts'
import { NO_HEADERS, type Link, type MessageUpstream, type Reply, type Text } from '../protocol/exchange.ts'
import type { Gate } from '../protocol/gate.ts'
import type { Limits } from '../protocol/limits.ts'
import { idOfRefusal, parsePost, requestIdsOf, type JsonRpcId, type Post } from '../protocol/message.ts'
import type { Hearing, SealedSession } from '../protocol/sealed-session.ts'
import type { Session, Sessions } from '../protocol/session.ts'

export interface TspSession {
  send(caller: Caller, post: Post): void
  say(text: Text): void
  /** Answers each request of a post that goes no further. */
  deny(post: Post, error: OpenMcpError): void
  close(): Promise<void>
}

export interface TspDoorOptions {
  upstream(): MessageUpstream | Promise<MessageUpstream>
  gate: Gate
  /** What keeps sessions from being played again. A peer is a VID in one relationship. */
  sealed: {
    /** Undefined: it is of no session. */
    hear(peer: string, data: Buffer): Hearing | undefined
    end(peer: string, session: string, why: string): Buffer | undefined
  }
  sessions: Sessions<TspSession>
  /** Sealed to that VID, in the order of the calls. Fails with `too_large`, and when it cannot be reached. */
  send(vid: string, frame: Buffer): Promise<void>
  /** Told of every call that begins; what it returns is called when the call is answered. */
  calls: { begin(): () => void }
  /** Told of each message that is new. */
  active(caller: Caller): void
  /** Whether we take no new calls. */
  stopping(): boolean
  limits: Pick<Limits, 'bodyBytes' | 'bufferedBytes' | 'depth'>
  log: Log
}

export interface TspDoor {
  /** What a caller sent, opened. False: it is neither of a session nor JSON-RPC. Never throws. */
  hear(caller: Caller, data: Buffer): boolean
}

/** So long a client that is told of an end may keep us from going on. */
const FAREWELL_MS = 1000

export function createTspDoor({ upstream, gate, sealed, sessions, send, calls, active, stopping, limits, log }: TspDoorOptions): TspDoor {
  /** By peer and name. */
  const open = new Map<string, Session<TspSession>>()
  const say = createSay(send, limits.bufferedBytes)

  function opened(caller: Caller, peer: string, { id: name, wrap }: SealedSession): Session<TspSession> {
    const key = keyOf(peer, name)
    const begun: (() => void)[] = []
    let over = false
    let why = 'session_ended'
    const end = (code: string): void => {
      why = code
      void sessions.end(session)
    }
    const tell = (text: Text, id?: JsonRpcId): void => {
      if (over) return
      say(caller.id, wrap(text)).catch((thrown: unknown) => {
        const error = toOpenMcpError(thrown)
        if (error.code === 'too_large' && id !== undefined)
          return tell(errorText(new OpenMcpError('upstream_broke', 'the answer is larger than a TSP message may be'), id))
        if (over || error.code === 'too_large') return log.warn('a message for a TSP client is dropped', { did: caller.id, why: error.message })
        log.info('a TSP client cannot be reached; its session is ended', { did: caller.id, why: error.message })
        end(error.code)
      })
    }
    const settled = (): void => begun.pop()?.()
    const reply: Reply = {
      message: (text) => tell(text),
      answer(id, text) {
        tell(text, id)
        settled()
      },
      failed(error, id) {
        tell(errorText(error, id))
        settled()
      },
      withdrawn: settled,
    }
    const events = { unsolicited: (text: Text) => tell(text), ended: (error: OpenMcpError) => end(error.code) }
    let link: Promise<Link> | undefined
    /** Nothing is opened for whoever has said nothing that may pass. */
    const linked = (): Promise<Link> =>
      (link ??= Promise.resolve()
        .then(upstream)
        .then((found) => found.open(events, caller)))
    const value: TspSession = {
      say: tell,
      send(from, post) {
        for (const message of post.messages) if (message.kind === 'request') begun.push(both(calls.begin(), session.hold()))
        linked().then(
          (there) => there.send(post, NO_HEADERS, gate.readsAnswers(from) ? gate.filtered(from, post, reply) : reply),
          (thrown: unknown) => {
            const error = toOpenMcpError(thrown)
            for (const id of requestIdsOf(post)) reply.failed(error, id)
            end(error.code)
          },
        )
      },
      deny(post, error) {
        for (const id of requestIdsOf(post)) tell(errorText(error, id))
      },
      async close() {
        over = true
        open.delete(key)
        for (const settle of begun.splice(0)) settle()
        const farewell = sealed.end(peer, name, stopping() ? 'stopping' : why)
        await Promise.all([link?.then((there) => there.close()).catch(() => {}), farewell && inTime(send(caller.id, farewell))])
      },
    }
    const session = sessions.open(caller, value)
    open.set(key, session)
    return session
  }

  function received(caller: Caller, peer: string, { session: named, message }: Hearing & { kind: 'message' }): void {
    active(caller)
    const known = open.get(keyOf(peer, named.id))
    if (!known && stopping()) throw new OpenMcpError('stopping', 'openmcp is stopping')
    const session = (known && sessions.find(caller, known.id)) ?? opened(caller, peer, named)
    const { value } = session
    if (message.length === 0) return value.say('')
    try {
      if (message.length > limits.bodyBytes) throw new OpenMcpError('too_large', `the message is larger than ${limits.bodyBytes} bytes`)
      const post = parsePost(message, limits.depth)
      const isCall = requestIdsOf(post).length > 0
      const refusal = isCall && stopping() ? new OpenMcpError('stopping', 'openmcp is stopping') : gate.refusalOf(caller, post)
      if (refusal) value.deny(post, refusal)
      else value.send(caller, post)
    } catch (thrown) {
      value.say(errorText(toOpenMcpError(thrown), idOfRefusal(thrown)))
    }
  }

  /** What is of no session was perhaps said before: it reaches nothing. Who asks learns why, and nobody else, lest two nodes go on about it for ever. */
  function bare(caller: Caller, data: Buffer): boolean {
    try {
      const post = parsePost(data, limits.depth)
      for (const id of requestIdsOf(post)) void say(caller.id, Buffer.from(errorText(BARE, id))).catch(() => {})
      return true
    } catch {
      return false
    }
  }

  return {
    hear(caller, data) {
      const peer = `${caller.id} ${caller.tokenId}`
      const hearing = sealed.hear(peer, data)
      if (!hearing) return bare(caller, data)
      if (hearing.kind === 'answer') void say(caller.id, hearing.frame).catch(() => {})
      if (hearing.kind === 'repeated') log.debug('a TSP message that was there before is dropped', { did: caller.id })
      if (hearing.kind === 'closed') {
        const session = open.get(keyOf(peer, hearing.session))
        if (session) void sessions.end(session)
      }
      if (hearing.kind !== 'message') return true
      try {
        received(caller, peer, hearing)
      } catch (thrown) {
        const { code, message } = toOpenMcpError(thrown)
        log.info('a TSP session is refused', { did: caller.id, why: message })
        const farewell = sealed.end(peer, hearing.session.id, code)
        if (farewell) void say(caller.id, farewell).catch(() => {})
      }
      return true
    },
  }
}

const BARE = new OpenMcpError('invalid_request', 'MCP is spoken here in sealed sessions, and this message is of none', {
  hint: 'openmcp run -p did:... opens one; docs/tsp.md says how to',
})

function keyOf(peer: string, session: string): string {
  return `${peer} ${session}`
}

/** Refuses with `busy` what would wait for a VID that does not take what it was sent. */
function createSay(send: TspDoorOptions['send'], mostBytes: number): TspDoorOptions['send'] {
  const waiting = new Map<string, number>()
  return async (vid, frame) => {
    const before = waiting.get(vid) ?? 0
    if (before > 0 && before + frame.length > mostBytes) throw new OpenMcpError('busy', 'it does not take what it is sent')
    waiting.set(vid, before + frame.length)
    try {
      await send(vid, frame)
    } finally {
      const left = (waiting.get(vid) ?? 0) - frame.length
      if (left > 0) waiting.set(vid, left)
      else waiting.delete(vid)
    }
  }
}

function both(one: () => void, other: () => void): () => void {
  return () => {
    one()
    other()
  }
}

async function inTime(farewell: Promise<void>): Promise<void> {
  let patience: NodeJS.Timeout | undefined
  const enough = new Promise<void>((resolve) => {
    patience = setTimeout(resolve, FAREWELL_MS)
  })
  await Promise.race([farewell.catch(() => {}), enough])
  clearTimeout(patience)
}
