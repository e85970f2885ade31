// openmcp with `--tsp message`, reached over HTTP through somebody who sees every byte; and clients with a VID that ask it.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

import { createTspIdentity } from '../../src/identity/tsp/own.ts'
import type { TspIdentity } from '../../src/identity/tsp/piv.ts'
import { newOkpPair } from '../../src/identity/okp.ts'
import { peerFourOf } from '../../src/identity/peer-four.ts'
import { createResolver } from '../../src/identity/resolver.ts'
import type { Resolver } from '../../src/identity/shapes.ts'
import { parseVid, shortFormOf } from '../../src/identity/vid.ts'
import { createLog } from '../../src/observe/log.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import type { SealedWay } from '../../src/protocol/carried.ts'
import { createTspEndpoint } from '../../src/tsp/endpoint.ts'
import { ownKeysOf } from '../../src/tsp/keys.ts'
import { NO_RELATIONSHIP, type Relationship } from '../../src/tsp/relationship.ts'
import { createTmcpClient, tmcpPeer } from '../../src/tsp/tmcp-client.ts'
import type { Remote } from '../../src/upstream/over-http.ts'
import { findSealedRemote } from '../../src/upstream/sealed-http.ts'
import { middleman, type Middleman } from './middleman.ts'
import { secured, type Secured, type SecuredOptions } from './secured.ts'
import { ask, type Answer } from './wire.ts'

export interface SealedNode extends Secured {
  readonly place: SealedPlace
  /** In the form that introduces it. */
  readonly vid: string
  /** Everything that comes to its endpoint comes through. */
  readonly between: Middleman
}

/** What outlives one run of a node: its keys, and where it is reached. */
export interface SealedPlace {
  readonly keys: string
  readonly vid: string
  readonly between: Middleman
  /** Where the middleman leads to. */
  leadsTo(url: URL): void
}

/** Without an endpoint its document names the middleman, and whoever knows no other way is led through it. */
export async function sealedPlace({ endpoint }: { endpoint?: string } = {}): Promise<SealedPlace> {
  let target: URL | undefined
  const between = await middleman(() => {
    if (!target) throw new Error('nobody listens yet')
    return target
  })
  onTestFinished(between.stop)
  const keys = await mkdtemp(join(tmpdir(), 'openmcp-sealed-'))
  onTestFinished(() => rm(keys, { recursive: true, force: true }))
  const { long } = await createTspIdentity({ dir: keys, name: 'tsp', method: 'peer', endpoint: endpoint ?? `${between.origin}/tsp`, now: Date.now })
  return { keys, vid: long, between, leadsTo: (url) => (target = url) }
}

/** In a place that was there before it is the same node, started again. */
export async function sealedNode({ place, ...options }: SecuredOptions & { place?: SealedPlace } = {}): Promise<SealedNode> {
  const at = place ?? (await sealedPlace())
  const node = await secured({ ...options, security: { keys: at.keys, tsp: { modes: ['message'], id: 'tsp' }, ...options.security } })
  at.leadsTo(node.url)
  return Object.assign(node, { place: at, vid: at.vid, between: at.between })
}

/** An identity of nobody's disk. Nothing has to reach it, unless it says where. */
export function someVid({ endpoint = 'tcp://127.0.0.1:9' } = {}): TspIdentity {
  const [signing, sealing] = [newOkpPair('Ed25519'), newOkpPair('X25519')]
  const profile = { verifying: signing.x, sealing: sealing.x, endpoint }
  const { short, long } = peerFourOf(profile)
  return { vid: short, long, profile, secrets: { signing: signing.d, opening: sealing.d } }
}

export const QUIET = createLog({ level: 'error', format: 'text', write: () => {}, now: Date.now })

export function resolver(): Resolver {
  return createResolver({ fetch: () => Promise.reject(new Error('nothing is to be fetched')), now: Date.now })
}

/** The way out to that VID, as `-p did:…` has it. */
export async function reachSealed(own: TspIdentity, vid: string, isolation: 'session' | 'shared' = 'session'): Promise<Remote> {
  const peer = tmcpPeer({ own, remote: parseVid(vid), resolver: resolver(), near: { trustLoopback: true }, log: QUIET })
  const limits = { ...DEFAULT_LIMITS, connectSeconds: 5 }
  const remote = await findSealedRemote(peer, { isolation, limits, log: QUIET, now: Date.now, name: 'sealed' })
  onTestFinished(() => remote.close())
  return remote
}

/** A peer by hand: every message of it is made here, and posted as it is. */
export interface HandPeer {
  /** Posts a text under a name. */
  post(text: string, how?: { did?: string; method?: string }): Promise<Answer>
  /** Sealed to the node, in the relationship. */
  seal(data: string | Buffer): Promise<string>
  /** What was sealed to us; undefined when it is no word of the node to us. */
  open(text: string): Promise<string | undefined>
  /** Invites; false: nobody answered. */
  relate(): Promise<boolean>
  /** Ends the relationship, and tells. */
  cancel(): Promise<void>
  readonly way: SealedWay
}

export function handPeer(own: TspIdentity, node: Pick<SealedNode, 'between' | 'vid'>): HandPeer {
  const remote = parseVid(node.vid)
  let relationship: Relationship = NO_RELATIONSHIP
  let answered: Promise<unknown> = Promise.resolve()
  const post: HandPeer['post'] = (text, { did = own.vid, method = 'POST' } = {}) =>
    ask(new URL(`/tsp?did=${did}`, node.between.origin), { method, ...(method === 'POST' && { body: text, headers: { 'content-type': 'application/json' } }) })
  const endpoint = createTspEndpoint({
    own: { vid: own.vid, long: own.long, keys: ownKeysOf(own.secrets) },
    resolver: resolver(),
    relationships: {
      get: async () => ({ relationship, id: '', untilMs: Infinity }),
      put: async (_own, _remote, next) => void (relationship = next),
      isFirst: async () => false,
    },
    trusts: async () => true,
    async carry(_address, message) {
      const { text } = await post(message.toString('base64url'))
      if (text !== '') answered = endpoint.take(Buffer.from(text, 'base64url'))
    },
    hear: () => {},
  })
  return {
    post,
    async seal(data) {
      return (await endpoint.sealerFor(remote))(Buffer.from(data)).toString('base64url')
    },
    async open(text) {
      const came: { data?: Buffer } = {}
      await endpoint.take(Buffer.from(text, 'base64url'), { from: shortFormOf(remote), hear: ({ data }) => void (came.data = data), carry: () => {} })
      return came.data?.toString()
    },
    async relate() {
      await endpoint.invite(remote)
      await answered
      return (await endpoint.relationshipWith(remote)) !== undefined
    },
    async cancel() {
      // It is known by its newest invite, which may have been that of `way`.
      await endpoint.invite(remote)
      await answered
      await endpoint.cancel(remote)
    },
    way: createTmcpClient({ own, remote, resolver: resolver(), log: QUIET, ask: async (text) => (await post(text)).text }),
  }
}
