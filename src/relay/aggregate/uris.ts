// What messages of a server call by a URI, or by the id of a task, called as the client can ask for it; and back.
import type { Text } from '../../protocol/exchange.ts'
import { jsonIn } from '../../protocol/json.ts'
import { isObject, type JsonObject } from '../../protocol/message.ts'
import { joinedUri, schemeOf, splitUri } from './names.ts'
import { wholeOf } from '../../protocol/text.ts'

const RELATED_TASK = 'io.modelcontextprotocol/related-task'

/** The same answer where none is named. */
export function withJoinedUris(text: Text, server: string): Text {
  const whole = wholeOf(text)
  if (!whole.includes('"uri"') && !whole.includes('"taskId"')) return text
  const answer = jsonIn(whole)
  const result = isObject(answer) ? answer['result'] : undefined
  if (!isObject(answer) || !isObject(result)) return text
  for (const content of contentsIn(result)) {
    if (typeof content['uri'] === 'string') content['uri'] = joinedUri(server, content['uri'])
  }
  // A task that was made, one that was asked for, and what an answer belongs to.
  for (const named of [result['task'], result, relatedTaskIn(result)]) {
    if (isObject(named) && typeof named['taskId'] === 'string') named['taskId'] = joinedUri(server, named['taskId'])
  }
  return JSON.stringify(answer)
}

/** A message of a server in which the task that it belongs to is called as the client knows it. */
export function withJoinedTask(params: JsonObject, server: string): JsonObject {
  const related = relatedTaskIn(params)
  if (typeof related?.['taskId'] !== 'string') return params
  const meta = isObject(params['_meta']) ? params['_meta'] : {}
  return { ...params, _meta: { ...meta, [RELATED_TASK]: { ...related, taskId: joinedUri(server, related['taskId']) } } }
}

/** An answer of the client in which the task that it belongs to is called as the server knows it. */
export function withOwnTask(body: JsonObject, server: string): JsonObject {
  const result = body['result']
  const related = isObject(result) ? relatedTaskIn(result) : undefined
  const split = typeof related?.['taskId'] === 'string' ? splitUri(related['taskId']) : undefined
  if (!isObject(result) || split?.scheme !== schemeOf(server)) return body
  const meta = isObject(result['_meta']) ? result['_meta'] : {}
  return { ...body, result: { ...result, _meta: { ...meta, [RELATED_TASK]: { ...related, taskId: split.uri } } } }
}

function relatedTaskIn(params: JsonObject): JsonObject | undefined {
  const meta = params['_meta']
  const related = isObject(meta) ? meta[RELATED_TASK] : undefined
  return isObject(related) ? related : undefined
}

/** `contents` of a resource, links and embedded resources in the content of tools and prompts. */
function contentsIn(result: JsonObject): JsonObject[] {
  const messages = objectsIn(result['messages']).flatMap((message) => objectsIn([message['content']].flat()))
  const content = [...objectsIn(result['content']), ...messages]
  return [
    ...objectsIn(result['contents']),
    ...content.filter(({ type }) => type === 'resource_link'),
    ...content.flatMap(({ type, resource }) => (type === 'resource' && isObject(resource) ? [resource] : [])),
  ]
}

function objectsIn(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}
