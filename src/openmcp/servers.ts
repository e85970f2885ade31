// The servers that are served beside each other, and how one set of them becomes another: what is the same is not touched.
import { createHash } from 'node:crypto'

import { toOpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { Caller } from '../protocol/caller.ts'
import { capAs, type Cap } from '../protocol/cap.ts'
import type { Limits } from '../protocol/limits.ts'
import { createGivenHeaders, type GivenHeaders } from './given-headers.ts'
import { createServer, type Admitted, type Server, type ServerCounts } from './server.ts'
import { createAggregate, type Member } from '../relay/aggregate/aggregate.ts'
import { createToolsGate, toolsBy, type ToolRules } from '../relay/tools-gate.ts'
import { connect } from '../upstream/connect.ts'
import type { CommandServer, Connection, ConnectionState, Credential, Isolation, RemoteServer, SocketServer } from '../upstream/options.ts'

/** A server under a name of its own, at `/servers/NAME/…`. */
export interface NamedServer {
  name: string
  target: CommandServer | RemoteServer | SocketServer
  isolation: Isolation
  limits: Limits
  /** Clients of the revisions that have sessions get none: every POST stands alone. Not with `forwardHeaders`: what is shared hears no headers of one. */
  stateless?: boolean
  credential?: Credential
  /** Undefined: every tool that the server has. */
  tools?: ToolRules
  /** Headers of callers, in lower case, that a remote server gets as they are. */
  forwardHeaders?: readonly string[]
}

/** What became of the names, when one set of servers took the place of another. */
export interface Changes {
  added: readonly string[]
  changed: readonly string[]
  removed: readonly string[]
}

export interface Servers {
  /** The one at the root, or the one of this name. Undefined: there is none, or not any more. */
  find(name: string | undefined): Server | undefined
  /**
   * These and no others. Whoever is new starts, a few at a time; one that fails to start leaves the others as they are. Whoever is
   * removed is gone within a second, with sessions and children; whoever is changed takes no new session and lets calls in
   * flight finish (`drainSeconds`).
   */
  apply(next: readonly NamedServer[]): Changes
  /** Headers of callers that a server here is told of, in lower case: pages have to be let send them. */
  headers(): Iterable<string>
  states(): Readonly<Record<string, ConnectionState>>
  /** Why, of those that failed. */
  failures(): Readonly<Record<string, string>>
  counts(): ServerCounts
  endOf(isOver: (caller: Caller) => boolean): void
  drained(seconds: number): Promise<void>
  close(): Promise<void>
}

export interface ServersOptions {
  /** Served from the start, and never changed. */
  root: { name: string; connection: Connection; limits: Limits; stateless: boolean; forwardHeaders?: readonly string[] | undefined } | undefined
  /** All of them as one at the root, where nothing else is. */
  aggregate?: { server: { name: string; version: string }; limits: Limits } | undefined
  admitted: Admitted
  /** Of all servers together. */
  caps: { sessions: Cap; children: Cap }
  log: Log
  now: () => number
}

interface Entry {
  readonly options: NamedServer
  readonly fingerprint: string
  server: Server | undefined
}

/** Ninety-nine `npx` at once starve each other: most of them then fail. So many are busy with their start at once. */
const STARTS_AT_ONCE = 8
/** What is removed has to be gone within a second, with whatever does not end by itself or on SIGTERM. */
const REMOVED_GRACE_SECONDS = 0.25

/** Servers by name; the one at the root has its name among them. */
export function createServers({ root, aggregate, admitted, caps, log, now }: ServersOptions): Servers {
  let entries = new Map<string, Entry>()
  const rootServer = root
    ? createServer({ ...root, forwards: new Set(root.forwardHeaders), admitted, cap: caps.sessions, log, now })
    : aggregate && createServer({ connection: joined(aggregate.server), admitted, limits: aggregate.limits, cap: caps.sessions, log, now })
  /** On their way out. */
  const leaving = new Set<Server>()

  function serverOf(entry: Entry): Server {
    const { target, limits } = entry.options
    const given = target.kind === 'command' && target.headerToEnv ? createGivenHeaders(target.headerToEnv, admitted.callerOf) : undefined
    const make = (): Server => {
      // Whoever says another thing is another owner, and has no other share for that.
      const cap = given ? capAs(caps.children, given.letInAs) : caps.children
      const connection = connect(target, { ...entry.options, variablesOf: given?.variablesOf, cap, log, now })
      const known = given ? givenTo(given, admitted) : admitted
      const gate = entry.options.tools ? createToolsGate(known.gate, entry.options.tools) : known.gate
      return createServer({
        connection,
        admitted: { ...known, gate },
        letInAs: given?.letInAs,
        forwards: new Set(entry.options.forwardHeaders),
        stateless: entry.options.stateless,
        limits,
        cap: caps.sessions,
        log,
        now,
      })
    }
    return (entry.server ??= make())
  }

  /** The servers of the moment as an upstream of their own, which has nothing to start and nothing to end. */
  function joined(server: { name: string; version: string }): Connection {
    const members = (): Member[] =>
      [...entries.values()].flatMap((entry) => {
        const { name, target, tools = {} } = entry.options
        // What a caller says to one server is not for another, and here it would be said to all.
        if (target.kind === 'command' && target.headerToEnv) return []
        return [{ name, messages: () => serverOf(entry).connection.messages(), mayUse: toolsBy(tools) }]
      })
    const upstream = createAggregate({ members, server, log })
    return {
      upstream: () => upstream,
      messages: () => upstream,
      started: Promise.resolve(),
      state: () => 'idle',
      failure: () => undefined,
      pipes: () => 0,
      endOf: () => Promise.resolve(),
      close: () => Promise.resolve(),
    }
  }

  function* all(): Iterable<[string, Server | undefined]> {
    if (root) yield [root.name, rootServer]
    for (const [name, { server }] of entries) yield [name, server]
  }

  function* open(): Iterable<Server> {
    if (rootServer) yield rootServer
    for (const { server } of entries.values()) if (server) yield server
    yield* leaving
  }

  async function start(entry: Entry): Promise<void> {
    try {
      const { connection } = serverOf(entry)
      await connection.started
      await connection.ready
    } catch (thrown) {
      const { message, hint } = toOpenMcpError(thrown)
      log.error(`the server ${entry.options.name} does not start: ${message}; every session will try again`, { hint })
    }
  }

  /** Out of reach already: nobody finds it by its name any more. */
  function leave({ server, options }: Entry, how: 'removed' | 'changed'): void {
    if (!server) return
    leaving.add(server)
    const ended = how === 'removed' ? server.close(REMOVED_GRACE_SECONDS) : server.drained(options.limits.drainSeconds).then(() => server.close())
    void ended
      .catch((thrown: unknown) => log.error('a server did not end as it should', { name: options.name, detail: toOpenMcpError(thrown).detail }))
      .finally(() => leaving.delete(server))
  }

  return {
    find(name) {
      if (name === undefined) return rootServer
      const entry = entries.get(name)
      return entry && serverOf(entry)
    },
    apply(next) {
      const before = entries
      const taken = next.map((options): [string, Entry] => {
        const fingerprint = fingerprintOf(options)
        const old = before.get(options.name)
        const isSame = old?.fingerprint === fingerprint && old.options.credential === options.credential
        return [options.name, isSame ? old : { options, fingerprint, server: undefined }]
      })
      entries = new Map(taken)
      const changes = { added: [] as string[], changed: [] as string[], removed: [] as string[] }
      for (const [name, entry] of before) {
        const successor = entries.get(name)
        if (successor === entry) continue
        ;(successor ? changes.changed : changes.removed).push(name)
        leave(entry, successor ? 'changed' : 'removed')
      }
      const fresh = taken.map(([, entry]) => entry).filter((entry) => before.get(entry.options.name) !== entry)
      changes.added = fresh.map(({ options }) => options.name).filter((name) => !before.has(name))
      const waiting = fresh.values()
      // Each lane takes the next one when its own has started, or has not.
      const lane = async (): Promise<void> => {
        for (const entry of waiting) if (entries.get(entry.options.name) === entry) await start(entry)
      }
      for (let lanes = 0; lanes < STARTS_AT_ONCE; lanes++) void lane()
      return changes
    },
    headers: () =>
      new Set([
        ...(root?.forwardHeaders ?? []),
        ...[...entries.values()].flatMap(({ options: { target, forwardHeaders = [] } }) => [
          ...forwardHeaders,
          ...(target.kind === 'command' ? Object.keys(target.headerToEnv ?? {}) : []),
        ]),
      ]),
    states: () => Object.fromEntries(Array.from(all(), ([name, server]) => [name, server?.connection.state() ?? 'connecting'])),
    failures: () =>
      Object.fromEntries(
        Array.from(all()).flatMap(([name, server]) => {
          const failure = server?.connection.failure()
          return failure ? [[name, failure.message]] : []
        }),
      ),
    counts() {
      const sum: ServerCounts = { sessions: 0, streams: 0, upstreams: 0 }
      for (const server of open()) {
        const { sessions, streams, upstreams } = server.counts()
        sum.sessions += sessions
        sum.streams += streams
        sum.upstreams += upstreams
      }
      return sum
    },
    endOf(isOver) {
      for (const server of open()) server.endOf(isOver)
    },
    async drained(seconds) {
      await Promise.all(Array.from(open(), (server) => server.drained(seconds)))
    },
    async close() {
      const servers = [...open()]
      entries = new Map()
      await Promise.all(servers.map((server) => server.close()))
    },
  }
}

/** What lives by who was let in is told of them, and not of the owners that they are here. */
function givenTo({ callerOf, letInAs }: GivenHeaders, { onStream, ...admitted }: Admitted): Admitted {
  return {
    ...admitted,
    callerOf,
    onStream(res, session) {
      onStream?.(
        res,
        session && {
          get caller() {
            return letInAs(session.caller)
          },
        },
      )
    },
  }
}

/** The same for the same settings, whatever order they were written in. Secrets are in there: what is kept is a digest. */
function fingerprintOf({ name, target, isolation, limits, tools, forwardHeaders }: NamedServer): string {
  return createHash('sha256').update(inOrder({ name, target, isolation, limits, tools, forwardHeaders })).digest('base64url')
}

function inOrder(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  )
}
