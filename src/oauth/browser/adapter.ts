// How oidc-provider keeps what it has to remember: in our rows, and as little of it as can be.
import { errors, type Adapter, type AdapterPayload } from 'oidc-provider'

import type { Client } from './clients.ts'
import type { Kind, LoginRows } from './login-rows.ts'

export interface AdapterOptions {
  rows: LoginRows
  clientOf(id: string): Promise<Client | undefined>
  now: () => number
}

const KEPT: readonly Kind[] = ['Interaction', 'Grant', 'AuthorizationCode', 'RefreshToken']

export function createAdapters({ rows, clientOf, now }: AdapterOptions): (model: string) => Adapter {
  return (model) => {
    if (model === 'Client') return { ...NOT_KEPT, find: async (id) => registered(await clientOf(id)) }
    const kind = KEPT.find((one) => one === model)
    return kind ? kept(kind) : NOT_KEPT
  }

  function kept(kind: Kind): Adapter {
    const find = async (id: string): Promise<AdapterPayload | undefined> => {
      const payload = await rows.get(kind, id)
      if (!payload) return undefined
      const used = (kind === 'AuthorizationCode' || kind === 'RefreshToken') && (await rows.isUsed(kind, id))
      return { ...payload, jti: id, ...(used && { consumed: Math.floor(now() / 1000) }) }
    }
    return {
      ...NOT_KEPT,
      // `jti` is the code or the refresh token itself: a row holds its hash alone, and whoever finds the row has shown it.
      // The key that a login is bound to is a row of its own, and looked at where proofs are; here a code that names one would need one.
      upsert: (id, payload, seconds) => rows.put(kind, id, { ...payload, jti: undefined, dpopJkt: undefined }, now() + (seconds ?? LEAST_SECONDS) * 1000),
      find,
      /** Of two that bring the same code or token at once one gets through; the other ends the login (RFC 9700 §4.14.2). */
      async consume(id) {
        const payload = await find(id)
        if (payload?.consumed === undefined && payload?.exp !== undefined && (await rows.use(kind, id, payload.exp * 1000))) return
        if (payload?.grantId !== undefined) await rows.end(payload.grantId)
        throw new errors.InvalidGrant('used before')
      },
      async destroy(id) {
        // Whoever takes a login to its end takes it alone: one login gives one code.
        if (!(await rows.remove(kind, id)) && kind === 'Interaction') throw new errors.SessionNotFound('this login is over')
      },
      revokeByGrantId: rows.end,
    }
  }
}

const LEAST_SECONDS = 60

/** Nobody looks these up: our own tokens leave instead, and whoever comes again proves themselves again. */
const NOT_KEPT: Adapter = {
  async upsert() {},
  async find() {},
  async findByUid() {},
  async findByUserCode() {},
  async consume() {},
  async destroy() {},
  async revokeByGrantId() {},
}

function registered(client: Client | undefined): AdapterPayload | undefined {
  return (
    client && {
      client_id: client.id,
      application_type: client.native ? 'native' : 'web',
      redirect_uris: [...client.redirectUris],
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
    }
  )
}
