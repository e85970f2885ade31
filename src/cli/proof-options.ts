// How we prove ourselves to the upstream that was typed: by an identity of ours, or by what a person's login has left.
import { OpenMcpError } from '../errors.ts'
import type { OpenMcpOptions, RemoteTarget } from '../openmcp.ts'
import { keptLogins, keysDirectory } from './home.ts'
import { dpopOf, isSecured } from './security-options.ts'
import { allOf, oneOf, type Reading } from './target-options.ts'
import type { Proof, UpstreamLogin } from './upstream-login.ts'
import { parseName } from './values.ts'

/** Undefined where a header says already who we are, and where nothing is said by HTTP. */
export function proofOf(reading: Reading, target: NonNullable<OpenMcpOptions['target']>): Proof | undefined {
  if (target.kind === 'socket' && allOf(reading, 'id').length > 0) {
    reading.mistakes.add(new OpenMcpError('usage', '--id proves us by HTTP, and the upstream is no http://', { hint: 'drop --id' }))
  }
  if (target.kind !== 'remote') return undefined
  const login = loginOf(reading, target)
  if (login) return { login }
  const logins = keptLogins(target, reading.machine)
  return logins && { logins }
}

/** The identity that --id names. Behind --security --dpop is about our own callers, else about what we prove. */
function loginOf(reading: Reading, { urls: [resource], headers }: RemoteTarget): UpstreamLogin | undefined {
  const name = oneOf(reading, 'id', parseName)
  if (name === undefined || !resource) return undefined
  if ('authorization' in headers) {
    reading.mistakes.add(new OpenMcpError('usage', '--id and a header authorization both say who we are', { hint: 'drop one of them' }))
  }
  const bound = !isSecured(reading) && ['required', 'nonce'].includes(dpopOf(reading) ?? '')
  return { name, keys: keysDirectory(reading), resource, bound }
}
