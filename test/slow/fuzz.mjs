// Nonsense and near-sense against a running openmcp, in front of a stdio child and of Streamable HTTP: it answers what it should
// answer or cuts off, never fails, never hangs, and still serves. `node test/slow/fuzz.mjs --seconds 60 --seed 1`
import { call, initialize, messagesIn, openSession, openSse, stateless } from './lib/client.mjs'
import { SERVER, descendantsOf, memoryOf, start, startInFrontOf, startInFrontOfChild, until } from './lib/processes.mjs'
import { createRandom, option } from './lib/random.mjs'
import { answersIn, exchangeBytes } from './lib/raw-http.mjs'

const SECONDS = option('seconds', 60)
const SEED = option('seed', Date.now() % 1e9)
const AT_ONCE = 12
const HANG_MS = 15_000
const MOST_MEMORY_MB = 350
const GROWTH_MB = 100
// Small, so that what they bound is met: bodies, headers, nesting, sessions, children, waiting.
const MOST_BODY = 64 * 1024
const LIMITS = [
  '--max-body',
  String(MOST_BODY),
  '--max-headers',
  '8k',
  '--max-depth',
  '50',
  '--max-sessions',
  '40',
  '--max-children',
  '16',
  '--max-streams',
  '16',
]
const WAITS = ['--timeout', '2', '--idle', '2', '--stop-timeout', '1', '--drain', '1', '--poll', '1']

const random = createRandom(SEED)
const mistakes = []
const say = (words) => process.stdout.write(`${words}\n`)

say(`seed ${SEED}`)
const upstream = await start([SERVER, '--http'])
const targets = [
  { what: 'a stdio child', proxy: await startInFrontOfChild(...LIMITS, ...WAITS) },
  { what: 'Streamable HTTP', isPassed: true, proxy: await startInFrontOf(upstream.origin, ...LIMITS, ...WAITS) },
].map((target) => ({ ...target, sessions: [], endpoints: [], outcomes: new Map(), sent: 0, memory: [] }))

const deadline = performance.now() + SECONDS * 1000

function wrong(words) {
  mistakes.push(words)
  if (mistakes.length <= 20) say(`WRONG ${words}`)
}

async function attack(target) {
  while (performance.now() < deadline && target.proxy.isRunning && mistakes.length < 100) {
    const kind = random.next()
    if (kind < 0.6) await nearSense(target)
    else if (kind < 0.85) await nonsense(target)
    else await leaving(target)
    target.sent++
  }
}

/** Whole requests with something odd in them: each must be answered. */
async function nearSense(target) {
  const request = requestFor(target)
  const { how, bytes } = await exchangeBytes(target.proxy.origin, [head(request), request.body], {
    patienceMs: request.isEndless ? 200 : HANG_MS,
    limitMs: HANG_MS,
  })
  const answers = answersIn(bytes, request.method).filter(({ status }) => status !== 100)
  const [answer] = answers
  const where = `${target.what}: ${shown(request)}`
  if (how === 'hang' || (how === 'closed late' && !request.isEndless)) return wrong(`no end (${how}): ${where}`)
  // The answer to a body too large may be lost: who closes a connection with unread bytes in it resets it.
  if (answers.length === 0 && request.body.length > MOST_BODY) return count(target, 'reset')
  // Whoever says that nothing more will come is not waited for: a stream that has not begun by then never does.
  if (answers.length === 0 && request.isEndless && how === 'closed late') return count(target, 'none yet')
  if (answers.length !== 1) return wrong(`${answers.length} answers: ${where}`)
  // A stream that is passed on from another server breaks off where that one says nothing for too long.
  const mayBreakOff = request.isEndless || (target.isPassed && answer.headers['content-type'] === 'text/event-stream')
  if (!answer.isWhole && !mayBreakOff) wrong(`an answer that broke off: ${where}`)
  check(target, answer, where)
}

/** Requests with bytes changed, or bytes alone: answered or cut off. */
async function nonsense(target) {
  const request = requestFor(target)
  const bytes = random.chance(0.1) ? random.bytes(random.below(300)) : mutated(Buffer.concat([head(request), request.body]))
  const cut = random.below(bytes.length + 1)
  const got = await exchangeBytes(target.proxy.origin, [bytes.subarray(0, cut), bytes.subarray(cut)], { patienceMs: 100, limitMs: HANG_MS })
  const where = `${target.what}: ${JSON.stringify(bytes.toString('latin1').slice(0, 600))}`
  if (got.how === 'hang') return wrong(`no end: ${where}`)
  for (const answer of answersIn(got.bytes, undefined)) if (answer.isWhole && answer.status !== 100) check(target, answer, where)
}

/** Requests whose sender is gone before the answer. */
async function leaving(target) {
  const request = requestFor(target)
  const bytes = Buffer.concat([head(request), request.body])
  await exchangeBytes(target.proxy.origin, [bytes.subarray(0, random.chance(0.5) ? bytes.length : random.below(bytes.length))], {
    leaveAfterMs: random.below(20),
    limitMs: HANG_MS,
  })
  count(target, 'left')
}

// ---- what is sent

/** A sane request of some kind, with up to three odd things done to it. */
function requestFor(target) {
  const request = random.pick([begun, inSession, inSession, inSession, withoutSession, withoutSession, overSseSession, streamed, ended, looked])(target)
  for (let oddities = random.below(4); oddities > 0; oddities--) random.pick(ODDITIES)(request)
  const { method, path } = request
  // A stream has no end of its own. Of a large body that it does not read, nobody knows when its sender is gone.
  const isEndless = method === 'GET' || method === 'HEAD'
  const whole = request.value === undefined ? Buffer.alloc(0) : bodyOf(request.value, request.distort)
  const body = isEndless && whole.length > 10_000 ? Buffer.alloc(0) : whole
  const headers = new Map([
    ['Host', new URL(target.proxy.origin).host],
    ['Connection', 'close'],
    ['Accept', 'application/json, text/event-stream'],
  ])
  const isChunked = request.isChunked && body.length > 0
  if (body.length > 0) headers.set('Content-Type', 'application/json')
  if (isChunked) headers.set('Transfer-Encoding', 'chunked')
  else if (body.length > 0 || method === 'POST') headers.set('Content-Length', String(body.length))
  for (const [name, content] of request.headers) headers.set(name, content)
  const sent = isChunked ? Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')]) : body
  return { method, path, headers, body: sent, isEndless }
}

const sane = (method, path, value, headers = []) => ({ method, path, value, headers: new Map(headers), distort: 0, isChunked: random.chance(0.1) })
const begun = () => sane('POST', '/mcp', initialize(random.pick(IDS), random.pick(['2025-11-25', '2025-03-26', '2099-01-01'])))
const inSession = (target) => sane('POST', '/mcp', batched(message), sessionOf(target))
const ended = (target) => sane('DELETE', '/mcp', undefined, sessionOf(target))
const streamed = (target) => sane('GET', random.pick(['/mcp', '/mcp', '/sse']), undefined, sessionOf(target))
const looked = () => sane('GET', random.pick(PATHS))
const overSseSession = (target) => sane('POST', target.endpoints.length > 0 ? random.pick(target.endpoints) : '/messages?sessionId=x', batched(message))

function withoutSession() {
  const value = message()
  value.params = { ...value.params, _meta: { ...value.params?._meta, ...META } }
  const name = value.params.name
  return sane('POST', '/mcp', value, [
    ['MCP-Protocol-Version', '2026-07-28'],
    ['Mcp-Method', value.method ?? 'x'],
    ...(name === undefined ? [] : [['Mcp-Name', name]]),
  ])
}

function sessionOf({ sessions }) {
  return sessions.length > 0 ? [['Mcp-Session-Id', random.pick(sessions)], ...(random.chance(0.5) ? [['MCP-Protocol-Version', '2025-11-25']] : [])] : []
}

function batched(make) {
  return random.chance(0.9) ? make() : Array.from({ length: random.below(random.chance(0.1) ? 120 : 5) }, make)
}

const oddHeader = (request) => {
  const [name, values] = random.pick(HEADERS)
  request.headers.set(name, random.pick(values))
}
const ODDITIES = [
  oddHeader,
  oddHeader,
  oddHeader,
  (request) => (request.distort = 1),
  (request) => (request.distort = 2),
  (request) => (request.distort = 3),
  (request) => (request.method = random.pick(['GET', 'DELETE', 'OPTIONS', 'HEAD', 'PUT', 'PATCH', 'TRACE', 'PROPFIND', 'POST'])),
  (request) => (request.path = random.pick(PATHS)),
  (request) => (request.value = message()),
  (request) => request.headers.delete('Mcp-Session-Id'),
]

const HEADERS = [
  ['Mcp-Session-Id', ['', 'x', 'x'.repeat(500), '__proto__', '../..', 'ÿ']],
  ['MCP-Protocol-Version', ['2025-11-25', '2025-06-18', '2024-11-05', '2026-07-28', '2026-07-28', '9999-99-99', 'x', '']],
  ['Mcp-Method', ['tools/call', 'initialize', 'ping', '', '=?base64?!?=']],
  ['Mcp-Name', ['echo', 'never', '=?base64?ZWNobw==?=', '=?base64?x?=', '']],
  ['Mcp-Param-X', ['1', '=?base64?AA==?=']],
  ['Accept', ['*/*', 'application/json', 'text/event-stream', 'text/html', '']],
  ['Last-Event-ID', ['0_0', '1_1', '999_999', '-1', 'x', '1_', '0_999999999', '9999999999_1']],
  ['Origin', ['http://localhost', 'null', 'https://evil.example']],
  ['Access-Control-Request-Method', ['POST']],
  ['Expect', ['100-continue', 'x']],
  ['Content-Encoding', ['gzip', 'identity']],
  ['Authorization', ['Bearer x', 'Basic eDp5']],
  ['Cookie', ['a=b']],
  ['Host', ['evil.example', '', 'localhost', '[::1]:1', 'a b', 'ÿ']],
  ['Content-Type', ['text/plain', '', 'application/json; charset=utf-8', 'application/jsonx', 'multipart/form-data; boundary=x']],
  ['X-Long', ['x'.repeat(6000), 'x'.repeat(12_000)]],
]

const PATHS = [
  '/',
  '/mcp/',
  '/MCP',
  '/mcp?x=1',
  '/mcp/x',
  '//mcp',
  '/mcp%00',
  '/%',
  '/%ff',
  '/%2e%2e/mcp',
  '/../mcp',
  '*',
  'http://evil.example/mcp',
  '/messages',
  '/message?session_id=x',
]
PATHS.push(
  '/messages?sessionId=__proto__',
  '/messages?sessionId[]=x',
  `/messages?sessionId=${'x'.repeat(3000)}`,
  '/healthz',
  '/readyz',
  '/status',
  '/health',
  '/favicon.ico',
  '/mcp#x',
  `/${'a/'.repeat(1000)}`,
)

const META = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} }
const odd = () =>
  random.pick([
    null,
    true,
    -1,
    0.5,
    1e308,
    '',
    'x'.repeat(random.below(3000)),
    '\ud800',
    '__proto__',
    {},
    [],
    [[[]]],
    { a: { b: {} } },
    nested(random.below(80)),
    '\u2028',
    9007199254740991,
  ])

function nested(levels) {
  let value = []
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { a: value }
  return value
}

const IDS = [0, 1, 'a', '', -1, 2 ** 40]

function message() {
  const id = random.pick(IDS)
  return random.pick([
    () => initialize(id, random.pick(['2025-11-25', '2024-11-05', '2099-01-01', ''])),
    () => call(id, { text: 'x'.repeat(random.below(200)), ms: random.below(20), progress: random.below(3) }, random.pick([undefined, 1, 'a'])),
    () => call(id, { text: 'x'.repeat(random.below(70_000)) }),
    () => ({ ...call(id, {}), params: { name: 'echo', arguments: { text: 'm' }, _meta: META } }),
    () => ({ jsonrpc: '2.0', id, method: 'tools/list', params: { _meta: META } }),
    () => ({ jsonrpc: '2.0', id, method: 'server/discover', params: { _meta: META } }),
    () => ({
      jsonrpc: '2.0',
      id,
      method: random.pick(['tools/list', 'ping', 'x', '', 'resources/subscribe', 'resources/unsubscribe', 'subscriptions/listen', 'constructor']),
      params: { uri: 'x:1' },
    }),
    () => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: random.chance(0.1) ? 'never' : 'nothing' } }),
    () => ({
      jsonrpc: '2.0',
      method: random.pick(['notifications/initialized', 'notifications/cancelled', 'notifications/progress', 'x']),
      params: { requestId: id, progressToken: id },
    }),
    () => ({ jsonrpc: '2.0', id, result: {} }),
    () => ({ jsonrpc: '2.0', id, error: { code: 1, message: 'x' } }),
  ])()
}

/** The value as bytes: as it is, with a member that is odd, with a text that is odd, or with bytes that are. */
function bodyOf(value, distort) {
  let text = JSON.stringify(distort === 1 ? distorted(value) : value)
  if (distort === 2) {
    text = random.pick([
      () => text.replace(/\d/, random.pick(['1e999', '9223372036854775808', '12345678901234567891', '-0', '1.0', '00'])),
      () => text.replace('{', random.pick(['{"id":2,', '{"method":"ping",', '{"__proto__":{"a":1},', '{"jsonrpc":"1.0",'])),
      () => text.padEnd(70_000),
      () => `\ufeff${text}`,
    ])()
  }
  return distort === 3 ? mutated(Buffer.from(text)) : Buffer.from(text)
}

/** One member somewhere in it is gone, renamed or odd. */
function distorted(value) {
  const names = Object.keys(value)
  const name = random.pick(names)
  if (name === undefined) return odd()
  if (random.chance(0.3) && typeof value[name] === 'object' && value[name] !== null) return { ...value, [name]: distorted(value[name]) }
  const { [name]: taken, ...others } = value
  return random.pick([() => others, () => ({ ...others, [`${name}x`]: taken }), () => ({ ...others, [name]: odd() })])()
}

function mutated(bytes) {
  let all = bytes
  for (let edits = 1 + random.below(4); edits > 0; edits--) {
    const at = random.below(all.length + 1)
    const to = Math.min(all.length, at + random.below(20))
    all = random.pick([
      () => Buffer.concat([all.subarray(0, at), all.subarray(to)]),
      () => Buffer.concat([all.subarray(0, at), random.bytes(1 + random.below(8)), all.subarray(at)]),
      () => Buffer.concat([all.subarray(0, to), all.subarray(at)]),
      () => Buffer.concat([all.subarray(0, at), Buffer.from(random.pick(['\r\n', '\0', '"', '{', ':', ' ', '\r\n\r\n', '%', ';', ','])), all.subarray(at)]),
      () => all.subarray(0, at),
    ])()
  }
  return all
}

function head({ method, path, headers }) {
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${[...headers].map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`, 'latin1')
}

function shown({ method, path, headers, body }) {
  return `${method} ${path.slice(0, 100)} ${JSON.stringify([...headers]).slice(0, 400)} ${JSON.stringify(body.toString().slice(0, 400))}`
}

// ---- what comes back

const STATUSES = new Set([200, 202, 204, 400, 403, 404, 405, 406, 408, 413, 415, 417, 431, 502, 503, 504])
const PLAIN = new Set(['', 'ok\n', 'ready\n', 'not ready\n', 'Accepted'])

function check(target, answer, where) {
  const { status, headers, body } = answer
  count(target, status ?? 'no HTTP')
  if (headers['mcp-session-id'] !== undefined) remember(target.sessions, headers['mcp-session-id'])
  if (!STATUSES.has(status)) return wrong(`status ${status} ${JSON.stringify(body.slice(0, 300))}: ${where}`)
  const type = headers['content-type'] ?? ''
  if (type.startsWith('application/json')) {
    if (answer.isWhole && body !== '' && !isKnownJson(body)) wrong(`${status} with JSON that is no JSON-RPC ${JSON.stringify(body.slice(0, 300))}: ${where}`)
    return
  }
  if (type.startsWith('text/event-stream')) {
    for (const [, data] of body.matchAll(/^data: (.+)\n\n/gm)) {
      if (data.startsWith('/messages?sessionId=')) remember(target.endpoints, data)
      else if (!isKnownJson(data)) wrong(`an event that is no JSON-RPC ${JSON.stringify(data.slice(0, 300))}: ${where}`)
    }
    return
  }
  if (!PLAIN.has(body)) wrong(`${status} ${type} with ${JSON.stringify(body.slice(0, 300))}: ${where}`)
}

function isKnownJson(text) {
  try {
    const value = JSON.parse(text)
    const all = Array.isArray(value) ? value : [value]
    return all.every(
      (one) => one.api_last_activity !== undefined || (one.jsonrpc === '2.0' && ('error' in one || 'result' in one || typeof one.method === 'string')),
    )
  } catch {
    return false
  }
}

function remember(known, one) {
  known.push(one)
  if (known.length > 20) known.shift()
}

function count(target, outcome) {
  target.outcomes.set(outcome, (target.outcomes.get(outcome) ?? 0) + 1)
}

// ---- whether it still serves

async function watch(target) {
  while (performance.now() < deadline && target.proxy.isRunning) {
    await new Promise((resolve) => setTimeout(resolve, 1000))
    target.memory.push(memoryOf(target.proxy.pid))
    await serves(target)
  }
}

/** All ways in answer a plain call. At a cap (503) a client comes again. */
async function serves({ what, proxy }) {
  for (const way of [overStateless, overSession, overSse]) {
    const text = `still there ${random.below(1e9)}`
    let last
    const answered = async () => {
      try {
        last = await way(proxy.origin, text)
      } catch (error) {
        last = error.message
      }
      return last === text || !proxy.isRunning
    }
    await until(`${what}: ${way.name}`, answered).catch((error) => wrong(`${error.message}: ${JSON.stringify(last)}`))
  }
}

const textIn = (messages) => messages.findLast(({ method }) => method === undefined)?.result?.content?.[0]?.text ?? messages

async function overStateless(origin, text) {
  return textIn(messagesIn(await stateless(origin, call(1, { text }))))
}

async function overSession(origin, text) {
  const session = await openSession(origin)
  try {
    return textIn(messagesIn(await session.post(call(1, { text }))))
  } finally {
    await session.close()
  }
}

async function overSse(origin, text) {
  let stream
  const answer = new Promise((resolve, reject) => {
    openSse(origin, ({ id, method, result, error }) => {
      if (method !== undefined) return
      if (error) reject(new Error(error.message))
      else if (id === 'hello') void stream.post(call(1, { text }))
      else resolve(result?.content?.[0]?.text)
    }).then((opened) => {
      stream = opened
      return stream.post(initialize('hello', '2024-11-05'))
    }, reject)
  })
  try {
    return await answer
  } finally {
    stream?.leave()
  }
}

async function lookBack(target) {
  const { what, proxy, outcomes, memory, sent } = target
  if (!proxy.isRunning) return wrong(`${what}: openmcp ended (${await proxy.ended}): ${proxy.lines.slice(-20).join('\n')}`)
  await serves(target)
  const quiet = async () => {
    const { sessions, streams, upstreams } = await (await fetch(`${proxy.origin}/status`)).json()
    return sessions === 0 && streams === 0 && upstreams === 0 && descendantsOf(proxy.pid).length === 0
  }
  await until('quiet', quiet).catch(async () =>
    wrong(`${what}: not quiet: ${await (await fetch(`${proxy.origin}/status`)).text()}, ${descendantsOf(proxy.pid).length} children`),
  )
  const settled = memory[Math.floor(memory.length / 3)] ?? memoryOf(proxy.pid)
  const [most, last] = [Math.max(...memory), memoryOf(proxy.pid)]
  if (most > MOST_MEMORY_MB || last - settled > GROWTH_MB) wrong(`${what}: memory ${settled.toFixed(0)} → ${last.toFixed(0)} MB, at most ${most.toFixed(0)} MB`)
  const internal = proxy.lines.filter((line) => line.includes('internal error'))
  if (internal.length > 0) wrong(`${what}: ${internal[0]}`)
  const how = await proxy.stop()
  if (how !== 0) wrong(`${what}: openmcp ended with ${how}`)
  const shownOutcomes = [...outcomes].toSorted(([a], [b]) => String(a).localeCompare(String(b))).map(([outcome, times]) => `${outcome}×${times}`)
  say(`${what}: ${sent} requests; RSS ${settled.toFixed(0)} → ${last.toFixed(0)} MB, at most ${most.toFixed(0)}; ${shownOutcomes.join(' ')}`)
}

await Promise.all([...targets.flatMap((target) => Array.from({ length: AT_ONCE }, () => attack(target))), ...targets.map(watch)])
for (const target of targets) await lookBack(target)
await upstream.stop()
say(mistakes.length === 0 ? 'ok' : `${mistakes.length} mistakes`)
process.exit(mistakes.length === 0 ? 0 : 1)
