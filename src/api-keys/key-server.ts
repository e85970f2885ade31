// Keys that another server knows (`security.keyServer`): it is asked by `/reverse-lookup`, as somebody who proves who they are.
import { OpenMcpError } from '../errors.ts'
import type { IdentitySigner } from '../identity/shapes.ts'
import { randomUUID } from 'node:crypto'
import { isObject } from '../protocol/message.ts'
import type { ApiKey } from './kept-key.ts'
import type { FindKey } from './verify.ts'

export interface KeyServerOptions {
  /** What its endpoints stand behind. */
  url: URL
  /** Who we are to it. */
  signer: IdentitySigner
  fetch: typeof globalThis.fetch
  now: () => number
}

const TIMEOUT_MS = 5000
const MOST_BYTES = 64 * 1024
const CLIENT_ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** Fails with `key_server_away`: whether a key is good is not known then, and the caller is not to be told that it is bad. */
export function createKeyServer({ url, signer, fetch, now }: KeyServerOptions): FindKey {
  const base = url.href.replace(/\/$/, '')

  return async (secret) => {
    const response = await asked(secret)
    if (response.status === 404) return undefined
    if (!response.ok) throw away(`it answered ${response.status}`)
    const key = keyIn(await bodyOf(response))
    if (!key) throw away('its answer is not one of a key server')
    return key
  }

  async function asked(secret: string): Promise<Response> {
    const { vid } = signer.identity
    const seconds = Math.floor(now() / 1000)
    const claims = { iss: vid, sub: vid, aud: base, iat: seconds, exp: seconds + 120, jti: randomUUID() }
    const body = {
      api_key: secret,
      client_id: vid,
      client_assertion_type: CLIENT_ASSERTION,
      client_assertion: await signer.sign(claims, 'JWT'),
    }
    try {
      return await fetch(`${base}/reverse-lookup`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json' },
        body: JSON.stringify(body),
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
    } catch (cause) {
      throw away('it cannot be reached', cause)
    }
  }

  async function bodyOf(response: Response): Promise<unknown> {
    try {
      let text = ''
      for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        text += piece
        if (text.length > MOST_BYTES) throw away('its answer is too long')
      }
      return JSON.parse(text)
    } catch (cause) {
      throw cause instanceof OpenMcpError ? cause : away('its answer cannot be read', cause)
    }
  }
}

function keyIn(answer: unknown): ApiKey | undefined {
  if (!isObject(answer)) return undefined
  const { id, did, scopes, expires_at: expiresAt, created_at: createdAt } = answer
  if (typeof id !== 'string' || typeof did !== 'string' || !Array.isArray(scopes) || !scopes.every((scope) => typeof scope === 'string')) return undefined
  const [createdAtMs, expiresAtMs] = [momentOf(createdAt), expiresAt === null ? undefined : momentOf(expiresAt)]
  if (Number.isNaN(createdAtMs) || Number.isNaN(expiresAtMs)) return undefined
  return { id, identity: did, label: '', scopes, createdAtMs, expiresAtMs }
}

function momentOf(value: unknown): number {
  return typeof value === 'string' ? Date.parse(value) : Number.NaN
}

function away(why: string, cause?: unknown): OpenMcpError {
  return new OpenMcpError('key_server_away', 'the key server does not answer, and nobody with an API key is let in until it does', { detail: why, cause })
}
