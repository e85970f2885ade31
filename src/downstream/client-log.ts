// Our own log, told to the client as MCP tells logs (2025-11-25 server/utilities/logging): what stderr hears, where nobody reads that.
//
// The capability is declared whether the server behind has it or not. Where it has none, `logging/setLevel` is answered here, for us
// alone; where it has one, both hear it.
import type { LogLines } from '../observe/log-lines.ts'
import type { LogLevel } from '../observe/log.ts'
import type { Text } from '../protocol/exchange.ts'
import { jsonIn } from '../protocol/json.ts'
import { isObject, type JsonRpcId, type Message, type Post } from '../protocol/message.ts'
import { wholeOf } from '../protocol/text.ts'

export interface ClientLog {
  /** A post of the client, before it goes on. A text: that is its answer, and it goes no further. */
  asked(post: Post): string | undefined
  /** An answer of the server, as the client is to have it. */
  answered(id: JsonRpcId, text: Text): Text
}

/** RFC 5424 §6.2.1, from what matters least. */
const SEVERITIES = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency']
const SEVERITY: Record<LogLevel, string> = { debug: 'debug', info: 'info', warn: 'warning', error: 'error' }
const INVALID_PARAMS = -32602

/** `say` reaches the client. Nothing is said before it has said that it is initialized, for a client need not understand it until then. */
export function createClientLog({ lines, say }: { lines: LogLines; say: (text: string) => void }): ClientLog {
  let initializing: JsonRpcId | undefined
  /** Whether the server behind declares the capability itself. Undefined: there is no session by which that is known. */
  let isShared: boolean | undefined
  let isFollowing = false
  let least = 0

  function tell(level: LogLevel, text: string): void {
    const severity = SEVERITY[level]
    if (SEVERITIES.indexOf(severity) < least) return
    say(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: { level: severity, logger: 'openmcp', data: text } }))
  }

  return {
    asked({ messages: [message], batch }) {
      if (!message || batch || message.kind === 'response') return undefined
      if (message.kind === 'request' && message.method === 'initialize') initializing = message.id
      if (message.method === 'notifications/initialized' && isShared !== undefined && !isFollowing) {
        isFollowing = true
        // What it says goes on first.
        queueMicrotask(() => lines.follow(tell))
      }
      return message.kind === 'request' && message.method === 'logging/setLevel' && isShared !== undefined ? setLevel(message) : undefined
    },
    answered(id, text) {
      if (id !== initializing) return text
      initializing = undefined
      const answer = jsonIn(wholeOf(text))
      const result = isObject(answer) ? answer['result'] : undefined
      if (!isObject(answer) || !isObject(result)) return text
      const capabilities = isObject(result['capabilities']) ? result['capabilities'] : {}
      isShared = capabilities['logging'] !== undefined
      return isShared ? text : JSON.stringify({ ...answer, result: { ...result, capabilities: { ...capabilities, logging: {} } } })
    },
  }

  function setLevel({ id, body }: Extract<Message, { kind: 'request' }>): string | undefined {
    const level = isObject(body['params']) ? body['params']['level'] : undefined
    const index = SEVERITIES.findIndex((severity) => severity === level)
    if (index !== -1) least = index
    if (isShared) return undefined
    if (index !== -1) return JSON.stringify({ jsonrpc: '2.0', id, result: {} })
    return JSON.stringify({ jsonrpc: '2.0', id, error: { code: INVALID_PARAMS, message: `level is one of ${SEVERITIES.join(', ')}` } })
  }
}
