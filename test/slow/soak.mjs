// Connect, call, be gone: a thousand clients that leave in the middle leave nothing behind; then many clients with equal ids
// on one child, of whom none ever gets what was another's. `node test/slow/soak.mjs --rounds 1000 --calls 20000 --seed 1`
import { call, initialize, messagesIn, openSession, openSse, stateless } from './lib/client.mjs'
import { SERVER, descendantsOf, filesOf, memoryOf, start, startInFrontOf, startInFrontOfChild, until } from './lib/processes.mjs'
import { createRandom, option } from './lib/random.mjs'

const ROUNDS = option('rounds', 1000)
const CALLS = option('calls', 20_000)
const SEED = option('seed', Date.now() % 1e9)
const CLIENTS = 32
const AT_ONCE = 8
const GROWTH_MB = 30
const IDLE = ['--idle', '2', '--stop-timeout', '1']

const random = createRandom(SEED)
const mistakes = []
const say = (words) => process.stdout.write(`${words}\n`)
const wrong = (words) => {
  mistakes.push(words)
  if (mistakes.length <= 20) say(`WRONG ${words}`)
}

// ---- clients that leave

/** `warmUp`: rounds until the heap has its size; what grows after them is left behind. */
async function leaving(what, { warmUp, startProxy, upstreamOrigin }) {
  const proxy = await startProxy()
  const counts = { answered: 0, aborted: 0 }
  const began = performance.now()
  await rounds(proxy, warmUp, { answered: 0, aborted: 0 })
  const before = await atRest(proxy, upstreamOrigin)
  await rounds(proxy, ROUNDS, counts)
  const after = await atRest(proxy, upstreamOrigin)
  const growth = after.memory - before.memory
  const seconds = ((performance.now() - began) / 1000).toFixed(0)
  const memory = `RSS ${before.memory.toFixed(1)} → ${after.memory.toFixed(1)} MB`
  say(
    `${what}: ${ROUNDS} rounds in ${seconds} s, ${counts.answered} answered, ${counts.aborted} left; ${memory}; files ${before.files} → ${after.files}; nothing left`,
  )
  if (growth > GROWTH_MB) wrong(`${what}: RSS grew by ${growth.toFixed(1)} MB`)
  if (after.files > before.files) wrong(`${what}: ${after.files - before.files} files more than before`)
  if (Math.min(counts.answered, counts.aborted) < ROUNDS / 20) wrong(`${what}: the rounds are all alike`)
  const how = await proxy.stop()
  if (how !== 0) wrong(`${what}: openmcp ended with ${how}: ${proxy.lines.join(' | ')}`)
}

async function rounds(proxy, total, counts) {
  let left = total
  const worker = async () => {
    while (left-- > 0) {
      const round = random.pick([overStreamableHttp, overStreamableHttp, overSse, overSse, withoutSession])
      try {
        counts[(await round(proxy.origin)) ? 'aborted' : 'answered']++
      } catch (error) {
        wrong(`${round.name}: ${error.message}`)
        if (!proxy.isRunning) throw error
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

/** Most are gone after some milliseconds: before, in and after the call. */
function soon(leave) {
  const timer = random.chance(0.75) ? setTimeout(() => leave(), random.below(40)) : undefined
  return () => clearTimeout(timer)
}

function someCall() {
  const token = random.chance(0.5) ? 1 : undefined
  return call(random.below(3), { text: `t${random.below(1e9)}`, ms: random.below(30), progress: random.below(4) }, token)
}

async function overStreamableHttp(origin) {
  const session = await openSession(origin)
  const message = someCall()
  const abort = new AbortController()
  const stay = soon(() => abort.abort())
  const answer = await session.post(message, { abort: abort.signal })
  stay()
  if (!answer.aborted) checkAnswer(message, messagesIn(answer))
  // Half of them say goodbye, half are never heard of again.
  if (random.chance(0.5)) await session.close()
  return answer.aborted
}

async function overSse(origin) {
  const heard = []
  let look
  const stream = await openSse(origin, (message) => {
    heard.push(message)
    look?.()
  })
  let aborted = false
  const left = stream.left.catch(() => {}).then(() => (aborted = true))
  const answered = (id) => new Promise((resolve) => (look = () => heard.some((message) => message.id === id && message.method === undefined) && resolve()))
  try {
    const hello = answered('hello')
    await stream.post(initialize('hello', '2024-11-05'))
    await Promise.race([hello, left])
    const message = someCall()
    const answer = answered(message.id)
    const stay = soon(stream.leave)
    // Whoever leaves is not there to read the answer to the post either.
    await Promise.race([stream.post(message).then(() => answer), left])
    stay()
    if (!aborted) checkAnswer(message, heard)
    return aborted
  } finally {
    stream.leave()
    await left
  }
}

async function withoutSession(origin) {
  const message = someCall()
  const abort = new AbortController()
  const stay = soon(() => abort.abort())
  const answer = await stateless(origin, message, { abort: abort.signal })
  stay()
  if (!answer.aborted) checkAnswer(message, messagesIn(answer))
  return answer.aborted
}

function checkAnswer({ id, params }, messages) {
  const answer = messages.findLast((message) => message.id === id && message.method === undefined)
  const text = answer?.result?.content?.[0]?.text
  if (text !== params.arguments.text) wrong(`asked for ${params.arguments.text}, got ${JSON.stringify(answer)}`)
  const progress = messages.filter((message) => message.method === 'notifications/progress')
  for (const { params: said } of progress) if (said.message !== params.arguments.text) wrong(`progress of ${said.message} told to ${params.arguments.text}`)
}

/** Waits until nothing is left; then what it costs. */
async function atRest(proxy, upstreamOrigin) {
  await until('no child is left', () => descendantsOf(proxy.pid).length === 0)
  await until('no session and no upstream is left', async () => {
    const { sessions, streams, upstreams } = await (await fetch(`${proxy.origin}/status`)).json()
    return sessions === 0 && streams === 0 && upstreams === 0
  })
  if (upstreamOrigin !== undefined) await until('the upstream has no session', async () => (await (await fetch(`${upstreamOrigin}/sessions`)).text()) === '0')
  return { memory: memoryOf(proxy.pid), files: await steady(() => filesOf(proxy.pid)) }
}

/** Idle connections to the upstream are kept for some seconds: the lowest of some looks. */
async function steady(look) {
  let least = Infinity
  for (let times = 0; times < 70; times++) {
    least = Math.min(least, look())
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return least
}

// ---- clients with equal ids

async function crossing() {
  const proxy = await startInFrontOfChild('--isolation', 'shared')
  const counts = { calls: 0, progress: 0 }
  const mistakesBefore = mistakes.length
  const began = performance.now()
  const each = Math.ceil(CALLS / CLIENTS)
  await Promise.all(Array.from({ length: CLIENTS }, (_, client) => (client % 2 === 0 ? callingOverHttp : callingOverSse)(proxy.origin, client, each, counts)))
  const seconds = (performance.now() - began) / 1000
  const children = descendantsOf(proxy.pid).length
  if (children !== 1) wrong(`one shared child was asked for, there are ${children}`)
  if (counts.calls !== each * CLIENTS) wrong(`${counts.calls} of ${each * CLIENTS} calls were answered`)
  say(
    `cross-talk: ${CLIENTS} clients with equal ids on one child, ${counts.calls} calls and ${counts.progress} progress notifications in ${seconds.toFixed(1)} s, ${mistakes.length - mistakesBefore} wrong`,
  )
  const how = await proxy.stop()
  if (how !== 0) wrong(`cross-talk: openmcp ended with ${how}`)
}

/** The same ids and tokens in every client; the texts are its own. */
function numbered(client, id) {
  const hasProgress = id % 10 === 0
  const text = `client ${client} call ${id} ${random.below(1e9)}`
  return call(id, { text, progress: hasProgress ? 3 : 0, ms: id % 7 === 0 ? 1 : 0 }, hasProgress ? id : undefined)
}

async function callingOverHttp(origin, client, total, counts) {
  const session = await openSession(origin, { keepAlive: true })
  let next = 1
  const worker = async () => {
    while (next <= total) {
      const message = numbered(client, next++)
      const messages = messagesIn(await session.post(message))
      counts.calls++
      count(message, messages, counts)
    }
  }
  await Promise.all(Array.from({ length: 4 }, worker))
  await session.close()
}

async function callingOverSse(origin, client, total, counts) {
  const waiting = new Map()
  const heard = new Map()
  const stream = await openSse(origin, (message) => {
    const id = message.method === undefined ? message.id : message.params?.progressToken
    if (!heard.has(id)) return wrong(`client ${client} got what it never asked for: ${JSON.stringify(message)}`)
    heard.get(id).push(message)
    if (message.method === undefined) waiting.get(id)()
  })
  const ask = async (message) => {
    heard.set(message.id, [])
    const answered = new Promise((resolve) => waiting.set(message.id, resolve))
    await stream.post(message)
    await answered
    return heard.get(message.id)
  }
  await ask(initialize())
  let next = 1
  const worker = async () => {
    while (next <= total) {
      const message = numbered(client, next++)
      const messages = await ask(message)
      counts.calls++
      count(message, messages, counts)
    }
  }
  await Promise.all(Array.from({ length: 4 }, worker))
  // What comes twice or late comes now.
  await ask({ jsonrpc: '2.0', id: 'last', method: 'ping' })
  for (const [id, messages] of heard)
    if (messages.filter(({ method }) => method === undefined).length !== 1) wrong(`client ${client}: call ${id} was answered more than once`)
  stream.leave()
  await stream.left
}

function count(message, messages, counts) {
  checkAnswer(message, messages)
  const progress = messages.filter(({ method }) => method === 'notifications/progress').length
  const expected = message.params.arguments.progress
  if (progress !== expected) wrong(`${progress} of ${expected} progress notifications for ${message.params.arguments.text}`)
  counts.progress += progress
}

say(`seed ${SEED}`)
await leaving('a stdio child', { warmUp: 800, startProxy: () => startInFrontOfChild(...IDLE) })
const upstream = await start([SERVER, '--http'])
await leaving('Streamable HTTP', { warmUp: 2500, startProxy: () => startInFrontOf(upstream.origin, ...IDLE), upstreamOrigin: upstream.origin })
await upstream.stop()
await crossing()
say(mistakes.length === 0 ? 'ok' : `${mistakes.length} mistakes`)
process.exit(mistakes.length === 0 ? 0 : 1)
