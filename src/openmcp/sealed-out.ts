// A VID as the server behind us: who we are to it, where it is, and which of the two ways of TSP leads there.
import { OpenMcpError } from '../errors.ts'
import { createGuardedFetch } from '../identity/guarded-fetch.ts'
import { createResolver } from '../identity/resolver.ts'
import { FIRST_TSP_NAME } from '../identity/tsp/first-name.ts'
import { ensureTspIdentity, openTspIdentity } from '../identity/tsp/own.ts'
import type { TspIdentity } from '../identity/tsp/piv.ts'
import { parseVid, shortFormOf, type Vid } from '../identity/vid.ts'
import type { Log } from '../observe/log.ts'
import { isLoopbackHost } from '../protocol/loopback.ts'
import type { SecuredTsp } from '../security/tsp.ts'
import { openAskingNode } from '../tsp/asking-node.ts'
import { isHttpDoor } from '../tsp/carriage.ts'
import { nearOfNamed } from '../tsp/near.ts'
import type { TspNode } from '../tsp/node.ts'
import { createSessionWay } from '../tsp/session-way.ts'
import { tmcpPeer } from '../tsp/tmcp-client.ts'
import type { FoundVid, VidServer } from '../upstream/options.ts'

/** A server that is named by a DID, and spoken to in sealed messages. */
export interface VidTarget {
  kind: 'vid'
  /** Of a did:peer:4 the long form, where it was never shown here. */
  vid: string
  /** Which identity of ours it knows us by. Undefined: `tsp`, made when there is none. */
  id: string | undefined
  /** Directory of identities. */
  keys: string
  /** Where answers come in, when that is not what the document of our identity says. */
  listen?: { host: string; port: number }
}

export interface SealedOutOptions {
  target: VidTarget
  /** The node that others reach us by; it is the one that we speak by, too, when it is of the same identity. Settles once. */
  secured: Promise<SecuredTsp | undefined>
  /** In PEM, for an endpoint of ours that is tls://. */
  tls: { cert: string; key: string } | undefined
  connectSeconds: number
  log: Log
  now: () => number
}

/** `find` fails with `usage` or `port_taken` when we cannot be reached as who we are, with `identity_unresolved`, or with `identity_invalid`. */
export interface SealedOut extends VidServer {
  readonly remote: Vid
  close(): Promise<void>
}

/** Fails with `identity_invalid` for what is no DID. */
export function createSealedOut({ target, secured, tls, connectSeconds, log, now }: SealedOutOptions): SealedOut {
  const remote = parseVid(target.vid)
  const near = nearOfNamed(remote)
  const { trustLoopback } = near
  const fetching = createGuardedFetch({ trustLoopback })
  const resolver = createResolver({ fetch: fetching.fetch, now, log, trustLoopback })
  const closing: (() => unknown)[] = [fetching.close]
  let found: Promise<FoundVid> | undefined

  async function find(): Promise<FoundVid> {
    const own = await (target.id === undefined ? ensureTspIdentity({ dir: target.keys, name: FIRST_TSP_NAME, now }) : openTspIdentity(target.keys, target.id))
    if (own.vid === shortFormOf(remote)) {
      throw new OpenMcpError('usage', `${own.vid} is our own identity, and the server is another`, {
        hint: 'openmcp id create NAME --tsp makes another one, and --id NAME uses it',
      })
    }
    const endpoint = await endpointOf()
    log.info(`speaking to ${shown(remote)} as ${own.vid}`)
    // Answers come where it is asked: nothing of ours has to listen.
    if (isHttpDoor(endpoint)) return { by: 'http', peer: tmcpPeer({ own, remote, resolver, near, log }) }
    if (isHere(new URL(own.profile.endpoint)) && !isHere(endpoint)) {
      const hint = 'openmcp id create NAME --tsp --endpoint tcp://HOST:PORT makes an identity that can be reached, and --id NAME uses it'
      log.warn(`answers come to ${own.profile.endpoint}, where ${shown(remote)} does not reach us`, { hint })
    }
    const node = await nodeOf(own)
    const way = createSessionWay({ node, remote, connectSeconds, now })
    closing.unshift(way.close)
    return { by: 'messages', open: way.open, reach: way.reach }
  }

  async function nodeOf(own: TspIdentity): Promise<TspNode> {
    const shared = (await secured)?.node
    if (shared?.vid === own.vid) return shared
    requireEar(own)
    const node = await openAskingNode({ own, remote, place: { listen: target.listen, tls }, resolver, log, now })
    closing.push(node.close)
    return node
  }

  async function endpointOf(): Promise<URL> {
    const resolution = await resolver.resolve(remote)
    if (resolution.state !== 'found') throw unresolved(remote, resolution.why)
    if (!resolution.tsp) throw new OpenMcpError('identity_invalid', `the document of ${shown(remote)} says nothing of TSP`)
    return new URL(resolution.tsp.endpoint)
  }

  return {
    kind: 'vid',
    remote,
    find: () =>
      (found ??= find().catch((thrown: unknown) => {
        found = undefined
        throw thrown
      })),
    async close() {
      for (const close of closing.splice(0)) await close()
    },
  }
}

function isHere({ hostname }: URL): boolean {
  return isLoopbackHost(hostname)
}

/** A door of HTTP is there with --tsp alone. */
function requireEar({ vid, profile: { endpoint } }: TspIdentity): void {
  if (!isHttpDoor(new URL(endpoint))) return
  throw new OpenMcpError('usage', `answers to ${vid} come to ${endpoint}, where nothing of ours listens`, {
    hint: 'an identity with a tcp:// endpoint hears them: openmcp id create NAME --tsp, and --id NAME',
  })
}

function unresolved(remote: Vid, why: string): OpenMcpError {
  if (!remote.startsWith('did:peer:4') || shortFormOf(remote) !== remote)
    return new OpenMcpError('identity_unresolved', `${shown(remote)} cannot be resolved: ${why}`)
  return new OpenMcpError('usage', `${remote} says nothing of where it is reached`, { hint: 'its long form does: the other side shows it when it starts' })
}

function shown(vid: Vid): string {
  return shortFormOf(vid)
}
