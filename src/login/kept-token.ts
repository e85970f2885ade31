// Tokens for an upstream from a login that a person has made: read when they are wanted, renewed by one process for all.
import { OpenMcpError } from '../errors.ts'
import { LOGIN_BOUNDS, boundedFetch, type Fetch, type FetchBounds } from './bounded-fetch.ts'
import { LoginOver, refresh } from './code-grant.ts'
import { refreshAfter, type SourcedToken, type TokenSource, type WantedToken } from './credential.ts'
import { openDpopKey } from './dpop-key.ts'
import type { Login } from './login.ts'
import type { Logins } from './logins.ts'
import { shownUrl } from './shown-url.ts'

export interface KeptTokenOptions {
  logins: Logins
  /** What a person types to log in, where that is not the address alone. */
  how?: string | undefined
  /** What is said in place of that where only a person can help, who is not at this machine. */
  needed?: ((why: string) => OpenMcpError) | undefined
  fetch: Fetch
  now: () => number
  bounds?: FetchBounds
}

/** Opens no browser: without a login that can still be renewed it fails, and says what to type. */
export function keptToken({ logins, how, needed, fetch, now, bounds = LOGIN_BOUNDS }: KeptTokenOptions): TokenSource {
  const source: TokenSource = async ({ resource, instead }) => {
    const told = (login: Login): Promise<SourcedToken> =>
      sourced(login, { now, how, needed, again: () => source({ resource, challenge: undefined, instead: undefined }) })
    const found = await logins.find(resource)
    if (!found) throw needed?.('there is none yet') ?? noLogin(resource, how)
    const { login, path } = found
    if (!isSpent(login, instead, now())) return told(login)
    let over: LoginOver | undefined
    const renewed = await logins.renew(path, async (current) => {
      if (!current) throw needed?.('there is none any more') ?? noLogin(resource, how)
      // Whoever was first to the lock has done it.
      if (!isSpent(current, instead, now())) return current
      const dpop = current.dpopJwk && (await openDpopKey(current.dpopJwk, { now }))
      try {
        return await refresh(current, { fetch: boundedFetch(fetch, bounds), dpop, now })
      } catch (thrown) {
        if (!(thrown instanceof LoginOver)) throw thrown
        over = thrown
        // What was refused is not shown again and again.
        return { ...current, refreshToken: undefined }
      }
    })
    if (over && needed) throw needed(over.message)
    if (over) throw how === undefined ? over : new OpenMcpError('login_failed', over.message, { hint: how })
    return told(renewed)
  }
  return source
}

function isSpent(login: Login, instead: WantedToken['instead'], nowMs: number): boolean {
  const { accessToken, expiresAtMs, obtainedAtMs } = login
  if (expiresAtMs !== undefined && nowMs >= expiresAtMs) return true
  if (instead?.accessToken !== accessToken) return false
  if (instead.why === 'refused') return true
  return expiresAtMs !== undefined && nowMs >= obtainedAtMs + refreshAfter((expiresAtMs - obtainedAtMs) / 1000) * 1000
}

interface Telling extends Pick<KeptTokenOptions, 'now' | 'how' | 'needed'> {
  again: () => Promise<SourcedToken>
}

async function sourced(login: Login, { now, how, needed, again }: Telling): Promise<SourcedToken> {
  const { address, accessToken, tokenType, issuer, scope, obtainedAtMs, expiresAtMs, refreshToken, dpopJwk } = login
  const lifeSeconds = expiresAtMs === undefined ? Number.POSITIVE_INFINITY : (expiresAtMs - obtainedAtMs) / 1000
  const dpop = dpopJwk && (await openDpopKey(dpopJwk, { now }))
  const widenedBy = (all: string): string =>
    needed
      ? `whoever runs openmcp decides what is asked for there (oauth.scope: '${all}'); then log in again`
      : `${how ?? `openmcp login ${shownUrl(new URL(address))}`}${all === '' ? '' : ` --scope '${all}'`}`
  return { accessToken, tokenType, issuer, sinceMs: obtainedAtMs, lifeSeconds, isRenewable: refreshToken !== undefined, dpop, scope, again, widenedBy }
}

function noLogin(resource: URL, how: string | undefined): OpenMcpError {
  const where = shownUrl(resource)
  return new OpenMcpError('upstream_refused', `${where} wants a login (401), and there is none for it`, {
    hint: how ?? `openmcp login ${where}; or prove an identity with --id NAME, or send a credential with --header-file FILE`,
  })
}
