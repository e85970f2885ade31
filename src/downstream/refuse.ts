// A failure as an HTTP answer: the status of its code, a JSON-RPC error, and nothing that only the log should know.
import type { IncomingMessage, ServerResponse } from 'node:http'

import { HTTP_STATUS, toOpenMcpError, type OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import { errorText } from '../protocol/answer.ts'
import { idOfRefusal, requestIdsOf, type JsonRpcId, type Post } from '../protocol/message.ts'
import type { Era } from '../protocol/revision.ts'
import { writeJson } from './post-reply.ts'

const BUSY_SECONDS = '5'

export interface RefuseOptions {
  log: Log
  era?: Era
  id?: JsonRpcId | undefined
  headers?: Readonly<Record<string, string>>
}

export function refuse(res: ServerResponse, thrown: unknown, { log, era = 'legacy', id, headers }: RefuseOptions): void {
  const error = toOpenMcpError(thrown)
  const {
    status,
    text,
    headers: own,
  }: Refusal = (res as Worded)[WORDS]?.(error) ?? { status: HTTP_STATUS[error.code], text: errorText(error, id ?? idOfRefusal(error), era) }
  if (error.code === 'internal') log.error(error.message, { detail: error.detail })
  else log.debug('refused', { code: error.code, status, why: error.message, detail: error.detail })
  writeJson(res, status, text, {
    ...(status === 503 ? { 'retry-after': BUSY_SECONDS } : {}),
    // What was not read of the body would be taken for the next request.
    ...(error.code === 'too_large' && !res.req.complete ? { connection: 'close' } : {}),
    ...own,
    ...headers,
  })
}

/** A failure as another door says it than those of JSON-RPC. */
export interface Refusal {
  readonly status: number
  readonly text: string
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** On the response itself: V8 looks through the table of a WeakMap at every collection, and keeps what is in it for longer. */
const WORDS = Symbol('words')

interface Worded extends ServerResponse {
  [WORDS]?: (error: OpenMcpError) => Refusal
}

/** Whoever refuses this request from now on, the guard as well, says it so. */
export function refusesAs(res: ServerResponse, say: (error: OpenMcpError) => Refusal): void {
  ;(res as Worded)[WORDS] = say // nobody else knows of this place
}

/** What a refusal of the gate is to say beside its body: a challenge that names the scopes. */
export type RefusalHeaders = (req: IncomingMessage, error: OpenMcpError) => Readonly<Record<string, string>>

/** The gate holds back a post as a whole: one failure for it, or, where what it names does not exist, one for each of its requests. */
export function refuseByGate(
  res: ServerResponse,
  error: OpenMcpError,
  { log, era, post, headers = {} }: { log: Log; era: Era; post: Post; headers?: Readonly<Record<string, string>> | undefined },
): void {
  const ids = requestIdsOf(post)
  if (!post.batch || error.code !== 'unknown_name') return refuse(res, error, { log, era, id: post.batch ? undefined : ids[0], headers })
  log.debug('refused', { code: error.code, why: error.message, detail: error.detail })
  writeJson(res, HTTP_STATUS[error.code], `[${ids.map((id) => errorText(error, id, era)).join(',')}]`, headers)
}
