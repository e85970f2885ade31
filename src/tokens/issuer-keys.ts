// The keys of issuers whose word is taken: given, fetched, or those of a DID.
import { compactVerify, createLocalJWKSet, createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from 'jose'

import type { GuardedFetch, Resolver } from '../identity/shapes.ts'
import { isVid } from '../identity/vid.ts'
import { wrongDidSignature } from './did-signature.ts'
import type { Jwt } from './jwt.ts'
import type { TrustedIssuer } from './trusted-issuer.ts'

/** Asymmetric alone: with HS256 whoever knows the public key could sign. */
const ALGORITHMS = ['EdDSA', 'Ed25519', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512', 'RS256', 'RS384', 'RS512']
const CACHE_MS = 5 * 60_000
const COOLDOWN_MS = 30_000

export interface IssuerKeys {
  /** Undefined: signed by this issuer. Otherwise why that cannot be said. */
  wrongSignature(issuer: TrustedIssuer, token: string, jwt: Jwt): Promise<string | undefined>
}

export function createIssuerKeys({ fetch, resolver }: { fetch: GuardedFetch; resolver: Resolver }): IssuerKeys {
  const sets = new Map<string, JWTVerifyGetKey>()
  const setOf = (issuer: TrustedIssuer): JWTVerifyGetKey | undefined => {
    let set = sets.get(issuer.issuer)
    if (!set) {
      if (issuer.jwks) set = createLocalJWKSet(issuer.jwks)
      else if (issuer.jwksUri !== undefined) set = remote(new URL(issuer.jwksUri), fetch)
      if (set) sets.set(issuer.issuer, set)
    }
    return set
  }
  return {
    async wrongSignature(issuer, token, jwt) {
      if (issuer.did !== undefined) return isVid(issuer.did) ? wrongDidSignature(jwt, issuer.did, resolver) : 'the DID of the issuer is none'
      try {
        const set = setOf(issuer)
        if (!set) return 'no keys are configured for this issuer'
        await compactVerify(token, set, { algorithms: ALGORITHMS })
        return undefined
      } catch (error) {
        return error instanceof errors.JOSEError ? error.code : 'the keys of the issuer cannot be had'
      }
    },
  }
}

function remote(url: URL, fetch: GuardedFetch): JWTVerifyGetKey {
  return createRemoteJWKSet(url, {
    cacheMaxAge: CACHE_MS,
    cooldownDuration: COOLDOWN_MS,
    [customFetch]: async () => {
      const { status, body } = await fetch(url, { accept: 'application/jwk-set+json, application/json' })
      return new Response(new Uint8Array(body), { status })
    },
  })
}
