// The servers that are served beside each other, and how one set of them becomes another: what is the same is not touched.
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { OwnLogins } from '../login/own-logins.ts'
import type { Log } from '../observe/log.ts'
import type { OpenApiOptions } from '../openapi/door.ts'
import type { Caller } from '../protocol/caller.ts'
import { capAs, type Cap } from '../protocol/cap.ts'
import type { Gate } from '../protocol/gate.ts'
import type { Limits } from '../protocol/limits.ts'
import { NO_MESSAGES } from '../protocol/message.ts'
import type { Member } from '../relay/aggregate/member.ts'
import { createGate, OPEN_GATE, type GateOptions } from '../relay/gate.ts'
import type { ToolRules } from '../relay/tools-gate.ts'
import { connect } from '../upstream/connect.ts'
import type { CommandServer, Connection, ConnectionState, Credential, Isolation, RemoteServer, SocketServer } from '../upstream/options.ts'
import { fingerprintOf } from './fingerprint.ts'
import type { GivenHeaders } from './given-headers.ts'
import type { Joined } from './joined.ts'
import { ownLoginAt, ownerOfLogin, type OwnLogin } from './own-logins.ts'
import { createServer, type Admitted, type Server, type ServerCounts, type ServerOptions } from './server.ts'

/** A server under a name of its own, at `/servers/NAME/…`. */
export interface NamedServer {
  name: string
  target: CommandServer | RemoteServer | SocketServer
  isolation: Isolation
  limits: Limits
  /** Clients of the revisions that have sessions get none: every POST stands alone. Not with `forwardHeaders`: what is shared hears no headers of one. */
  stateless?: boolean
  credential?: Credential
  /** Each caller proves who they are to the remote server themselves. Not with `shared`, and only where callers prove who they are to us. */
  ownLogins?: OwnLogins
  /** Undefined: every tool that the server has. */
  tools?: ToolRules
  /** Headers of callers, in lower case, that a remote server gets as they are. */
  forwardHeaders?: readonly string[]
  /** Its tools, and what else is named, are plain HTTP operations, too. */
  openapi?: OpenApiOptions
}

/** What became of the names, when one set of servers took the place of another. */
export interface Changes {
  added: readonly string[]
  changed: readonly string[]
  removed: readonly string[]
}

export interface Servers {
  /**
   * The one at the root, or the one of this name. Undefined: there is none, not any more, or none for this caller. Every way in by HTTP
   * asks here, for every request.
   */
  find(name: string | undefined, caller: Caller): Server | undefined
  /** All of a name that this caller may know of and whose tools are served as plain HTTP, in the order of their names as given. */
  withOpenApi(caller: Caller): readonly { name: string; server: Server }[]
  /** Whether there is any such. */
  hasOpenApi(): boolean
  /** The login of this caller at the server of this name. Undefined: there is no such server for this caller, or none with logins of one's own. */
  ownLogin(name: string, caller: Caller): OwnLogin | undefined
  /** The one at the root, for ways in that ask its gate for each message. */
  readonly root: Server | undefined
  /**
   * These and no others. Whoever is new starts, a few at a time; one that fails to start leaves the others as they are. Whoever is
   * removed is gone within a second, with sessions and children; whoever is changed takes no new session and lets calls in
   * flight finish (`drainSeconds`).
   */
  apply(next: readonly NamedServer[]): Promise<Changes>
  /** Headers of callers that a server here is told of, in lower case: pages have to be let send them. */
  headers(): Iterable<string>
  /** Those that this caller may know of, by name; without a caller all. */
  states(caller?: Caller): Readonly<Record<string, ServerState>>
  counts(): ServerCounts
  /** Ends what callers have open that are over, or that are at the server they have it open at. */
  endOf(isOver: (caller: Caller, server?: string) => boolean): void
  drained(seconds: number): Promise<void>
  close(): Promise<void>
}

interface ServerState extends ServerCounts {
  state: ConnectionState
  /** Why, of one that failed or cannot be reached. */
  reason?: string
}

/** Who comes in is asked once for all servers: these are the answers. */
export interface Admission extends Omit<Admitted, 'gate'> {
  /** Undefined: nobody is asked, and everybody may everything. */
  standingOf?: GateOptions['standingOf'] | undefined
}

interface RootServer extends Pick<NamedServer, 'name' | 'limits' | 'stateless' | 'tools' | 'forwardHeaders' | 'openapi'> {
  connection: Connection
}

export interface ServersOptions {
  /** Served from the start, and never changed. */
  root: RootServer | undefined
  /** All of them as one at the root, where nothing else is. */
  aggregate?: { server: { name: string; version: string }; limits: Limits; openapi?: OpenApiOptions | undefined } | undefined
  admission: Admission
  /** Where a caller logs in at the server of a name. */
  loginAt(name: string): string
  /** Of all servers together. */
  caps: { sessions: Cap; children: Cap }
  log: Log
  now: () => number
}

interface Entry {
  readonly options: NamedServer
  readonly fingerprint: string
  readonly gate: Gate
  readonly member: Member
  server: Server | undefined
}

/** Ninety-nine `npx` at once starve each other: most of them then fail. So many are busy with their start at once. */
const STARTS_AT_ONCE = 8
/** What is removed has to be gone within a second, with whatever does not end by itself or on SIGTERM. */
const REMOVED_GRACE_SECONDS = 0.25

/** Servers by name; the one at the root has its name among them. */
export async function createServers({ root, aggregate, admission, loginAt, caps, log, now }: ServersOptions): Promise<Servers> {
  const { standingOf, ...admitted } = admission
  const gateAt = (server: string): Gate => (standingOf ? createGate({ standingOf, server }) : OPEN_GATE)
  /** Loaded for the first server that uses it. */
  const parts: {
    given?: typeof import('./given-headers.ts')
    tools?: typeof import('../relay/tools-gate.ts')
    openapi?: typeof import('../openapi/door.ts')
    untilLogin?: typeof import('../relay/until-login.ts')
  } = {}
  let entries = new Map<string, Entry>()
  /** On their way out. */
  const leaving = new Set<Entry>()

  async function load(next: readonly Pick<NamedServer, 'target' | 'tools' | 'openapi' | 'ownLogins'>[]): Promise<void> {
    if (next.some(({ target }) => takesHeaders(target))) parts.given ??= await import('./given-headers.ts')
    if (next.some(({ tools }) => tools)) parts.tools ??= await import('../relay/tools-gate.ts')
    if (next.some(({ openapi }) => openapi)) parts.openapi ??= await import('../openapi/door.ts')
    if (next.some(({ ownLogins }) => ownLogins)) parts.untilLogin ??= await import('../relay/until-login.ts')
  }

  function openapiOf(name: string, serves: OpenApiOptions | undefined): ServerOptions['openapi'] {
    return serves && parts.openapi && { name, serves, createToolsDoor: parts.openapi.createToolsDoor }
  }

  function gateOf(name: string, tools: ToolRules | undefined): Gate {
    return tools ? loaded(parts.tools).createToolsGate(gateAt(name), tools) : gateAt(name)
  }

  async function ofRoot({ name, tools, forwardHeaders, openapi, ...own }: RootServer): Promise<Place> {
    if (tools) parts.tools ??= await import('../relay/tools-gate.ts')
    if (openapi) parts.openapi ??= await import('../openapi/door.ts')
    const gate = gateOf(name, tools)
    const forwards = new Set(forwardHeaders)
    return {
      name,
      gate,
      server: createServer({ ...own, forwards, openapi: openapiOf(name, openapi), admitted: { ...admitted, gate }, cap: caps.sessions, log, now }),
    }
  }

  /** The servers of the moment as one. Which of them a caller may reach, and what of it, each of their gates says. */
  async function ofAll({ server, limits, openapi }: NonNullable<ServersOptions['aggregate']>): Promise<Place & { joined: Joined }> {
    const { createJoined, createJoinedGate } = await import('./joined.ts')
    if (openapi) parts.openapi = await import('../openapi/door.ts')
    // What a caller says to one server is not for another, and here it would be said to all.
    const members = (): Member[] => [...entries.values()].flatMap(({ options, member }) => (takesHeaders(options.target) ? [] : [member]))
    const joined = createJoined({ members, server, limits, log, now })
    const gate = standingOf ? createJoinedGate(standingOf) : OPEN_GATE
    const one = createServer({
      connection: joined.connection,
      openapi: openapiOf(server.name, openapi),
      admitted: { ...admitted, gate },
      limits,
      cap: caps.sessions,
      log,
      now,
    })
    return { name: undefined, gate, server: one, joined }
  }

  const all = aggregate && !root ? await ofAll(aggregate) : undefined
  const atRoot = root ? await ofRoot(root) : all

  function entryOf(options: NamedServer): Entry {
    const { credential: _credential, ownLogins: _ownLogins, ...settings } = options
    const gate = gateOf(options.name, options.tools)
    const entry: Entry = {
      options,
      fingerprint: fingerprintOf(settings),
      gate,
      member: {
        name: options.name,
        gate,
        messages: () => serverOf(entry).bySession.upstream(),
        begin: () => serverOf(entry).bySession.calls.begin(),
      },
      server: undefined,
    }
    return entry
  }

  function serverOf(entry: Entry): Server {
    const { gate, options } = entry
    const { name, target, limits, ownLogins } = options
    const make = (): Server => {
      const given = target.kind === 'command' && target.headerToEnv ? loaded(parts.given).createGivenHeaders(target.headerToEnv, admitted.callerOf) : undefined
      // Whoever says another thing is another owner, and has no other share for that.
      const cap = given ? capAs(caps.children, given.letInAs) : caps.children
      return createServer({
        connection: connect(target, {
          ...options,
          variablesOf: given?.variablesOf,
          credentialOf: ownLogins && ((caller) => ownLogins.credentialOf(ownerOfLogin(name, caller), loginAt(name))),
          cap,
          log,
          now,
        }),
        admitted: { ...(given ? givenTo(given, admitted) : admitted), gate },
        letInAs: given?.letInAs,
        forwards: new Set(options.forwardHeaders),
        stateless: options.stateless,
        untilLogin: ownLogins && loaded(parts.untilLogin).createUntilLogin({ server: name, loginAt: () => loginAt(name) }),
        openapi: openapiOf(options.name, options.openapi),
        limits,
        cap: caps.sessions,
        log,
        now,
      })
    }
    return (entry.server ??= make())
  }

  function* open(): Iterable<{ name: string | undefined; server: Server }> {
    if (atRoot) yield atRoot
    for (const { options, server } of [...entries.values(), ...leaving]) if (server) yield { name: options.name, server }
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
  function leave(entry: Entry, how: 'removed' | 'changed'): void {
    const { server, options } = entry
    if (!server) return
    leaving.add(entry)
    const ended = how === 'removed' ? server.close(REMOVED_GRACE_SECONDS) : server.drained(options.limits.drainSeconds).then(() => server.close())
    void ended
      .catch((thrown: unknown) => log.error('a server did not end as it should', { name: options.name, detail: toOpenMcpError(thrown).detail }))
      .finally(() => leaving.delete(entry))
  }

  return {
    find(name, caller) {
      const entry = name === undefined ? undefined : entries.get(name)
      const gate = name === undefined ? atRoot?.gate : entry?.gate
      if (!gate || isHidden(gate, caller)) return undefined
      return entry ? serverOf(entry) : atRoot?.server
    },
    withOpenApi: (caller) =>
      [...entries.values()].flatMap((entry) => {
        const { options, gate } = entry
        return options.openapi && !isHidden(gate, caller) ? [{ name: options.name, server: serverOf(entry) }] : []
      }),
    hasOpenApi: () => atRoot?.server.openapi !== undefined || [...entries.values()].some(({ options }) => options.openapi),
    ownLogin(name, caller) {
      const entry = entries.get(name)
      const { ownLogins } = entry?.options ?? {}
      // Whoever may have nothing open here, for whatever reason.
      if (!entry || !ownLogins || entry.gate.refusalOf(caller, NO_MESSAGES)) return undefined
      return ownLoginAt({ logins: ownLogins, caller: ownerOfLogin(name, caller), changed: (isWhose) => serverOf(entry).loginChanged(isWhose) })
    },
    root: atRoot?.server,
    async apply(next) {
      await load(next)
      const before = entries
      const taken = next.map((options): [string, Entry] => {
        const entry = entryOf(options)
        const old = before.get(options.name)
        const isSame = old?.fingerprint === entry.fingerprint && old.options.credential === options.credential && old.options.ownLogins === options.ownLogins
        return [options.name, isSame ? old : entry]
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
      all?.joined.changed()
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
    states(caller) {
      const named = Array.from(entries, ([name, { gate, server }]): NamedPlace => ({ name, gate, server }))
      const places = root && atRoot ? [{ ...atRoot, name: root.name }, ...named] : named
      return Object.fromEntries(places.filter(({ gate }) => !caller || !isHidden(gate, caller)).map(({ name, server }) => [name, stateOf(server)]))
    },
    counts() {
      const sum: ServerCounts = { sessions: 0, streams: 0, upstreams: 0 }
      for (const { server } of open()) {
        const { sessions, streams, upstreams } = server.counts()
        sum.sessions += sessions
        sum.streams += streams
        sum.upstreams += upstreams
      }
      return sum
    },
    endOf(isOver) {
      for (const { name, server } of open()) server.endOf((caller) => isOver(caller, name))
      all?.joined.ended()
    },
    async drained(seconds) {
      await Promise.all(Array.from(open(), ({ server }) => server.drained(seconds)))
    },
    async close() {
      const servers = [...open()]
      entries = new Map()
      await Promise.all(servers.map(({ server }) => server.close()))
    },
  }
}

interface Place {
  readonly name: string | undefined
  readonly gate: Gate
  readonly server: Server
}

type NamedPlace = Omit<Place, 'name' | 'server'> & { name: string; server: Server | undefined }

/** Whether there is nothing for this caller: said by the same gate that every message has to pass. */
function isHidden(gate: Gate, caller: Caller): boolean {
  return gate.refusalOf(caller, NO_MESSAGES)?.code === 'not_found'
}

function stateOf(server: Server | undefined): ServerState {
  const reason = server?.connection.failure()?.message
  return {
    state: server?.connection.state() ?? 'connecting',
    ...(reason !== undefined && { reason }),
    ...(server?.counts() ?? { sessions: 0, streams: 0, upstreams: 0 }),
  }
}

/** Without it a server would be more open than it was written down. */
function loaded<T>(part: T | undefined): T {
  if (part) return part
  throw new OpenMcpError('internal', 'a part of a server was not loaded before it')
}

function takesHeaders(target: NamedServer['target']): boolean {
  return target.kind === 'command' && target.headerToEnv !== undefined
}

/** What lives by who was let in is told of them, and not of the owners that they are here. */
function givenTo({ callerOf, letInAs }: GivenHeaders, { onStream, ...admitted }: Omit<Admitted, 'gate'>): Omit<Admitted, 'gate'> {
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
