// How this page asks the server, and what it makes of a no: words of its own, never the server's.
import { NotTrusted, Told } from './identity.ts'

export type Json = Readonly<Record<string, unknown>>

export interface Asking {
  readonly signal?: AbortSignal
  /** The cookie of a login goes along; the key flow has none. */
  readonly withCookie?: boolean
}

export const STRANGE = 'The server gave an answer that this page does not know. Reload the page.'
const AWAY = 'The server does not answer. See that it runs and that you are connected, then try again.'
const TIMEOUT_MS = 30_000

/** A login that cannot go on: what to say, and what to do next. */
export class LoginOver extends Error {
  readonly why: 'another_browser' | 'expired_login'
  constructor(why: LoginOver['why']) {
    super(why)
    this.why = why
  }
}

const WORDS: ReadonlyMap<unknown, string> = new Map([
  ['expired_challenge', 'It took more than five minutes to sign, and the text is no longer good. Try again.'],
  ['invalid_proof', 'The signature does not fit this identity. See that the wallet signs with the account that is shown, and try again.'],
  ['too_many_keys', 'You have as many keys as an identity may have. Revoke one that you no longer use.'],
  ['unknown_key', 'This key is gone: it was revoked or replaced meanwhile. Choose again who you are to see the keys that are left.'],
  ['already_rotated', 'This key was replaced or revoked already. Choose again who you are to see the keys that there are now.'],
  ['no_keys_here', 'There are no keys to be had here. Use a client that logs in by itself, or ask whoever runs this server.'],
  ['invalid_scope', 'You may not use that yourself, so nothing can use it in your name. Choose something else, or ask whoever runs this server.'],
  ['invalid_request', 'The server does not take what was asked. Change it, or reload the page, and try again.'],
  ['too_many_requests', 'There were too many tries. Wait a minute, then try again.'],
  ['temporarily_unavailable', 'The server cannot look at its records just now. Nothing was changed. Try again in a minute.'],
  ['server_error', 'Something went wrong on the server. Try again, and tell whoever runs it if it stays so.'],
])

export function posted(path: string, body: object, asking: Asking = {}): Promise<Json> {
  return answered(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }, asking)
}

export function got(path: string, asking: Asking = {}): Promise<Json> {
  return answered(path, { headers: { accept: 'application/json' } }, asking)
}

async function answered(path: string, request: RequestInit, { signal, withCookie = false }: Asking): Promise<Json> {
  // By hand: the browsers in wallets are old, and know no AbortSignal.any.
  const ending = new AbortController()
  const end = (): void => ending.abort()
  const timer = setTimeout(end, TIMEOUT_MS)
  if (signal?.aborted === true) end()
  signal?.addEventListener('abort', end)
  let response
  let answer: unknown
  try {
    response = await fetch(new URL(path, document.baseURI), {
      ...request,
      credentials: withCookie ? 'same-origin' : 'omit',
      redirect: 'error',
      cache: 'no-store',
      signal: ending.signal,
    })
    answer = await response.json().catch((thrown: unknown) => {
      if (!(thrown instanceof SyntaxError)) throw thrown
    })
  } catch {
    throw new Told(AWAY)
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', end)
  }
  if (!isJson(answer)) throw new Told(response.status >= 500 ? AWAY : STRANGE)
  if (response.ok) return answer
  const { error, how } = answer
  if (error === 'not_trusted') throw new NotTrusted(textIn(how) ?? '')
  if (error === 'another_browser' || error === 'expired_login') throw new LoginOver(error)
  throw new Told(WORDS.get(error) ?? (response.status >= 500 ? AWAY : 'The server refused this. Reload the page and try again.'))
}

export function textIn(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

export function textsIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
}

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
