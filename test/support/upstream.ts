// An HTTP upstream by hand: it notes every request and answers as it is told.
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import { isJson, type Json } from './json.ts'
import { onLoopback } from './loopback.ts'

export interface Received {
  method: string
  url: string
  headers: IncomingHttpHeaders
  body: Json
  text: string
}

export interface Upstream {
  readonly origin: string
  /** Every request so far, also those that openmcp makes to find out what this is. */
  readonly received: readonly Received[]
  stop(): Promise<void>
}

/**
 * `answer` may leave the response open. What openmcp asks to find out what this is gets a JSON-RPC error, as of an older
 * server, unless `looked` answers everything.
 */
export async function upstream(answer: (received: Received, res: ServerResponse) => void, looked?: (res: ServerResponse) => void): Promise<Upstream> {
  const received: Received[] = []
  const server = createServer((req, res) => {
    let text = ''
    req.setEncoding('utf8').on('data', (piece: string) => (text += piece))
    req.on('end', () => {
      const one = { method: req.method ?? '', url: req.url ?? '', headers: req.headers, body: bodyIn(text), text }
      received.push(one)
      if (looked) looked(res)
      else if (one.body['method'] === 'server/discover') json(res, 400, { jsonrpc: '2.0', id: null, error: { code: -32000, message: 'no session' } })
      else answer(one, res)
    })
  })
  const { host, stop } = await onLoopback(server)
  return {
    origin: `http://${host}`,
    received,
    stop,
  }
}

export function json(res: ServerResponse, status: number, body: Json, headers: Readonly<Record<string, string>> = {}): void {
  res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

function bodyIn(text: string): Json {
  const value: unknown = text === '' ? {} : JSON.parse(text)
  return isJson(value) ? value : {}
}
