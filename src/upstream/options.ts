// What may stand behind openmcp, how it is to be reached, and what is had of it then.
import type { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { FindSealedPeer } from '../protocol/carried.ts'
import type { Cap } from '../protocol/cap.ts'
import type { Caller } from '../protocol/caller.ts'
import type { MessageUpstream, Upstream } from '../protocol/exchange.ts'
import type { Limits } from '../protocol/limits.ts'
import type { OpenSealed } from '../protocol/sealed-session.ts'
import type { ChildCommand } from './child.ts'
import type { Way } from './way.ts'

export interface CommandServer extends ChildCommand {
  kind: 'command'
  /** Headers of a caller, in lower case, that become variables of a child of its own. Not with `shared`. */
  headerToEnv?: Readonly<Record<string, string>>
}

export interface RemoteServer {
  kind: 'remote'
  /** Tried in order: the first that speaks MCP is it. All are of one origin. */
  urls: readonly URL[]
  transport: 'auto' | 'http' | 'sse'
  headers: Readonly<Record<string, string>>
  /** Others of the same kind, each as `urls` are: sessions are shared out among all of them. They get the same headers. */
  others?: readonly (readonly URL[])[]
  /** Tried in this order while none of those answers, and told nothing but what the client says: no header of ours, unless of one origin. */
  fallbacks?: readonly (readonly URL[])[]
  /** How a request is sent again that may be. */
  retry?: Retry
  way?: Way
}

export interface Retry {
  attempts: number
  /** Before the first; doubled with each that follows, and by chance half of it more. */
  delayMs: number
}

/** An upstream that is started anew is mostly back within two or three seconds. */
export const RETRY: Retry = { attempts: 3, delayMs: 250 }

/** Messages over a connection that is opened for them: a line each over `tcp:`, a text frame each over `ws:` and `wss:`. */
export interface SocketServer {
  kind: 'socket'
  url: URL
  /** Others, each `tcp:`, `ws:` or `wss:`: sessions are shared out among all of them. They get the same headers. */
  others?: readonly URL[]
  /** Tried in this order while none of those takes a connection. Those of another origin get no header of ours. */
  fallbacks?: readonly URL[]
  /** Sent when a WebSocket is opened. */
  headers: Readonly<Record<string, string>>
  way?: Way
}

/** A server that is spoken to in sealed messages. Who it is and who we are to it is known to `find`. */
export interface VidServer {
  kind: 'vid'
  /** Asked until it is found. Fails with `usage`, `port_taken` or `keys_unsafe` when it is for us to mend. */
  find(): Promise<FoundVid>
}

/** By the address in its document: messages each way, or requests of HTTP under a seal. */
export type FoundVid =
  | {
      readonly by: 'messages'
      readonly open: OpenSealed
      /** Sees to it that the other side knows us. Fails in words. */
      reach(): Promise<void>
    }
  | { readonly by: 'http'; readonly peer: FindSealedPeer }

/** Who shares a pipe: nobody, the sessions of one owner, or all. */
export type Isolation = 'session' | 'identity' | 'shared'

export interface ConnectOptions {
  isolation: Isolation
  limits: Limits
  log: Log
  now: () => number
  name: string
  /** What the upstream is told about who we are. None: what the target's own headers say. */
  credential?: Credential | undefined
  /** What it is told of each caller: a server of `remote` then has a connection for each owner. Fails where a caller can prove nothing there. */
  credentialOf?: ((caller: Caller) => Credential) | undefined
  /** Served without sessions: what each would have of its own, those of one owner share. */
  stateless?: boolean | undefined
  /** What the child of this caller has in its environment beside what all have. */
  variablesOf?: ((caller: Caller | undefined) => Readonly<Record<string, string>>) | undefined
  /** Children, and connections of their own, of other servers count with these. Undefined: these are all. */
  cap?: Cap | undefined
}

/** Proves us to an upstream. Asked for each request; gives nothing while the upstream wants nothing. */
export interface Credential {
  headers(request: CredentialRequest): Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>
  /** The upstream has answered 401. True: the request is worth one more try. Fails when there is no credential to be had. */
  refused(request: CredentialRequest, refusal: CredentialRefusal): Promise<boolean>
}

interface CredentialRequest {
  method: string
  url: URL
}

export interface CredentialRefusal {
  status: number
  /** `WWW-Authenticate`, as it came. */
  challenge: string | undefined
  /** `DPoP-Nonce` (RFC 9449 §9). */
  nonce: string | undefined
  /** What `headers` gave for the request that was refused. */
  sent: Readonly<Record<string, string>>
}

export type ConnectionState = 'running' | 'idle' | 'connecting' | 'unreachable' | 'failed'

export interface Connection {
  /** What the upstream is. For a URL that is found out first; while it cannot be, this fails and is tried anew next time. */
  upstream(): Upstream | Promise<Upstream>
  /** The same upstream for a client that has one pipe (stdio, HTTP+SSE): read into messages where it is HTTP. */
  messages(): MessageUpstream | Promise<MessageUpstream>
  /** Settles when the first look is done: for words at start. Fails only with what no later try will mend. */
  readonly started: Promise<void>
  /** Settles when it is busy with its start no more, as far as can be told, and after a bounded time in any case. Never fails. None: with `started`. */
  readonly ready?: Promise<void>
  /** In one word, for /status. */
  state(): ConnectionState
  /** Why it is `failed` or `unreachable`. */
  failure(): OpenMcpError | undefined
  /** Children, or upstream connections with a session of their own. */
  pipes(): number
  /** Ends what runs for callers that are over, beside what ends with their sessions. */
  endOf(isOver: (caller: Caller) => boolean): Promise<void>
  /** Children get `graceSeconds` to end by themselves, and again after SIGTERM, where that is less than usual. */
  close(graceSeconds?: number): Promise<void>
}
