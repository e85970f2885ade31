// What `/introspect` and `/revoke` ask about refresh tokens.
import type { LoginRows } from './login-rows.ts'

export interface RefreshTokens {
  /** Undefined: none of ours, or one that is over. */
  find(token: string): Promise<RefreshToken | undefined>
  /** The whole login ends: this token, those after it, and every access token. */
  end(token: RefreshToken): Promise<void>
}

export interface RefreshToken {
  readonly identity: string
  readonly client: string
  readonly scope: string
  /** Seconds since 1970. */
  readonly expiresAt: number
  /** Another one was given for it: it is good for nothing but the end of its login. */
  readonly isUsed: boolean
  readonly grantId: string
}

const SHAPE = /^[\w-]{20,128}$/

export function createRefreshTokens(rows: LoginRows): RefreshTokens {
  return {
    async find(token) {
      const found = SHAPE.test(token) ? await rows.secret('RefreshToken', token) : undefined
      // Without its grant the login is over.
      if (!found || !(await rows.get('Grant', found.grantId))) return undefined
      const { accountId, clientId, grantId, scope, exp } = found
      return { identity: accountId, client: clientId, scope, expiresAt: exp, isUsed: await rows.isUsed('RefreshToken', token), grantId }
    },
    end: ({ grantId }) => rows.end(grantId),
  }
}
