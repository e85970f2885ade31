// The documented key flow: prove a wallet or a DID by a signature, and make, see, rotate or revoke its API keys.
import type { Request } from 'express'

import type { Vid } from '../identity/vid.ts'
import { walletOf } from '../identity/wallet.ts'
import { NOT_PROVED, clientOf } from '../oauth/client.ts'
import { isJsonRefusal, jsonRefusal, type Act, type Body, type JsonRefusal } from '../oauth/json-endpoint.ts'
import { isRefusal } from '../oauth/refusal.ts'
import { identityIn, type ProvedBy } from '../oauth/signed-proof.ts'
import { intersection, isScope } from '../policy/scopes.ts'
import type { Standing } from '../policy/shapes.ts'
import type { JsonObject } from '../protocol/message.ts'
import type { Assertions } from '../tokens/assertion.ts'
import type { Challenges, Purpose } from '../tokens/challenge.ts'
import type { Places } from '../tokens/places.ts'
import type { Replay } from '../tokens/replay.ts'
import { scopesIn } from '../tokens/verifier.ts'
import { MOST_KEYS, type KeyRing, type ShownKey } from './key-ring.ts'
import { MOST_LABEL, isLabel } from './label.ts'
import { shownOf } from './shown-key.ts'

export interface KeyEndpointOptions {
  ring: KeyRing
  /** Why no new keys are made. */
  noNewKeys: string | undefined
  challenges: Challenges
  provedBy: ProvedBy
  assertions: Assertions
  replay: Replay
  standingOf(identities: readonly string[]): Standing | undefined
  places: Pick<Places, 'baseOf'>
  now: () => number
}

export interface KeyEndpoints {
  challenge: Act
  generate: Act
  get: Act
  rotate: Act
  revoke: Act
  reverseLookup: Act
}

const MOST_SECONDS = 10 * 365 * 24 * 3600
const MOST_OVERLAP_SECONDS = 7 * 24 * 3600

export function createKeyEndpoints(options: KeyEndpointOptions): KeyEndpoints {
  const { ring, noNewKeys, challenges, provedBy, assertions, replay, standingOf, places, now } = options
  const proved = (body: Body, req: Request): ReturnType<ProvedBy> => provedBy(body, keysOf(places.baseOf(req)))

  async function listed(identity: Vid): Promise<JsonObject> {
    const keys = await ring.listOf(identity)
    return { ...named(identity), keys: keys.map(shownOf) }
  }

  /** Which key is meant: the one that is named, or the only one. */
  async function meant(body: Body, identity: Vid): Promise<ShownKey | JsonRefusal> {
    const id = body.text('key_id', 64)
    const keys = await ring.listOf(identity)
    if (id === undefined && keys.length > 1) return jsonRefusal('invalid_request', 'there is more than one key: key_id says which is meant')
    const key = id === undefined ? keys[0] : keys.find((one) => one.id === id)
    return key ?? jsonRefusal('unknown_key', 'this identity has no such key')
  }

  return {
    async challenge(body, req) {
      const identity = identityIn(body)
      const { message, nonce, expiresAtMs } = challenges.issue(identity, keysOf(places.baseOf(req)))
      return { message, nonce, expires_at: new Date(expiresAtMs).toISOString() }
    },

    async generate(body, req) {
      if (noNewKeys !== undefined) return jsonRefusal('no_keys_here', noNewKeys)
      const asked = askedIn(body)
      if (isJsonRefusal(asked)) return asked
      const who = await proved(body, req)
      if (isJsonRefusal(who)) return who
      const scopes = given(asked.scopes, who.standing)
      if (isJsonRefusal(scopes)) return scopes
      const expiresAtMs = asked.seconds === undefined ? undefined : now() + asked.seconds * 1000
      const made = await ring.create({ identity: who.identity, label: asked.label, scopes, expiresAtMs })
      if (made === 'full') return full()
      return { api_key: made.secret, key: shownOf(made.key), ...(await listed(who.identity)) }
    },

    async get(body, req) {
      const who = await proved(body, req)
      return isJsonRefusal(who) ? who : listed(who.identity)
    },

    async rotate(body, req) {
      if (noNewKeys !== undefined) return jsonRefusal('no_keys_here', noNewKeys)
      const overlap = secondsIn(body, 'overlap_seconds', { from: 0, to: MOST_OVERLAP_SECONDS })
      if (typeof overlap === 'object') return overlap
      const who = await proved(body, req)
      if (isJsonRefusal(who)) return who
      const key = await meant(body, who.identity)
      if (isJsonRefusal(key)) return key
      // What was taken away meanwhile does not come back with a new key.
      const scopes = given(key.scopes, who.standing)
      if (isJsonRefusal(scopes)) return scopes
      const made = await ring.rotate(who.identity, key.id, { overlapSeconds: overlap ?? 0, scopes })
      if (made === 'full') return full()
      if (made === 'over') return jsonRefusal('already_rotated', 'this key was rotated or revoked before: its list says what there is now')
      if (!made) return jsonRefusal('unknown_key', 'this identity has no such key')
      return { api_key: made.secret, key: shownOf(made.key), ...(await listed(who.identity)) }
    },

    async revoke(body, req) {
      const who = await proved(body, req)
      if (isJsonRefusal(who)) return who
      const key = await meant(body, who.identity)
      if (isJsonRefusal(key)) return key
      await ring.revoke(who.identity, key.id)
      return { revoked: key.id, ...(await listed(who.identity)) }
    },

    /** For servers that are trusted with the scope `introspect` and prove it; nobody else learns whose a key is, or whether it is one. */
    async reverseLookup(body, req) {
      const base = places.baseOf(req)
      const form = { get: (name: string) => body.text(name, 16_384) }
      const client = await clientOf(form, [base, `${base}/`, `${base}/reverse-lookup`, `${base}/token`], assertions)
      if (!client) return jsonRefusal('invalid_client', 'say who you are: private_key_jwt with client_id = your DID')
      if (isRefusal(client)) return jsonRefusal('invalid_client', client.description, client.why)
      if (!standingOf([client.id])?.scopes.includes('introspect')) return jsonRefusal('invalid_client', NOT_PROVED, 'not trusted with introspect')
      const { once } = client
      if (once && !(await replay.isFirst('assertion', once.by, once.jti, once.expiresAtMs))) {
        return jsonRefusal('invalid_client', NOT_PROVED, 'it was used before')
      }
      const key = await ring.find(body.text('api_key', 256) ?? '')
      const standing = key && standingOf([key.identity])
      if (!key || !standing) return jsonRefusal('unknown_key', 'this is no key of anybody')
      ring.used(key)
      return { ...named(key.identity), ...shownOf(key), scopes: intersection(key.scopes, standing.scopes) }
    },
  }
}

function keysOf(base: string): Purpose {
  return { uri: `${base}/keys`, statement: 'Prove that this identity is yours, to manage its API keys here. Signing costs nothing and moves nothing.' }
}

/** What is wrong with it is told before anything is proved. */
function askedIn(body: Body): { label: string; seconds: number | undefined; scopes: readonly string[] } | JsonRefusal {
  const label = labelIn(body)
  if (typeof label !== 'string') return label
  const seconds = secondsIn(body, 'expires_in', { from: 1, to: MOST_SECONDS })
  if (typeof seconds === 'object') return seconds
  const scopes = scopesAsked(body)
  return isJsonRefusal(scopes) ? scopes : { label, seconds, scopes }
}

function labelIn(body: Body): string | JsonRefusal {
  const label = (body.text('label', MOST_LABEL) ?? '').trim()
  return isLabel(label) ? label : jsonRefusal('invalid_request', 'label must be one line of text')
}

function secondsIn(body: Body, name: string, { from, to }: { from: number; to: number }): number | undefined | JsonRefusal {
  const seconds = body.get(name)
  if (seconds === undefined || (typeof seconds === 'number' && Number.isInteger(seconds) && seconds >= from && seconds <= to)) return seconds
  return jsonRefusal('invalid_request', `${name} must be a whole number of seconds from ${from} to ${to}`)
}

/** `scope` as OAuth writes it. */
function scopesAsked(body: Body): readonly string[] | JsonRefusal {
  const scopes = scopesIn(body.text('scope', 256))
  return scopes.every(isScope) ? scopes : jsonRefusal('invalid_request', 'scope has a word that is none of ours')
}

/** What is asked for, as far as it is given; everything of MCP when nothing is asked for. */
function given(asked: readonly string[], { scopes }: Standing): readonly string[] | JsonRefusal {
  const some = intersection(asked.length > 0 ? asked : ['mcp'], scopes)
  return some.length > 0 ? some : jsonRefusal('invalid_scope', 'none of these scopes is given to this identity')
}

function full(): JsonRefusal {
  return jsonRefusal('too_many_keys', `an identity has at most ${MOST_KEYS} keys: revoke one first`)
}

function named(identity: string): JsonObject {
  const wallet = walletOf(identity)
  return { ...(wallet && { hex_string: wallet.address }), did: identity }
}
