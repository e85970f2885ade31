// `/token` for those who ask by TSP. Who asks has sealed and signed every message; what TSP cannot say is that a message is new, so a
// token is given only for a challenge of ours, once.
import type { Vid } from '../identity/vid.ts'
import type { Log } from '../observe/log.ts'
import { intersection } from '../policy/scopes.ts'
import { isObject, type JsonObject } from '../protocol/message.ts'
import type { Challenges, Purpose } from '../tokens/challenge.ts'
import type { Mint } from '../tokens/mint.ts'
import { scopesIn } from '../tokens/verifier.ts'
import type { Admit } from './admit.ts'
import { DEFAULT_SCOPE } from './metadata.ts'

export interface TspDeskOptions {
  challenges: Challenges
  admit: Admit
  mint: Mint
  /** Our issuer, and what of ours a resource names; undefined: nothing. */
  base: string
  resourceOf: (asked: string) => string | undefined
  log: Log
}

/** What a message is answered by, sealed to its sender; undefined: it asks for no token. */
export type TspDesk = (ask: { from: Vid; relationship: string; notAfter: number; data: Buffer }) => Promise<Buffer | undefined>

const ASK = 'openmcp/token-ask'
const MOST_BYTES = 16 * 1024
/** SHA-256 in base64url (RFC 7638). */
const THUMBPRINT = /^[\w-]{43}$/
const NONCE = /^[\w-]{16,64}$/

export function createTspDesk({ challenges, admit, mint, base, resourceOf, log }: TspDeskOptions): TspDesk {
  return async ({ from, relationship, notAfter, data }) => {
    const ask = askIn(data)
    if (!ask) return undefined
    const answer = await answered(from, relationship, notAfter, ask)
    // Says to which ask it belongs: an answer of before, sent once more, is none.
    return Buffer.from(JSON.stringify({ ...answer, nonce: ask.nonce }))
  }

  async function answered(from: Vid, relationship: string, notAfter: number, ask: Ask): Promise<JsonObject> {
    const resource = resourceOf(ask.resource ?? `${base}/mcp`)
    if (resource === undefined) return refused('invalid_target')
    const purpose = purposeOf(resource, ask)
    if (ask.challenge === undefined) return { type: 'openmcp/token-challenge', challenge: challenges.issue(from, purpose).message }
    const checked = challenges.check(ask.challenge, from, purpose)
    if ('rejected' in checked) {
      log.info('a token was not given by TSP', { did: from, why: checked.rejected })
      return refused('invalid_grant')
    }
    const standing = await admit({
      identity: from,
      act: [],
      once: [{ kind: 'challenge', by: from, id: checked.nonce, expiresAtMs: checked.expiresAtMs }],
      link: ask.enrolment,
    })
    if (standing === 'untrusted' || standing === 'used') return refused('invalid_grant')
    const scopes = intersection(ask.scopes.length > 0 ? ask.scopes : [DEFAULT_SCOPE], standing.scopes)
    if (scopes.length === 0) return refused('invalid_scope')
    const minted = await mint({ issuer: base, subject: from, client: from, resource, scopes, act: [], jkt: ask.jkt, origins: [relationship], notAfter })
    return { type: 'openmcp/token', access_token: minted.token, token_type: 'DPoP', expires_in: minted.expiresIn, scope: scopes.join(' ') }
  }
}

interface Ask {
  readonly nonce: string
  /** Of the key that the token is bound to: without it the token is of no use to whoever else may see it. */
  readonly jkt: string
  readonly resource: string | undefined
  readonly scopes: readonly string[]
  readonly challenge: string | undefined
  readonly enrolment: string | undefined
}

/** The challenge is for this ask alone: another key, resource or nonce needs another one. */
function purposeOf(resource: string, { jkt, nonce, scopes }: Ask): Purpose {
  return { uri: resource, statement: `Give a token for the key ${jkt} as ${nonce} asks${scopes.length === 0 ? '' : `: ${scopes.join(' ')}`}` }
}

function askIn(data: Buffer): Ask | undefined {
  const ask = data.length <= MOST_BYTES ? parsed(data) : undefined
  if (!isObject(ask) || ask['type'] !== ASK) return undefined
  const { nonce, jkt, resource, scope, challenge, enrolment } = ask
  if (typeof nonce !== 'string' || !NONCE.test(nonce) || typeof jkt !== 'string' || !THUMBPRINT.test(jkt)) return undefined
  if (![resource, challenge, enrolment].every((text) => text === undefined || typeof text === 'string')) return undefined
  return { nonce, jkt, resource: textIn(resource), scopes: scopesIn(scope), challenge: textIn(challenge), enrolment: textIn(enrolment) }
}

function textIn(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function parsed(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString())
  } catch {
    return undefined
  }
}

function refused(error: 'invalid_target' | 'invalid_grant' | 'invalid_scope'): JsonObject {
  return { type: 'openmcp/token-refused', error }
}
