// Logins at one upstream of each caller's own: made in the caller's browser, kept apart, and found by who calls and by nothing else.
import { createHash, randomUUID } from 'node:crypto'
import { join } from 'node:path'

import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import { findFor, loginOf, type Found, type LoginAsked } from './before-login.ts'
import { LOGIN_BOUNDS, boundedFetch, type BoundedFetch, type Fetch, type FetchBounds } from './bounded-fetch.ts'
import { clientFor, type Client, type ClientChoice } from './client.ts'
import { exchangeCode } from './code-grant.ts'
import { createCredential, type UpstreamCredential } from './credential.ts'
import { keptToken } from './kept-token.ts'
import { callersDirectory, callersLogins, createLogins, type Logins } from './logins.ts'
import { authorizationEndpoint, requestFor, scopeFor, type Request } from './person.ts'
import { readAnswer } from './redirect-answer.ts'
import { takeBack } from './take-back.ts'

/** Everything here is asked by the identity of a caller: there is no other name for a login. */
export interface OwnLogins {
  readonly address: URL
  /** What is proved to the upstream in this caller's name. Without a login each request fails with `login_needed`, and nothing is sent. */
  credentialOf(caller: string, loginAt: string): UpstreamCredential
  statusOf(caller: string): Promise<OwnLogin | undefined>
  /** Who logs people in there, and at which host a person is to type anything. Fails with `login_failed`. */
  whoAsks(): Promise<{ issuer: string; host: string; scope: string | undefined }>
  /** What a browser is sent to, with this state. Fails with `login_failed`. */
  begin(how: { redirectUri: string; state: string }): Promise<BegunLogin>
  /** `parameters` came with the state of what was begun. Fails with `login_failed`; else the caller has a login. */
  finish(caller: string, begun: BegunLogin, parameters: URLSearchParams): Promise<void>
  /** Ends it at its issuer, where that takes it back, and forgets it in any case. False when there was none. */
  forget(caller: string): Promise<boolean>
}

interface OwnLogin {
  readonly issuer: string
  readonly sinceMs: number
  /** Undefined: not since this process began. */
  readonly usedAtMs: number | undefined
}

/** Kept in memory alone: it holds the verifier. */
export interface BegunLogin extends Request {
  readonly found: Found
  readonly client: Client
  readonly redirectUri: string
  readonly scope: string | undefined
}

export interface OwnLoginsOptions {
  /** The name of the server: a login at one is none at another, whatever their addresses are. */
  server: string
  /** Where tokens go, and nowhere else. */
  address: URL
  /** Where logins are kept: ours alone, made when there is the first. */
  directory: string
  client: ClientChoice
  issuer?: URL | undefined
  scope?: string | undefined
  indicator?: string | undefined
  /** The issuer binds its codes (PKCE), and does not say so. */
  isPkceTrusted?: boolean | undefined
  /** A login that nobody used for so long is over. Of one that was not used since this process began, the last renewal counts. */
  idleSeconds?: number | undefined
  fetch: Fetch
  now: () => number
  log: Log
  bounds?: FetchBounds
}

export function createOwnLogins(options: OwnLoginsOptions): OwnLogins {
  const { server, address, directory, client: choice, issuer, scope: chosen, indicator, isPkceTrusted, fetch, now, log, bounds = LOGIN_BOUNDS } = options
  const idleMs = (options.idleSeconds ?? Infinity) * 1000
  const asking: LoginAsked = { resource: address, issuer, client: choice, scope: chosen, indicator, bound: false, fetch, now, signal: NEVER }
  /** One registration for all who log in at an issuer, for as long as this process lasts. */
  const registered = new Map<string, Client>()
  /** Whom our secret is for, where only the server says whose tokens it takes: one that later names another gets nothing. */
  let trusted: string | undefined
  /** What was begun where this name meant another server would end as a login here, and be shown to this one. */
  const begunHere = new WeakSet<BegunLogin>()
  const usedAtMs = new Map<string, number>()
  /** How many logins of a caller were forgotten: what was read of them before holds no more. */
  const forgotten = new Map<string, number>()
  let sweptAtMs = -Infinity

  /** A directory of each caller: what lists one cannot find another's. */
  function loginsOf(caller: string): Logins {
    const own = createHash('sha256')
      .update(JSON.stringify([server, caller]))
      .digest('hex')
    return createLogins({ directory: join(callersDirectory(directory), own), holder: { server, caller }, now })
  }

  async function ourClient(found: Found, redirectUri: string, bounded: BoundedFetch): Promise<Client> {
    const { issuer: by } = found.issuer.server
    if (choice.secret !== undefined && !issuer && (trusted ??= by) !== by) {
      throw new OpenMcpError('login_failed', `the server ${server} names another issuer than before, and the secret of our client is for ${trusted}`, {
        hint: 'start openmcp again if that is meant, or say whose it is: oauth.issuer',
      })
    }
    const key = JSON.stringify([by, redirectUri])
    const client = registered.get(key) ?? (await clientFor(found.issuer, choice, { redirectUri }, bounded))
    registered.set(key, client)
    return client
  }

  async function forget(caller: string): Promise<boolean> {
    const logins = loginsOf(caller)
    const { kept, unreadable } = await logins.list()
    forgotten.set(caller, (forgotten.get(caller) ?? 0) + 1)
    for (const { path, login } of kept) {
      const taken = await takeBack(login, { fetch, bounds })
      if (!taken.done) log.warn(`a login of a caller's own was forgotten, and not taken back: ${taken.why}`, { server })
      await logins.remove(path)
    }
    for (const { path } of unreadable) await logins.remove(path)
    usedAtMs.delete(caller)
    return kept.length + unreadable.length > 0
  }

  async function endIdle(caller: string): Promise<void> {
    if (idleMs === Infinity) return
    const lastMs = usedAtMs.get(caller) ?? (await loginsOf(caller).find(address))?.login.obtainedAtMs
    if (lastMs === undefined || now() - lastMs < idleMs) return
    log.info("a login of a caller's own was not used for too long, and is forgotten", { server })
    await forget(caller)
  }

  /** Of callers who do not come back, too, as long as anybody comes. */
  async function endAllIdle(): Promise<void> {
    if (idleMs === Infinity || now() < sweptAtMs + SWEEP_MS) return
    sweptAtMs = now()
    for (const logins of await callersLogins({ directory, now })) {
      const { kept } = await logins.list()
      for (const { login } of kept) if (login.holder?.server === server) await endIdle(login.holder.caller)
    }
  }

  return {
    address,
    credentialOf(caller, loginAt) {
      const needed = (why: string): OpenMcpError => loginNeeded({ server, loginAt, why })
      const source = keptToken({ logins: loginsOf(caller), needed, fetch, now, bounds })
      const fresh = (): UpstreamCredential => createCredential({ resource: address, source, isEager: true, now, log })
      let credential = fresh()
      let seen = forgotten.get(caller)
      return {
        async headers(request) {
          await endIdle(caller)
          if (seen !== forgotten.get(caller)) credential = fresh()
          seen = forgotten.get(caller)
          const headers = await credential.headers(request)
          usedAtMs.set(caller, now())
          endAllIdle().catch((thrown: unknown) => log.warn('logins that lie idle could not be looked for', { server, detail: toOpenMcpError(thrown).message }))
          return headers
        },
        refused: (request, refusal) => credential.refused(request, refusal),
      }
    },
    async statusOf(caller) {
      await endIdle(caller)
      const found = await loginsOf(caller).find(address)
      // What cannot be renewed and is over is none.
      if (!found || (found.login.refreshToken === undefined && now() >= (found.login.expiresAtMs ?? Infinity))) return undefined
      const { issuer: by, holder, obtainedAtMs } = found.login
      return { issuer: by, sinceMs: holder?.sinceMs ?? obtainedAtMs, usedAtMs: usedAtMs.get(caller) }
    },
    async whoAsks() {
      const found = await findFor(asking, boundedFetch(fetch, bounds))
      const { host } = authorizationEndpoint(found.issuer, { isPkceTrusted })
      return { issuer: found.issuer.server.issuer, host, scope: scopeFor(found.issuer, chosen) }
    },
    async begin({ redirectUri, state }) {
      const bounded = boundedFetch(fetch, bounds)
      const found = await findFor(asking, bounded)
      const endpoint = authorizationEndpoint(found.issuer, { isPkceTrusted })
      const client = await ourClient(found, redirectUri, bounded)
      const scope = scopeFor(found.issuer, chosen)
      const request = requestFor({ issuer: found.issuer, endpoint, clientId: client.id, redirectUri, scope, indicator, jkt: undefined, state })
      const begun = { ...request, found, client, redirectUri, scope }
      begunHere.add(begun)
      return begun
    },
    async finish(caller, begun, parameters) {
      if (!begunHere.has(begun)) throw new OpenMcpError('login_failed', `the server ${server} is another one than when this login was begun`)
      const { found, client, redirectUri, scope, state, verifier } = begun
      const { issuer: by, authorization_response_iss_parameter_supported: namesItself } = found.issuer.server
      const answer = readAnswer(parameters, { state, issuer: by, namesItself: namesItself === true })
      if (answer.kind === 'failed') throw answer.error
      if (answer.kind === 'not_ours') throw new OpenMcpError('login_failed', `the answer of ${by} is not one to this login`)
      const bounded = boundedFetch(fetch, bounds)
      const { code } = answer
      try {
        const tokens = await exchangeCode({ issuer: found.issuer, client, code, verifier, redirectUri, indicator, dpop: undefined, fetch: bounded })
        const login = await loginOf(asking, found, { client, scope, answer: tokens })
        await loginsOf(caller).save({ ...login, holder: { server, caller, sinceMs: Math.floor(now()) } })
        usedAtMs.delete(caller)
      } catch (thrown) {
        // It may be the client that is not known there any more.
        registered.clear()
        throw thrown
      }
    },
    forget,
  }
}

const SWEEP_MS = 60_000

/** Nobody waits here: what was begun is forgotten by whoever keeps it. */
const NEVER = new AbortController().signal

/** MCP 2025-11-25, URL mode elicitation: the caller opens the address in a browser, proves there who they are, and tries again. */
function loginNeeded({ server, loginAt, why }: { server: string; loginAt: string; why: string }): OpenMcpError {
  const message = `the server ${server} wants a login of your own`
  return new OpenMcpError('login_needed', message, {
    hint: `open ${loginAt} in a browser, then try again`,
    detail: why,
    data: { elicitations: [{ mode: 'url', elicitationId: randomUUID(), url: loginAt, message }] },
  })
}
