// Many requests in a short time: connections are kept, headers go out exactly as written, answers that do not end are left.
import { Agent, request } from 'node:http'
import { onTestFinished } from 'vitest'

interface QuickRequest {
  method: string
  url: URL
  /** Names may be there more than once. */
  headers?: readonly (readonly [string, string])[]
  body?: string | undefined
}

export interface QuickAnswer {
  status: number
  header(name: string): string | undefined
  text: string
}

export type Quick = (asked: QuickRequest) => Promise<QuickAnswer>

/** Asks over a few connections, which end with the test. */
export function quick(): Quick {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  onTestFinished(() => agent.destroy())
  return ({ method, url, headers = [], body }) =>
    new Promise((resolve, reject) => {
      const all = [['host', url.host], ...headers, ...(body === undefined ? [] : [['content-length', String(Buffer.byteLength(body))]])].flat()
      const req = request(url, { agent, method, headers: all })
      req.once('error', reject)
      req.once('response', (res) => {
        let text = ''
        const answer = (): void => resolve({ status: res.statusCode ?? 0, header: (name) => oneOf(res.headers[name]), text })
        res.setEncoding('utf8').on('data', (piece: string) => (text += piece))
        res.once('end', answer)
        res.once('error', () => {})
        if (!res.headers['content-type']?.startsWith('text/event-stream')) return
        answer()
        req.destroy()
      })
      req.end(body)
    })
}

function oneOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}
