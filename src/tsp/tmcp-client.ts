// Asks a VID whose endpoint is HTTP, as TMCP carries it: each request is one sealed message, and what is answered is in the response to it.
// Nothing needs to reach us.
import { OpenMcpError } from '../errors.ts'
import { lookupFor, type LookupAll } from '../identity/guarded-fetch.ts'
import type { TspIdentity } from '../identity/tsp/piv.ts'
import type { Resolver } from '../identity/shapes.ts'
import { shortFormOf, type Vid } from '../identity/vid.ts'
import type { Log } from '../observe/log.ts'
import type { Ask, FindSealedPeer, SealedRequest, SealedWay } from '../protocol/carried.ts'
import { createTspEndpoint } from './endpoint.ts'
import { ownKeysOf } from './keys.ts'
import { NO_RELATIONSHIP, type Relationship } from './relationship.ts'
import { frameOf, type SessionFrame } from './session-frame.ts'
import { beginSession, type SealedSession } from './session.ts'
import { messageIn, pieceIn, requestText } from './tmcp-text.ts'

export interface TmcpPeerOptions {
  own: TspIdentity
  /** In a form that can be resolved. */
  remote: Vid
  resolver: Resolver
  /** Whether the peer may live on this machine; on a private network it never does. */
  trustLoopback: boolean
  lookup?: LookupAll
  log: Log
}

export interface TmcpClientOptions extends Pick<TmcpPeerOptions, 'own' | 'remote' | 'resolver' | 'log'> {
  ask: Ask
}

/** Looked for anew each time: a peer may have moved. It fails with `identity_unresolved` or `egress_refused`. */
export function tmcpPeer({ own, remote, resolver, trustLoopback, lookup, log }: TmcpPeerOptions): FindSealedPeer {
  return async () => {
    const resolution = await resolver.resolve(remote)
    if (resolution.state !== 'found') throw new OpenMcpError('identity_unresolved', `${remote} cannot be resolved: ${resolution.why}`)
    const url = tmcpUrl(resolution.tsp?.endpoint ?? '', own.vid)
    return {
      url,
      lookup: lookupFor(url.hostname, { trustLoopback, ...(lookup && { lookup }) }),
      open: (ask) => createTmcpClient({ own, remote, resolver, ask, log }),
    }
  }
}

/** `?did=`, the DID as it is. Fails with `identity_unresolved` for an endpoint that is not HTTP, and `egress_refused` for one with a password. */
export function tmcpUrl(endpoint: string, own: Vid): URL {
  const url = URL.parse(endpoint)
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') throw new OpenMcpError('identity_unresolved', 'its document names no endpoint of HTTP for TSP')
  if (url.username !== '' || url.password !== '') throw new OpenMcpError('egress_refused', 'an endpoint with a name or a password in it is not asked')
  url.search = `${url.search === '' ? '?' : `${url.search}&`}did=${own}`
  return url
}

export function createTmcpClient({ own, remote: given, resolver, ask, log }: TmcpClientOptions): SealedWay {
  const remote = shortFormOf(given)
  let relationship: Relationship = NO_RELATIONSHIP
  let answering: Promise<unknown> = Promise.resolve()
  let relating: Promise<void> | undefined
  let beginning: Promise<SealedSession> | undefined
  let requests = 0

  const endpoint = createTspEndpoint({
    own: { vid: own.vid, long: own.long, keys: ownKeysOf(own.secrets) },
    resolver,
    // Of this process alone: it is begun anew by each, as whoever is asked allows.
    relationships: {
      get: async () => ({ relationship, id: '', untilMs: Infinity }),
      put: async (_local, _remote, next) => void (relationship = next),
      // Nobody invites us here.
      isFirst: async () => false,
    },
    trusts: async (vid) => vid === remote,
    async carry(_address, message) {
      const answer = messageIn(await ask(message.toString('base64url')))
      // Not waited for here: what is taken waits for what is sent.
      if (answer) answering = endpoint.take(answer, { from: remote, hear: () => {}, carry: () => {} })
    },
    hear: () => {},
    dropped: (reason, why) => log.debug('an answer by TSP was not taken', { reason, why }),
    // Each is one of an answer that we wait for.
    mostAtOnce: Infinity,
  })

  async function relateNow(): Promise<void> {
    relationship = NO_RELATIONSHIP
    beginning = undefined
    await endpoint.invite(given)
    await answering
    if (!(await endpoint.relationshipWith(remote))) throw silent(own.vid)
  }

  async function open(text: string): Promise<Buffer | undefined> {
    const message = messageIn(text)
    const came: { data?: Buffer } = {}
    if (message) await endpoint.take(message, { from: remote, hear: ({ data }) => void (came.data = data), carry: () => {} })
    return came.data
  }

  async function beginNow(): Promise<SealedSession> {
    const { frame, answered } = beginSession()
    const data = await open(await ask((await sealer())(frame).toString('base64url')))
    const answer = data && frameOf(data)
    const begun = answer && answered(answer)
    if (!begun) throw silent(own.vid)
    if ('refused' in begun) throw new OpenMcpError('busy', 'the other side has no session for us now', { hint: 'try again later' })
    return begun.opened
  }

  function relate(): Promise<void> {
    return (relating ??= relateNow().finally(() => (relating = undefined)))
  }

  async function sealer(): Promise<(data: Uint8Array) => Buffer> {
    if (relating || relationship.state !== 'bidirectional') await relate()
    return endpoint.sealerFor(given)
  }

  async function session(): Promise<SealedSession> {
    await sealer()
    const begun = (beginning ??= beginNow())
    begun.catch(() => beginning === begun && (beginning = undefined))
    return begun
  }

  return {
    relate,
    async seal(request): Promise<SealedRequest> {
      const begun = await session()
      const seal = await sealer()
      const id = ++requests
      return {
        text: seal(begun.wrap(requestText(id, request))).toString('base64url'),
        async open(text) {
          const data = await open(text)
          const frame = data && frameOf(data)
          if (!frame || !('session' in frame) || frame.session !== begun.id) return undefined
          if (frame.kind === 'message') return begun.takes(frame.n) ? pieceIn(frame.message, id) : undefined
          return frame.kind === 'close' ? closed(begun, frame) : undefined
        },
      }
    },
  }

  function closed(over: SealedSession, { why }: SessionFrame & { kind: 'close' }): { kind: 'forgotten' } {
    if (why === 'busy') throw new OpenMcpError('busy', 'the other side has no session for us now', { hint: 'try again later' })
    void beginning?.then(
      (now) => now === over && (beginning = undefined),
      () => {},
    )
    return { kind: 'forgotten' }
  }
}

/** Whoever is not spoken with hears nothing, so nothing is known of why. */
function silent(own: Vid): OpenMcpError {
  return new OpenMcpError('timeout', 'the other side does not answer us by TSP', {
    hint: `does it trust us (openmcp trust add ${own}), and does it run with --tsp message?`,
  })
}
