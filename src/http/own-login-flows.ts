// Logins of callers that are under way, in memory alone: they hold what must not be kept, and whoever waited too long begins anew.
import { randomBytes, timingSafeEqual } from 'node:crypto'

export interface Flows<Step> {
  /** Its first step may hold the state, which is known before it. Undefined: there is none. */
  begin<First extends Step>(server: string, first: (state: string) => First | undefined): Flow<First> | undefined
  /** Undefined: there is none of this state, or not any more. */
  named(state: string): Flow<Step> | undefined
  /** For the next step, which has another one. */
  nextState(flow: Flow<Step>): string
  /** False when it is over, or somewhere else already: of two steps that come at once one counts. */
  next(flow: Flow<Step>, state: string, step: Step): boolean
  /** False when it is over already: of two that end it one gets true. */
  end(flow: Flow<Step>): boolean
}

export interface Flow<Step> {
  /** Names the cookie of the browser that began it. */
  readonly uid: string
  readonly server: string
  /** For one step: it comes back from there, or from a form of ours. */
  readonly state: string
  readonly step: Step
}

/** As long as the cookie, and as a login of an MCP client. */
const FLOW_SECONDS = 600
/** No fewer than may be begun in that time: nobody can push out what somebody else has begun. */
const MOST = 6000
const UID = /^([\w-]{32})\.[\w-]{43}$/

export function createFlows<Step>({ now }: { now: () => number }): Flows<Step> {
  const flows = new Map<string, { flow: Flow<Step>; expiresAtMs: number }>()

  function sweep(): void {
    for (const [uid, { expiresAtMs }] of flows) if (expiresAtMs <= now()) flows.delete(uid)
    const [oldest] = flows.keys()
    if (flows.size >= MOST && oldest !== undefined) flows.delete(oldest)
  }

  return {
    begin(server, first) {
      sweep()
      const uid = randomBytes(24).toString('base64url')
      const state = stateFor(uid)
      const step = first(state)
      if (!step) return undefined
      const flow = { uid, server, state, step }
      flows.set(uid, { flow, expiresAtMs: now() + FLOW_SECONDS * 1000 })
      return flow
    },
    named(state) {
      const [, uid = ''] = UID.exec(state) ?? []
      const kept = flows.get(uid)
      if (!kept || kept.expiresAtMs <= now() || !timingSafeEqual(Buffer.from(kept.flow.state), Buffer.from(state))) return undefined
      return kept.flow
    },
    nextState: ({ uid }) => stateFor(uid),
    next(flow, state, step) {
      const kept = flows.get(flow.uid)
      if (kept?.flow !== flow) return false
      flows.set(flow.uid, { ...kept, flow: { ...flow, state, step } })
      return true
    },
    end(flow) {
      return flows.get(flow.uid)?.flow === flow && flows.delete(flow.uid)
    },
  }
}

function stateFor(uid: string): string {
  return `${uid}.${randomBytes(32).toString('base64url')}`
}
