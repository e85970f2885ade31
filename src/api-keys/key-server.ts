// Keys that another server knows (`security.keyServer`): it is asked by `/reverse-lookup`, as somebody who proves who they are.
import { createHash, randomUUID } from 'node:crypto'

import { OpenMcpError } from '../errors.ts'
import type { IdentitySigner } from '../identity/shapes.ts'
import { CLIENT_ASSERTION } from '../oauth/client.ts'
import { createRate } from '../protocol/rate.ts'
import type { Log } from '../observe/log.ts'
import { parseIdentityPattern } from '../policy/patterns.ts'
import { isScope } from '../policy/scopes.ts'
import { jsonIn } from '../protocol/json.ts'
import { isObject } from '../protocol/message.ts'
import type { ApiKey } from './kept-key.ts'
import type { FindKey } from './verify.ts'

export interface KeyServerOptions {
  /** What its endpoints stand behind. */
  url: URL
  /** Who we are to it. */
  signer: IdentitySigner
  fetch: typeof globalThis.fetch
  log: Log
  now: () => number
  timeoutMs?: number
}

const TIMEOUT_MS = 5000
const MOST_BYTES = 64 * 1024
/** Whoever shows keys by chance must not make us ask without an end. Keys that were good are asked about all the same. */
const STRANGE = { limit: 50, perMs: 1000 }
const MOST_REMEMBERED = 10_000

/** Fails with `key_server_away`: whether a key is good is not known then, and the caller is not to be told that it is bad. */
export function createKeyServer({ url, signer, fetch, log, now, timeoutMs = TIMEOUT_MS }: KeyServerOptions): FindKey {
  const base = url.href.replace(/\/$/, '')
  const strange = createRate({ ...STRANGE, now })
  /** Hashes of keys that were good lately. */
  const good = new Set<string>()
  /** One question for all who show a key at once. */
  const asking = new Map<string, Promise<ApiKey | undefined>>()
  let isAway = false

  return (secret) => {
    const hash = createHash('sha256').update(secret).digest('base64url')
    const known = asking.get(hash)
    if (known) return known
    if (!good.has(hash) && strange.take('') > 0) return Promise.reject(new OpenMcpError('busy', 'too many unknown API keys are shown now'))
    const answer = look(secret)
      .then((key) => {
        tell(undefined)
        good.delete(hash)
        if (key) remember(hash)
        return key
      })
      .catch((thrown: unknown) => {
        tell(thrown)
        throw thrown
      })
      .finally(() => asking.delete(hash))
    asking.set(hash, answer)
    return answer
  }

  async function look(secret: string): Promise<ApiKey | undefined> {
    const { status, text } = await asked(secret)
    if (status === 404 && isUnknown(text)) return undefined
    if (status !== 200) throw away(`it answered ${status}`)
    const key = keyIn(jsonIn(text))
    if (!key) throw away('its answer is not one of a key server')
    return key
  }

  async function asked(secret: string): Promise<{ status: number; text: string }> {
    const { long } = signer.identity
    const seconds = Math.floor(now() / 1000)
    const claims = { iss: long, sub: long, aud: base, iat: seconds, exp: seconds + 120, jti: randomUUID() }
    const body = { api_key: secret, client_id: long, client_assertion_type: CLIENT_ASSERTION, client_assertion: await signer.sign(claims, 'JWT') }
    try {
      const response = await fetch(`${base}/reverse-lookup`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json' },
        body: JSON.stringify(body),
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      })
      let text = ''
      for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        text += piece
        if (text.length > MOST_BYTES) throw away('its answer is too long')
      }
      return { status: response.status, text }
    } catch (cause) {
      throw cause instanceof OpenMcpError ? cause : away('it cannot be reached, or does not answer in time', cause)
    }
  }

  function remember(hash: string): void {
    const [oldest] = good
    if (good.size >= MOST_REMEMBERED && oldest !== undefined) good.delete(oldest)
    good.add(hash)
  }

  /** Once when it goes, and once when it is back. */
  function tell(thrown: unknown): void {
    if (isAway === (thrown !== undefined)) return
    isAway = thrown !== undefined
    const why = thrown instanceof OpenMcpError ? thrown.detail : undefined
    if (isAway) log.warn('the key server does not answer, and nobody with an API key is let in until it does', { why })
    else log.info('the key server answers again')
  }
}

/** A page that is not there is no word about a key. */
function isUnknown(text: string): boolean {
  const answer = jsonIn(text)
  return isObject(answer) && answer['error'] === 'unknown_key'
}

function keyIn(answer: unknown): ApiKey | undefined {
  if (!isObject(answer)) return undefined
  const { id, did, scopes, expires_at: expiresAt, created_at: createdAt } = answer
  if (typeof id !== 'string' || !/^[\w-]{1,64}$/.test(id)) return undefined
  // What stands for the operator's own keys is no identity that anybody vouches for.
  if (typeof did !== 'string' || parseIdentityPattern(did)?.kind !== 'exact') return undefined
  if (!Array.isArray(scopes) || !scopes.every((scope) => typeof scope === 'string' && isScope(scope))) return undefined
  const [createdAtMs, expiresAtMs] = [momentOf(createdAt), expiresAt === null ? undefined : momentOf(expiresAt)]
  if (Number.isNaN(createdAtMs) || Number.isNaN(expiresAtMs)) return undefined
  return { id, identity: did, label: '', scopes, createdAtMs, expiresAtMs }
}

function momentOf(value: unknown): number {
  return typeof value === 'string' ? Date.parse(value) : Number.NaN
}

function away(why: string, cause?: unknown): OpenMcpError {
  return new OpenMcpError('key_server_away', 'the server that knows the API keys does not answer', { detail: why, cause, hint: 'try again later' })
}
