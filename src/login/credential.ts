// A token that is there when an upstream wants one, for as long as it is called: what the ways out ask before each request.
import { toOpenMcpError, OpenMcpError } from '../errors.ts'
import type { IdentitySigner } from '../identity/shapes.ts'
import type { Log } from '../observe/log.ts'
import type { Fetch, FetchBounds } from './bounded-fetch.ts'
import { parseChallenge } from './challenge.ts'
import type { DpopKey } from './dpop-key.ts'
import { obtainToken } from './obtain-token.ts'
import type { ObtainedToken } from './request-token.ts'

export interface UpstreamCredential {
  /** Nothing until the upstream has wanted a token; then a fresh one, and with a key a proof for this request alone. */
  headers(request: CredentialRequest): Promise<Readonly<Record<string, string>>>
  /** Whether it is worth asking once more. Fails with `login_failed` when no token can be had. */
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

export interface CredentialOptions {
  /** The token goes to this origin alone. */
  resource: URL
  signer: IdentitySigner
  scope?: string | undefined
  dpop?: DpopKey | undefined
  fetch: Fetch
  now: () => number
  log: Log
  bounds?: FetchBounds
}

interface Held {
  token: ObtainedToken
  sinceMs: number
  refreshAtMs: number
  expiresAtMs: number
}

/** Where the issuer does not say how long its token lives. */
const UNKNOWN_LIFE_SECONDS = 300
const LONGEST_LIFE_SECONDS = 24 * 3600
/** Sooner after a login nobody expects another one. */
const SOON_MS = 5000
/** After a login that failed nobody is asked again for that long. */
const REST_MS = 1000

export function createCredential(options: CredentialOptions): UpstreamCredential {
  const { resource, dpop, now, log } = options
  let held: Held | undefined
  let login: Promise<Held> | undefined
  let failure: { error: unknown; atMs: number } | undefined
  let nonce: string | undefined
  /** Whether the last refusal was of a token that was hardly given: one is bad luck, or trust that has ended, and two are a circle. */
  let wasSoon = false
  /** The address that first wanted a token, and how it said so: asked again when the token is to be renewed. */
  let wanted: { resource: URL; challenge: string | undefined } = { resource, challenge: undefined }

  /** One login for all that wait. */
  function renew(): Promise<Held> {
    if (failure && now() < failure.atMs + REST_MS) return Promise.reject(failure.error)
    return (login ??= logIn().finally(() => {
      login = undefined
    }))
  }

  async function logIn(): Promise<Held> {
    try {
      const token = await obtainToken({ ...options, ...wanted })
      held = heldOf(token, now())
      log.debug("the upstream's issuer gave a token", { issuer: token.issuer, seconds: token.expiresInSeconds })
      return held
    } catch (error) {
      failure = { error, atMs: now() }
      throw error
    }
  }

  /** The held token while it is good. From some time before its end a new one is fetched beside the calls, not before them. */
  async function current(): Promise<Held | undefined> {
    if (!held) return undefined
    if (now() >= held.expiresAtMs) return renew()
    if (now() >= held.refreshAtMs && now() >= (failure?.atMs ?? 0) + SOON_MS) {
      renew().catch((thrown: unknown) => {
        const error = toOpenMcpError(thrown)
        log.warn(`the token for the upstream was not renewed: ${error.message}`, { hint: error.hint })
      })
    }
    return held
  }

  return {
    async headers({ method, url }) {
      if (url.origin !== resource.origin) return {}
      const good = await current()
      if (!good) return {}
      const { accessToken, tokenType } = good.token
      const authorization = `${tokenType} ${accessToken}`
      return dpop ? { authorization, dpop: await dpop.proof({ method, url, accessToken, nonce }) } : { authorization }
    },
    async refused({ url }, { status, challenge, nonce: told, sent }) {
      if (status !== 401 || url.origin !== resource.origin) return false
      if (told !== undefined && dpop) nonce = told
      const token = sent['authorization']?.replace(/^\S+ /, '')
      const wantsNonce = challenge !== undefined && parseChallenge(challenge).error === 'use_dpop_nonce'
      if (token !== undefined && dpop && wantsNonce && told !== undefined) return true
      // Another request has noticed before.
      if (held && held.token.accessToken !== token) return true
      if (login) {
        await login
        return true
      }
      const isSoon = held !== undefined && now() < held.sinceMs + SOON_MS
      if (held && isSoon && wasSoon) {
        throw new OpenMcpError('login_failed', `the upstream does not take the token that ${held.token.issuer} has just given for it`)
      }
      wasSoon = isSoon
      if (!held || url.href === wanted.resource.href) wanted = { resource: url, challenge }
      await renew()
      return true
    },
  }
}

function heldOf(token: ObtainedToken, sinceMs: number): Held {
  const life = Math.min(token.expiresInSeconds ?? UNKNOWN_LIFE_SECONDS, LONGEST_LIFE_SECONDS)
  const refreshAfter = Math.max(life / 2, Math.min(life * 0.8, life - 30))
  return { token, sinceMs, refreshAtMs: sinceMs + refreshAfter * 1000, expiresAtMs: sinceMs + life * 1000 }
}
