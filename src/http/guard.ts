// Who calls: asked of every request behind it, by where it is mounted and never by what the request looks like.
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RequestHandler } from 'express'

import { refuse } from '../downstream/refuse.ts'
import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { Caller } from '../protocol/caller.ts'
import { isObject } from '../protocol/message.ts'
import { serverPath } from '../protocol/server-path.ts'
import type { OnStream } from '../protocol/session.ts'
import type { Admission } from '../tokens/admission.ts'
import { isApiKey } from '../tokens/api-key.ts'
import { DPOP_ALGORITHMS, type Dpop } from '../tokens/dpop.ts'
import type { Places } from '../tokens/places.ts'
import type { Replay } from '../tokens/replay.ts'
import type { Verdict, Verification } from '../tokens/verifier.ts'
import { heldBy, hold } from './held-caller.ts'
import type { Live } from './live.ts'
import { countOf } from './raw-headers.ts'

export interface GuardOptions {
  admission: Admission
  dpop: Dpop
  replay: Replay
  places: Places
  live: Live
  /** Nothing is heard of what was taken back: then tokens let nobody in. */
  isBlind(): boolean
  /** Secrets of the operator; whoever holds one is `API_KEY_HOLDER`. */
  apiKeys: readonly string[]
  /** A share of the keys that somebody may show and that are none: each is looked up, perhaps at another server. */
  mayTryKey(req: IncomingMessage): { readonly waitSeconds: number; giveBack(): void }
  dpopMode: 'optional' | 'required' | 'nonce'
  pathPrefix: string
  /** What the server at the root is called; undefined: there is none, or it is all of them. */
  root: string | undefined
  log: Log
}

export interface Guard {
  /** Lets a verified caller through, and nobody else. */
  handler: RequestHandler
  /** For whoever proved who they are on another way than by a header: the request is theirs, and its answer ends with what they are. */
  enter(req: IncomingMessage, res: ServerResponse, caller: Caller): void
  /** Who was let through; throws where no guard ran. */
  callerOf(req: IncomingMessage): Caller
  onStream: OnStream
  /** The challenge that goes with a refusal of the gate. */
  refusalHeaders(req: IncomingMessage, error: OpenMcpError): Readonly<Record<string, string>>
}

export const API_KEY_HOLDER = 'urn:openmcp:api-key'

interface Credential {
  scheme: 'Bearer' | 'DPoP'
  token: string
}

interface Challenge {
  scheme?: 'Bearer' | 'DPoP'
  error?: 'invalid_token' | 'invalid_request' | 'invalid_dpop_proof' | 'use_dpop_nonce' | 'insufficient_scope'
  scope?: string
}

const WORDS = {
  invalid_token: 'the token is not one that is accepted here, or not any more',
  invalid_request: 'the request has more than one credential, or one that is not there',
  invalid_dpop_proof: 'the DPoP proof is not one for this request and this token',
  use_dpop_nonce: 'the DPoP proof must carry the nonce of this answer',
  insufficient_scope: 'the token does not hold the scopes that this needs',
}

export function createGuard({ admission, dpop, replay, places, live, isBlind, apiKeys, mayTryKey, dpopMode, pathPrefix, root, log }: GuardOptions): Guard {
  const keys = apiKeys.map(digestOf)
  const holders = keys.map((digest): Caller => holderOf(digest))

  function handler(req: IncomingMessage, res: ServerResponse, next: () => void): void {
    const credential = credentialOf(req)
    if (credential === undefined) return challenge(req, res, {})
    if (credential === 'unreadable') return challenge(req, res, { error: 'invalid_request' })
    if ('key' in credential) {
      const holder = holderWith(credential.key)
      return holder ? enterAnd(next, req, res, holder) : challenge(req, res, { error: 'invalid_token' }, 'no key of ours')
    }
    const holder = keys.length > 0 && credential.scheme === 'Bearer' ? holderWith(credential.token) : undefined
    if (holder) return enterAnd(next, req, res, holder)
    if (isBlind()) return refuse(res, new OpenMcpError('store_failed', 'what was taken back cannot be looked up now', { hint: 'try again later' }), { log })
    const known = credential.scheme === 'Bearer' ? admission.known(credential.token) : undefined
    if (known && known.jkt === undefined && dpopMode === 'optional') {
      const wrong = admission.wrong(known) ?? wrongServer(req, known)
      return wrong === undefined ? enterAnd(next, req, res, known.caller) : challenge(req, res, { error: 'invalid_token' }, wrong)
    }
    if (!known && !TOKEN.test(credential.token)) return challenge(req, res, { error: credential.token === '' ? 'invalid_request' : 'invalid_token' })
    void look(req, res, next, credential).catch((error: unknown) => refuse(res, error, { log }))
  }

  function enter(req: IncomingMessage, res: ServerResponse, caller: Caller): void {
    hold(req, caller)
    live.enter(caller, res, serverOf(req) ?? root)
  }

  function enterAnd(next: () => void, req: IncomingMessage, res: ServerResponse, caller: Caller): void {
    enter(req, res, caller)
    next()
  }

  async function look(req: IncomingMessage, res: ServerResponse, next: () => void, { scheme, token }: Credential): Promise<void> {
    // The name it came in by is learnt before the token is read, which may be from that name.
    places.baseOf(req)
    const verdict = admission.known(token) ?? (isApiKey(token) ? await lookAtKey(req, token) : await admission.look(token))
    const wrong = 'rejected' in verdict ? verdict.rejected : (admission.wrong(verdict) ?? wrongServer(req, verdict) ?? wrongScheme(scheme, verdict))
    if ('rejected' in verdict || wrong !== undefined) return challenge(req, res, { scheme, error: 'invalid_token' }, wrong)
    if (verdict.jkt !== undefined && !(await isProved(req, res, token, verdict.jkt))) return
    if (!res.destroyed) enterAnd(next, req, res, verdict.caller)
  }

  async function lookAtKey(req: IncomingMessage, key: string): Promise<Verification> {
    const turn = mayTryKey(req)
    if (turn.waitSeconds > 0) throw new OpenMcpError('busy', 'too many API keys that are none are shown from your address', { hint: 'try again later' })
    const verdict = await admission.look(key)
    if (!('rejected' in verdict)) turn.giveBack()
    return verdict
  }

  /** Of what was asked for one server, another learns nothing (RFC 8707 §2): each may be somebody else's. */
  function wrongServer(req: IncomingMessage, { audience }: Verdict): string | undefined {
    return places.opens(audience, serverOf(req)) ? undefined : 'for another server'
  }

  /** A bound token without its proof is a stolen one; a proof for a token that is not bound proves nothing (RFC 9449 §7.1). */
  function wrongScheme(scheme: Credential['scheme'], { jkt }: Verdict): string | undefined {
    if (jkt !== undefined) return scheme === 'DPoP' ? undefined : 'a bound token came as a bearer'
    if (scheme === 'DPoP') return 'a bearer token came as a bound one'
    return dpopMode === 'optional' ? undefined : 'tokens must be bound to a key here'
  }

  async function isProved(req: IncomingMessage, res: ServerResponse, token: string, jkt: string): Promise<boolean> {
    const checked = await dpop.check({ proof: proofOf(req), method: req.method ?? '', url: urlOf(req), accessToken: token })
    const wrong =
      'rejected' in checked
        ? checked.rejected
        : checked.jkt !== jkt
          ? 'made with another key'
          : (await replay.isFirst('dpop', jkt, checked.jti, checked.expiresAtMs))
            ? undefined
            : 'used before'
    if (dpopMode === 'nonce' || ('rejected' in checked && checked.nonce)) res.setHeader('dpop-nonce', dpop.nonce())
    if (wrong === undefined) return true
    challenge(req, res, { scheme: 'DPoP', error: 'rejected' in checked && checked.nonce ? 'use_dpop_nonce' : 'invalid_dpop_proof' }, wrong)
    return false
  }

  function urlOf(req: IncomingMessage): string {
    const { originalUrl = req.url ?? '' } = req as { originalUrl?: string } & IncomingMessage // Express keeps what was asked for
    return `${places.baseOf(req)}${pathIn(originalUrl).slice(pathPrefix.length)}`
  }

  function holderWith(token: string): Caller | undefined {
    const digest = digestOf(token)
    let found: Caller | undefined
    // All of them are compared, so that the time tells nothing.
    for (const [index, key] of keys.entries()) if (timingSafeEqual(key, digest)) found = holders[index]
    return found
  }

  function challenge(req: IncomingMessage, res: ServerResponse, how: Challenge, why?: string): void {
    const error = new OpenMcpError(
      how.error === 'invalid_request' ? 'invalid_request' : 'unauthorized',
      how.error === undefined ? 'this needs a credential' : WORDS[how.error],
      {
        hint: 'the WWW-Authenticate header names where to prove who you are',
        ...(why !== undefined && { detail: why }),
      },
    )
    refuse(res, error, { log, headers: { 'www-authenticate': challengeText(req, how), 'cache-control': 'no-store' } })
  }

  function challengeText(req: IncomingMessage, { scheme = dpopMode === 'optional' ? 'Bearer' : 'DPoP', error, scope = 'mcp' }: Challenge): string {
    const path = urlOf(req).slice(places.baseOf(req).length)
    const name = serverOf(req)
    // Where no server is at the root, the document there is of all of them, and what is called by it would refuse a token for less.
    const isOfAll = path === '/openapi.json' && root === undefined
    const door = isOfAll ? '' : `${name === undefined ? '' : serverPath(name)}${/\/(?:sse|messages?)$/.test(path) ? '/sse' : '/mcp'}`
    // For clients that look for a login wherever one is named, though a key was configured: here none is.
    const isKeyDoor = path.startsWith('/with-key/')
    const parts = [
      ...(error === undefined ? [] : [`error="${error}"`, `error_description="${WORDS[error]}"`]),
      ...(isKeyDoor ? [] : [`resource_metadata="${metadataUrl(places.baseOf(req), pathPrefix, door)}"`]),
      `scope="${scope}"`,
      ...(scheme === 'DPoP' ? [`algs="${DPOP_ALGORITHMS.join(' ')}"`] : []),
    ]
    return `${scheme} ${parts.join(', ')}`
  }

  function holderOf(digest: Buffer): Caller {
    return Object.freeze({
      id: API_KEY_HOLDER,
      via: 'api-key',
      scopes: ['mcp'],
      act: [],
      tokenId: `api-key:${digest.toString('hex', 0, 6)}`,
      expiresAt: Infinity,
      owner: `${API_KEY_HOLDER}:${digest.toString('hex', 0, 6)}`,
    })
  }

  /** Undefined: none, or one of a scheme that is not ours. */
  function credentialOf(req: IncomingMessage): Credential | { key: string } | 'unreadable' | undefined {
    const { authorization } = req.headers
    const key = req.headers['x-api-key']
    if (authorization === undefined) return typeof key !== 'string' ? undefined : isApiKey(key) ? { scheme: 'Bearer', token: key } : { key }
    // Of two, Node keeps the first; whoever stands in front of us may have looked at the second.
    if (key !== undefined || countOf(req.rawHeaders, 'authorization') > 1) return 'unreadable'
    const space = authorization.indexOf(' ')
    const scheme = SCHEMES.get((space === -1 ? authorization : authorization.slice(0, space)).toLowerCase())
    return scheme && { scheme, token: space === -1 ? '' : authorization.slice(space + 1) }
  }

  return {
    handler,
    enter,
    onStream: live.onStream,
    callerOf(req) {
      const caller = heldBy(req)
      if (!caller) throw new OpenMcpError('internal', 'a door was reached past the guard')
      return caller
    },
    refusalHeaders(req, { code, data }) {
      if (code !== 'insufficient_scope') return {}
      const scopes = isObject(data) && Array.isArray(data['scopes']) ? data['scopes'].join(' ') : 'mcp'
      return { 'www-authenticate': challengeText(req, { error: 'insufficient_scope', scope: scopes }) }
    },
  }
}

/** Schemes are compared without case (RFC 9110 §11.1). */
const SCHEMES = new Map([
  ['bearer', 'Bearer'],
  ['dpop', 'DPoP'],
] as const) as ReadonlyMap<string, Credential['scheme']> // a reader may ask for any scheme
/** RFC 6750 §2.1: b64token. */
const TOKEN = /^[\w.~+/-]+=*$/

/** What was asked for may also be a whole URL (RFC 9112 §3.2.2). */
function pathIn(target: string): string {
  if (!target.startsWith('/')) return URL.parse(target)?.pathname ?? ''
  const query = target.indexOf('?')
  return query === -1 ? target : target.slice(0, query)
}

/** Which server the door that was knocked at belongs to, as the router has read it. Undefined: the one at the root. */
function serverOf(req: IncomingMessage): string | undefined {
  const { params } = req as { params?: Readonly<Record<string, unknown>> } & IncomingMessage // Express puts there what a path names
  const name = params?.['name']
  return typeof name === 'string' ? name : undefined
}

function proofOf(req: IncomingMessage): string | readonly string[] | undefined {
  return req.headersDistinct['dpop']?.length === 1 ? req.headersDistinct['dpop'][0] : req.headersDistinct['dpop']
}

function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}

/** RFC 9728 §3.1: the well-known path goes between the host and the path. */
function metadataUrl(base: string, pathPrefix: string, door: string): string {
  return `${base.slice(0, base.length - pathPrefix.length)}/.well-known/oauth-protected-resource${pathPrefix}${door}`
}
