// What servers say to the client beside their answers, and its answers to what they ask: two of them may ask under the same id.
import type { Link, Text } from '../../protocol/exchange.ts'
import { jsonIn } from '../../protocol/json.ts'
import { isId, isObject, type JsonObject, type JsonRpcId } from '../../protocol/message.ts'
import type { Member } from './member.ts'
import { joinedUri } from './names.ts'
import { withJoinedTask } from './uris.ts'
import { wholeOf } from '../../protocol/text.ts'

interface Question {
  readonly member: Member
  readonly link: Link
  readonly id: JsonRpcId
  /** What it wants progress by. */
  readonly token: unknown
}

export interface FromServers {
  /** A message of a server, told to the client in its words. What is not for this client, or of another server's, is dropped. */
  heard(member: Member, link: Link, text: Text, tell: (text: Text) => void): void
  /** The question that the client answers with this; undefined: there is none, or not any more. */
  answered(id: JsonRpcId): Question | undefined
  /** Whose question this progress is about. */
  askedWith(token: unknown): Question | undefined
  /** Its questions that are open are taken back. */
  left(link: Link, tell: (text: Text) => void): void
}

/** Of a session. A server that asks on and on without an answer must not fill our memory: the oldest question is forgotten. */
const MOST_QUESTIONS = 1000

/** `isOthers`: whether this progress token is of a call to another server. */
export function createFromServers(isOthers: (link: Link, token: unknown) => boolean): FromServers {
  const questions = new Map<JsonRpcId, Question>()
  let lastId = 0

  const cancelled = (requestId: JsonRpcId, params: JsonObject = {}): string =>
    JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { ...params, requestId } })

  /** Undefined: it is dropped. */
  function paramsTold(member: Member, link: Link, method: unknown, params: JsonObject): JsonObject | undefined {
    const { name } = member
    switch (method) {
      case 'notifications/resources/updated':
        return typeof params['uri'] === 'string' ? { ...params, uri: joinedUri(name, params['uri']) } : undefined
      case 'notifications/tasks/status':
        return typeof params['taskId'] === 'string' ? { ...params, taskId: joinedUri(name, params['taskId']) } : undefined
      case 'notifications/message':
        return { ...params, logger: typeof params['logger'] === 'string' ? `${name}/${params['logger']}` : name }
      case 'notifications/progress':
        return isOthers(link, params['progressToken']) ? undefined : params
      default:
        return params
    }
  }

  return {
    heard(member, link, text, tell) {
      const message = jsonIn(wholeOf(text))
      if (!isObject(message)) return
      const params = isObject(message['params']) ? message['params'] : {}
      if (isId(message['id'])) {
        const id = `${member.name}:${++lastId}`
        const meta = isObject(params['_meta']) ? params['_meta'] : {}
        const [oldest] = questions.keys()
        if (questions.size >= MOST_QUESTIONS && oldest !== undefined) questions.delete(oldest)
        questions.set(id, { member, link, id: message['id'], token: meta['progressToken'] })
        return tell(JSON.stringify({ ...message, id, ...(isObject(message['params']) && { params: withJoinedTask(params, member.name) }) }))
      }
      if (message['method'] === 'notifications/cancelled') {
        const ours = [...questions].find(([, asked]) => asked.link === link && asked.id === params['requestId'])?.[0]
        if (ours === undefined) return
        questions.delete(ours)
        return tell(cancelled(ours, params))
      }
      const told = paramsTold(member, link, message['method'], params)
      if (told) tell(told === params && !('_meta' in params) ? text : JSON.stringify({ ...message, params: withJoinedTask(told, member.name) }))
    },
    answered(id) {
      const question = questions.get(id)
      questions.delete(id)
      return question
    },
    askedWith: (token) => (token === undefined ? undefined : [...questions.values()].find((question) => question.token === token)),
    left(link, tell) {
      for (const [id, question] of questions) {
        if (question.link !== link) continue
        questions.delete(id)
        tell(cancelled(id, { reason: 'the server that asked is gone' }))
      }
    },
  }
}
