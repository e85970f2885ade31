// A request under a seal is sent again only where it is not done twice, whoever stands in between and whatever happens to the other side.
import { OpenMcpError } from '../errors.ts'
import type { CarriedRequest, SealedRequest, SealedWay } from '../protocol/carried.ts'
import { jsonIn } from '../protocol/json.ts'
import { isObject, type JsonObject } from '../protocol/message.ts'
import type { AnswerHandler } from './http-request.ts'

/** `silent`: nobody said anything. `forgotten`: the session is over, and whoever ended it does not know what was done in it. */
export type Outcome = 'over' | 'silent' | 'forgotten'

export interface Asking {
  way: SealedWay
  carried: CarriedRequest
  exchange(sealed: SealedRequest): Promise<Outcome>
  handler: AnswerHandler
  leaving: { readonly left: boolean }
}

/** Fails when there is no answer to be had. */
export async function askOnce({ way, carried, exchange, handler, leaving }: Asking): Promise<void> {
  let sealed = await way.seal(carried)
  const tried = new Set<Outcome>()
  while (!leaving.left) {
    const outcome = await exchange(sealed)
    if (outcome === 'over') return
    if (tried.has(outcome)) break
    tried.add(outcome)
    // The same message again: if it was taken the first time, and only the answer is missing, it is not taken twice.
    if (outcome === 'silent') await way.relate()
    else if (mayBeRepeated(carried)) sealed = await way.seal(carried)
    else return handler.failed(forgotten())
  }
  if (!leaving.left) throw new OpenMcpError('upstream_broke', 'the other side does not answer this request by TSP', { hint: 'does it still trust us?' })
}

/** What does nothing that matters when it is done twice. */
const REPEATABLE: ReadonlySet<unknown> = new Set([
  'initialize',
  'ping',
  'server/discover',
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
])

function mayBeRepeated({ method, headers, body }: CarriedRequest): boolean {
  return method === 'POST' && headers['mcp-session-id'] === undefined && REPEATABLE.has(messageIn(body)['method'])
}

/** A session of MCP has ended with the one that is forgotten; its client begins anew, and knows best what to ask again. */
function forgotten(): OpenMcpError {
  return new OpenMcpError('session_ended', 'the other side was started again, or has ended the session; what was asked last may have been done', {
    hint: 'begin anew',
  })
}

function messageIn(body: Buffer): JsonObject {
  const value = jsonIn(body.toString())
  return isObject(value) ? value : {}
}
