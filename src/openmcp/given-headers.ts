// `headerToEnv`: what a caller says in a header becomes a variable of a child that belongs to this caller and this value alone.
//
// Sessions, streams and children belong to an owner; so whoever says another thing is another owner, and everything that keeps
// callers apart keeps these apart.
import { createHmac, randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

import { OpenMcpError } from '../errors.ts'
import type { Caller } from '../protocol/caller.ts'

export interface GivenHeaders {
  /** The caller as the owner of what they gave. Refuses a value that no variable can hold, and a header that is there twice. */
  callerOf(req: IncomingMessage): Caller
  /** Who was let in: what revocation, trust and time know. */
  letInAs(caller: Caller): Caller
  /** The variables of this caller's child. */
  variablesOf(caller: Caller | undefined): Readonly<Record<string, string>>
}

const MAX_CHARS = 8 * 1024
/** Other values of one caller that are remembered, so that a caller is the same one from request to request. */
const KEPT = 100
const NONE: Readonly<Record<string, string>> = Object.freeze({})

/** `headerToEnv`: the header, in lower case, and its variable. */
export function createGivenHeaders(headerToEnv: Readonly<Record<string, string>>, letIn: (req: IncomingMessage) => Caller): GivenHeaders {
  // Names of owners are kept and compared, and a value may be guessed: without the key a name tells nothing.
  const key = randomBytes(32)
  const headers = Object.entries(headerToEnv)
  const origins = new WeakMap<Caller, { letIn: Caller; variables: Readonly<Record<string, string>> }>()
  const known = new WeakMap<Caller, Map<string, Caller>>()

  function variablesIn({ headersDistinct }: IncomingMessage): Record<string, string> {
    const variables: Record<string, string> = {}
    for (const [header, variable] of headers) {
      const [value, ...others] = headersDistinct[header] ?? []
      if (value === undefined) continue
      if (others.length > 0) throw new OpenMcpError('invalid_request', `the header ${header} is there more than once`)
      // Node reads headers as Latin-1, and a child its variables as UTF-8: they agree on ASCII.
      // What begins like a function an old shell would run.
      if (value.length > MAX_CHARS || !/^(?!\s*\(\))[\t\x20-\x7e]*$/.test(value)) {
        throw new OpenMcpError('invalid_request', `the header ${header} holds what cannot be handed on`, { hint: `at most ${MAX_CHARS} characters of ASCII` })
      }
      variables[variable] = value
    }
    return variables
  }

  return {
    callerOf(req) {
      const caller = letIn(req)
      const variables = variablesIn(req)
      const digest = createHmac('sha256', key).update(JSON.stringify(variables)).digest('base64url')
      let ofCaller = known.get(caller)
      if (!ofCaller) known.set(caller, (ofCaller = new Map()))
      const same = ofCaller.get(digest)
      if (same) return same
      const own: Caller = Object.freeze({ ...caller, owner: JSON.stringify([caller.owner, digest]) })
      origins.set(own, { letIn: caller, variables: Object.freeze(variables) })
      const [oldest] = ofCaller.keys()
      if (ofCaller.size >= KEPT && oldest !== undefined) ofCaller.delete(oldest)
      ofCaller.set(digest, own)
      return own
    },
    letInAs: (caller) => origins.get(caller)?.letIn ?? caller,
    variablesOf: (caller) => (caller && origins.get(caller)?.variables) ?? NONE,
  }
}
