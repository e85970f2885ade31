// What a login leaves behind between two requests, as rows of our store. Secrets are keys of rows: they are kept as hashes.
import { createHash } from 'node:crypto'

import { OpenMcpError } from '../../errors.ts'
import { jsonIn } from '../../protocol/json.ts'
import { isObject, type JsonObject } from '../../protocol/message.ts'
import type { Store } from '../../store/shapes.ts'

/** What is kept: a login that waits for its proof, what it gave, and the two secrets that it gives. */
export type Kind = 'Interaction' | 'Grant' | 'AuthorizationCode' | 'RefreshToken'

/** What a code or a refresh token stands for. */
export interface Secret {
  readonly accountId: string
  readonly clientId: string
  readonly grantId: string
  readonly scope: string
  readonly resource: string
  /** Seconds since 1970. */
  readonly exp: number
}

export interface LoginRows {
  put(kind: Kind, id: string, payload: JsonObject, expiresAtMs: number): Promise<void>
  get(kind: Kind, id: string): Promise<JsonObject | undefined>
  /** False when there was none: of many that remove one, one gets true. */
  remove(kind: Kind, id: string): Promise<boolean>
  /** Marks it as used. False for all but the first. */
  use(kind: Kind, id: string, expiresAtMs: number): Promise<boolean>
  isUsed(kind: Kind, id: string): Promise<boolean>
  secret(kind: 'AuthorizationCode' | 'RefreshToken', id: string): Promise<Secret | undefined>
  /** The key that a login is bound to (RFC 9449 §10): once it has one it keeps it. */
  boundTo(grantId: string): Promise<string | undefined>
  /** False when it is bound to another one. */
  bind(grantId: string, jkt: string): Promise<boolean>
  /** The login is over: without its grant no code and no refresh token is good, and every access token of it ends. */
  end(grantId: string): Promise<void>
}

export interface LoginRowsOptions {
  store: Store
  /** Ends the access tokens of a login. */
  revoke(origin: string): Promise<void>
  now: () => number
}

/** A login that is used lasts so long; one that is not, shorter. */
export const GRANT_SECONDS = 90 * 24 * 3600

export function createLoginRows({ store, revoke, now }: LoginRowsOptions): LoginRows {
  const keyOf = (what: Kind | 'Binding' | `${Kind}-used`, id: string): string => `${what}:${createHash('sha256').update(id).digest('base64url')}`
  const get: LoginRows['get'] = async (kind, id) => {
    const row = await store.get('login', keyOf(kind, id))
    return row && checked(kind, row.value)
  }
  const boundTo: LoginRows['boundTo'] = async (grantId) => (await store.get('login', keyOf('Binding', grantId)))?.value

  return {
    async put(kind, id, payload, expiresAtMs) {
      await store.put('login', { key: keyOf(kind, id), value: JSON.stringify(payload), expiresAtMs })
    },
    get,
    remove: (kind, id) => store.remove('login', keyOf(kind, id)),
    use: (kind, id, expiresAtMs) => store.add('login', { key: keyOf(`${kind}-used`, id), value: '', expiresAtMs }),
    isUsed: async (kind, id) => (await store.get('login', keyOf(`${kind}-used`, id))) !== undefined,
    async secret(kind, id) {
      const found = await get(kind, id)
      if (!found) return undefined
      const text = (name: string): string => String(found[name])
      const [accountId, clientId, grantId, scope, resource] = [text('accountId'), text('clientId'), text('grantId'), text('scope'), text('resource')]
      return { accountId, clientId, grantId, scope, resource, exp: Number(found['exp']) }
    },
    boundTo,
    async bind(grantId, jkt) {
      const row = { key: keyOf('Binding', grantId), value: jkt, expiresAtMs: now() + GRANT_SECONDS * 1000 }
      return (await store.add('login', row)) || (await boundTo(grantId)) === jkt
    },
    async end(grantId) {
      await store.remove('login', keyOf('Grant', grantId))
      await revoke(originOf(grantId))
    },
  }
}

/** What stands in `origins` of every access token of a login. */
export function originOf(grantId: string): string {
  return `login:${grantId}`
}

const TEXTS: Readonly<Record<Kind, readonly string[]>> = {
  Interaction: ['returnTo'],
  Grant: ['accountId', 'clientId'],
  AuthorizationCode: ['accountId', 'clientId', 'grantId', 'scope', 'resource', 'redirectUri', 'codeChallenge'],
  RefreshToken: ['accountId', 'clientId', 'grantId', 'scope', 'resource'],
}

/** Fails with `store_failed` for a row that is not as we write it. */
function checked(kind: Kind, value: string): JsonObject {
  const found = jsonIn(value)
  if (!isObject(found) || found['kind'] !== kind || typeof found['exp'] !== 'number' || TEXTS[kind].some((name) => typeof found[name] !== 'string')) {
    throw new OpenMcpError('store_failed', 'the store does not hold what it should', { detail: `a row of a login: ${kind}` })
  }
  return found
}
