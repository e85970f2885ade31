// Streamable HTTP under a seal: an HTTP client whose requests leave as sealed messages, and whose answers are those that were sealed.
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { CarriedRequest, FindSealedPeer, SealedRequest, SealedWay } from '../protocol/carried.ts'
import type { ForwardedHeaders } from '../protocol/exchange.ts'
import type { Limits } from '../protocol/limits.ts'
import { createHttpClient, type HttpClient } from './http-client.ts'
import { RETRY, type ConnectOptions } from './options.ts'
import type { Remote } from './over-http.ts'
import { streamableHttp } from './remote.ts'
import { answerOf, notSealed, notServed, textLengthOf } from './sealed-answers.ts'
import { askOnce, type Outcome } from './sealed-once.ts'

/** Fails as `find` does, and where the peer does not speak with us. */
export async function findSealedRemote(find: FindSealedPeer, options: ConnectOptions): Promise<Remote> {
  const { limits, log } = options
  const { url, lookup, open } = await find()
  const http = createHttpClient(url.origin, {}, limits, { lookup })
  const way = open((text) => askFor(http, url, text, limits))
  try {
    await way.relate()
  } catch (error) {
    way.close()
    await http.close()
    throw error
  }
  return streamableHttp(createSealedClient({ http, url, way, limits, log }), url, RETRY, options)
}

export interface SealedClientOptions {
  http: HttpClient
  url: URL
  way: SealedWay
  limits: Pick<Limits, 'messageBytes' | 'bufferedBytes'>
  log: Log
}

export function createSealedClient({ http, url, way, limits, log }: SealedClientOptions): HttpClient {
  return {
    request({ method, headers, body, endless = false }, handler) {
      let stop = (): void => {}
      const leaving = { left: false }
      const carried: CarriedRequest = { method, headers, body: typeof body === 'string' ? Buffer.from(body) : (body ?? NOTHING) }
      const exchange = (sealed: SealedRequest): Promise<Outcome> =>
        new Promise((resolve, reject) => {
          const answer = answerOf({ sealed, handler, limits, leaving, resolve, reject: (error) => (stop(), reject(error)) })
          stop = http.request({ method: 'POST', url, headers: inTheClear(headers), body: sealed.text, endless }, answer)
        })
      void askOnce({ way, carried, exchange, handler, leaving }).catch((thrown: unknown) => {
        const error = toOpenMcpError(thrown)
        log.debug('a sealed request came to nothing', { why: error.message, detail: error.detail })
        if (!leaving.left) handler.failed(error)
      })
      return () => {
        leaving.left = true
        stop()
      }
    },
    async close() {
      way.close()
      await http.close()
    },
  }
}

const NOTHING = Buffer.alloc(0)

/** What TMCP has in the clear. It is for whoever stands between, and nobody believes it. */
function inTheClear(headers: ForwardedHeaders): Record<string, string> {
  const clear: Record<string, string> = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
  for (const name of ['mcp-session-id', 'mcp-protocol-version']) {
    const value = headers[name]
    if (value !== undefined) clear[name] = value
  }
  return clear
}

/** A relationship or a session is said in one answer, which is soon there or never. */
function askFor(http: HttpClient, url: URL, text: string, { connectSeconds, messageBytes }: Pick<Limits, 'connectSeconds' | 'messageBytes'>): Promise<string> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    let size = 0
    const refused = (error: OpenMcpError): void => {
      clearTimeout(patience)
      stop()
      reject(error)
    }
    const patience = setTimeout(() => refused(tooSlow(url, connectSeconds)), connectSeconds * 1000)
    const stop = http.request(
      { method: 'POST', url, headers: inTheClear({}), body: text },
      {
        head(status) {
          if (status >= 300) refused(notServed(status))
        },
        chunk(bytes) {
          size += bytes.length
          if (size <= textLengthOf(messageBytes)) pieces.push(bytes)
          else refused(notSealed())
        },
        end() {
          clearTimeout(patience)
          resolve(Buffer.concat(pieces).toString('latin1'))
        },
        failed: refused,
      },
    )
  })
}

function tooSlow({ origin }: URL, seconds: number): OpenMcpError {
  return new OpenMcpError('timeout', `the TSP endpoint ${origin} did not answer within ${seconds} s`)
}
