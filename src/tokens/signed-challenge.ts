// Whether an identity signed a challenge of ours: a wallet by EIP-191, every other DID by an authentication key of its document.
import type { Resolver } from '../identity/shapes.ts'
import { verifySignature } from '../identity/signature.ts'
import { shortFormOf, type Vid } from '../identity/vid.ts'
import { isSignedByWallet, walletOf } from '../identity/wallet.ts'
import { EXPIRED, type Challenges, type Purpose } from './challenge.ts'
import { isFetched } from './did-signature.ts'

interface Proof {
  readonly identity: Vid
  readonly once: { readonly nonce: string; readonly expiresAtMs: number }
}

interface ProofRequest {
  identity: Vid
  message: string
  /** `0x` hex of a wallet; base64url of every other. */
  signature: string
  purpose: Purpose
}

export interface ProofOptions {
  challenges: Challenges
  resolver: Resolver
  /** Whether this DID's document may be fetched: strangers do not make us reach out. */
  mayFetch(did: string): boolean
}

/** `expired` tells a person to try again; everything else is one refusal. */
export type Prove = (request: ProofRequest) => Promise<Proof | { readonly rejected: string; readonly expired: boolean }>

const MOST_KEYS = 4
const BASE64URL = /^[\w-]{86}$/

export function createProve({ challenges, resolver, mayFetch }: ProofOptions): Prove {
  return async ({ identity, message, signature, purpose }) => {
    const once = challenges.check(message, identity, purpose)
    if ('rejected' in once) return { rejected: once.rejected, expired: once.rejected === EXPIRED }
    const wallet = walletOf(identity)
    const wrong = wallet
      ? isSignedByWallet(wallet.address, message, signature)
        ? undefined
        : 'the signature is not of this address'
      : await wrongByKey(identity, message, signature)
    return wrong === undefined ? { identity: shortFormOf(identity), once } : { rejected: wrong, expired: false }
  }

  async function wrongByKey(identity: Vid, message: string, signature: string): Promise<string | undefined> {
    if (!BASE64URL.test(signature)) return 'the signature is not 64 bytes of base64url'
    if (isFetched(identity) && !mayFetch(identity)) return 'nobody has said that it is trusted, so its document is not fetched'
    const resolution = await resolver.resolve(identity)
    if (resolution.state !== 'found') return `${resolution.state}: ${resolution.why}`
    const bytes = Buffer.from(signature, 'base64url')
    for (const key of resolution.authentication.slice(0, MOST_KEYS)) {
      if (await verifySignature(key, Buffer.from(message, 'utf8'), bytes)) return undefined
    }
    return 'the signature is of no authentication key'
  }
}
