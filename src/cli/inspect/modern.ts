// The 2026-07-28 revision: no handshake, every request stands alone.
import { OpenMcpError } from '../../errors.ts'
import { isObject, type JsonObject } from '../../protocol/message.ts'
import { META_CAPABILITIES, META_VERSION } from '../../protocol/revision.ts'
import { shownTarget } from '../../protocol/target.ts'
import { JsonRpcRefusal, listAll, serverOf, type Ask, type Found, type Watch } from './found.ts'
import { readVersion } from '../version.ts'

const REVISION = '2026-07-28'
const META_CLIENT = 'io.modelcontextprotocol/clientInfo'
const META_SERVER = 'io.modelcontextprotocol/serverInfo'
const MAX_ANSWER_BYTES = 16 * 1024 * 1024
/** A server of older days may keep a request it does not know for ever. */
const PATIENCE_MS = 5000

/** A server that speaks the revision, and how to ask it more. */
export interface Modern {
  url: URL
  revisions: readonly string[]
  result: JsonObject
  discoverMs: number
  ask: Ask
}

/** Whether a URL speaks 2026-07-28: what `server/discover` says; undefined when it is not known there. */
export async function discover(url: URL, headers: Readonly<Record<string, string>>, { fetch, signal, now }: Watch): Promise<Modern | undefined> {
  const started = now()
  const asking =
    (patience: AbortSignal): Ask =>
    (method, params) =>
      post(url, headers, { method, params, fetch, signal: patience })
  const result = await asking(AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]))('server/discover', {}).catch(() => undefined)
  signal.throwIfAborted()
  const revisions = result?.['supportedVersions']
  if (result === undefined || !Array.isArray(revisions)) return undefined
  return { url, revisions: revisions.filter((each) => typeof each === 'string'), result, discoverMs: now() - started, ask: asking(signal) }
}

/** What a server is that speaks nothing older. */
export async function inspectModern({ url, revisions, result, discoverMs, ask }: Modern, { now }: Watch): Promise<Found> {
  const capabilities = isObject(result['capabilities']) ? result['capabilities'] : {}
  const meta = isObject(result['_meta']) ? result['_meta'] : {}
  const { counts, listMs } = await listAll(ask, capabilities, now)
  return {
    server: serverOf(meta[META_SERVER] ?? result['serverInfo']),
    transport: `streamable http (${shownTarget(url.href)})`,
    protocol: REVISION,
    revisions,
    capabilities,
    counts,
    times: { connectMs: 0, initializeMs: discoverMs, listMs },
  }
}

async function post(
  url: URL,
  headers: Readonly<Record<string, string>>,
  { method, params, fetch, signal }: { method: string; params: JsonObject; fetch: Watch['fetch']; signal: AbortSignal },
): Promise<JsonObject> {
  const meta = { [META_VERSION]: REVISION, [META_CAPABILITIES]: {}, [META_CLIENT]: { name: 'openmcp-test', version: readVersion() } }
  const response = await fetch(url, {
    method: 'POST',
    signal,
    // A redirect would carry the headers to somebody else.
    redirect: 'manual',
    headers: {
      ...headers,
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'mcp-protocol-version': REVISION,
      'mcp-method': method,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: meta } }),
  })
  const answer = await answerOf(response)
  if (isObject(answer['result'])) return answer['result']
  const { code, message } = isObject(answer['error']) ? answer['error'] : {}
  throw new JsonRpcRefusal(typeof code === 'number' ? code : 0, typeof message === 'string' ? message : `status ${response.status}`)
}

/** The answer, from JSON or from an event stream that may go on behind it. */
async function answerOf(response: Response): Promise<JsonObject> {
  const streams = response.headers.get('content-type')?.startsWith('text/event-stream') === true
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > MAX_ANSWER_BYTES) throw new OpenMcpError('too_large', `an answer is longer than ${MAX_ANSWER_BYTES} bytes`)
    const answer = streams ? eventAnswer(text) : undefined
    if (answer !== undefined) return answer
  }
  return (streams ? eventAnswer(`${text}\n\n`) : answerIn(text)) ?? {}
}

function eventAnswer(text: string): JsonObject | undefined {
  for (const event of text.replace(/\r\n?/g, '\n').split('\n\n').slice(0, -1)) {
    const data = event
      .split('\n')
      .filter((line) => line.startsWith('data:'))
      .map((line) => line.slice(5).trimStart())
    const answer = answerIn(data.join('\n'))
    if (answer !== undefined) return answer
  }
  return undefined
}

function answerIn(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) && value['id'] === 1 ? value : undefined
  } catch {
    return undefined
  }
}
