// What stands in a sealed message of MCP: one line that says which session it is of and which message in it, and then the JSON-RPC text as
// it is, which is neither read here nor copied into another text.
//
//   {"openmcp":"open","nonce":N}                        a client begins
//   {"openmcp":"opened","nonce":N,"session":S}          the answer of the node to that one beginning
//   {"openmcp":"refused","nonce":N,"why":W}             or that there is no session to be had
//   {"openmcp":"message","session":S,"n":k}⏎TEXT        either side; k counts the messages of its sender in S, from 1
//   {"openmcp":"close","session":S,"why":W}             either side: S is over, for good
//
// N and S are base64url, W is a code of errors.ts. The line is written exactly so, member by member: what is written otherwise is no frame.
import type { Text } from '../protocol/exchange.ts'

export type SessionFrame =
  | { readonly kind: 'open'; readonly nonce: string }
  | { readonly kind: 'opened'; readonly nonce: string; readonly session: string }
  | { readonly kind: 'refused'; readonly nonce: string; readonly why: string }
  | { readonly kind: 'message'; readonly session: string; readonly n: number; readonly message: Buffer }
  | { readonly kind: 'close'; readonly session: string; readonly why: string }

/** What a frame begins with, and no JSON-RPC message does. */
const BEGINNING = '{"openmcp":"'
const MOST_HEAD_BYTES = 160
const LINE_BREAK = 10
const HEAD =
  /^\{"openmcp":"(open|opened|refused|message|close)"(?:,"nonce":"([\w-]{22})")?(?:,"session":"([\w-]{40})")?(?:,"n":([1-9]\d{0,15}))?(?:,"why":"([a-z_]{1,32})")?\}$/

/** Undefined: no frame. The message is a part of `bytes`, and not looked at. */
export function frameOf(bytes: Buffer): SessionFrame | undefined {
  if (bytes.toString('latin1', 0, BEGINNING.length) !== BEGINNING) return undefined
  const lineBreak = bytes.subarray(0, MOST_HEAD_BYTES + 1).indexOf(LINE_BREAK)
  const head = lineBreak < 0 ? bytes : bytes.subarray(0, lineBreak)
  if (head.length > MOST_HEAD_BYTES) return undefined
  const [, kind, nonce, session, number, why] = HEAD.exec(head.toString('latin1')) ?? []
  const frame = {
    nonce,
    session,
    n: number === undefined ? undefined : Number(number),
    why,
    message: lineBreak < 0 ? undefined : bytes.subarray(lineBreak + 1),
  }
  return kind === undefined ? undefined : shaped(kind, frame)
}

export const openFrame = (nonce: string): Buffer => Buffer.from(`{"openmcp":"open","nonce":"${nonce}"}`)
export const openedFrame = (nonce: string, session: string): Buffer => Buffer.from(`{"openmcp":"opened","nonce":"${nonce}","session":"${session}"}`)
export const refusedFrame = (nonce: string, why: string): Buffer => Buffer.from(`{"openmcp":"refused","nonce":"${nonce}","why":"${why}"}`)
export const closeFrame = (session: string, why: string): Buffer => Buffer.from(`{"openmcp":"close","session":"${session}","why":"${why}"}`)

export function messageFrame(session: string, n: number, message: Text): Buffer {
  const head = `{"openmcp":"message","session":"${session}","n":${n}}\n`
  return typeof message === 'string' ? Buffer.from(head + message) : Buffer.concat([Buffer.from(head), ...message])
}

interface Members {
  readonly nonce: string | undefined
  readonly session: string | undefined
  readonly n: number | undefined
  readonly why: string | undefined
  readonly message: Buffer | undefined
}

/** Each kind has its own members, all of them and no others. */
function shaped(kind: string, { nonce, session, n, why, message }: Members): SessionFrame | undefined {
  if (kind === 'message') {
    if (session === undefined || n === undefined || !Number.isSafeInteger(n) || message === undefined || nonce !== undefined || why !== undefined)
      return undefined
    return { kind, session, n, message }
  }
  if (n !== undefined || message !== undefined) return undefined
  if (kind === 'close') return session !== undefined && why !== undefined && nonce === undefined ? { kind, session, why } : undefined
  if (nonce === undefined) return undefined
  if (kind === 'refused') return why !== undefined && session === undefined ? { kind, nonce, why } : undefined
  if (why !== undefined) return undefined
  if (kind === 'opened') return session === undefined ? undefined : { kind, nonce, session }
  return session === undefined ? { kind: 'open', nonce } : undefined
}
