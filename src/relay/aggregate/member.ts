// One of several servers that are served as one, and a session's way to it.
import { OpenMcpError } from '../../errors.ts'
import type { Caller } from '../../protocol/caller.ts'
import type { ForwardedHeaders, Link, MessageUpstream, Reply } from '../../protocol/exchange.ts'
import type { Gate } from '../../protocol/gate.ts'
import { alone, NO_MESSAGES, type JsonObject, type Message } from '../../protocol/message.ts'

export interface Member {
  readonly name: string
  /** The gate of its own door, which all has to pass that comes to it in this way. */
  readonly gate: Gate
  messages(): MessageUpstream | Promise<MessageUpstream>
  /** A call to it begins; returns what to call when it is over. Whoever ends it waits for these. */
  begin(): () => void
}

/** A server that one session is joined to. */
export interface Joined {
  readonly member: Member
  readonly link: Link
  /** Its answer to `initialize`. */
  readonly result: JsonObject
  readonly sinceMs: number
}

/** Sends one message to a server when its gate lets it pass; else it is refused, and nothing is sent. */
export function sendTo(
  { member: { gate }, link }: Pick<Joined, 'member' | 'link'>,
  caller: Caller,
  message: Message,
  headers: ForwardedHeaders,
  reply: Reply,
): void {
  const post = alone(message)
  const refusal = gate.refusalOf(caller, post)
  if (refusal) return message.kind === 'request' ? reply.failed(refusal, message.id) : undefined
  link.send(post, headers, gate.readsAnswers(caller) ? gate.filtered(caller, post, reply) : reply)
}

/** Whether there is this server for a caller. */
export function mayReach(caller: Caller, { gate }: Pick<Member, 'gate'>): boolean {
  return gate.refusalOf(caller, NO_MESSAGES) === undefined
}

/** The same outcome, or a failure after so long. What is still to come then comes to nobody. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new OpenMcpError('timeout', `no answer within ${ms / 1000} seconds`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
