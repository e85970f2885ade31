// A server to which each caller proves who they are themselves: nothing of it is shared, neither a session nor a connection nor a token.
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { Caller } from '../protocol/caller.ts'
import type { Link, LinkEvents, MessageUpstream } from '../protocol/exchange.ts'
import type { Limits } from '../protocol/limits.ts'
import type { Connection } from './options.ts'

export interface PerCallerOptions {
  /** Fails where this caller cannot have one. */
  connect(caller: Caller): Connection
  limits: Limits
  now: () => number
}

interface Own {
  readonly connection: Connection
  /** Who used it last. */
  caller: Caller
  links: number
  idleSinceMs: number
}

/** Is always read into messages: only those say whose they are. Nobody is connected before they come. */
export function perCaller({ connect, limits, now }: PerCallerOptions): Connection {
  const owned = new Map<string, Own>()
  let closed = false

  function ownOf(caller: Caller): Own {
    if (closed) throw new OpenMcpError('stopping', 'openmcp is stopping')
    let own = owned.get(caller.owner)
    if (!own) {
      makeRoom()
      own = { connection: connect(caller), caller, links: 0, idleSinceMs: now() }
      // What is wrong is told to whoever asks.
      own.connection.started.catch(() => {})
      owned.set(caller.owner, own)
    }
    own.caller = caller
    return own
  }

  function makeRoom(): void {
    if (owned.size < limits.sessions) return
    const [idle] = [...owned.values()].filter(({ links }) => links === 0).toSorted((one, other) => one.idleSinceMs - other.idleSinceMs)
    if (!idle) throw new OpenMcpError('busy', 'too many callers use this server at once', { hint: 'try again later' })
    void end(idle)
  }

  async function end(own: Own, graceSeconds?: number): Promise<void> {
    if (owned.get(own.caller.owner) === own) owned.delete(own.caller.owner)
    await own.connection.close(graceSeconds)
  }

  function join(caller: Caller, open: (upstream: MessageUpstream) => Link): Link {
    const own = ownOf(caller)
    const link = openLater(own.connection.messages(), open)
    own.links++
    let left = false
    return {
      ...link,
      async close() {
        if (!left) {
          left = true
          own.links--
          own.idleSinceMs = now()
        }
        await link.close()
      },
    }
  }

  const messages: MessageUpstream = {
    kind: 'messages',
    open: (events: LinkEvents, caller) => join(caller, (upstream) => upstream.open(events, caller)),
    stateless: (caller) => join(caller, (upstream) => upstream.stateless(caller)),
  }
  const sweeper = setInterval(
    () => {
      const oldest = now() - limits.idleSeconds * 1000
      for (const own of owned.values()) if (own.links === 0 && own.idleSinceMs <= oldest) void end(own)
    },
    Math.max(50, Math.min(30_000, limits.idleSeconds * 250)),
  )
  sweeper.unref()

  return {
    upstream: () => messages,
    messages: () => messages,
    started: Promise.resolve(),
    state: () => (owned.size > 0 ? 'running' : 'idle'),
    // Of one caller it is no news to another.
    failure: () => undefined,
    pipes: () => [...owned.values()].reduce((sum, { connection }) => sum + connection.pipes(), 0),
    async endOf(isOver) {
      await Promise.all([...owned.values()].filter(({ caller }) => isOver(caller)).map((own) => end(own)))
    },
    async close(graceSeconds) {
      closed = true
      clearInterval(sweeper)
      await Promise.all([...owned.values()].map((own) => end(own, graceSeconds)))
    },
  }
}

/** A link to what may still have to be found: in the meantime posts wait, in their order. */
function openLater(found: MessageUpstream | Promise<MessageUpstream>, open: (upstream: MessageUpstream) => Link): Link {
  if (!(found instanceof Promise)) return open(found)
  const opening = found.then(open)
  // Each post hears of it.
  opening.catch(() => {})
  return {
    kind: 'messages',
    send(post, headers, reply) {
      opening.then(
        (link) => link.send(post, headers, reply),
        (thrown: unknown) => reply.failed(toOpenMcpError(thrown)),
      )
    },
    async close() {
      await opening.then(
        (link) => link.close(),
        () => {},
      )
    },
  }
}
