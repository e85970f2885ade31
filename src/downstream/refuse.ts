// A failure as an HTTP answer: the status of its code, a JSON-RPC error, and nothing that only the log should know.
import type { ServerResponse } from 'node:http'

import { HTTP_STATUS, toOpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import { errorText } from '../protocol/answer.ts'
import { idOfRefusal, type JsonRpcId } from '../protocol/message.ts'
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
  const status = HTTP_STATUS[error.code]
  if (error.code === 'internal') log.error(error.message, { detail: error.detail })
  else log.debug('refused', { code: error.code, status, why: error.message, detail: error.detail })
  writeJson(res, status, errorText(error, id ?? idOfRefusal(error), era), {
    ...(status === 503 ? { 'retry-after': BUSY_SECONDS } : {}),
    // What was not read of the body would be taken for the next request.
    ...(error.code === 'too_large' && !res.req.complete ? { connection: 'close' } : {}),
    ...headers,
  })
}
