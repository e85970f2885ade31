// A page of ours that has to know who is in front of it sends them through the same login as any client does: PKCE, a code that is good
// once, the key page's proof. What comes of it is a name; tokens are not given, and what could give some ends.
import { createHash } from 'node:crypto'

import type { Standing } from '../../policy/shapes.ts'
import type { Flow } from './flow.ts'
import { isNoClient } from './client-metadata.ts'
import type { LoginRows } from './login-rows.ts'
import type { Registrations } from './registration.ts'

export interface ProofOfOurs {
  /** Where the browser goes. Undefined: nobody can be sent back to this base (plain http, and not loopback). */
  begin(asked: AskedProof): { url: URL; clientId: string } | undefined
  /** Whose code it is. Undefined: it is none, or of somebody who may not come in. */
  redeem(code: string, asked: Pick<AskedProof, 'base' | 'redirectUri' | 'verifier'> & { clientId: string }): Promise<string | undefined>
}

interface AskedProof {
  base: string
  /** What the key page shows. */
  name: string
  redirectUri: string
  /** What would be opened. */
  resource: string
  state: string
  verifier: string
}

export interface ProofOfOursOptions {
  registrations: Registrations
  rows: Pick<LoginRows, 'end'>
  flow: () => Promise<Flow>
  standingOf(identities: readonly string[]): Standing | undefined
  isStillThere(identity: string): Promise<boolean>
}

export function createProofOfOurs({ registrations, rows, flow, standingOf, isStillThere }: ProofOfOursOptions): ProofOfOurs {
  return {
    begin({ base, name, redirectUri, resource, state, verifier }) {
      const client = registrations.register({ client_name: name, redirect_uris: [redirectUri] })
      if (isNoClient(client)) return undefined
      const asked = {
        client_id: client.client_id,
        response_type: 'code',
        redirect_uri: redirectUri,
        state,
        resource,
        scope: 'mcp',
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
      }
      return { url: new URL(`${base}/authorize?${new URLSearchParams(asked).toString()}`), clientId: client.client_id }
    },
    async redeem(code, { base, redirectUri, verifier, clientId }) {
      const form = { grant_type: 'authorization_code', client_id: clientId, code, redirect_uri: redirectUri, code_verifier: verifier }
      const { access } = await (await flow()).token(base, new URLSearchParams(form))
      if (!access) return undefined
      await rows.end(access.grantId)
      const may = standingOf([access.accountId]) !== undefined && (await isStillThere(access.accountId))
      return may && access.clientId === clientId ? access.accountId : undefined
    },
  }
}
