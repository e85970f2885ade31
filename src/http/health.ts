// Liveness, readiness and counts. What is open to everybody says nothing else.
import type { IncomingMessage } from 'node:http'
import type { RequestHandler } from 'express'

export interface Status {
  /** Whether the upstream could be asked now. */
  ready(): boolean
  /** ISO 8601; when a client was last served. */
  lastActivity(): string
  /** The servers that whoever asks may know of, by name: their state, and why, of those that failed. */
  servers(req: IncomingMessage): Readonly<Record<string, { state: string; reason?: string }>>
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
  return (req, res) => {
    const { tspDropped } = state
    const servers = state.servers(req)
    const named = Object.entries(servers)
    const about = {
      api_last_activity: state.lastActivity(),
      server_instances: Object.fromEntries(named.map(([name, server]) => [name, server.state])),
      server_failures: Object.fromEntries(named.flatMap(([name, { reason }]) => (reason === undefined ? [] : [[name, reason]]))),
      servers,
      ...state.counts(),
    }
    res.json(tspDropped ? { ...about, tsp_dropped: tspDropped() } : about)
  }
}
