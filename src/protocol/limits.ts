// Every size, count and wait that openmcp bounds. Each is adjustable, and each fails one message or one session only.

export interface Limits {
  /** Bytes of one HTTP request body. */
  bodyBytes: number
  /** Bytes of one message of an upstream: a line of a child, an event, a JSON answer that we must read. */
  messageBytes: number
  /** Levels of nesting of one message of a client. */
  depth: number
  /** Bytes of all headers of one HTTP request. */
  headerBytes: number
  /** Open HTTP answers (event streams and calls in flight) of one session. */
  streams: number
  /** Bytes that wait for one slow reader before its stream is dropped. */
  bufferedBytes: number
  /** Events kept per stream for a client that comes back with `Last-Event-ID`. */
  replayEvents: number
  /** Bytes kept per stream for the same. */
  replayBytes: number
  /** Sessions at once. */
  sessions: number
  /** Children at once. */
  children: number
  /** Seconds a session may lie idle, with no call in flight and no stream open. */
  idleSeconds: number
  /** Seconds a call may wait for any sign of its answer; 0: as long as the client does. */
  timeoutSeconds: number
  /** Seconds to connect to an upstream and to read the head of its first answer. */
  connectSeconds: number
  /** Seconds that calls in flight get to finish when openmcp is told to stop. */
  drainSeconds: number
  /** Seconds a child gets to end after its stdin was closed, and again after SIGTERM. */
  stopSeconds: number
  /** Seconds that an answer may be silent before the client is told that it is being served: it hears of it within twice that time. */
  keepAliveSeconds: number
  /** Seconds after which an unfinished event stream is closed for the client to come back; 0: never (SEP-1699). */
  pollSeconds: number
}

export const DEFAULT_LIMITS: Limits = {
  bodyBytes: 8 * 1024 * 1024,
  messageBytes: 64 * 1024 * 1024,
  depth: 200,
  headerBytes: 16 * 1024,
  streams: 128,
  bufferedBytes: 64 * 1024 * 1024,
  replayEvents: 256,
  replayBytes: 1024 * 1024,
  sessions: 2000,
  children: 128,
  idleSeconds: 30 * 60,
  timeoutSeconds: 30 * 60,
  connectSeconds: 10,
  drainSeconds: 10,
  stopSeconds: 2,
  // Load balancers cut what is silent for a minute (AWS ALB 60 s, nginx 60 s), some for less: half of that is left.
  keepAliveSeconds: 15,
  pollSeconds: 0,
}
