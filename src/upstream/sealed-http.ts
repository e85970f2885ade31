// Streamable HTTP under a seal: an HTTP client whose requests leave as sealed messages, and whose answers are those that were sealed.
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { CarriedPiece, CarriedRequest, FindSealedPeer, SealedRequest } from '../protocol/carried.ts'
import { createEventReader } from '../protocol/event-stream.ts'
import type { ForwardedHeaders, ResponseHead } from '../protocol/exchange.ts'
import type { Limits } from '../protocol/limits.ts'
import { createHttpClient, PASSED_DOWN, type AnswerHandler, type HttpClient } from './http-client.ts'
import { RETRY, type ConnectOptions } from './options.ts'
import type { Remote } from './over-http.ts'
import { streamableHttp } from './remote.ts'

/** Fails as `find` does, and where the peer does not speak with us. */
export async function findSealedRemote(find: FindSealedPeer, options: ConnectOptions): Promise<Remote> {
  const { limits, log } = options
  const { url, lookup, open } = await find()
  const http = createHttpClient(url.origin, {}, limits, undefined, lookup)
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
  way: ReturnType<Awaited<ReturnType<FindSealedPeer>>['open']>
  limits: Pick<Limits, 'messageBytes' | 'bufferedBytes'>
  log: Log
}

/** Each request is sent again at most once, and never when the other side may have taken it. */
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
      void ask(way, carried, exchange, leaving).catch((thrown: unknown) => {
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

/** `silent`: nobody said anything. `forgotten`: the session is over, and what was asked in it was not taken. */
type Outcome = 'over' | 'silent' | 'forgotten'

async function ask(
  way: SealedClientOptions['way'],
  carried: CarriedRequest,
  exchange: (sealed: SealedRequest) => Promise<Outcome>,
  leaving: { readonly left: boolean },
): Promise<void> {
  let sealed = await way.seal(carried)
  const tried = new Set<Outcome>()
  while (!leaving.left) {
    const outcome = await exchange(sealed)
    if (outcome === 'over') return
    if (tried.has(outcome)) break
    tried.add(outcome)
    // The same message again: if it was taken the first time, and only the answer is missing, it is not taken twice.
    if (outcome === 'silent') await way.relate()
    else sealed = await way.seal(carried)
  }
  if (!leaving.left) throw new OpenMcpError('upstream_broke', 'the other side does not answer this request by TSP', { hint: 'does it still trust us?' })
}

interface Answering {
  sealed: SealedRequest
  handler: AnswerHandler
  limits: SealedClientOptions['limits']
  leaving: { readonly left: boolean }
  resolve(outcome: Outcome): void
  reject(error: unknown): void
}

function answerOf({ sealed, handler, limits, leaving, resolve, reject }: Answering): AnswerHandler {
  let status = 0
  let flow: Parameters<AnswerHandler['head']>[2]
  let stream: { feed(bytes: Buffer): void } | undefined
  let hasHead = false
  let waitingBytes = 0
  const pieces: Buffer[] = []
  /** One after the other, as they came. */
  let before: Promise<void> = Promise.resolve()
  const next = (act: () => Promise<void> | void): void => {
    before = before.then(() => (leaving.left ? undefined : act())).catch(reject)
  }

  async function event(data: string): Promise<void> {
    const piece = await sealed.open(data)
    waitingBytes -= data.length
    if (leaving.left) return
    if (!piece || piece.kind === 'forgotten' || (piece.kind === 'head') === hasHead) throw notSealed()
    if (piece.kind === 'event') return handler.chunk(eventBytes(piece))
    hasHead = true
    handler.head(piece.status, headOf(piece), flow)
  }

  async function whole(text: string): Promise<void> {
    if (text === '' && status < 300) return resolve('silent')
    const piece = await sealed.open(text)
    if (leaving.left) return
    if (piece?.kind === 'forgotten') return resolve('forgotten')
    if (piece?.kind !== 'head') throw status < 300 ? notSealed() : notServed(status)
    handler.head(piece.status, headOf(piece), flow)
    if (piece.body.length > 0) handler.chunk(piece.body)
    handler.end()
    resolve('over')
  }

  return {
    head(code, { contentType }, given) {
      status = code
      flow = given
      if (status < 300 && contentType?.startsWith('text/event-stream')) {
        stream = createEventReader(textLengthOf(limits.messageBytes), ({ data }) => {
          if (data === '') return
          waitingBytes += data.length
          if (waitingBytes > textLengthOf(limits.bufferedBytes))
            throw new OpenMcpError('upstream_broke', 'events of the other side come faster than they can be opened')
          next(() => event(data))
        })
      }
    },
    chunk(bytes) {
      try {
        if (stream) return stream.feed(bytes)
        waitingBytes += bytes.length
        if (waitingBytes > textLengthOf(limits.messageBytes)) throw new OpenMcpError('upstream_broke', 'an answer of the other side is too large')
        pieces.push(bytes)
      } catch (error) {
        reject(error)
      }
    },
    end() {
      if (!stream) return next(() => whole(Buffer.concat(pieces).toString('latin1')))
      next(() => {
        if (!hasHead) throw notSealed()
        handler.end()
        resolve('over')
      })
    },
    failed(error) {
      next(() => reject(error))
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

function headOf({ headers, body }: CarriedPiece & { kind: 'head' }): ResponseHead {
  const others: Record<string, string> = {}
  for (const name of PASSED_DOWN) {
    const value = headers[name]
    if (value !== undefined) others[name] = value
  }
  const contentType = headers['content-type']
  return {
    contentType,
    contentLength: contentType?.startsWith('text/event-stream') ? undefined : String(body.length),
    sessionId: headers['mcp-session-id'],
    others,
  }
}

/** The id by which a stream is resumed is the one under the seal. */
function eventBytes({ event, id, retryMs, body }: CarriedPiece & { kind: 'event' }): Buffer {
  const head = `event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}${retryMs === undefined ? '' : `retry: ${retryMs}\n`}`
  return Buffer.from(`${head}data: ${body.toString().replaceAll(/[\r\n]/g, ' ')}\n\n`)
}

/** The text of a message is longer than what it holds: base64, and what stands around it. */
function textLengthOf(bytes: number): number {
  return Math.ceil(bytes * 1.34) + 8192
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

function notSealed(): OpenMcpError {
  return new OpenMcpError('upstream_broke', 'an answer of the other side is not sealed for this request')
}

function notServed(status: number): OpenMcpError {
  if (status === 429) return new OpenMcpError('busy', 'the other side has had too many messages from our address', { hint: 'try again later' })
  return new OpenMcpError('upstream_broke', `the TSP endpoint of the other side answered HTTP ${status}`, { hint: 'does it run with --tsp message?' })
}
