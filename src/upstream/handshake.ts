// On a shared pipe the server is initialised once, by the first client; the others get the same answer.
import { OpenMcpError } from '../errors.ts'
import type { Reply } from '../protocol/exchange.ts'
import type { JsonRpcId } from '../protocol/message.ts'

export interface Handshake {
  /** False for the client whose `initialize` is to be sent; everybody else is answered, now or when the server has. */
  answers(id: JsonRpcId, reply: Reply): boolean
  /** What the server said; without a result the clients that wait for it are told the reason. */
  learned(result: unknown, reason?: OpenMcpError): void
  /** Whether this is the first `notifications/initialized`. */
  firstInitialized(): boolean
}

export function createHandshake(): Handshake {
  let result: unknown
  let asking = false
  let initialized = false
  let waiting: { id: JsonRpcId; reply: Reply }[] = []
  const tell = (id: JsonRpcId, reply: Reply): void => reply.answer(id, JSON.stringify({ jsonrpc: '2.0', id, result }), undefined)
  return {
    answers(id, reply) {
      if (result !== undefined) tell(id, reply)
      else if (asking) waiting.push({ id, reply })
      else {
        asking = true
        return false
      }
      return true
    },
    learned(answer, reason = new OpenMcpError('child_failed', 'the server refused to be initialised')) {
      result = answer
      asking = false
      const queue = waiting
      waiting = []
      for (const { id, reply } of queue) {
        if (result !== undefined) tell(id, reply)
        else reply.failed(reason, id)
      }
    },
    firstInitialized() {
      const first = !initialized
      initialized = true
      return first
    },
  }
}
