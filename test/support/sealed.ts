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
import { parseVid } from '../../src/identity/vid.ts'
import { createLog } from '../../src/observe/log.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { tmcpPeer } from '../../src/tsp/tmcp-client.ts'
import type { Remote } from '../../src/upstream/remote.ts'
import { findSealedRemote } from '../../src/upstream/sealed-http.ts'
import { middleman, type Middleman } from './middleman.ts'
import { secured, type Secured, type SecuredOptions } from './secured.ts'

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

export async function sealedPlace(): Promise<SealedPlace> {
  let target: URL | undefined
  const between = await middleman(() => {
    if (!target) throw new Error('nobody listens yet')
    return target
  })
  onTestFinished(between.stop)
  const keys = await mkdtemp(join(tmpdir(), 'openmcp-sealed-'))
  onTestFinished(() => rm(keys, { recursive: true, force: true }))
  const { long } = await createTspIdentity({ dir: keys, name: 'tsp', method: 'peer', endpoint: `${between.origin}/tsp`, now: Date.now })
  return { keys, vid: long, between, leadsTo: (url) => (target = url) }
}

/** In a place that was there before it is the same node, started again. */
export async function sealedNode({ place, ...options }: SecuredOptions & { place?: SealedPlace } = {}): Promise<SealedNode> {
  const at = place ?? (await sealedPlace())
  const node = await secured({ ...options, security: { keys: at.keys, tsp: { modes: ['message'], id: 'tsp' }, ...options.security } })
  at.leadsTo(node.url)
  return Object.assign(node, { place: at, vid: at.vid, between: at.between })
}

/** An identity of nobody's disk. Nothing has to reach it. */
export function someVid(): TspIdentity {
  const [signing, sealing] = [newOkpPair('Ed25519'), newOkpPair('X25519')]
  const profile = { verifying: signing.x, sealing: sealing.x, endpoint: 'tcp://127.0.0.1:9' }
  const { short, long } = peerFourOf(profile)
  return { vid: short, long, profile, secrets: { signing: signing.d, opening: sealing.d } }
}

export const QUIET = createLog({ level: 'error', format: 'text', write: () => {}, now: Date.now })

export function resolver(): Resolver {
  return createResolver({ fetch: () => Promise.reject(new Error('nothing is to be fetched')), now: Date.now })
}

/** The way out to that VID, as `-p did:…` has it. */
export async function reachSealed(own: TspIdentity, vid: string, isolation: 'session' | 'shared' = 'session'): Promise<Remote> {
  const peer = tmcpPeer({ own, remote: parseVid(vid), resolver: resolver(), trustLoopback: true, log: QUIET })
  const limits = { ...DEFAULT_LIMITS, connectSeconds: 5 }
  const remote = await findSealedRemote(peer, { isolation, limits, log: QUIET, now: Date.now, name: 'sealed' })
  onTestFinished(() => remote.close())
  return remote
}
