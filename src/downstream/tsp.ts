// MCP in sealed messages: each VID with a relationship is one client, in one session, and what comes under its name was proved to be its.
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import { errorText } from '../protocol/answer.ts'
import type { Caller } from '../protocol/caller.ts'
import { NO_HEADERS, type Link, type MessageUpstream, type Reply, type Text } from '../protocol/exchange.ts'
import type { Gate } from '../protocol/gate.ts'
import type { Limits } from '../protocol/limits.ts'
import { idOfRefusal, parsePost, requestIdsOf, type Post } from '../protocol/message.ts'

export interface TspDoorOptions {
  upstream(): MessageUpstream | Promise<MessageUpstream>
  /** Who a VID is now. Fails with `untrusted`. */
  callerOf(vid: string): Caller
  gate: Gate
  /** Sealed to that VID. Fails when it cannot be reached. */
  send(vid: string, text: Buffer): Promise<void>
  limits: Pick<Limits, 'depth' | 'sessions'>
  log: Log
}

export interface TspDoor {
  /** One message of a VID, opened. Never throws. */
  hear(vid: string, bytes: Buffer): void
  /** Ends the sessions of VIDs that have no relationship, or whose callers are over. */
  endOf(isOver: (caller: Caller, vid: string) => boolean): Promise<void>
  close(): Promise<void>
}

interface Client {
  readonly caller: Caller
  link: Promise<Link>
}

export function createTspDoor({ upstream, callerOf, gate, send, limits, log }: TspDoorOptions): TspDoor {
  const clients = new Map<string, Client>()

  function say(vid: string, text: Text): void {
    const bytes = typeof text === 'string' ? Buffer.from(text) : Buffer.concat(text)
    send(vid, bytes).catch((thrown: unknown) => {
      log.debug('a TSP client cannot be reached', { did: vid, why: toOpenMcpError(thrown).message })
      void end(vid)
    })
  }

  function replyTo(vid: string): Reply {
    return {
      message: (text) => say(vid, text),
      answer: (_id, text) => say(vid, text),
      failed: (error, id) => say(vid, errorText(error, id)),
      withdrawn: () => {},
    }
  }

  async function open(vid: string, caller: Caller): Promise<Link> {
    const found = await upstream()
    const ended = (): void => void clients.delete(vid)
    return found.open({ unsolicited: (text) => say(vid, text), ended }, caller)
  }

  function clientOf(vid: string, caller: Caller, post: Post): Client {
    // A client that begins anew, after it was started again, say, gets nothing of what was before.
    if (post.messages.some((message) => message.kind === 'request' && message.method === 'initialize')) void end(vid)
    const known = clients.get(vid)
    if (known) return known
    if (clients.size >= limits.sessions) throw new OpenMcpError('busy', `${limits.sessions} sessions are open already`)
    const client = { caller, link: open(vid, caller) }
    clients.set(vid, client)
    return client
  }

  function take(vid: string, bytes: Buffer): void {
    const caller = callerOf(vid)
    const post = parsePost(bytes, limits.depth)
    const refusal = gate.refusalOf(caller, post)
    if (refusal) return requestIdsOf(post).forEach((id) => say(vid, errorText(refusal, id)))
    const reply = replyTo(vid)
    clientOf(vid, caller, post).link.then(
      (link) => link.send(post, NO_HEADERS, gate.readsAnswers(caller, post) ? gate.filtered(caller, post, reply) : reply),
      (thrown: unknown) => {
        clients.delete(vid)
        for (const id of requestIdsOf(post)) reply.failed(toOpenMcpError(thrown), id)
      },
    )
  }

  async function end(vid: string): Promise<void> {
    const client = clients.get(vid)
    clients.delete(vid)
    await client?.link.then(
      (link) => link.close(),
      () => {},
    )
  }

  return {
    hear(vid, bytes) {
      try {
        take(vid, bytes)
      } catch (thrown) {
        say(vid, errorText(toOpenMcpError(thrown), idOfRefusal(thrown)))
      }
    },
    async endOf(isOver) {
      await Promise.all([...clients].map(async ([vid, { caller }]) => (isOver(caller, vid) ? end(vid) : undefined)))
    },
    async close() {
      await Promise.all([...clients.keys()].map(end))
    },
  }
}
