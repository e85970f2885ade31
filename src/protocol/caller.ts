// What a caller proved is one thing everywhere: sessions, policy, audit and limits use it alone.

export interface Caller {
  /** The VID that was proved; `issuer|subject` for an identity that a trusted issuer vouches for. */
  readonly id: string
  readonly via: 'nobody' | 'token' | 'self-issued' | 'issuer' | 'api-key' | 'key' | 'tsp'
  readonly scopes: readonly string[]
  /** Who acts for `id`, the one that calls first (RFC 8693 §4.1). Empty: `id` calls itself. */
  readonly act: readonly string[]
  /** Names the credential: for revocation and the log. Nothing can be done with it. */
  readonly tokenId: string
  /** Seconds since 1970, after which the credential proves nothing. */
  readonly expiresAt: number
  /** What sessions, streams and children belong to: the identity together with those who act for it. */
  readonly owner: string
}

/** Where nobody is asked who they are, everybody is one caller. */
export const ANYBODY: Caller = Object.freeze({ id: 'anybody', via: 'nobody', scopes: ['mcp'], act: [], tokenId: '', expiresAt: Infinity, owner: 'anybody' })

/** What one caller may have of what there is for all: half, so that nobody keeps the others out. Where nobody is asked, all of it. */
export function shareOf({ via }: Pick<Caller, 'via'>, most: number): number {
  return via === 'nobody' ? most : Math.ceil(most / 2)
}

export function ownerOf({ id, act }: Pick<Caller, 'id' | 'act'>): string {
  return act.length === 0 ? id : JSON.stringify([id, ...act])
}
