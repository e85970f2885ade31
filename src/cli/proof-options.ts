// How we prove ourselves to the upstream that was typed: by an identity of ours, a client's secret, or what a person's login has left.
import { OpenMcpError } from '../errors.ts'
import type { OpenMcpOptions, RemoteTarget, SocketTarget } from '../openmcp.ts'
import { CLIENT_OPTIONS, clientLoginOf } from './client-options.ts'
import { keptLogins, keysDirectory } from './home.ts'
import { dpopOf, isSecured } from './security-options.ts'
import { allOf, oneOf, saysWho, type Reading } from './target-options.ts'
import type { Proof, UpstreamLogin } from './upstream-login.ts'
import { parseName } from './values.ts'

/** Undefined where a header says already who we are, and where nothing is said by HTTP. */
export function proofOf(reading: Reading, typed: NonNullable<OpenMcpOptions['target']>): Proof | undefined {
  const target = askedByHttp(typed)
  if (target.kind !== 'remote') {
    // To a server that is named by a DID --id says who we are; behind a COMMAND all that is for an upstream is refused already.
    if (target.kind !== 'command') refuseProofs(reading, target.kind === 'vid' ? CLIENT_OPTIONS : ['id', ...CLIENT_OPTIONS])
    return undefined
  }
  if (target.way?.trust?.unchecked) return unproved(reading)
  const way = target.way && { way: target.way }
  const [login, client] = [loginOf(reading, target), clientLoginOf(reading, target)]
  if (login) return { login, ...way }
  if (client) return { client, ...way }
  const logins = keptLogins(target, reading.machine)
  return logins && { logins, ...way }
}

/** A WebSocket is opened by a request: what is proved is proved to the address of that. */
export function askedByHttp<T extends { kind: string }>(target: T | SocketTarget): T | RemoteTarget | SocketTarget {
  if (!isSocketTarget(target) || !target.url.protocol.startsWith('ws')) return target
  const { url, headers, way } = target
  return { kind: 'remote', urls: [new URL(url.href.replace(/^ws/, 'http'))], transport: 'http', headers, ...(way && { way }) }
}

function isSocketTarget(target: { kind: string }): target is SocketTarget {
  return target.kind === 'socket'
}

/** Whoever answers without being checked could show the proof to the one it is meant for. */
function unproved(reading: Reading): undefined {
  const hint = '--tls-ca FILE trusts an authority of yours'
  for (const { as } of ['id', 'client-id'].flatMap((name) => allOf(reading, name).slice(0, 1))) {
    reading.mistakes.add(new OpenMcpError('usage', `${as} proves us, and with --verify-ssl false nobody knows to whom`, { hint }))
  }
  return undefined
}

function refuseProofs(reading: Reading, names: readonly string[]): void {
  for (const { as } of names.flatMap((name) => allOf(reading, name).slice(0, 1))) {
    reading.mistakes.add(new OpenMcpError('usage', `${as} proves us by HTTP, and the upstream is no http://`, { hint: `drop ${as}` }))
  }
}

/** The identity that --id names. Behind --security --dpop is about our own callers, else about what we prove. */
function loginOf(reading: Reading, { urls: [resource], headers }: RemoteTarget): UpstreamLogin | undefined {
  const name = oneOf(reading, 'id', parseName)
  if (name === undefined || !resource) return undefined
  const header = saysWho(reading, headers)
  if (header !== undefined) reading.mistakes.add(new OpenMcpError('usage', `--id and ${header} both say who we are`, { hint: 'drop one of them' }))
  const bound = !isSecured(reading) && ['required', 'nonce'].includes(dpopOf(reading) ?? '')
  return { name, keys: keysDirectory(reading), resource, bound }
}
