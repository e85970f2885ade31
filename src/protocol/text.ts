// What is in a text of the wire, which may come in pieces.
import type { Text } from './exchange.ts'
import { jsonIn } from './json.ts'
import { isObject, type JsonObject } from './message.ts'

export function wholeOf(text: Text): string {
  return typeof text === 'string' ? text : Buffer.concat(text).toString()
}

/** The object that it is; an empty one for what is none: a large answer was not parsed on its way, and may be no JSON at all. */
export function objectIn(text: Text): JsonObject {
  const value = jsonIn(wholeOf(text))
  return isObject(value) ? value : {}
}

/** The result, where it is an answer that has one which is an object. */
export function resultIn(text: Text): JsonObject | undefined {
  const { result } = objectIn(text)
  return isObject(result) ? result : undefined
}
