// Every limit that an operator may set: its name in the file and, with dashes, on the command line; its unit; and from where to where.
import type { Limits } from '../protocol/limits.ts'

export interface LimitRule {
  readonly limit: keyof Limits
  readonly unit: 'bytes' | 'count' | 'seconds'
  readonly from: number
  readonly to: number
  readonly what: string
}

const MIB = 1024 ** 2
/** How long a token may live. */
export const TOKEN_SECONDS = { from: 60, to: 3600 }
/** A timer of Node cannot wait longer. */
export const MAX_SECONDS = Math.floor((2 ** 31 - 1) / 1000)
/** A message becomes a string, and no string of V8 is longer than about 2 ** 29 characters. */
const TEXT = { unit: 'bytes', from: 1024, to: 512 * MIB - 1024 } as const
const MEMORY = { unit: 'bytes', from: 1024, to: 64 * 1024 * MIB } as const
const MANY = { unit: 'count', from: 1, to: 1_000_000 } as const
const SECONDS = { unit: 'seconds', from: 0, to: MAX_SECONDS } as const

const LIMIT_RULES = {
  timeout: { limit: 'timeoutSeconds', ...SECONDS, what: 'Seconds a call may wait for any sign of its answer; 0: as long as the client does.' },
  idle: { limit: 'idleSeconds', ...SECONDS, from: 0.1, what: 'Seconds a session may lie idle.' },
  drain: { limit: 'drainSeconds', ...SECONDS, what: 'Seconds that calls in flight get when openmcp is told to stop.' },
  connectTimeout: { limit: 'connectSeconds', ...SECONDS, from: 0.1, what: 'Seconds to connect to a remote server and to read the head of its first answer.' },
  stopTimeout: { limit: 'stopSeconds', ...SECONDS, what: 'Seconds a child gets to end by itself, and again after SIGTERM.' },
  poll: { limit: 'pollSeconds', ...SECONDS, what: 'Seconds after which an unfinished stream is closed for the client to come back; 0: never.' },
  maxSessions: { limit: 'sessions', ...MANY, what: 'Sessions at once.' },
  maxChildren: { limit: 'children', ...MANY, what: 'Children at once.' },
  maxStreams: { limit: 'streams', ...MANY, what: 'Open answers of one session.' },
  maxBody: { limit: 'bodyBytes', ...TEXT, what: 'Bytes of the body of a request.' },
  maxMessage: { limit: 'messageBytes', ...TEXT, what: 'Bytes of one message of a server.' },
  maxBuffer: { limit: 'bufferedBytes', ...MEMORY, what: 'Bytes that wait for a slow reader.' },
  maxReplay: { limit: 'replayBytes', ...MEMORY, from: 0, what: 'Bytes kept of a stream for a client that comes back.' },
  maxHeaders: { limit: 'headerBytes', unit: 'bytes', from: 1024, to: MIB, what: 'Bytes of the headers of a request.' },
  // JSON.stringify runs out of stack somewhere above 4000 levels.
  maxDepth: { limit: 'depth', unit: 'count', from: 8, to: 2000, what: 'Levels of nesting of a message of a client.' },
} as const satisfies Record<string, LimitRule>

export function limitRules(): [member: string, rule: LimitRule][] {
  return Object.entries(LIMIT_RULES)
}

const UNITS = new Map([
  ['', 1],
  ['k', 1024],
  ['m', MIB],
  ['g', 1024 * MIB],
])

/** `65536`, `64k`, `8m` or `1g`. */
export function bytesOf(text: string): number | undefined {
  const [, digits, unit = ''] = /^(\d+)([kmg]?)$/i.exec(text) ?? []
  return digits === undefined ? undefined : Number(digits) * (UNITS.get(unit.toLowerCase()) ?? 1)
}

export function shownBytes(bytes: number): string {
  const [unit, size] = [...UNITS].toReversed().find(([, each]) => bytes >= each && bytes % each === 0) ?? ['', 1]
  return `${bytes / size}${unit}`
}
