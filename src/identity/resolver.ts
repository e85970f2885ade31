// What a DID says about itself, remembered for a while. Nothing here throws: a DID that cannot be used is an ordinary answer.
import { toOpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { Resolution } from './document.ts'
import { createJwkMethod } from './methods/jwk.ts'
import { createKeyMethod } from './methods/key.ts'
import type { DidMethod } from './methods/method.ts'
import { createPeerMethod } from './methods/peer.ts'
import { createPkhMethod } from './methods/pkh.ts'
import { createWebMethod } from './methods/web.ts'
import { createWebvhMethod } from './methods/webvh.ts'
import type { GuardedFetch, KeepingResolver } from './shapes.ts'
import { isVid, methodOf, shortFormOf, type Vid } from './vid.ts'

export interface ResolverOptions {
  fetch: GuardedFetch
  now: () => number
  log?: Log
  /** did:web and did:webvh of this machine are fetched by http. */
  trustLoopback?: boolean
  mostEntries?: number
  foundSeconds?: number
  /** For what is surely not usable: not there, not valid, deactivated. */
  refusedSeconds?: number
  failedSeconds?: number
}

interface Remembered {
  resolution: Resolution
  immutable: boolean
  expiresAtMs: number
}

export function createResolver(options: ResolverOptions): KeepingResolver {
  const { fetch, now, log, trustLoopback = false, mostEntries = 10_000, foundSeconds = 60, refusedSeconds = 30, failedSeconds = 5 } = options
  const peer = createPeerMethod({ mostLongForms: Math.ceil(mostEntries / 10), mostKept: mostEntries })
  // A Map: in an object, did:constructor:x would find a method.
  const methods = new Map<string, DidMethod>([
    ['key', createKeyMethod()],
    ['jwk', createJwkMethod()],
    ['web', createWebMethod({ fetch, trustLoopback })],
    ['webvh', createWebvhMethod({ fetch, trustLoopback })],
    ['peer', peer.long],
    ['pkh', createPkhMethod()],
  ])
  const cache = new Map<Vid, Remembered>()
  const underWay = new Map<Vid, Promise<Resolution>>()

  function methodFor(vid: Vid): DidMethod | undefined {
    return vid.startsWith('did:peer:4') && shortFormOf(vid) === vid ? peer.short : methods.get(methodOf(vid))
  }

  function remembered(vid: Vid, maxAgeMs: number): Resolution | undefined {
    const entry = cache.get(vid)
    if (!entry) return undefined
    const { resolution, immutable, expiresAtMs } = entry
    if (expiresAtMs <= now() || (!immutable && now() - resolution.resolvedAtMs > maxAgeMs)) return undefined
    // The one that was asked for last is forgotten last.
    cache.delete(vid)
    cache.set(vid, entry)
    return resolution
  }

  function remember(vid: Vid, resolution: Resolution, immutable: boolean): void {
    const before = cache.get(vid)
    // Not reaching the host takes nothing back that is young enough to count.
    if (resolution.state === 'failed' && before?.resolution.state === 'found' && before.expiresAtMs > now()) return
    const ages = {
      found: immutable ? Infinity : foundSeconds,
      failed: failedSeconds,
      not_found: refusedSeconds,
      invalid: refusedSeconds,
      deactivated: refusedSeconds,
    }
    cache.delete(vid)
    cache.set(vid, { resolution, immutable: immutable && resolution.state === 'found', expiresAtMs: now() + ages[resolution.state] * 1000 })
    const [oldest] = cache.keys()
    if (cache.size > mostEntries && oldest !== undefined) cache.delete(oldest)
  }

  async function lookUp(vid: Vid): Promise<Resolution> {
    const method = methodFor(vid)
    const resolution = method ? await resolved(method, vid, now, log) : refusal('invalid', 'its DID method is not one that openmcp reads', now)
    if (resolution.state !== 'found') log?.debug('a DID was not resolved', { did: shortened(vid), state: resolution.state, why: resolution.why })
    // The short form becomes known the moment its long form is shown.
    if (method !== peer.short) remember(vid, resolution, method?.immutable ?? true)
    return resolution
  }

  return {
    keep: peer.keep,
    async resolve(vid, { maxAgeMs = Infinity } = {}) {
      // The brand is a promise of the compiler alone, and what decodes a DID relies on its length.
      if (!isVid(vid)) return refusal('invalid', 'it is not a DID as openmcp reads it', now)
      const known = remembered(vid, maxAgeMs)
      if (known?.state === 'found') peer.shownAgain(vid)
      if (known) return known
      let lookup = underWay.get(vid)
      if (!lookup) {
        lookup = lookUp(vid).finally(() => underWay.delete(vid))
        underWay.set(vid, lookup)
      }
      return lookup
    },
  }
}

async function resolved(method: DidMethod, vid: Vid, now: () => number, log: Log | undefined): Promise<Resolution> {
  try {
    const outcome = await method.resolve(vid)
    return outcome.state === 'found' ? { ...outcome, vid: shortFormOf(vid), resolvedAtMs: now() } : { ...outcome, resolvedAtMs: now() }
  } catch (thrown) {
    const { code, message, detail } = toOpenMcpError(thrown)
    const why = detail === undefined || code === 'internal' ? message : `${message}: ${detail}`
    if (code === 'identity_invalid' || code === 'egress_refused') return refusal('invalid', why, now)
    if (code !== 'egress_failed') log?.error('a DID could not be resolved', { did: shortened(vid), detail })
    return refusal('failed', why, now)
  }
}

function refusal(state: 'invalid' | 'failed', why: string, now: () => number): Resolution {
  return { state, why, resolvedAtMs: now() }
}

function shortened(vid: Vid): string {
  return vid.length > 120 ? `${vid.slice(0, 119)}…` : vid
}
