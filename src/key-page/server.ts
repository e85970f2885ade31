// The key flow as this page speaks it: every act is a challenge, a signature and a request.
import { Told, type Identity } from './identity.ts'

export interface Key {
  readonly id: string
  readonly label: string
  readonly scopes: readonly string[]
  readonly createdAt: string
  readonly expiresAt: string | undefined
  readonly lastUsedAt: string | undefined
}

export interface Answered {
  readonly keys: readonly Key[]
  /** Shown once. */
  readonly secret: string | undefined
}

/** Proved, and nobody has said that it may come in. */
export class NotTrusted extends Error {
  readonly how: string
  constructor(how: string) {
    super(how)
    this.how = how
  }
}

export type Act = 'get-api-key' | 'gen-api-key' | 'rotate-api-key' | 'revoke-api-key'

export async function proved(identity: Identity, act: Act, more: Readonly<Record<string, unknown>> = {}): Promise<Answered> {
  const { message } = await posted('challenge', identity.asked)
  if (typeof message !== 'string') throw new Told(STRANGE)
  const signature = await identity.sign(message)
  return answeredIn(await posted(act, { ...identity.asked, message, signature, ...more }))
}

const STRANGE = 'The server gave an answer that this page does not know. Reload the page.'

/** Words for what the server says no with; never what it says itself. */
const WORDS: ReadonlyMap<unknown, string> = new Map([
  ['expired_challenge', 'It took more than five minutes to sign, and the text is no longer good. Try again.'],
  ['invalid_proof', 'The signature does not fit this identity. See that the wallet signs with the account that is shown, and try again.'],
  ['too_many_keys', 'You have as many keys as an identity may have. Revoke one that you no longer use.'],
  ['unknown_key', 'This key is gone: it was revoked or replaced meanwhile.'],
  ['invalid_scope', 'You may not use that yourself, so a key cannot either. Choose another.'],
  ['temporarily_unavailable', 'The server cannot look at its keys just now. Nothing was changed. Try again in a minute.'],
])

type Json = Readonly<Record<string, unknown>>

async function posted(path: string, body: object): Promise<Json> {
  let response
  try {
    response = await fetch(new URL(path, document.baseURI), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      credentials: 'omit',
      redirect: 'error',
    })
  } catch {
    throw new Told('The server does not answer. See that it runs and that you are connected, then try again.')
  }
  const answer: unknown = await response.json().catch(() => undefined)
  if (!isJson(answer)) throw new Told(STRANGE)
  if (response.ok) return answer
  const { error, how } = answer
  if (error === 'not_trusted') throw new NotTrusted(typeof how === 'string' ? how : '')
  throw new Told(WORDS.get(error) ?? 'The server refused this. Reload the page and try again.')
}

function answeredIn({ keys, api_key: secret }: Json): Answered {
  if (!Array.isArray(keys)) throw new Told(STRANGE)
  return { keys: keys.filter(isJson).map(keyIn), secret: textIn(secret) }
}

function keyIn({ id, label, scopes, created_at: createdAt, expires_at: expiresAt, last_used_at: lastUsedAt }: Json): Key {
  return {
    id: textIn(id) ?? '',
    label: textIn(label) ?? '',
    scopes: Array.isArray(scopes) ? scopes.filter((scope) => typeof scope === 'string') : [],
    createdAt: textIn(createdAt) ?? '',
    expiresAt: textIn(expiresAt),
    lastUsedAt: textIn(lastUsedAt),
  }
}

function textIn(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
