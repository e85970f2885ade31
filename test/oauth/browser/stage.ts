// A login as a browser and a client go it, over HTTP: register, begin, sign, approve, and exchange the code.
import { createHash, randomBytes } from 'node:crypto'

import { challengeOf, postJson, type Prover } from '../../api-keys/stage.ts'
import { at, type Json } from '../../support/json.ts'
import type { Secured } from '../../support/secured.ts'
import { ask, type Answer } from '../../support/wire.ts'

export const BACK = 'http://127.0.0.1:9/callback'
export const VERIFIER = randomBytes(32).toString('base64url')
export const CHALLENGE = createHash('sha256').update(VERIFIER).digest('base64url')

type Stage = Pick<Secured, 'base' | 'url' | 'post'>
/** Undefined: the parameter is left out. A list: it is there more than once. */
export type Query = Readonly<Record<string, string | readonly string[] | undefined>>

export function registerAnswer(stage: Stage, more: Json = {}): Promise<Answer> {
  return postJson(stage, '/register', { redirect_uris: ['http://127.0.0.1/callback'], client_name: 'Test client', ...more })
}

export async function registered(stage: Stage, more: Json = {}): Promise<string> {
  const { status, json, text } = await registerAnswer(stage, more)
  if (typeof json['client_id'] !== 'string') throw new Error(`no client: ${status} ${text}`)
  return json['client_id']
}

/** What a browser is sent to; a complete request unless changed. */
export function authorizeUrl(stage: Stage, clientId: string, more: Query = {}): URL {
  const asked: Query = {
    client_id: clientId,
    response_type: 'code',
    redirect_uri: BACK,
    state: 'the-state',
    resource: stage.url.href,
    code_challenge: CHALLENGE,
    code_challenge_method: 'S256',
    ...more,
  }
  const query = Object.entries(asked).flatMap(([name, value]) => (value === undefined ? [] : [value].flat().map((one): [string, string] => [name, one])))
  return new URL(`${stage.base}/authorize?${new URLSearchParams(query).toString()}`)
}

/** One browser: it keeps cookies, and follows nothing by itself. */
export interface Browser {
  get(url: URL | string): Promise<Answer>
  post(url: string, body: Json): Promise<Answer>
  /** `Cookie` as it would send it. */
  cookie(): string
}

export function browser(): Browser {
  const jar = new Map<string, string>()
  const keep = (answer: Answer): Answer => {
    for (const line of answer.headers['set-cookie'] ?? []) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (/max-age=0(?:;|$)/i.test(line)) jar.delete(name)
      else jar.set(name, value)
    }
    return answer
  }
  const cookie = (): string => [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
  const headers = (): Record<string, string> => (jar.size > 0 ? { cookie: cookie() } : {})
  return {
    get: async (url) => keep(await ask(new URL(url), { headers: headers() })),
    post: async (url, body) => keep(await ask(new URL(url), { headers: { ...headers(), origin: new URL(url).origin }, body })),
    cookie,
  }
}

/** A login that was begun: what its page asks. */
export interface Begun {
  readonly uid: string
  /** `BASE/login/UID` */
  readonly at: string
}

export async function begin(stage: Stage, who: Browser, clientId: string, more: Query = {}): Promise<Begun> {
  const answer = await who.get(authorizeUrl(stage, clientId, more))
  const uid = new URL(answer.headers.location ?? 'none:').searchParams.get('login')
  if (answer.status !== 303 || uid === null) throw new Error(`no login: ${answer.status} ${answer.headers.location} ${answer.text}`)
  return { uid, at: `${stage.base}/login/${uid}` }
}

/** Signs and approves; the answer of that. */
export async function approve(who: Browser, { at: login }: Begun, prover: Prover, more: Json = {}): Promise<Answer> {
  const message = challengeOf(await who.post(`${login}/challenge`, prover.asked))
  return who.post(`${login}/approve`, { ...prover.asked, message, signature: prover.sign(message), ...more })
}

/** The whole way of a person; where the client is called back. */
export async function logIn(stage: Stage, prover: Prover, clientId: string, more: Query = {}, who: Browser = browser()): Promise<URL> {
  const begun = await begin(stage, who, clientId, more)
  const approved = await approve(who, begun, prover)
  const to = approved.json['redirect_to']
  if (typeof to !== 'string') throw new Error(`not approved: ${approved.status} ${approved.text}`)
  const { status, headers, text } = await who.get(to)
  if (headers.location === undefined) throw new Error(`not sent back: ${status} ${text}`)
  return new URL(headers.location)
}

export async function codeFor(stage: Stage, prover: Prover, clientId: string, more: Query = {}): Promise<string> {
  const back = await logIn(stage, prover, clientId, more)
  const code = back.searchParams.get('code')
  if (code === null) throw new Error(`no code: ${back.href}`)
  return code
}

export function exchange(stage: Stage, clientId: string, code: string, more: Query = {}, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const form: Query = {
    grant_type: 'authorization_code',
    client_id: clientId,
    code,
    redirect_uri: BACK,
    code_verifier: VERIFIER,
    resource: stage.url.href,
    ...more,
  }
  return stage.post('/token', Object.fromEntries(Object.entries(form).filter((entry): entry is [string, string] => typeof entry[1] === 'string')), headers)
}

export function refresh(
  stage: Stage,
  clientId: string,
  token: string,
  more: Readonly<Record<string, string>> = {},
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return stage.post('/token', { grant_type: 'refresh_token', client_id: clientId, refresh_token: token, ...more }, headers)
}

export interface Tokens {
  readonly access: string
  readonly refresh: string
}

export function tokensIn({ status, json, text }: Answer): Tokens {
  const [access, refreshToken] = [at(json, 'access_token'), at(json, 'refresh_token')]
  if (typeof access !== 'string' || typeof refreshToken !== 'string') throw new Error(`no tokens: ${status} ${text}`)
  return { access, refresh: refreshToken }
}
