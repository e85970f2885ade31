// The id of an answer, read and replaced at the edge of its text, so that megabytes are neither parsed nor copied and
// small answers keep their bytes. Only the two shapes that serialisers write are read; anything else says undefined.
import type { Text } from '../protocol/exchange.ts'
import { EDGE_BYTES } from '../protocol/lines.ts'
import { isId, type JsonRpcId } from '../protocol/message.ts'

const CR = 13
// The first member of the object, right after its brace; or the last one, right before it. In both places the member is the
// answer's own: inside a string its quotes would be escaped, inside another object the brace would not be the line's.
const FIRST = /^\{"jsonrpc":"2\.0","id":("(?:[^"\\]|\\.)*"|-?\d{1,16}),"(?:result|error)":/
const LAST = /[}\]"\dlse],"jsonrpc":"2\.0","id":("(?:[^"\\]|\\.)*"|-?\d{1,16})\}$/

/** The id of the answer whose text begins and ends like this, if it stands at one of the two edges. */
export function answerIdAtEdge(head: Buffer, tail: Buffer): JsonRpcId | undefined {
  const match =
    FIRST.exec(head.toString('utf8', 0, EDGE_BYTES)) ??
    (head.toString('latin1', 0, 10) === '{"result":' ? LAST.exec(tail.subarray(-EDGE_BYTES).toString()) : null)
  const id: unknown = match?.[1] === undefined ? undefined : JSON.parse(match[1])
  return isId(id) ? id : undefined
}

/** Whether what begins like this is a result and no error, whose code would have to be read. */
export function isResultAtEdge(head: Buffer): boolean {
  const match = FIRST.exec(head.toString('utf8', 0, EDGE_BYTES))
  return match ? match[0].endsWith('"result":') : head.toString('latin1', 0, 10) === '{"result":'
}

/** The same answer with another id, or undefined where that cannot be done at the edge. */
export function withId(text: string, inner: JsonRpcId, outer: JsonRpcId | undefined): string | undefined
export function withId(text: Buffer, inner: JsonRpcId, outer: JsonRpcId | undefined): Text | undefined
export function withId(text: string | Buffer, inner: JsonRpcId, outer: JsonRpcId | undefined): Text | undefined {
  if (outer === undefined) return undefined
  const first = `{"jsonrpc":"2.0","id":${JSON.stringify(inner)},`
  const last = `,"jsonrpc":"2.0","id":${JSON.stringify(inner)}}`
  const newFirst = `{"jsonrpc":"2.0","id":${JSON.stringify(outer)},`
  const newLast = `,"jsonrpc":"2.0","id":${JSON.stringify(outer)}}`
  if (typeof text === 'string') {
    if (text.startsWith(first)) return newFirst + text.slice(first.length)
    return text.endsWith(last) ? text.slice(0, -last.length) + newLast : undefined
  }
  // A raw carriage return is white space to JSON and a line break to an event stream.
  if (text.indexOf(CR) >= 0) return undefined
  const firstBytes = Buffer.from(first)
  if (text.subarray(0, firstBytes.length).equals(firstBytes)) return [Buffer.from(newFirst), text.subarray(firstBytes.length)]
  const lastBytes = Buffer.from(last)
  return text.subarray(-lastBytes.length).equals(lastBytes) ? [text.subarray(0, -lastBytes.length), Buffer.from(newLast)] : undefined
}
