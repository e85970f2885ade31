// Tokens for an upstream by the proof of an identity of ours: each is a new one.
import { UNKNOWN_LIFE_SECONDS, type TokenSource } from './credential.ts'
import { obtainToken, type LoginOptions } from './obtain-token.ts'

export function provenToken(options: Omit<LoginOptions, 'resource' | 'challenge' | 'enrolment'>): TokenSource {
  const { dpop, now } = options
  return async ({ resource, challenge }) => {
    const { accessToken, tokenType, issuer, expiresInSeconds } = await obtainToken({ ...options, resource, challenge })
    return { accessToken, tokenType, issuer, sinceMs: now(), lifeSeconds: expiresInSeconds ?? UNKNOWN_LIFE_SECONDS, isRenewable: true, dpop }
  }
}
