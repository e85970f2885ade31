// A token by TSP: a relationship with the node, and in it two sealed messages, for which nothing is signed but they themselves.
import { randomBytes } from 'node:crypto'

import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import { createGuardedFetch } from '../identity/guarded-fetch.ts'
import { createResolver } from '../identity/resolver.ts'
import type { TspIdentity } from '../identity/tsp/piv.ts'
import { shortFormOf, type Vid } from '../identity/vid.ts'
import type { Log } from '../observe/log.ts'
import { jsonIn } from '../protocol/json.ts'
import { isObject, type JsonObject } from '../protocol/message.ts'
import { openAskingNode } from '../tsp/asking-node.ts'
import { nearOfNamed } from '../tsp/near.ts'
import type { TspNode } from '../tsp/node.ts'
import type { DpopKey } from './dpop-key.ts'
import { parseEnrolment } from './enrolment.ts'
import { spoken } from './spoken.ts'
import type { ObtainedToken } from './token-endpoint.ts'

export interface TspLoginOptions {
  own: TspIdentity
  /** Whom a token is asked of: of a did:peer:4 that was never shown to anybody here the long form. */
  remote: Vid
  /** Where answers come in, when that is not what our own endpoint says. */
  listen?: { host: string; port: number } | undefined
  scope?: string | undefined
  /** A link of a node that trusts nobody yet: who redeems it is trusted. */
  enrolment?: string | undefined
  dpop: DpopKey
  /** For all of it. */
  seconds: number
  /** Aborted by whoever does not want to wait any more: it fails with the reason. */
  signal?: AbortSignal
  log: Log
  now: () => number
}

/** Fails with an OpenMcpError that says what failed and what to do, and holds no secret. The relationship stays: the token lives by it. */
export async function obtainTokenByTsp(options: TspLoginOptions): Promise<ObtainedToken> {
  const { own, listen, signal, log, now } = options
  const remote = shortFormOf(options.remote)
  if (remote === own.vid) {
    throw new OpenMcpError('usage', `${own.vid} is our own identity, and a token is asked of another`, {
      hint: 'openmcp id create NAME --tsp makes another one, and --id NAME uses it',
    })
  }
  if (remote === options.remote && remote.startsWith('did:peer:4')) {
    throw new OpenMcpError('identity_unresolved', `by its short form alone nobody finds ${remote}`, {
      hint: 'give its long form, did:peer:4…:z…, which the node says when it starts',
    })
  }
  requireTcp(own)
  signal?.throwIfAborted()
  const { trustLoopback } = nearOfNamed(options.remote)
  const { fetch, close: stopFetching } = createGuardedFetch({ trustLoopback })
  const closing: (() => unknown)[] = [stopFetching]
  try {
    const resolver = createResolver({ fetch, now, log, trustLoopback })
    const node = await openAskingNode({ own, remote, place: { listen }, resolver, log, now })
    closing.push(node.close)
    return await orAborted(signal, asked(node, options))
  } finally {
    for (const close of closing) await close()
  }
}

async function asked(node: TspNode, { remote, scope, enrolment, dpop, seconds, own }: TspLoginOptions): Promise<ObtainedToken> {
  const secret = enrolment === undefined ? undefined : parseEnrolment(enrolment).secret
  const endMs = performance.now() + seconds * 1000
  await node.relate(remote, seconds)
  const nonce = randomBytes(16).toString('base64url')
  const ask = { type: 'openmcp/token-ask', nonce, jkt: await dpop.thumbprint(), ...(scope !== undefined && { scope }) }
  const exchange = createExchange(node, shortFormOf(remote), nonce, endMs, seconds)
  const refusal = (answer: JsonObject): OpenMcpError => refused(answer['error'], { scope, withLink: secret !== undefined, own, remote })
  const first = await exchange(ask, 'openmcp/token-challenge')
  const { challenge } = first
  if (typeof challenge !== 'string') throw refusal(first)
  const answer = await exchange({ ...ask, challenge, ...(secret !== undefined && { enrolment: secret }) }, 'openmcp/token')
  return answer['type'] === 'openmcp/token' ? tokenIn(answer, remote) : Promise.reject(refusal(answer))
}

type Exchange = (message: object, wanted: string) => Promise<JsonObject>

/** One answer to each message: the one that is wanted, or a refusal. Those of another ask, and of other kinds, are not heard. */
function createExchange(node: TspNode, remote: Vid, nonce: string, endMs: number, seconds: number): Exchange {
  return async (message, wanted) => {
    const stops: (() => void)[] = []
    const answered = new Promise<JsonObject>((resolve, reject) => {
      const heard = node.onHeard(({ from, data }) => {
        const answer = from === remote && data.length <= MOST_BYTES ? jsonIn(data.toString()) : undefined
        if (!isObject(answer) || answer['nonce'] !== nonce || ![wanted, 'openmcp/token-refused'].includes(String(answer['type']))) return false
        resolve(answer)
        return true
      })
      const changed = node.onChanged((other, state) => {
        if (other === remote && state === 'ended')
          reject(new OpenMcpError('login_failed', 'the other side has ended the relationship', { hint: trustHint(node.vid) }))
      })
      const patience = setTimeout(() => reject(unanswered(seconds)), Math.max(0, endMs - performance.now()))
      stops.push(heard, changed, () => clearTimeout(patience))
    })
    // When it cannot be sent nobody waits for it any more.
    answered.catch(() => {})
    try {
      return await Promise.race([answered, node.send(remote, Buffer.from(JSON.stringify(message))).then(() => answered)])
    } finally {
      for (const stop of stops) stop()
    }
  }
}

const MOST_BYTES = 16 * 1024
/** It becomes a header: RFC 6750 §2.1 says of which characters it may consist. */
const TOKEN = /^[\w.~+/-]{1,8192}=*$/

function tokenIn(answer: JsonObject, remote: Vid): ObtainedToken {
  const { access_token: accessToken, token_type: type, expires_in: expiresInSeconds, scope, resource } = answer
  if (
    typeof accessToken !== 'string' ||
    !TOKEN.test(accessToken) ||
    type !== 'DPoP' ||
    typeof expiresInSeconds !== 'number' ||
    typeof scope !== 'string' ||
    typeof resource !== 'string' ||
    !URL.canParse(resource)
  ) {
    throw new OpenMcpError('login_failed', 'the answer is no token that is bound to a key', { hint: 'is it another version of openmcp?' })
  }
  return { accessToken, tokenType: 'DPoP', expiresInSeconds, scope, resource, issuer: shortFormOf(remote) }
}

interface Refused {
  scope: string | undefined
  withLink: boolean
  own: TspIdentity
  remote: Vid
}

function refused(error: unknown, { scope, withLink, own: { vid }, remote }: Refused): OpenMcpError {
  const said = spoken(String(error))
  const by = shortFormOf(remote)
  switch (error) {
    case 'invalid_grant':
      return new OpenMcpError('login_failed', `${by} gives ${vid} no token (${said})`, {
        hint: withLink ? `an enrolment link is good once, for 15 minutes, while nobody is trusted; ${trustHint(vid)}` : trustHint(vid),
      })
    case 'invalid_scope':
      return new OpenMcpError('login_failed', `${by} does not give ${vid} the scope ${scope ?? 'mcp'} (${said})`, { hint: 'ask for less with --scope' })
    default:
      return new OpenMcpError('login_failed', `${by} gives no token now (${said})`, { hint: 'try again later; its log says why' })
  }
}

function trustHint(vid: Vid): string {
  return `on its machine: openmcp trust add ${vid}`
}

function unanswered(seconds: number): OpenMcpError {
  return new OpenMcpError('timeout', `it formed a relationship with us, and gave no token within ${seconds} s`, {
    hint: "does it run with '--tsp verify'? With '--tsp message' alone it gives no tokens",
  })
}

/** For the others something else would have to listen here: a server of HTTP, or one with a certificate. */
function requireTcp({ vid, profile }: TspIdentity): void {
  if (new URL(profile.endpoint).protocol === 'tcp:') return
  throw new OpenMcpError('usage', `${vid} is reached at ${profile.endpoint}, and while a token is asked for nothing listens there`, {
    hint: 'an identity with a tcp:// endpoint can ask: openmcp id create NAME --tsp',
  })
}

async function orAborted<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (!signal) return work
  let stop = (): void => {}
  const aborted = new Promise<never>((_resolve, reject) => {
    const abort = (): void => reject(toOpenMcpError(signal.reason))
    signal.addEventListener('abort', abort)
    stop = () => signal.removeEventListener('abort', abort)
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    stop()
  }
}
