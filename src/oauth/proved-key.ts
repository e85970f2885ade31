// The key that a token request proves it holds (RFC 9449 §5), the same way for every grant.
import type { Request, Response } from 'express'

import type { Dpop, ProvedKey } from '../tokens/dpop.ts'
import { refusal, type Refusal } from './refusal.ts'

/** Undefined: no key is shown, and none is asked for. Whether the proof is the first of its kind is asked when all else is right. */
export type ProvedKeyOf = (req: Request, res: Response, url: string) => Promise<ProvedKey | Refusal | undefined>

export interface ProvedKeyOptions {
  dpop: Dpop
  dpopMode: 'optional' | 'required' | 'nonce'
}

export function createProvedKeyOf({ dpop, dpopMode }: ProvedKeyOptions): ProvedKeyOf {
  return async ({ rawHeaders }, res, url) => {
    const proofs = rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === 'dpop')
    if (proofs.length === 0 && dpopMode === 'optional') return undefined
    res.setHeader('dpop-nonce', dpop.nonce())
    if (proofs.length === 0) return refusal('invalid_dpop_proof', 'tokens are bound to a key here: send a DPoP proof (RFC 9449)')
    const checked = await dpop.check({ proof: proofs.length === 1 ? proofs[0] : proofs, method: 'POST', url })
    if (!('rejected' in checked)) return checked
    if (checked.nonce) return refusal('use_dpop_nonce', 'the proof must carry the nonce of this answer', checked.rejected)
    return refusal('invalid_dpop_proof', 'the DPoP proof is not one for this request', checked.rejected)
  }
}
