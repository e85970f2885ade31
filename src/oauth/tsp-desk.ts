// `/token` for those who ask by TSP. Who asks has sealed and signed every message; what TSP cannot say is that a message is new, so a
// token is given only for a challenge of ours, once.
import { createHash } from 'node:crypto'

import { toOpenMcpError } from '../errors.ts'
import type { Vid } from '../identity/vid.ts'
import type { Log } from '../observe/log.ts'
import { intersection } from '../policy/scopes.ts'
import { jsonIn } from '../protocol/json.ts'
import { isObject, type JsonObject } from '../protocol/message.ts'
import { createRate } from '../protocol/rate.ts'
import type { Challenges, Purpose } from '../tokens/challenge.ts'
import type { Mint } from '../tokens/mint.ts'
import { scopesIn } from '../tokens/verifier.ts'
import type { Admit } from './admit.ts'
import { DEFAULT_SCOPE } from './metadata.ts'

export interface TspDeskOptions {
  challenges: Challenges
  admit: Admit
  mint: Mint
  /** Our issuer; undefined until we listen. */
  base: () => string | undefined
  /** What of ours a resource names; undefined: nothing. */
  resourceOf: (asked: string) => string | undefined
  /** Sealed to whoever asked. */
  answer: (to: Vid, data: Buffer) => Promise<void>
  log: Log
  now: () => number
}

interface TspAsk {
  readonly from: Vid
  readonly data: Buffer
  /** What the token is made from: with it the token ends, and lives no longer. */
  readonly relationship: { readonly origin: string; readonly untilMs: number }
}

/** False: this asks for no token. Never fails; a token comes later, and not at all when too many are asked for at once. */
export type TspDesk = (ask: TspAsk) => boolean

const ASK = 'openmcp/token-ask'
const MOST_BYTES = 16 * 1024
/** SHA-256 in base64url (RFC 7638). */
const THUMBPRINT = /^[\w-]{43}$/
const NONCE = /^[\w-]{16,64}$/
/** RFC 6749 §3.3. What else it might hold would stand in the challenge. */
const SCOPE = /^[\x20\x21\x23-\x5b\x5d-\x7e]{0,1024}$/
/** Of one VID, and of all: trust may be open to whoever makes one. A token takes two asks. */
const EACH = { limit: 60, perMs: 60_000 }
const ALL = { limit: 1200, perMs: 60_000 }
const MOST_OF_EACH = 4
const MOST_OF_ALL = 64
/** Asks that are known again: the one that came first is forgotten first. */
const MOST_KNOWN = 10_000

export function createTspDesk({ challenges, admit, mint, base, resourceOf, answer, log, now }: TspDeskOptions): TspDesk {
  const [each, all] = [createRate({ ...EACH, now }), createRate({ ...ALL, now })]
  const inFlight = new Map<Vid, number>()
  const isNews = createNews()
  let atOnce = 0

  return ({ from, data, relationship }) => {
    if (!mayBeAsk(data)) return false
    const asked = jsonIn(data.toString())
    if (!isObject(asked) || asked['type'] !== ASK) return false
    const ask = askIn(asked)
    if (!ask) log.debug('what asks for a token by TSP is not as it must be', { did: from })
    // Whoever has recorded an ask may not use up the share of the one who made it.
    else if (!isNews(data)) log.debug('an ask for a token that came before is dropped', { did: from })
    else serve(from, ask, relationship)
    return true
  }

  function serve(from: Vid, ask: Ask, relationship: TspAsk['relationship']): void {
    const own = inFlight.get(from) ?? 0
    if (own >= MOST_OF_EACH || atOnce >= MOST_OF_ALL) return log.info('too many tokens are asked for by TSP at once', { did: from })
    inFlight.set(from, own + 1)
    atOnce++
    void answered(from, ask, relationship)
      // Says to which ask it belongs: an answer of before, sent once more, is none.
      .then((said) => answer(from, Buffer.from(JSON.stringify({ ...said, nonce: ask.nonce }))))
      .catch((thrown: unknown) => {
        const { message, detail } = toOpenMcpError(thrown)
        log.info('who asked for a token by TSP was not answered', { did: from, why: message, detail })
      })
      .finally(() => {
        atOnce--
        const left = (inFlight.get(from) ?? 1) - 1
        if (left > 0) inFlight.set(from, left)
        else inFlight.delete(from)
      })
  }

  async function answered(from: Vid, ask: Ask, { origin, untilMs }: TspAsk['relationship']): Promise<JsonObject> {
    if (each.take(from) > 0 || all.take('') > 0) return refused('slow_down')
    const issuer = base()
    if (issuer === undefined) return refused('temporarily_unavailable')
    const resource = resourceOf(ask.resource ?? `${issuer}/mcp`)
    if (resource === undefined) return refused('invalid_target')
    const purpose = purposeOf(resource, ask)
    if (ask.challenge === undefined) return { type: 'openmcp/token-challenge', challenge: challenges.issue(from, purpose).message }
    const checked = challenges.check(ask.challenge, from, purpose)
    if ('rejected' in checked) return turnedAway(from, checked.rejected)
    const standing = await admit({
      identity: from,
      act: [],
      once: [{ kind: 'challenge', by: from, id: checked.nonce, expiresAtMs: checked.expiresAtMs }],
      link: ask.enrolment,
    })
    if (standing === 'untrusted' || standing === 'used') return turnedAway(from, standing === 'used' ? 'its challenge was used before' : 'it is not trusted')
    const scopes = intersection(ask.scopes.length > 0 ? ask.scopes : [DEFAULT_SCOPE], standing.scopes)
    if (scopes.length === 0) return refused('invalid_scope')
    const { jkt } = ask
    const minted = await mint({ issuer, subject: from, client: from, resource, scopes, act: [], jkt, origins: [origin], notAfter: untilMs / 1000 })
    const scope = scopes.join(' ')
    log.debug('a token was issued', { subject: from, client: from, resource, scope, bound: true, by: 'tsp' })
    return { type: 'openmcp/token', access_token: minted.token, token_type: 'DPoP', expires_in: minted.expiresIn, scope, resource }
  }

  function turnedAway(did: Vid, why: string): JsonObject {
    log.info('a token was not given by TSP', { did, why })
    return refused('invalid_grant')
  }
}

/** No two asks are the same: each has a nonce, and the second of two a challenge as well. */
function createNews(): (data: Buffer) => boolean {
  const known = new Set<string>()
  return (data) => {
    const name = createHash('sha256').update(data).digest('base64url')
    if (known.has(name)) return false
    known.add(name)
    const [oldest] = known
    if (known.size > MOST_KNOWN && oldest !== undefined) known.delete(oldest)
    return true
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

/** Cheaper than to read it: where MCP comes the same way, most messages are no asks. */
function mayBeAsk(data: Buffer): boolean {
  return data.length <= MOST_BYTES && data.includes(`"${ASK}"`)
}

function askIn({ nonce, jkt, resource, scope, challenge, enrolment }: JsonObject): Ask | undefined {
  if (typeof nonce !== 'string' || !NONCE.test(nonce) || typeof jkt !== 'string' || !THUMBPRINT.test(jkt)) return undefined
  if (![resource, challenge, enrolment].every((text) => text === undefined || typeof text === 'string')) return undefined
  if (scope !== undefined && (typeof scope !== 'string' || !SCOPE.test(scope))) return undefined
  return { nonce, jkt, resource: textIn(resource), scopes: scopesIn(scope), challenge: textIn(challenge), enrolment: textIn(enrolment) }
}

function textIn(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function refused(error: 'invalid_target' | 'invalid_grant' | 'invalid_scope' | 'slow_down' | 'temporarily_unavailable'): JsonObject {
  return { type: 'openmcp/token-refused', error }
}
