// Our access tokens: RFC 9068, signed by the node's key, for one resource.
import { randomBytes } from 'node:crypto'
import { SignJWT } from 'jose'

import type { NodeKeys } from '../identity/shapes.ts'

interface Grant {
  issuer: string
  subject: string
  /** Who asked for it (RFC 9068 §2.2). */
  client: string
  resource: string
  scopes: readonly string[]
  /** Who acts for the subject, the one that calls first. */
  act: readonly string[]
  jkt: string | undefined
  /** Tokens it was made from. */
  origins: readonly string[]
  /** Seconds since 1970: it ends no later than what it was made from. */
  notAfter: number
}

interface Minted {
  token: string
  expiresIn: number
}

export type Mint = (grant: Grant) => Promise<Minted>

export function createMint({ keys, lifeSeconds, now }: { keys: NodeKeys; lifeSeconds: number; now: () => number }): Mint {
  return async ({ issuer, subject, client, resource, scopes, act, jkt, origins, notAfter }) => {
    const { kid, alg, privateKey } = keys.signing()
    const iat = Math.floor(now() / 1000)
    const exp = Math.min(iat + lifeSeconds, Math.floor(notAfter))
    const token = await new SignJWT({
      iss: issuer,
      sub: subject,
      client_id: client,
      aud: resource,
      iat,
      exp,
      jti: randomBytes(16).toString('base64url'),
      scope: scopes.join(' '),
      ...(act.length > 0 && { act: nestedActors(act) }),
      ...(jkt !== undefined && { cnf: { jkt } }),
      ...(origins.length > 0 && { origins }),
    })
      .setProtectedHeader({ alg, kid, typ: 'at+jwt' })
      .sign(privateKey)
    return { token, expiresIn: exp - iat }
  }
}

interface Actor {
  sub: string
  act?: Actor
}

/** The one that calls is outermost (RFC 8693 §4.1). */
export function nestedActors(act: readonly string[]): Actor | undefined {
  return act.toReversed().reduce<Actor | undefined>((inner, sub) => ({ sub, ...(inner && { act: inner }) }), undefined)
}
