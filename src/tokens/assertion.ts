// A JWT with which somebody asks for a token: signed by a DID, or by an issuer whose word is taken.
import type { Resolver } from '../identity/shapes.ts'
import { isVid, shortFormOf } from '../identity/vid.ts'
import type { JsonObject } from '../protocol/message.ts'
import { isFetched, wrongDidSignature } from './did-signature.ts'
import type { IssuerKeys } from './issuer-keys.ts'
import { SKEW_SECONDS, audiencesOf, bringsItsKey, livesLonger, parseJwt, textClaim, typeOf, wrongTimes, type Jwt } from './jwt.ts'
import type { TrustedIssuer } from './trusted-issuer.ts'
import { identityBy } from './verifier.ts'

export interface Asserted {
  /** The identity that was proved. */
  readonly id: string
  readonly claims: JsonObject
  /** An enterprise's grant (ID-JAG): it names the client that may use it. */
  readonly idJag: boolean
  /** What may be used once; undefined: an issuer whose assertions may be used again. */
  readonly once: { readonly by: string; readonly jti: string; readonly expiresAtMs: number } | undefined
}

type Assertion = Asserted | { readonly rejected: string }

export interface AssertionOptions {
  resolver: Resolver
  issuerKeys: IssuerKeys
  /** Undefined: its word is not taken. */
  issuerOf(iss: string): TrustedIssuer | undefined
  /** Whether this DID's document may be fetched: strangers do not make us reach out. */
  mayFetch(did: string): boolean
  now: () => number
}

export interface Assertions {
  /** `iss` = `sub` = a DID, or a trusted issuer. `audiences`: the names of our issuer, one of which must be its only `aud`. */
  check(assertion: unknown, audiences: readonly string[]): Promise<Assertion>
  /** `private_key_jwt` with `client_id` = the DID (RFC 7523 §3). */
  checkClient(assertion: unknown, audiences: readonly string[]): Promise<Assertion>
}

const DID_SECONDS = 300
const ISSUER_SECONDS = 3600
const ID_JAG = 'oauth-id-jag+jwt'

export function createAssertions({ resolver, issuerKeys, issuerOf, mayFetch, now }: AssertionOptions): Assertions {
  async function byDid(jwt: Jwt, did: string): Promise<Assertion> {
    const { claims } = jwt
    if (!isVid(did) || claims['sub'] !== did) return rejected('iss and sub are not one DID')
    if (!['', 'jwt'].includes(typeOf(jwt))) return rejected('another kind of JWT')
    const once = onceOf(claims, did)
    if (!once) return rejected('no jti')
    if (livesLonger(claims, DID_SECONDS, now())) return rejected(`it lives longer than ${DID_SECONDS} s`)
    if (isFetched(did) && !mayFetch(did)) return rejected('nobody has said that it is trusted, so its document is not fetched')
    const wrong = await wrongDidSignature(jwt, did, resolver)
    return wrong === undefined ? { id: shortFormOf(did), claims, idJag: false, once } : rejected(wrong)
  }

  async function byIssuer(token: string, jwt: Jwt, issuer: TrustedIssuer): Promise<Assertion> {
    const { claims } = jwt
    const idJag = typeOf(jwt) === ID_JAG
    if (!idJag && !['', 'jwt'].includes(typeOf(jwt))) return rejected('another kind of JWT')
    const once = onceOf(claims, issuer.issuer)
    if (!once && (idJag || issuer.reusable !== true)) return rejected('no jti')
    if (livesLonger(claims, ISSUER_SECONDS, now())) return rejected(`it lives longer than ${ISSUER_SECONDS} s`)
    const id = identityBy(issuer, claims)
    if (id === undefined) return rejected('it names no identity')
    const wrong = await issuerKeys.wrongSignature(issuer, token, jwt)
    if (wrong !== undefined) return rejected(wrong)
    return { id, claims, idJag, once: issuer.reusable === true && !idJag ? undefined : once }
  }

  /** What is looked at before any key is: all of it is cheap. */
  function read(assertion: unknown, audiences: readonly string[]): Jwt | { rejected: string } {
    const jwt = parseJwt(assertion)
    if (!jwt || bringsItsKey(jwt)) return rejected('no JWT, or one that brings its own key')
    const wrong = wrongTimes(jwt.claims, now(), SKEW_SECONDS)
    if (wrong !== undefined) return rejected(wrong)
    // One audience: an assertion that somebody else may use as well can be used by them (draft-ietf-oauth-rfc7523bis).
    const [audience = '', ...others] = audiencesOf(jwt.claims)
    if (others.length > 0 || !audiences.includes(audience)) return rejected('for another audience')
    return jwt
  }

  function onceOf(claims: JsonObject, by: string): Asserted['once'] {
    const jti = textClaim(claims, 'jti', 256)
    return jti === undefined ? undefined : { by, jti, expiresAtMs: (Number(claims['exp']) + SKEW_SECONDS) * 1000 }
  }

  return {
    async check(assertion, audiences) {
      const jwt = read(assertion, audiences)
      if ('rejected' in jwt) return jwt
      const iss = textClaim(jwt.claims, 'iss', 4096)
      if (iss === undefined) return rejected('no iss')
      if (iss.startsWith('did:')) return byDid(jwt, iss)
      const issuer = issuerOf(iss)
      return issuer ? byIssuer(String(assertion), jwt, issuer) : rejected('an issuer that nobody trusts')
    },
    async checkClient(assertion, audiences) {
      const jwt = read(assertion, audiences)
      if ('rejected' in jwt) return jwt
      const iss = textClaim(jwt.claims, 'iss', 4096)
      return iss === undefined ? rejected('no iss') : byDid(jwt, iss)
    },
  }
}

function rejected(why: string): { rejected: string } {
  return { rejected: why }
}
