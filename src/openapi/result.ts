// What a tool gave, as an HTTP body: its structured content where it promised one, else what mcpo makes of its content.
import { jsonIn } from '../protocol/json.ts'
import { isObject, type JsonObject } from '../protocol/message.ts'

/** The JSON text, on one line. */
export function bodyOfResult(result: JsonObject, promisesStructure: boolean): string {
  const { content, structuredContent } = result
  if (promisesStructure && structuredContent !== undefined) return JSON.stringify(structuredContent)
  const items = Array.isArray(content) ? content.filter(isObject) : []
  const texts = items.map(textOfItem)
  const [only] = texts
  return texts.length === 1 && only !== undefined ? only : `[${texts.join(',')}]`
}

/** What a tool said that failed. */
export function wordsOfResult({ content }: JsonObject): string {
  const items = Array.isArray(content) ? content.filter(isObject) : []
  const words = items.flatMap(({ text }) => (typeof text === 'string' ? [text] : []))
  return words.length === 0 ? 'the tool failed' : words.join('\n')
}

function textOfItem(item: JsonObject): string {
  const { type, text, data, mimeType, resource } = item
  // JSON in a text goes on as it is written: parsed and written again, a long number would be another.
  if (type === 'text' && typeof text === 'string') return isJson(text) ? text.trim().replaceAll(/[\r\n]+/g, ' ') : JSON.stringify(text)
  if ((type === 'image' || type === 'audio') && typeof data === 'string')
    return JSON.stringify(`data:${typeof mimeType === 'string' && MEDIA_TYPE.test(mimeType) ? mimeType : ''};base64,${data}`)
  if (type === 'resource' && isObject(resource)) return JSON.stringify(resource)
  return JSON.stringify(item)
}

/** RFC 6838 §4.2. Of anything else what follows in the URI would not be the data, but what the server says there. */
const MEDIA_TYPE = /^[\w!#$&^.+-]{1,127}\/[\w!#$&^.+-]{1,127}$/

/** Most texts are none, which is seen without asking the parser: its refusal costs more than all else of a call's answer. */
function isJson(text: string): boolean {
  return /^\s*(?:[{["\d-]|(?:true|false|null)\s*$)/.test(text) && jsonIn(text) !== undefined
}
