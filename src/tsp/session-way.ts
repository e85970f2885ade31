// MCP to a VID that listens: sessions over the one relationship that a node of ours has with it, which is begun when there is none, and
// anew when the other does not know it any more.
import { OpenMcpError } from '../errors.ts'
import { shortFormOf, type Vid } from '../identity/vid.ts'
import type { OpenSealed, SealedEnd, SealedEndEvents } from '../protocol/sealed-session.ts'
import type { Heard } from './endpoint-options.ts'
import type { TspNode } from './node.ts'
import { frameOf, closeFrame } from './session-frame.ts'
import { beginSession, type Beginning, type SealedSession } from './session.ts'

export interface SessionWayOptions {
  node: Pick<TspNode, 'isUsed' | 'onHeard' | 'onChanged' | 'relate' | 'relationshipWith' | 'send'>
  /** In the form that introduces it, if it has one. */
  remote: Vid
  /** To be related and to have a session, together. */
  connectSeconds: number
  now: () => number
  /** So long nothing needs to be heard of a session before it is asked whether it is there; three times as long, and it is not. */
  quietMs?: number
}

export interface SessionWay {
  readonly open: OpenSealed
  /** Sees to a relationship. Fails in words, as `open` does. */
  reach(): Promise<void>
  /** Ends what is open. */
  close(): Promise<void>
}

interface Live {
  readonly session: SealedSession
  readonly events: SealedEndEvents
  heardMs: number
}

interface Waiting {
  readonly beginning: Beginning
  readonly events: SealedEndEvents
  settled(end: SealedEnd | OpenMcpError): void
}

const QUIET_MS = 30_000
/** So long a peer may take to open a session before we ask whether it knows us at all. */
const KNOWN_MS = 2000
const FAREWELL_MS = 1000

export function createSessionWay({ node, remote: given, connectSeconds, now, quietMs = QUIET_MS }: SessionWayOptions): SessionWay {
  const remote = shortFormOf(given)
  const live = new Map<string, Live>()
  const waiting = new Set<Waiting>()
  let relating: Promise<void> | undefined
  let heardMs = 0

  const stopHearing = node.onHeard(heard)
  const stopWatching = node.onChanged((other, state) => {
    if (other === remote && state === 'ended') endAll(relationshipEnded(remote))
  })
  const sweeper = setInterval(sweep, quietMs / 2)
  sweeper.unref()

  /** What is of no session of ours is for somebody else: perhaps the other is a client of ours, too. */
  function heard({ from, data, relationship }: Heard): boolean {
    const frame = from === remote ? frameOf(data) : undefined
    if (!frame || frame.kind === 'open') return false
    heardMs = now()
    if (frame.kind === 'opened' || frame.kind === 'refused') {
      for (const one of waiting) {
        const answer = one.beginning.answered(frame)
        if (!answer) continue
        one.settled('opened' in answer ? begun(answer.opened, one.events) : endedBy(answer.refused))
        return true
      }
      return false
    }
    const known = live.get(frame.session)
    if (!known) return false
    known.heardMs = now()
    if (frame.kind === 'close') {
      live.delete(frame.session)
      known.events.ended(endedBy(frame.why))
    } else if (known.session.takes(frame.n)) {
      node.isUsed({ from, relationship })
      if (frame.message.length > 0) known.events.heard(frame.message)
    }
    return true
  }

  function begun(session: SealedSession, events: SealedEndEvents): SealedEnd {
    live.set(session.id, { session, events, heardMs: now() })
    return {
      async send(message) {
        if (!live.has(session.id)) throw new OpenMcpError('session_ended', 'the session has ended')
        await node.send(given, session.wrap(message)).catch((thrown: unknown) => {
          // The relationship has run out: what is open in it can go on no more.
          if (thrown instanceof OpenMcpError && thrown.code === 'untrusted' && live.delete(session.id)) events.ended(relationshipEnded(remote))
          throw thrown
        })
      },
      async close() {
        if (live.delete(session.id)) await inTime(node.send(given, closeFrame(session.id, 'session_ended')), FAREWELL_MS)
      },
    }
  }

  function endAll(error: OpenMcpError): void {
    for (const one of waiting) one.settled(error)
    for (const [name, { events }] of live) {
      live.delete(name)
      events.ended(error)
    }
  }

  function sweep(): void {
    for (const [name, one] of live) {
      const silentMs = now() - one.heardMs
      if (silentMs >= 3 * quietMs) {
        live.delete(name)
        one.events.ended(new OpenMcpError('upstream_unreachable', `${remote} has not been heard of for ${Math.round(silentMs / 1000)} s`))
      } else if (silentMs >= quietMs) void node.send(given, one.session.wrap('')).catch(() => {})
    }
  }

  function relate(): Promise<void> {
    return (relating ??= node.relate(given, connectSeconds).finally(() => (relating = undefined)))
  }

  async function reach(): Promise<void> {
    if (!(await node.relationshipWith(remote))) await relate()
  }

  async function opened(frame: Buffer, answered: Promise<SealedEnd>): Promise<SealedEnd> {
    await reach()
    const askedMs = now()
    await node.send(given, frame)
    const end = await within(KNOWN_MS, answered)
    // A peer that lost the relationship, or us, hears nothing in it. One that speaks in other sessions has not.
    if (end || heardMs >= askedMs) return end ?? answered
    await relate()
    await node.send(given, frame)
    return answered
  }

  return {
    async open(events) {
      const beginning = beginSession()
      let one: Waiting | undefined
      const answered = new Promise<SealedEnd>((resolve, reject) => {
        waiting.add((one = { beginning, events, settled: (end) => (end instanceof OpenMcpError ? reject(end) : resolve(end)) }))
      })
      answered.catch(() => {})
      let patience: NodeJS.Timeout | undefined
      const silence = new Promise<never>((_resolve, reject) => {
        // A relationship that does not come about says so by itself, at about the same time, and knows better why.
        patience = setTimeout(() => void (relating ?? Promise.reject(unopened(remote, connectSeconds))).catch(reject), connectSeconds * 1000)
      })
      try {
        return await Promise.race([opened(beginning.frame, answered), answered, silence])
      } finally {
        clearTimeout(patience)
        if (one) waiting.delete(one)
      }
    },
    reach,
    async close() {
      clearInterval(sweeper)
      stopWatching()
      const names = [...live.keys()]
      endAll(new OpenMcpError('stopping', 'openmcp is stopping'))
      await Promise.all(names.map((name) => inTime(node.send(given, closeFrame(name, 'stopping')), FAREWELL_MS)))
      stopHearing()
    },
  }
}

/** What the other side says of an end, in our own words: a code of errors.ts. */
const ENDS: ReadonlyMap<string, OpenMcpError> = new Map([
  ['session_unknown', new OpenMcpError('session_ended', 'the other side does not know the session any more: it was started again, or has ended it')],
  ['stopping', new OpenMcpError('session_ended', 'the other side is stopping')],
  ['busy', new OpenMcpError('busy', 'the other side has no session left for us', { hint: 'try again later, or raise its --max-sessions' })],
])

function endedBy(why: string): OpenMcpError {
  const known = ENDS.get(why)
  return known
    ? new OpenMcpError(known.code, known.message, { ...(known.hint !== undefined && { hint: known.hint }) })
    : new OpenMcpError('session_ended', `the other side has ended the session (${why})`)
}

function relationshipEnded(remote: Vid): OpenMcpError {
  return new OpenMcpError('session_ended', `the TSP relationship with ${remote} has ended`)
}

function unopened(remote: Vid, seconds: number): OpenMcpError {
  return new OpenMcpError('timeout', `${remote} opened no session within ${seconds} s`, {
    hint: 'is it running with --tsp message, does it trust us, and can it reach our endpoint?',
  })
}

async function within<T>(ms: number, waited: Promise<T>): Promise<T | undefined> {
  let patience: NodeJS.Timeout | undefined
  const enough = new Promise<undefined>((resolve) => {
    patience = setTimeout(() => resolve(undefined), ms)
  })
  try {
    return await Promise.race([waited, enough])
  } finally {
    clearTimeout(patience)
  }
}

async function inTime(farewell: Promise<void>, ms: number): Promise<void> {
  await within(
    ms,
    farewell.catch(() => {}),
  )
}
