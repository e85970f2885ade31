// MCP client sessions for the load generator, without an SDK: Streamable HTTP, HTTP+SSE, stdio.
// Ids are unique over all sessions unless a caller chooses its own, so a frame that reaches the wrong session is seen and
// counted (`session.foreign`) where it would otherwise pass for an answer.
import { createPool } from './http-client.mjs'
import { createSseReader } from './sse-reader.mjs'
import { createLineSplitter } from './line-splitter.mjs'
import { launch } from './launch.mjs'
import { createLogin } from './login.mjs'
import { createRestSession } from './rest-session.mjs'
import { within } from './time.mjs'

const PROTOCOL_VERSION = '2025-06-18'
const BIG = 128 * 1024
const NEWLINE = Buffer.from('\n')
const SWEEP_MS = 250
const CLOSE_TOGETHER = 32

let nextId = 1

/**
 * One thing that speaks MCP. face: streamable | sse | rest | stdio; url for the first three, command for the last. `login` is the kind of
 * credential that streamable sessions show, where they have to; `keys` are those it may be.
 */
export function createTarget({ face, url, command, login, keys, timeoutMs = 5000 }) {
  const live = new Set()
  const target = { url: url && new URL(url), pool: url && createPool(url), keys, command, timeoutMs, live }
  if (login) target.login = createLogin(login, target)
  const createOne = { streamable: createStreamableSession, sse: createSseSession, stdio: createStdioSession, rest: createRestSession }[face]

  const sweep = setInterval(() => {
    for (const session of live) session.expireCalls(performance.now() - timeoutMs)
  }, SWEEP_MS)
  sweep.unref()

  return {
    live,
    timeoutMs,
    login: target.login,
    createSession() {
      const session = createOne(target)
      live.add(session)
      return session
    },
    async end() {
      const sessions = [...live]
      while (sessions.length > 0) await Promise.all(sessions.splice(0, CLOSE_TOGETHER).map((session) => session.close()))
      clearInterval(sweep)
      target.pool?.close()
    },
  }
}

/** A failed call. `kind` is what errors are counted by. */
function failure(kind, message = kind) {
  return Object.assign(new Error(message), { kind })
}

// What all faces share: which answers are awaited, and what arrived that was not.
function createSession(target, { write, post, release }) {
  const pending = new Map()
  const session = {
    foreign: 0,
    notifications: 0,
    onNotification: null,
    protocolVersion: undefined,

    open: () => session.greet(),
    async greet() {
      const greeting = await session.request('initialize', {
        protocolVersion: PROTOCOL_VERSION,
        capabilities: {},
        clientInfo: { name: 'openmcp-bench', version: '1' },
      })
      session.protocolVersion = greeting.protocolVersion
      await post({ jsonrpc: '2.0', method: 'notifications/initialized' })
      return session
    },
    request(method, params) {
      const id = nextId++
      return send(id, [Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, method, params }))], 0)
    },
    // args is JSON text, as buffers: a payload of megabytes is not copied for every call
    call(tool, args, { id = nextId++, progressToken, atLeastBytes = 0 } = {}) {
      const meta = progressToken === undefined ? '' : `"_meta":{"progressToken":"${progressToken}"},`
      const head = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${tool}",${meta}"arguments":`
      return send(id, [Buffer.from(head), ...args, Buffer.from('}}')], atLeastBytes)
    },
    receive,
    fail,
    failAll(error) {
      for (const id of pending.keys()) fail(id, error)
    },
    expireCalls(sentBeforeMs) {
      for (const [id, call] of pending) if (call.sentMs < sentBeforeMs) fail(id, failure('timeout', `no answer in ${target.timeoutMs} ms`))
    },
    async close() {
      if (!target.live.delete(session)) return
      session.failAll(failure('closed'))
      await release()
    },
  }
  return session

  function send(id, parts, atLeastBytes) {
    return new Promise((resolve, reject) => {
      const call = { resolve, reject, atLeastBytes, sentMs: performance.now(), abort: null }
      pending.set(id, call)
      call.abort = write(id, parts)
    })
  }

  // `expected` is the request whose own stream the frame came on; another's answer does not belong there.
  function receive(bytes, expected) {
    if (bytes.length > BIG) {
      const id = idOfLarge(bytes)
      if (id !== undefined) return settle(id, expected, bytes.length, { bytes: bytes.length })
    }
    const message = parsed(bytes)
    if (message === undefined) session.foreign++
    else if (message.method === undefined) settle(message.id, expected, bytes.length, message.result, message.error)
    else if (message.id === undefined) {
      session.notifications++
      session.onNotification?.(message)
    } else answerServer(message)
  }

  function settle(id, expected, size, result, error) {
    const call = pending.get(id)
    if (!call) {
      session.foreign++
      return
    }
    pending.delete(id)
    if (expected !== undefined && expected !== id) call.reject(failure('misrouted', 'the answer came on the stream of another request'))
    else if (error) call.reject(failure('rpc', `${error.code} ${error.message}`))
    else if (result?.isError) call.reject(failure('tool', JSON.stringify(result).slice(0, 160)))
    else if (size < call.atLeastBytes) call.reject(failure('short', `an answer of ${size} bytes`))
    else call.resolve(result)
  }

  function answerServer({ id, method }) {
    const answer = method === 'ping' ? { result: {} } : { error: { code: -32601, message: 'not supported' } }
    post({ jsonrpc: '2.0', id, ...answer }).catch(() => {}) // a proxy that refuses this answer is not what is measured
  }

  function fail(id, error) {
    const call = pending.get(id)
    if (!call) return
    pending.delete(id)
    call.reject(error)
    call.abort?.()
  }
}

function createStreamableSession(target) {
  const { pool, url, login } = target
  let id
  let stream = null
  const headers = (method, more) => ({
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-session-id': id,
    'mcp-protocol-version': session.protocolVersion,
    ...login?.headers(method),
    ...more,
  })
  const request = (method, body, more, handlers) => pool.request({ method, path: url.pathname, headers: headers(method, more), body, ...handlers })

  const session = createSession(target, {
    write(callId, parts) {
      let status = 0
      let events = null
      const chunks = []
      const out = request(
        'POST',
        parts,
        {},
        {
          onHead(code, answer) {
            status = code
            id ??= answer['mcp-session-id']
            const streams = code === 200 && answer['content-type']?.startsWith('text/event-stream')
            if (streams) events = createSseReader((_, data) => data.length > 0 && session.receive(data, callId))
          },
          onData(bytes) {
            if (events) events(bytes)
            else chunks.push(bytes)
          },
          onEnd() {
            if (!events && status === 200) session.receive(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks), callId)
            session.fail(callId, status === 200 ? failure('noAnswer') : refusal(status, chunks))
          },
          onError: (error) => session.fail(callId, broken(error)),
        },
      )
      return out.abort
    },
    post: (message) => posted((handlers) => request('POST', [Buffer.from(JSON.stringify(message))], {}, handlers)),
    async release() {
      stream?.abort()
      if (id === undefined) return
      const ended = new Promise((resolve) => {
        request('DELETE', null, { 'content-type': undefined }, { onEnd: resolve, onError: resolve })
      })
      await within(2000, ended)
    },
  })

  if (login) {
    session.open = async () => {
      await login.begin()
      return session.greet()
    }
  }
  // The GET stream a client keeps open between calls. Gives the status; a server may refuse it (405).
  session.listen = () =>
    new Promise((resolve) => {
      let status = 0
      const events = createSseReader((_, data) => data.length > 0 && session.receive(data))
      stream = request(
        'GET',
        null,
        { 'content-type': undefined, accept: 'text/event-stream' },
        {
          lastOnConnection: true,
          onHead(code) {
            status = code
            resolve(code)
          },
          onData: (bytes) => status === 200 && events(bytes),
          onEnd: () => resolve(status),
          onError: () => resolve(0),
        },
      )
    })
  return session
}

function createSseSession(target) {
  const { pool, url } = target
  let path
  let stream = null
  const request = (body, handlers) => {
    const headers = { 'content-type': 'application/json', 'mcp-protocol-version': session.protocolVersion }
    return pool.request({ method: 'POST', path, headers, body, ...handlers })
  }
  const session = createSession(target, {
    write(callId, parts) {
      let status = 0
      const chunks = []
      const out = request(parts, {
        onHead: (code) => (status = code),
        onData: (bytes) => chunks.push(bytes),
        onEnd: () => status >= 300 && session.fail(callId, refusal(status, chunks)),
        onError: (error) => session.fail(callId, broken(error)),
      })
      return out.abort
    },
    post: (message) => posted((handlers) => request([Buffer.from(JSON.stringify(message))], handlers)),
    async release() {
      stream?.abort()
    },
  })

  const greet = () => session.greet()
  session.open = () =>
    new Promise((resolve, reject) => {
      const lost = (error) => {
        session.failAll(error)
        reject(error)
      }
      const events = createSseReader((event, data) => {
        if (event === 'endpoint') {
          const endpoint = new URL(data.toString(), url)
          path = endpoint.pathname + endpoint.search
          greet().then(resolve, reject)
        } else if (data.length > 0) session.receive(data)
      })
      stream = pool.request({
        method: 'GET',
        path: url.pathname,
        headers: { accept: 'text/event-stream' },
        body: null,
        lastOnConnection: true,
        onHead: (status) => status !== 200 && reject(refusal(status, [])),
        onData: events,
        onEnd: () => lost(failure('noAnswer', 'the event stream ended')),
        onError: (error) => lost(broken(error)),
      })
    })
  return session
}

// Every session is a process of its own: the server itself, or a proxy with a stdio face.
function createStdioSession(target) {
  let launched = null
  const writeLine = (parts) => {
    const { stdin } = launched
    stdin.cork()
    for (const part of parts) stdin.write(part)
    stdin.write(NEWLINE)
    stdin.uncork()
  }
  const session = createSession(target, {
    write(_, parts) {
      writeLine(parts)
      return null
    },
    async post(message) {
      writeLine([Buffer.from(JSON.stringify(message))])
    },
    async release() {
      if (!launched) return
      launched.stdin.end()
      await within(1000, launched.exited)
      await launched.stop(1000)
    },
  })

  const greet = () => session.greet()
  session.open = () => {
    launched = launch(target.command, { stdout: 'pipe' })
    session.pid = launched.pid
    session.hasEnded = () => launched.exit !== null
    launched.stdout.on(
      'data',
      createLineSplitter((line) => session.receive(line)),
    )
    void launched.exited.then((exit) => session.failAll(failure('exit', `ended ${JSON.stringify(exit)} ${launched.stderr().slice(-300)}`)))
    return greet()
  }
  return session
}

function posted(request) {
  return new Promise((resolve, reject) => {
    let status = 0
    const chunks = []
    request({
      onHead: (code) => (status = code),
      onData: (bytes) => chunks.push(bytes),
      onEnd: () => (status < 300 ? resolve(status) : reject(refusal(status, chunks))),
      onError: (error) => reject(broken(error)),
    })
  })
}

const refusal = (status, chunks) => failure(`http${status}`, `HTTP ${status} ${Buffer.concat(chunks).toString('latin1', 0, 160)}`)
const broken = (error) => failure(error.code ?? 'socket', error.message)

// The id of a large message without parsing megabytes: serializers put it in the first or the last bytes.
function idOfLarge(bytes) {
  const first = bytes.latin1Slice(0, 80).match(/^\{(?:"jsonrpc":"2\.0",)?"id":(\d+)/)
  const last =
    first ??
    bytes
      .subarray(-80)
      .latin1Slice()
      .match(/"id":(\d+)(?:,"jsonrpc":"2\.0")?\}\s*$/)
  return last ? Number(last[1]) : undefined
}

function parsed(bytes) {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}
