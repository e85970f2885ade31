// How often somebody may try what costs us something: guesses, proofs, registrations. Kept in memory, in a table that does not grow.
import type { IncomingMessage } from 'node:http'

interface Amount {
  /** So many at once, and so many in `perMs` after that. */
  readonly limit: number
  readonly perMs: number
}

export interface Rate {
  /** Takes one. Answers how many seconds to wait when there is none; 0: it is taken. */
  take(who: string): number
  /** What was taken did no harm. */
  giveBack(who: string): void
}

export interface RateOptions extends Amount {
  now: () => number
  /** So many are told apart; the one that was seen longest ago is forgotten. */
  most?: number
}

const MOST = 10_000

/** Of each one only the moment is kept at which it has its whole share again. */
export function createRate({ limit, perMs, now, most = MOST }: RateOptions): Rate {
  const wholeAtMs = new Map<string, number>()
  const stepMs = perMs / limit

  function set(who: string, atMs: number): void {
    wholeAtMs.delete(who)
    if (atMs <= now()) return
    const [oldest] = wholeAtMs.keys()
    if (wholeAtMs.size >= most && oldest !== undefined) wholeAtMs.delete(oldest)
    wholeAtMs.set(who, atMs)
  }

  return {
    take(who) {
      // Further away it is after a clock that was put back, by which nobody should wait.
      if ((wholeAtMs.get(who) ?? 0) > now() + perMs + 1) set(who, now() + perMs)
      const nextMs = Math.max(wholeAtMs.get(who) ?? 0, now()) + stepMs
      const waitMs = nextMs - now() - perMs
      // Steps are fractions: what they sum up to may miss the whole by less than this.
      if (waitMs > 0.5) return Math.max(1, Math.ceil(waitMs / 1000))
      set(who, nextMs)
      return 0
    },
    giveBack(who) {
      set(who, (wholeAtMs.get(who) ?? 0) - stepMs)
    },
  }
}

interface Turn {
  /** 0: go on. */
  readonly waitSeconds: number
  /** It did no harm: whoever proved who they are is no flood. */
  giveBack(): void
}

/** Asked once for each request, before what costs us something. */
export type TakeTurn = (req: IncomingMessage) => Turn

export interface TurnOptions {
  /** For one address. */
  each: Amount
  /** For all of them: addresses are cheap. */
  all: Amount
  /** Whether callers come through a proxy: then all of them have its address, and one must not use up the share of the others. */
  proxied: boolean
  now: () => number
}

export function createTakeTurn({ each, all, proxied, now }: TurnOptions): TakeTurn {
  const [one, everybody] = [createRate({ ...each, now }), createRate({ ...all, now })]
  return (req) => {
    const who = proxied ? undefined : networkOf(req.socket.remoteAddress ?? '')
    const waitSeconds = who === undefined ? 0 : one.take(who)
    if (waitSeconds > 0) return { waitSeconds, giveBack() {} }
    const waitForAllSeconds = everybody.take('')
    if (waitForAllSeconds > 0 && who !== undefined) one.giveBack(who)
    return {
      waitSeconds: waitForAllSeconds,
      giveBack() {
        if (who !== undefined) one.giveBack(who)
        everybody.giveBack('')
      },
    }
  }
}

/** Of IPv6 whoever has one address has all of its /64. */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? []
  if (mapped !== undefined) return mapped
  const [left = [], right = []] = address
    .replace(/%.*$/, '')
    .split('::')
    .map((part) => part.split(':').filter((group) => group !== ''))
  const gap = address.includes('::') ? Array.from({ length: 8 - left.length - right.length }, () => '0') : []
  return [...left, ...gap, ...right].slice(0, 4).join(':')
}
