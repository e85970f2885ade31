// A token that is there when an upstream wants one, for as long as it is called: what the ways out ask before each request.
import { toOpenMcpError, OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import { parseChallenge } from './challenge.ts'
import type { DpopKey } from './dpop-key.ts'

export interface UpstreamCredential {
  /** Nothing until the upstream has wanted a token (unless it is had before); then a fresh one, and with a key a proof for this request alone. */
  headers(request: CredentialRequest): Promise<Readonly<Record<string, string>>>
  /** Whether it is worth asking once more. Fails with `login_failed` when no token can be had; with `upstream_refused` when it may too little. */
  refused(request: CredentialRequest, refusal: CredentialRefusal): Promise<boolean>
}

interface CredentialRequest {
  method: string
  url: URL
}

interface CredentialRefusal {
  status: number
  challenge: string | undefined
  nonce: string | undefined
  sent: Readonly<Record<string, string>>
}

/** A token from wherever: the proof of an identity, or what a person's login has left. Fails with `login_failed` when there is none. */
export type TokenSource = (wanted: WantedToken) => Promise<SourcedToken>

export interface WantedToken {
  /** The address that first wanted a token, and how it said so. */
  resource: URL
  challenge: string | undefined
  /** The token that is no good any more: the resource has refused it, or its end is near. */
  instead: { accessToken: string; why: 'refused' | 'due' } | undefined
}

export interface SourcedToken {
  readonly accessToken: string
  readonly tokenType: 'Bearer' | 'DPoP'
  readonly issuer: string
  /** Since when it lives, which may be long ago. */
  readonly sinceMs: number
  readonly lifeSeconds: number
  /** Whether another can be had before its end. */
  readonly isRenewable: boolean
  /** The key that it is bound to. */
  readonly dpop: DpopKey | undefined
  /** What it may do, as far as that is known. */
  readonly scope?: string | undefined
  /** What is there by now: somebody may have put another in its place. */
  readonly again?: (() => Promise<SourcedToken>) | undefined
  /** What a person types for one that may do all of this. */
  readonly widenedBy?: ((scope: string) => string) | undefined
}

export interface CredentialOptions {
  /** The token goes to this origin alone. */
  resource: URL
  source: TokenSource
  /** The first request carries a token already: whoever says outright who we are does not wait to be asked. */
  isEager?: boolean
  now: () => number
  log: Log
}

interface Held {
  token: SourcedToken
  takenAtMs: number
  refreshAtMs: number
  expiresAtMs: number
}

/** Where the issuer does not say how long its token lives. */
export const UNKNOWN_LIFE_SECONDS = 300
const LONGEST_LIFE_SECONDS = 24 * 3600
/** Sooner after a login nobody expects another one. */
const SOON_MS = 5000
/** After a login that failed nobody is asked again for that long. */
const REST_MS = 1000

export function createCredential({ resource, source, isEager = false, now, log }: CredentialOptions): UpstreamCredential {
  let held: Held | undefined
  let login: Promise<Held> | undefined
  let failure: { error: unknown; atMs: number } | undefined
  let nonce: string | undefined
  /** Whether the last refusal was of a token that was hardly given: one is bad luck, or trust that has ended, and two are a circle. */
  let wasSoon = false
  /** Asked again when the token is to be renewed. */
  let wanted: Omit<WantedToken, 'instead'> = { resource, challenge: undefined }

  /** One login for all that wait. */
  function renew(why: 'refused' | 'due'): Promise<Held> {
    if (failure && now() < failure.atMs + REST_MS) return Promise.reject(failure.error)
    return (login ??= take(why).finally(() => {
      login = undefined
    }))
  }

  async function take(why: 'refused' | 'due'): Promise<Held> {
    try {
      const token = await source({ ...wanted, instead: held && { accessToken: held.token.accessToken, why } })
      held = heldOf(token, now())
      log.debug("there is a token of the upstream's issuer", { issuer: token.issuer, seconds: token.lifeSeconds })
      return held
    } catch (error) {
      failure = { error, atMs: now() }
      throw error
    }
  }

  /** The token while it is good. From some time before its end a new one is fetched beside the calls, not before them. */
  async function current(): Promise<Held | undefined> {
    if (!held) return isEager ? renew('due') : undefined
    if (now() >= held.expiresAtMs) return renew('due')
    if (now() >= held.refreshAtMs && now() >= (failure?.atMs ?? 0) + SOON_MS) {
      renew('due').catch((thrown: unknown) => {
        const error = toOpenMcpError(thrown)
        log.warn(`the token for the upstream was not renewed: ${error.message}`, { hint: error.hint })
      })
    }
    return held
  }

  /** Whether a person has done meanwhile what would be asked of them. */
  async function widened({ token }: Held, shown: string, scope: string | undefined): Promise<boolean> {
    const other = (await token.again?.()) ?? token
    if (other.accessToken !== token.accessToken) held = heldOf(other, now())
    if (held && !shown.endsWith(` ${held.token.accessToken}`)) return true
    throw tooLittle(token, scope)
  }

  return {
    async headers({ method, url }) {
      if (url.origin !== resource.origin) return {}
      const good = await current()
      if (!good) return {}
      const { accessToken, tokenType, dpop } = good.token
      const authorization = `${tokenType} ${accessToken}`
      return dpop ? { authorization, dpop: await dpop.proof({ method, url, accessToken, nonce }) } : { authorization }
    },
    async refused({ url }, { status, challenge, nonce: told, sent }) {
      if (url.origin !== resource.origin) return false
      const { error, scope } = parseChallenge(challenge ?? '')
      if (status === 403 && error === 'insufficient_scope' && held && sent['authorization'] !== undefined) return widened(held, sent['authorization'], scope)
      if (status !== 401) return false
      const dpop = held?.token.dpop
      if (told !== undefined && dpop) nonce = told
      const token = sent['authorization']?.replace(/^\S+ /, '')
      const wantsNonce = error === 'use_dpop_nonce'
      if (token !== undefined && dpop && wantsNonce && told !== undefined) return true
      // Another request has noticed before.
      if (held && held.token.accessToken !== token) return true
      if (login) {
        await login
        return true
      }
      const isSoon = held !== undefined && now() < held.takenAtMs + SOON_MS
      if (held && isSoon && wasSoon) {
        throw new OpenMcpError('login_failed', `the upstream does not take the token that ${held.token.issuer} has just given for it`)
      }
      wasSoon = isSoon
      if (!held || url.href === wanted.resource.href) wanted = { resource: url, challenge }
      await renew('refused')
      return true
    },
  }
}

/** MCP authorization, scope challenges: what the token may do is kept, and what is wanted is added. Nobody is there to be asked for it now. */
function tooLittle({ scope, widenedBy, issuer }: SourcedToken, more: string | undefined): OpenMcpError {
  const wanted = scopesIn(more)
  const all = [...new Set([...scopesIn(scope), ...wanted])].join(' ')
  const message = `the upstream wants more than the token of ${issuer} may do (403 insufficient_scope${wanted.length > 0 ? `: ${wanted.join(' ')}` : ''})`
  return new OpenMcpError('upstream_refused', message, { hint: widenedBy?.(all) ?? 'its operator decides what we may do there' })
}

const MOST_SCOPES = 64

/** Only such as can be typed as they are: the upstream's words end up in a shell of ours. */
function scopesIn(scope = ''): string[] {
  return scope
    .split(' ')
    .filter((each) => /^[\w.:/@+-]{1,128}$/.test(each))
    .slice(0, MOST_SCOPES)
}

function heldOf(token: SourcedToken, takenAtMs: number): Held {
  const { sinceMs, lifeSeconds, isRenewable } = token
  const expiresAtMs = Math.min(sinceMs + lifeSeconds * 1000, takenAtMs + LONGEST_LIFE_SECONDS * 1000)
  const refreshAtMs = Math.min(sinceMs + refreshAfter(lifeSeconds) * 1000, takenAtMs + refreshAfter(LONGEST_LIFE_SECONDS) * 1000)
  return { token, takenAtMs, refreshAtMs: isRenewable ? refreshAtMs : expiresAtMs, expiresAtMs }
}

/** Of a token's life, the seconds after which another is asked for. */
export function refreshAfter(lifeSeconds: number): number {
  return Math.max(lifeSeconds / 2, Math.min(lifeSeconds * 0.8, lifeSeconds - 30))
}
