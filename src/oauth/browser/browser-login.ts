// A person logs in: any MCP client sends its browser here, the key page has the proof, and the client gets a code for a token of ours.
import type { Router } from 'express'

import type { GuardedFetch } from '../../identity/shapes.ts'
import type { Log } from '../../observe/log.ts'
import type { Standing } from '../../policy/shapes.ts'
import type { Store } from '../../store/shapes.ts'
import type { Challenges } from '../../tokens/challenge.ts'
import type { Mint } from '../../tokens/mint.ts'
import type { Places } from '../../tokens/places.ts'
import type { Replay } from '../../tokens/replay.ts'
import type { Answer, FormRequest } from '../endpoint.ts'
import type { ProvedKeyOf } from '../proved-key.ts'
import type { TakeTurn } from '../../protocol/rate.ts'
import type { Refusal } from '../refusal.ts'
import type { ProvedBy } from '../signed-proof.ts'
import { createClientDocuments } from './client-documents.ts'
import { createFindClient } from './clients.ts'
import { createLoginCookies, type LoginCookies } from './cookie.ts'
import { createLoginEndpoints } from './endpoints.ts'
import type { Flow } from './flow.ts'
import { createLoginRows } from './login-rows.ts'
import { quietly } from './quietly.ts'
import { createProofOfOurs, type ProofOfOurs } from './proof-of-ours.ts'
import { createRefreshTokens, type RefreshTokens } from './refresh-tokens.ts'
import { createRegistrations } from './registration.ts'
import { createLoginDoors } from './doors.ts'
import { createLoginTokens } from './token.ts'

export interface BrowserLogin {
  /** Puts its doors on a router. */
  addTo(router: Router): void
  /** The grants of `LOGIN_GRANTS` at `/token`. */
  token(request: FormRequest): Promise<Answer | Refusal>
  refreshTokens: RefreshTokens
  /** For pages of our own that have to know who is in front of them. */
  ours: ProofOfOurs
  cookies: LoginCookies
}

export interface BrowserLoginOptions {
  store: Store
  /** Ends the access tokens of a login. */
  revoke(origin: string): Promise<void>
  /** For documents that strangers name. */
  fetch: GuardedFetch
  trustLoopback: boolean
  keys: { sealing: () => readonly Uint8Array[]; hashing: () => Uint8Array }
  challenges: Challenges
  provedBy: ProvedBy
  provedKeyOf: ProvedKeyOf
  replay: Replay
  mint: Mint
  standingOf(identities: readonly string[]): Standing | undefined
  isStillThere(identity: string): Promise<boolean>
  places: Places
  mayBegin: TakeTurn
  mayProve: TakeTurn
  pathPrefix: string
  log: Log
  now: () => number
}

export function createBrowserLogin(options: BrowserLoginOptions): BrowserLogin {
  const { keys, now } = options
  const rows = createLoginRows(options)
  const registrations = createRegistrations({ hashing: keys.hashing, now })
  const documents = createClientDocuments(options)
  const findClient = createFindClient({ registrations, documents })
  const cookies = createLoginCookies({ sealing: keys.sealing })

  let loading: Promise<Flow> | undefined
  /** Loaded by the first login: who only serves programs never waits for it. */
  async function flow(): Promise<Flow> {
    loading ??= load().catch((thrown: unknown) => {
      loading = undefined
      throw thrown
    })
    return loading
  }
  async function load(): Promise<Flow> {
    const { createFlow } = await quietly(() => import('./flow.ts'))
    return createFlow({ ...options, rows, clientOf: findClient })
  }

  return {
    addTo: createLoginDoors({
      ...options,
      endpoints: createLoginEndpoints({ ...options, rows, cookies, findClient, flow }),
      registrations,
      rows,
      cookies,
      flow,
    }),
    token: createLoginTokens({ ...options, rows, flow, mayBeClient: (id) => registrations.find(id) !== undefined || documents.isUrl(id) }),
    refreshTokens: createRefreshTokens(rows),
    ours: createProofOfOurs({ ...options, registrations, rows, flow }),
    cookies,
  }
}
