// An issuer of others whose word is taken: an OIDC provider, a SPIFFE trust domain, an enterprise's IdP, another node.
import type { JSONWebKeySet } from 'jose'

export interface TrustedIssuer {
  /** The `iss` of its tokens, exactly. */
  readonly issuer: string
  /** The `aud` its access tokens must have to be taken at a way in. Undefined: its tokens are assertions for `/token` alone. */
  readonly audience?: string | undefined
  /** Where its keys come from: exactly one of the three. */
  readonly jwks?: JSONWebKeySet | undefined
  readonly jwksUri?: string | undefined
  /** Signed by an authentication key of this DID. */
  readonly did?: string | undefined
  /** The claim that names the identity; `sub` unless given. The identity is `issuer|value`. */
  readonly identityClaim?: string | undefined
  /** Whether its assertions may come without a `jti`, and then more than once (SPIFFE and platform tokens do). */
  readonly reusable?: boolean | undefined
}
