// What an answer calls by a URI, called as the client can ask for it.
import type { Text } from '../../protocol/exchange.ts'
import { jsonIn } from '../../protocol/json.ts'
import { isObject, type JsonObject } from '../../protocol/message.ts'
import { joinedUri } from './names.ts'

/** The same answer where none is named. */
export function withJoinedUris(text: Text, server: string): Text {
  const whole = typeof text === 'string' ? text : Buffer.concat(text).toString()
  if (!whole.includes('"uri"')) return text
  const answer = jsonIn(whole)
  const result = isObject(answer) ? answer['result'] : undefined
  if (!isObject(answer) || !isObject(result)) return text
  for (const content of contentsIn(result)) {
    if (typeof content['uri'] === 'string') content['uri'] = joinedUri(server, content['uri'])
  }
  return JSON.stringify(answer)
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
