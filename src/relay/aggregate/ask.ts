// Questions of our own to one of several servers.
import { OpenMcpError } from '../../errors.ts'
import type { Caller } from '../../protocol/caller.ts'
import type { ForwardedHeaders } from '../../protocol/exchange.ts'
import { isObject, type JsonObject } from '../../protocol/message.ts'
import { sendTo, type Joined } from './member.ts'
import { resultIn } from '../../protocol/text.ts'

export type Ask = (method: string, params: JsonObject) => Promise<JsonObject>

/** More would be a server that never comes to an end. */
const MOST_PAGES = 1000
const MOST_ITEMS = 20_000

let lastId = 0

/** Fails with what the server says, or with why it says nothing. */
export function askOf(one: Pick<Joined, 'member' | 'link'>, caller: Caller, headers: ForwardedHeaders): Ask {
  return (method, params) => {
    const id = `openmcp:${++lastId}`
    return new Promise((resolve, reject) => {
      const body = { jsonrpc: '2.0', id, method, params }
      sendTo(one, caller, { kind: 'request', id, method, body }, headers, {
        message: () => {},
        answer(_id, text) {
          const result = resultIn(text)
          if (result) resolve(result)
          else reject(new OpenMcpError('upstream_broke', `the server refused ${method}`))
        },
        failed: reject,
        withdrawn: () => reject(new OpenMcpError('stopping', 'the question was taken back')),
      })
    })
  }
}

/** All pages of a list. Of one that has no end, or more than it could be of use, only the beginning; `onCut` is told. */
export async function listOf(ask: Ask, method: string, key: string, onCut: () => void = () => {}): Promise<JsonObject[]> {
  const items: JsonObject[] = []
  const seen = new Set<string>()
  let cursor: string | undefined
  for (let page = 0; page < MOST_PAGES && items.length < MOST_ITEMS; page++) {
    const result = await ask(method, cursor === undefined ? {} : { cursor })
    const more = result[key]
    if (Array.isArray(more)) for (const item of more) if (isObject(item)) items.push(item)
    const next = result['nextCursor']
    if (typeof next !== 'string') return items.slice(0, MOST_ITEMS)
    if (seen.has(next)) break
    seen.add(next)
    cursor = next
  }
  onCut()
  return items.slice(0, MOST_ITEMS)
}
