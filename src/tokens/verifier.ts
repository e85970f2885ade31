// From a bearer token to the caller it proves. Every kind of token ends here, and what is not known ends in a refusal.
import { createHash } from 'node:crypto'
import { compactVerify } from 'jose'

import type { NodeKeys, Resolver } from '../identity/shapes.ts'
import { isVid, shortFormOf } from '../identity/vid.ts'
import { ownerOf, type Caller } from '../protocol/caller.ts'
import { isObject, type JsonObject } from '../protocol/message.ts'
import { wrongDidSignature } from './did-signature.ts'
import type { IssuerKeys } from './issuer-keys.ts'
import { SKEW_SECONDS, audiencesOf, bringsItsKey, livesLonger, parseJwt, textClaim, typeOf, wrongTimes, type Jwt } from './jwt.ts'
import type { Places } from './places.ts'
import { WEBUI_SECONDS, webUiUser, type OpenWebUi } from './open-webui.ts'
import type { TrustedIssuer } from './trusted-issuer.ts'

export interface Verdict {
  readonly caller: Caller
  /** The thumbprint of the key this token is bound to (RFC 9449 §6.1). */
  readonly jkt: string | undefined
  /** The resource of ours that it is for. */
  readonly audience: string
  /** Seconds since 1970 from which on it holds. */
  readonly notBefore: number
  /** Its own id and those of the tokens it was exchanged from: with each of them it ends. */
  readonly lineage: readonly string[]
  /** The key of ours that signed it; undefined: somebody else's did. */
  readonly kid: string | undefined
  /** After this it is to be looked at again. */
  readonly freshUntilMs: number
}

export type Verification = Verdict | { readonly rejected: string }

export interface VerifierOptions {
  keys: NodeKeys
  resolver: Resolver
  issuerKeys: IssuerKeys
  /** Undefined: its word is not taken. */
  issuerOf(iss: string): TrustedIssuer | undefined
  takesSelfIssued(): boolean
  /** Undefined: its word is not taken. */
  openWebUi?(): OpenWebUi | undefined
  /** Asked before anything is fetched or computed for a token that somebody signed for themselves. */
  isTrusted(identity: string): boolean
  places: Pick<Places, 'isOwnIssuer' | 'resourceOf'>
  now: () => number
}

/** Never throws for what a caller sent. `rejected` says why, for the log alone. */
export type Verifier = (token: string) => Promise<Verification>

/** What a DID signs for itself; an issuer that the operator named may give its tokens a day. */
const SELF_SECONDS = 3600
const ISSUER_SECONDS = 24 * 3600
/** What somebody else signed may end earlier than it says: their keys are asked again after this. */
const FOREIGN_FRESH_MS = 60_000
export const MOST_ACTORS = 4

export function createVerifier(options: VerifierOptions): Verifier {
  const { keys, resolver, issuerKeys, issuerOf, takesSelfIssued, openWebUi = () => undefined, isTrusted, places, now } = options

  return async (token) => {
    const jwt = parseJwt(token)
    if (!jwt) return rejected('no JWT')
    if (bringsItsKey(jwt)) return rejected('it brings its own key')
    const iss = textClaim(jwt.claims, 'iss', 2048)
    if (!('iss' in jwt.claims)) return byOpenWebUi(jwt)
    if (iss === undefined) return rejected('no iss')
    if (places.isOwnIssuer(iss)) return own(token, jwt)
    if (iss.startsWith('did:')) return bySelf(jwt, iss)
    const issuer = issuerOf(iss)
    return issuer?.audience !== undefined ? byIssuer(token, jwt, issuer) : rejected('an issuer that nobody trusts')
  }

  async function own(token: string, jwt: Jwt): Promise<Verification> {
    const { header, claims } = jwt
    if (typeOf(jwt) !== 'at+jwt') return rejected('no access token')
    const kid = typeof header['kid'] === 'string' ? header['kid'] : ''
    const key = keys.verifying(kid)
    if (!key || header['alg'] !== 'EdDSA') return rejected('not signed by a key of ours')
    try {
      await compactVerify(token, key, { algorithms: ['EdDSA'] })
    } catch {
      return rejected('the signature is wrong')
    }
    const wrong = wrongTimes(claims, now(), 0)
    if (wrong !== undefined) return rejected(wrong)
    const audience = audienceOf(claims)
    const jti = textClaim(claims, 'jti')
    const sub = textClaim(claims, 'sub', 4096)
    const act = actorsOf(claims['act'])
    const jkt = boundTo(claims)
    if (audience === undefined) return rejected('for another resource')
    if (jti === undefined || sub === undefined || !act || jkt === null) return rejected('its claims are not as we write them')
    return verdict({ id: sub, act, via: 'token', claims, tokenId: jti, audience, jkt, lineage: [jti, ...originsOf(claims)], kid, freshUntilMs: Infinity })
  }

  async function bySelf(jwt: Jwt, iss: string): Promise<Verification> {
    const { claims } = jwt
    if (!takesSelfIssued()) return rejected('self-issued tokens are not taken here')
    if (!isVid(iss) || claims['sub'] !== iss) return rejected('iss and sub are not one DID')
    const foreign = foreignOf(jwt, SELF_SECONDS)
    if ('rejected' in foreign) return foreign
    // One: whoever else is named could send it on to us.
    const audience = audiencesOf(claims).length === 1 ? audienceOf(claims) : undefined
    // An assertion for our issuer, whose name is that of a resource too, is no token.
    if (audience === undefined || places.isOwnIssuer(audience)) return rejected('for another resource')
    const id = shortFormOf(iss)
    if (!isTrusted(id)) return rejected('its identity is not trusted')
    const wrong = await wrongDidSignature(jwt, iss, resolver)
    if (wrong !== undefined) return rejected(wrong)
    return verdict({ ...foreign, id, act: [], via: 'self-issued', claims, audience })
  }

  async function byIssuer(token: string, jwt: Jwt, issuer: TrustedIssuer): Promise<Verification> {
    const { claims } = jwt
    const foreign = foreignOf(jwt, ISSUER_SECONDS)
    if ('rejected' in foreign) return foreign
    if (issuer.audience === undefined || !audiencesOf(claims).includes(issuer.audience)) return rejected('for another audience')
    const wrong = await issuerKeys.wrongSignature(issuer, token, jwt)
    if (wrong !== undefined) return rejected(wrong)
    const id = identityBy(issuer, claims)
    if (id === undefined) return rejected('it names no identity')
    return verdict({ ...foreign, id, act: [], via: 'issuer', claims, audience: issuer.audience })
  }

  function byOpenWebUi(jwt: Jwt): Verification {
    const { claims } = jwt
    const webUi = openWebUi()
    if (!webUi) return rejected('no iss')
    const foreign = foreignOf(jwt, WEBUI_SECONDS)
    if ('rejected' in foreign) return foreign
    const id = webUiUser(jwt, webUi)
    // It is for whoever has the secret, and so for all of us.
    return typeof id === 'string' ? verdict({ ...foreign, id, act: [], via: 'issuer', claims, audience: '' }) : id
  }

  /** What holds for every token that somebody else signed. */
  function foreignOf(jwt: Jwt, mostSeconds: number): { rejected: string } | Pick<Proved, 'tokenId' | 'jkt' | 'lineage' | 'kid' | 'freshUntilMs'> {
    const { claims, signingInput } = jwt
    if (!['', 'jwt', 'at+jwt'].includes(typeOf(jwt))) return rejected('another kind of JWT')
    const wrong = wrongTimes(claims, now(), SKEW_SECONDS)
    if (wrong !== undefined) return rejected(wrong)
    if (livesLonger(claims, mostSeconds, now())) return rejected('it would live too long')
    // Who acts for whom is something that only our own issuer has checked.
    if ('act' in claims) return rejected('a delegation of somebody else')
    const jkt = boundTo(claims)
    if (jkt === null) return rejected('bound to its holder in a way that is not known here')
    // Of what was signed, not of the signature: that can be written in more than one way, and a token taken back must stay so.
    const tokenId = `sha256:${createHash('sha256').update(signingInput).digest('base64url')}`
    return { tokenId, jkt, lineage: [tokenId], kid: undefined, freshUntilMs: now() + FOREIGN_FRESH_MS }
  }

  function audienceOf(claims: JsonObject): string | undefined {
    for (const audience of audiencesOf(claims)) {
      const resource = places.resourceOf(audience)
      if (resource !== undefined) return resource
    }
    return undefined
  }
}

interface Proved extends Pick<Verdict, 'jkt' | 'audience' | 'lineage' | 'kid' | 'freshUntilMs'> {
  id: string
  act: readonly string[]
  via: Caller['via']
  claims: JsonObject
  tokenId: string
}

function verdict({ id, act, via, claims, tokenId, jkt, audience, lineage, kid, freshUntilMs }: Proved): Verdict {
  // A token of somebody else that speaks of no scope may what its identity may; one that does, only that.
  const scopes = 'scope' in claims ? scopesIn(claims['scope']) : via === 'token' ? [] : ['mcp']
  const caller: Caller = { id, via, scopes, act, tokenId, expiresAt: Number(claims['exp']), owner: ownerOf({ id, act }) }
  const notBefore = typeof claims['nbf'] === 'number' ? claims['nbf'] : 0
  return { caller: Object.freeze(caller), jkt, audience, notBefore, lineage, kid, freshUntilMs }
}

/** RFC 6749 §3.3. */
export function scopesIn(scope: unknown): readonly string[] {
  return typeof scope === 'string' ? [...new Set(scope.split(' ').filter((one) => one !== ''))] : []
}

function rejected(why: string): { rejected: string } {
  return { rejected: why }
}

/** `issuer|value`: whatever an issuer says, it can name nobody but its own. */
export function identityBy(issuer: TrustedIssuer, claims: JsonObject): string | undefined {
  const value = textClaim(claims, issuer.identityClaim ?? 'sub', 255)
  return value === undefined ? undefined : `${issuer.issuer}|${value}`
}

/** Who acts, the one that calls first (RFC 8693 §4.1). Undefined: too deep, or not as we write it. */
function actorsOf(act: unknown): readonly string[] | undefined {
  const actors: string[] = []
  for (let one = act; one !== undefined;) {
    if (!isObject(one) || actors.length === MOST_ACTORS) return undefined
    const sub = textClaim(one, 'sub', 4096)
    if (sub === undefined) return undefined
    actors.push(sub)
    one = one['act']
  }
  return actors
}

function originsOf(claims: JsonObject): readonly string[] {
  const origins = claims['origins']
  return Array.isArray(origins) ? origins.filter((origin) => typeof origin === 'string') : []
}

/** Undefined: a bearer token. Null: bound in a way we cannot check (RFC 7800 has many). */
function boundTo({ cnf }: JsonObject): string | undefined | null {
  if (cnf === undefined) return undefined
  if (!isObject(cnf) || Object.keys(cnf).join() !== 'jkt') return null
  return textClaim(cnf, 'jkt', 43) ?? null
}
