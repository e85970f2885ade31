// Asks a VID whose endpoint is HTTP, as TMCP carries it: each request is one sealed message, and what is answered is in the response to it.
// Nothing needs to reach us.
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import { lookupFor, type LookupAll, type Near } from '../identity/guarded-fetch.ts'
import type { TspIdentity } from '../identity/tsp/piv.ts'
import type { Resolver } from '../identity/shapes.ts'
import { shortFormOf, type Vid } from '../identity/vid.ts'
import type { Log } from '../observe/log.ts'
import type { Ask, FindSealedPeer, SealedRequest, SealedWay } from '../protocol/carried.ts'
import { createTspEndpoint } from './endpoint.ts'
import { ownKeysOf } from './keys.ts'
import { NOTHING_HELD } from './relationship-store.ts'
import { NO_RELATIONSHIP, type Relationship } from './relationship.ts'
import { frameOf } from './session-frame.ts'
import { beginSession, type Beginning, type SealedSession } from './session.ts'
import { forgottenIn, messageIn, pieceIn, requestText } from './tmcp-text.ts'

export interface TmcpPeerOptions {
  own: TspIdentity
  /** In a form that can be resolved. */
  remote: Vid
  resolver: Resolver
  near: Near
  lookup?: LookupAll
  log: Log
}

export interface TmcpClientOptions extends Pick<TmcpPeerOptions, 'own' | 'remote' | 'resolver' | 'log'> {
  ask: Ask
}

/** Looked for anew each time: a peer may have moved. It fails with `identity_unresolved` or `egress_refused`. */
export function tmcpPeer({ own, remote, resolver, near, lookup, log }: TmcpPeerOptions): FindSealedPeer {
  return async () => {
    const resolution = await resolver.resolve(remote)
    if (resolution.state !== 'found') throw new OpenMcpError('identity_unresolved', `${remote} cannot be resolved: ${resolution.why}`)
    const url = tmcpUrl(resolution.tsp?.endpoint ?? '', own.vid)
    return {
      url,
      lookup: lookupFor(url.hostname, { ...near, ...(lookup && { lookup }) }),
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
  let invited: Relationship = NO_RELATIONSHIP
  let formed: Relationship = NO_RELATIONSHIP
  let answering: Promise<unknown> = Promise.resolve()
  let relating: Promise<void> | undefined
  let beginning: Promise<Session> | undefined

  const common = {
    own: { vid: own.vid, long: own.long, keys: ownKeysOf(own.secrets) },
    resolver,
    trusts: async (vid: Vid) => vid === remote,
    hear: () => {},
    dropped: (reason: string, why: string) => log.debug('an answer by TSP was not taken', { reason, why }),
    // Each is one of an answer that we wait for.
    mostAtOnce: Infinity,
  }
  const inviting = createTspEndpoint({
    ...common,
    relationships: { get: async () => ({ ...NOTHING_HELD, relationship: invited }), put: async (_own, _remote, next) => void (invited = next), isFirst },
    async carry(_address, message) {
      const answer = messageIn(await ask(message.toString('base64url')))
      // Not waited for here: what is taken waits for what is sent.
      if (answer) answering = inviting.take(answer, { from: remote, hear: () => {}, carry: () => {} })
    },
  })
  // Apart from it, so that answers are heard while the relationship is renewed. It is of this process alone.
  const speaking = createTspEndpoint({
    ...common,
    relationships: { get: async () => ({ ...NOTHING_HELD, relationship: formed }), put: async () => {}, isFirst },
    carry: () => Promise.reject(new OpenMcpError('internal', 'what is said over HTTP is carried by who asks')),
  })
  const renewal = setInterval(() => void relate().catch(notRenewed), RENEWAL_MS)
  renewal.unref()

  function notRenewed(thrown: unknown): void {
    log.warn('a TSP relationship could not be renewed', { with: remote, why: toOpenMcpError(thrown).message })
  }

  async function relateNow(): Promise<void> {
    await inviting.invite(given)
    await answering
    formed = invited.state === 'bidirectional' ? invited : NO_RELATIONSHIP
    if (formed === NO_RELATIONSHIP) throw silent(own.vid)
  }

  async function open(text: string): Promise<Buffer | undefined> {
    const message = messageIn(text)
    const came: { data?: Buffer } = {}
    if (message) await speaking.take(message, { from: remote, hear: ({ data }) => void (came.data = data), carry: () => {} })
    return came.data
  }

  async function beginNow(): Promise<Session> {
    let begun = await begin()
    if (!begun) {
      // The other side may have forgotten us.
      await relate()
      begun = await begin()
    }
    if (!begun) throw silent(own.vid)
    if ('refused' in begun) throw new OpenMcpError('busy', 'the other side has no session for us now', { hint: 'try again later' })
    return { ...begun.opened, sent: 0, unanswered: new Set(), usedMs: performance.now() }
  }

  async function begin(): Promise<ReturnType<Beginning['answered']>> {
    const { frame, answered } = beginSession()
    const data = await open(await ask((await sealer())(frame).toString('base64url')))
    const answer = data && frameOf(data)
    return answer && answered(answer)
  }

  function relate(): Promise<void> {
    return (relating ??= relateNow().finally(() => (relating = undefined)))
  }

  async function sealer(): Promise<(data: Uint8Array) => Buffer> {
    if (formed === NO_RELATIONSHIP) await relate()
    return speaking.sealerFor(given)
  }

  async function session(): Promise<Session> {
    await sealer()
    const begun = (beginning ??= beginNow())
    begun.catch(() => beginning === begun && (beginning = undefined))
    const there = await begun
    if (!isStretched(there) && performance.now() - there.usedMs < IDLE_MS) return there
    over(there)
    return session()
  }

  /** Nothing more is asked in it. */
  function over(ended: Session): void {
    void beginning?.then(
      (now) => now === ended && (beginning = undefined),
      () => {},
    )
  }

  return {
    relate,
    close: () => clearInterval(renewal),
    async seal(request): Promise<SealedRequest> {
      const begun = await session()
      const seal = await sealer()
      // Its number as well.
      const id = ++begun.sent
      begun.usedMs = performance.now()
      let parts = 0
      begun.unanswered.add(id)
      return {
        text: seal(begun.wrap(requestText(id, request))).toString('base64url'),
        async open(text) {
          const data = await open(text)
          if (!data) return undefined
          const frame = frameOf(data)
          if (!frame) return forgottenBy(begun, forgottenIn(data, { session: begun.id, n: id }))
          if (frame.kind !== 'message' || frame.session !== begun.id) return undefined
          begun.unanswered.delete(id)
          const piece = pieceIn(frame.message, { re: id, part: parts + 1 })
          if (piece) parts++
          return piece
        },
      }
    },
  }

  function forgottenBy(ended: Session, why: string | undefined): { kind: 'forgotten' } | undefined {
    if (why === undefined) return undefined
    if (why === 'busy') throw new OpenMcpError('busy', 'the other side has no session for us now', { hint: 'try again later' })
    over(ended)
    return { kind: 'forgotten' }
  }
}

interface Session extends SealedSession {
  sent: number
  /** Numbers of what was asked, in their order. */
  readonly unanswered: Set<number>
  usedMs: number
}

/** Half of the time after which a node forgets a session. */
const IDLE_MS = 1800_000

/** Numbers that are much older than the newest are not taken any more: a request that is long on its way is not to be overtaken by so many. */
const MOST_OVERTAKING = 512

function isStretched({ sent, unanswered }: Session): boolean {
  const [oldest] = unanswered
  return oldest !== undefined && sent - oldest >= MOST_OVERTAKING
}

/** A node forgets who has not come for a day. */
const RENEWAL_MS = 6 * 3600_000
/** Nobody invites us here. */
async function isFirst(): Promise<boolean> {
  return false
}

/** Whoever is not spoken with hears nothing, so nothing is known of why. */
function silent(own: Vid): OpenMcpError {
  return new OpenMcpError('timeout', 'the other side does not answer us by TSP', {
    hint: `does it trust us (openmcp trust add ${own}), and does it run with --tsp message?`,
  })
}
