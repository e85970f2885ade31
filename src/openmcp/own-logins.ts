// The login of one caller at one server: whoever has it in hand can ask for no other.
import { OpenMcpError } from '../errors.ts'
import type { OwnPlace } from '../http/own-logins.ts'
import type { BegunLogin, OwnLogins } from '../login/own-logins.ts'
import type { Caller } from '../protocol/caller.ts'

export type OwnLogin = OwnPlace<BegunLogin>

/** Whose login a caller uses. Fails with `upstream_refused` for whoever is not one person. */
export function ownerOfLogin(server: string, { id, via, act }: Caller): string {
  const why = via === 'nobody' ? 'nobody is asked here who they are' : via === 'api-key' ? 'a key of the operator is nobody in particular' : undefined
  // Who acts for somebody was given their word here, and not there.
  const whyNot = why ?? (act.length > 0 ? 'whoever acts for another has none of theirs' : undefined)
  if (whyNot === undefined) return id
  throw new OpenMcpError('upstream_refused', `the server ${server} wants a login of each caller's own, and ${whyNot}`, {
    hint: 'call with an identity of your own: a token, or a key of /keys',
  })
}

/** Who has shown in a browser that they are this identity, as a caller. */
export function provedCaller(id: string): Caller {
  return { id, via: 'token', scopes: ['mcp'], act: [], tokenId: '', expiresAt: Infinity, owner: id }
}

export interface OwnLoginOptions {
  logins: OwnLogins
  caller: string
  /** What is open was opened with the login of before, as whoever that is there. */
  changed(isWhose: (caller: Caller) => boolean): void
}

export function ownLoginAt({ logins, caller, changed }: OwnLoginOptions): OwnLogin {
  const isTheirs = ({ id }: Caller): boolean => id === caller
  return {
    address: logins.address.href,
    status: () => logins.statusOf(caller),
    whoAsks: logins.whoAsks,
    begin: logins.begin,
    async finish(begun, parameters) {
      await logins.finish(caller, begun, parameters)
      changed(isTheirs)
    },
    async forget() {
      try {
        return await logins.forget(caller)
      } finally {
        changed(isTheirs)
      }
    },
  }
}
