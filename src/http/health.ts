// Liveness, readiness and counts. What is open to everybody says nothing else.
import type { RequestHandler } from 'express'

export interface Status {
  /** Whether the upstream could be asked now. */
  ready(): boolean
  /** ISO 8601; when a client was last served. */
  lastActivity(): string
  /** Servers by name and their state. */
  instances(): Readonly<Record<string, string>>
  /** Of those that failed, why. */
  failures(): Readonly<Record<string, string>>
  counts(): Readonly<Record<string, number>>
  /** TSP messages that were not taken, by reason; undefined where none are heard. */
  tspDropped?: (() => Readonly<Record<string, number>>) | undefined
}

export function health(): RequestHandler {
  return (_req, res) => void res.type('text/plain').send('ok\n')
}

export function readiness({ ready }: Status): RequestHandler {
  return (_req, res) => {
    const isReady = ready()
    res
      .status(isReady ? 200 : 503)
      .type('text/plain')
      .send(isReady ? 'ready\n' : 'not ready\n')
  }
}

/** What may be told to somebody who has not said who they are. */
export function counts(state: Status): RequestHandler {
  return (_req, res) => void res.json(state.counts())
}

/** The key names of Python's mcp-proxy, whose users ask for them. */
export function status(state: Status): RequestHandler {
  return (_req, res) => {
    const { tspDropped } = state
    const about = { api_last_activity: state.lastActivity(), server_instances: state.instances(), server_failures: state.failures(), ...state.counts() }
    res.json(tspDropped ? { ...about, tsp_dropped: tspDropped() } : about)
  }
}
