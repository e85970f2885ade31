// Documents that were made, for as long as what they tell is so: the same lists, seen by a caller who may use the same of them.
import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

import { documentOf, type DocumentOptions, type Part } from './document.ts'

interface Made {
  readonly body: Buffer
  readonly etag: string
}

const KEPT = 64
/** Of all that are kept. */
const KEPT_BYTES = 64 * 1024 * 1024

/** Answers with the document of these parts: made once, and told from memory until one of its lists is another. */
export function createDocuments(): (req: IncomingMessage, res: ServerResponse, parts: readonly Part[], options: DocumentOptions) => void {
  const numbers = new WeakMap<object, number>()
  const made = new Map<string, Made>()
  let lastNumber = 0
  let bytes = 0

  function numberOf(listed: object): number {
    const number = numbers.get(listed) ?? ++lastNumber
    numbers.set(listed, number)
    return number
  }

  /** An entry is the same object for as long as its list is. */
  function keyOf(parts: readonly Part[], options: DocumentOptions): string {
    const hash = createHash('sha256').update(JSON.stringify([options, parts.map(({ server, place }) => [server, place])]))
    for (const { about, tools, prompts, resources, resourceTemplates } of parts) {
      for (const list of [[about], tools, prompts, resources, resourceTemplates]) hash.update(`${list.map(numberOf).join(',')};`)
    }
    return hash.digest('base64url')
  }

  return (req, res, parts, options) => {
    const key = keyOf(parts, options)
    let document = made.get(key)
    if (!document) {
      const body = Buffer.from(documentOf(parts, options))
      document = { body, etag: `"${createHash('sha256').update(body).digest('base64url')}"` }
      bytes += body.length
    } else made.delete(key)
    made.set(key, document)
    for (const [oldest, { body }] of made) {
      if (oldest === key || (made.size <= KEPT && bytes <= KEPT_BYTES)) break
      made.delete(oldest)
      bytes -= body.length
    }
    // Each caller sees its own: nobody on the way may keep it for another.
    const head = { etag: document.etag, 'cache-control': 'private, no-cache', vary: 'Authorization' }
    if (req.headers['if-none-match'] === document.etag) return void res.writeHead(304, head).end()
    res.writeHead(200, { ...head, 'content-type': 'application/json', 'content-length': document.body.length }).end(document.body)
  }
}
