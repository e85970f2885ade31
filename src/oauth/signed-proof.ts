// A request that carries a signed challenge: who signed it, and whether they may come in. The keys and the logins of people begin here.
import { parseVid, type Vid } from '../identity/vid.ts'
import { walletVid } from '../identity/wallet.ts'
import type { Standing } from '../policy/shapes.ts'
import type { Purpose } from '../tokens/challenge.ts'
import type { Prove } from '../tokens/signed-challenge.ts'
import type { Admit } from './admit.ts'
import { jsonRefusal, type Body, type JsonRefusal } from './json-endpoint.ts'

/** What is proved for one purpose proves nothing for another. */
export type ProvedBy = (body: Body, purpose: Purpose) => Promise<{ identity: Vid; standing: Standing } | JsonRefusal>

const NO_PROOF = 'this is no proof of this identity for this server'
const MOST_MESSAGE = 8192

export function createProvedBy({ prove, admit }: { prove: Prove; admit: Admit }): ProvedBy {
  return async (body, purpose) => {
    const identity = identityIn(body)
    const [message, signature] = [body.text('message', MOST_MESSAGE), body.text('signature', 256)]
    if (message === undefined || signature === undefined) {
      return jsonRefusal('invalid_proof', 'message and signature are missing: ask for a challenge and sign its message')
    }
    const proof = await prove({ identity, message, signature, purpose })
    if ('rejected' in proof) {
      return proof.expired
        ? jsonRefusal('expired_challenge', 'this challenge is over: ask for another one and sign it within five minutes')
        : jsonRefusal('invalid_proof', NO_PROOF, proof.rejected)
    }
    const { identity: by, once } = proof
    const standing = await admit({
      identity: by,
      act: [],
      once: [{ kind: 'challenge', by, id: once.nonce, expiresAtMs: once.expiresAtMs }],
      link: body.text('enrolment', 64),
    })
    if (standing === 'untrusted') return stranger(by)
    if (standing === 'used') return jsonRefusal('invalid_proof', NO_PROOF, 'it was used before')
    return { identity: by, standing }
  }
}

function stranger(identity: string): JsonRefusal {
  const more = { did: identity, how: `openmcp trust add ${identity}` }
  return jsonRefusal('not_trusted', 'this identity is proved, and nobody has said that it may come in: ask whoever runs this server', undefined, more)
}

/** `hex_string` is a wallet's address; `did` any identity. Throws `identity_invalid`. */
export function identityIn(body: Body): Vid {
  const [hexString, did] = [body.get('hex_string'), body.get('did')]
  if (did === undefined) return walletVid(hexString)
  const identity = parseVid(did)
  if (hexString !== undefined && walletVid(hexString) !== identity) return walletVid('')
  return identity
}
