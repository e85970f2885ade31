// The stateless revision (2026-07-28) in front of an upstream that speaks in messages. Here we are the HTTP server: what the
// revision asks of one (headers that mirror the body, statuses, supported versions) a server on stdio cannot do itself.
import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import { NO_HEADERS, NO_REPLY, type Link, type MessageUpstream, type Reply } from '../protocol/exchange.ts'
import type { Gate } from '../protocol/gate.ts'
import { alone, type JsonObject, type RequestMessage } from '../protocol/message.ts'
import { createParamHeaders } from '../protocol/param-headers.ts'
import { META_CAPABILITIES, META_VERSION, MODERN_VERSIONS, checkModernPost, metaOf } from '../protocol/revision.ts'
import type { EventWriters } from './event-writer.ts'
import { createLoneReply, type LonePost } from './lone-post.ts'
import type { Patience } from './patience.ts'
import { refuse } from './refuse.ts'
import { headerOf, mirroredHeadersOf, namedHeadersOf, NO_NAMED, type NamedHeaders } from './request.ts'
import { resultIn } from '../protocol/text.ts'

/** How many pages of tools are read to learn their mirrored arguments, and how soon after a look an unknown tool is worth another. */
const PAGES = 50
const LOOK_AGAIN_MS = 10_000

export function createStatelessDoor({
  writers,
  patience,
  gate,
  forwards = NO_NAMED,
  log,
}: {
  writers: EventWriters
  patience: Patience
  gate: Gate
  forwards?: NamedHeaders
  log: Log
}): (upstream: MessageUpstream, request: LonePost) => void {
  const replies = { era: 'modern', writers, patience, gate, log } as const
  const params = createParamHeaders()
  let lookedMs = -Infinity
  let supported: readonly string[] | undefined

  return (upstream, request) => {
    const { req, res, caller, post } = request
    checkModernPost(post, mirroredHeadersOf(req), true)
    const link = upstream.stateless(caller)
    const [message] = post.messages
    if (message?.kind !== 'request') {
      link.send(post, namedHeadersOf(req, forwards), NO_REPLY)
      void link.close()
      res.writeHead(202, { 'content-length': 0 }).end()
      return
    }
    // Closing the stream is how a request is cancelled (2026-07-28 basic/utilities/cancellation).
    res.once('close', () => void link.close())
    const go = (): void => {
      try {
        checkVersion(message)
        params.check(message, (name) => headerOf(req, name))
        send(link, message, request)
      } catch (error) {
        void link.close()
        refuse(res, error, { log, era: 'modern', id: message.id })
      }
    }
    const learnt = learn(link, message)
    if (learnt) void learnt.then(go)
    else go()
  }

  /** What must be asked of the server before this message can be checked; mostly nothing. */
  function learn(link: Link, message: RequestMessage): Promise<void> | undefined {
    if (!supported && !isKnownVersion(message)) return askVersions(link)
    if (!params.isUnknown(message) || performance.now() - lookedMs < LOOK_AGAIN_MS) return undefined
    lookedMs = performance.now()
    return askTools(link)
  }

  async function askVersions(link: Link): Promise<void> {
    const versions = (await ask(link, 'server/discover', {}))?.['supportedVersions']
    if (Array.isArray(versions)) supported = versions.filter((version) => typeof version === 'string')
  }

  async function askTools(link: Link): Promise<void> {
    let cursor: unknown
    for (let page = 0; page < PAGES; page++) {
      const result = await ask(link, 'tools/list', cursor === undefined ? {} : { cursor })
      params.learn(result)
      cursor = result?.['nextCursor']
      if (typeof cursor !== 'string') return
    }
  }

  function checkVersion(message: RequestMessage): void {
    const requested = metaOf(message)?.[META_VERSION]
    if (isKnownVersion(message) || !supported || supported.includes(String(requested))) return
    throw new OpenMcpError('unsupported_version', 'unsupported protocol version', { data: { supported, requested } })
  }

  function send(link: Link, message: RequestMessage, request: LonePost): void {
    const { req, post } = request
    const seen = createLoneReply(request, replies, () => void link.close())
    // What is learnt is true for all callers, also of tools that this one does not see.
    link.send(post, namedHeadersOf(req, forwards), message.method === 'tools/list' ? learning(seen) : seen)
  }

  function learning(reply: Reply): Reply {
    return {
      ...reply,
      answer(id, text, errorCode) {
        params.learn(resultIn(text))
        reply.answer(id, text, errorCode)
      },
    }
  }
}

function isKnownVersion(message: RequestMessage): boolean {
  return MODERN_VERSIONS.has(String(metaOf(message)?.[META_VERSION]))
}

/** A question of our own to the server; undefined when it has no answer to it. */
function ask(link: Link, method: string, params: JsonObject): Promise<JsonObject | undefined> {
  const id = `openmcp-${method}`
  const [version] = MODERN_VERSIONS
  const body: JsonObject = { jsonrpc: '2.0', id, method, params: { ...params, _meta: { [META_VERSION]: version, [META_CAPABILITIES]: {} } } }
  return new Promise((resolve) => {
    link.send(alone({ kind: 'request', id, method, body }), NO_HEADERS, {
      message: () => {},
      answer: (_id, text) => resolve(resultIn(text)),
      failed: () => resolve(undefined),
      withdrawn: () => resolve(undefined),
    })
  })
}
