// What the load generator asks of open sessions, for a time, and what it counts meanwhile.
import { ascending, quantile, rounded, sum } from './numbers.mjs'
import { sleep, within } from './time.mjs'

const OPENED_TOGETHER = 8
const FAILURES_TOLERATED = 50
const FAILURES_IN_A_ROW = 4
const STRAGGLERS_MS = 150

/** Opens sessions, eight at once, until there are enough or the time is up. A session that fails is counted, not thrown. */
export async function openSessions(target, wanted, { maxMs = 15_000, listen = false } = {}) {
  const startedMs = performance.now()
  const sessions = []
  const openMs = []
  const errors = createErrorCount()
  let begun = 0
  const goesOn = () => begun < wanted && errors.total < FAILURES_TOLERATED && performance.now() - startedMs < maxMs

  const opener = async () => {
    while (goesOn()) {
      begun++
      const session = target.createSession()
      const sinceMs = performance.now()
      try {
        await answered(session.open(), target.timeoutMs)
        openMs.push(performance.now() - sinceMs)
        if (listen && session.listen) await answered(session.listen(), target.timeoutMs)
        sessions.push(session)
      } catch (error) {
        errors.add(error)
        await session.close()
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(OPENED_TOGETHER, wanted) }, opener))
  const seconds = (performance.now() - startedMs) / 1000
  return {
    sessions,
    counted: { calls: openMs.length, perSecond: rounded(openMs.length / seconds), ...latencies(openMs), ...errors.counted() },
  }
}

/** Calls one tool in a loop on every session, with so many calls outstanding on each. */
export async function runCalls(sessions, { seconds, inflight, bytes, tool = 'echo' }) {
  const args = argumentsOf(tool, bytes)
  const callMs = []
  const counted = await timed({ sessions, seconds, inflight }, async (session) => {
    const sinceMs = performance.now()
    await session.call(tool, args, { atLeastBytes: bytes })
    callMs.push(performance.now() - sinceMs)
  })
  return { ...counted, ...latencies(callMs) }
}

/** Redeems assertions at the token endpoint, so many at once, until the time is up. They are signed before. */
export async function runMints(login, { seconds, inflight, perSecondAtMost }) {
  const assertions = login.assertions(Math.ceil(seconds * perSecondAtMost))
  const mintMs = []
  const counted = await timed({ sessions: [{ foreign: 0 }], seconds, inflight }, async () => {
    const sinceMs = performance.now()
    await login.redeem(assertions.pop())
    mintMs.push(performance.now() - sinceMs)
  })
  return { ...counted, ...latencies(mintMs) }
}

/** Lets the server send progress notifications, so many per call. The rate is that of notifications which arrived. */
export async function runNotifications(sessions, { seconds, notifications }) {
  const before = sum(sessions.map((session) => session.notifications))
  const args = [Buffer.from(`{"n":${notifications}}`)]
  let token = 0
  const counted = await timed({ sessions, seconds, inflight: 1 }, (session) => session.call('notify', args, { progressToken: `p${token++}` }))
  await sleep(STRAGGLERS_MS)
  const arrived = sum(sessions.map((session) => session.notifications)) - before
  const sent = counted.calls * notifications
  return { ...counted, perSecond: rounded(arrived / counted.seconds), sent, lost: Math.max(0, sent - arrived) }
}

/**
 * All sessions use the same ids and the same progress tokens at the same time, as real clients do, each with words of its own:
 * what arrives with another session's words, or more often than asked for, is foreign.
 */
export async function runCrossing(sessions, { seconds }) {
  const foreignBefore = foreignFrames(sessions)
  const expected = new Map()
  for (const [i, session] of sessions.entries()) {
    expected.set(session, i + 2) // notifications per call, different for every session
    session.onNotification = ({ params }) => {
      if (params?.total !== expected.get(session)) session.foreign++
    }
  }
  const ids = new Map(sessions.map((session) => [session, 1_000_000_000]))
  const counted = await timed({ sessions, seconds, inflight: 1 }, async (session) => {
    const id = ids.get(session) + 1
    ids.set(session, id + 1)
    const n = expected.get(session)
    const words = `session ${n} call ${id}`
    const [echoed] = await Promise.all([
      session.call('echo', [Buffer.from(JSON.stringify({ text: words }))], { id }),
      session.call('notify', [Buffer.from(`{"n":${n}}`)], { id: id + 1, progressToken: `t${id}` }),
    ])
    if (echoed?.content?.[0]?.text !== words) session.foreign++
  })
  await sleep(STRAGGLERS_MS)
  for (const session of sessions) session.onNotification = null
  return { ...counted, foreign: foreignFrames(sessions) - foreignBefore }
}

// Runs `call` over and over, `inflight` times at once per session. A session that only fails is given up.
async function timed({ sessions, seconds, inflight }, call) {
  const errors = createErrorCount()
  const foreignBefore = foreignFrames(sessions)
  let calls = 0
  const cpu = process.cpuUsage()
  const startedMs = performance.now()
  const loop = async (session) => {
    let failedInARow = 0
    while (performance.now() - startedMs < seconds * 1000 && failedInARow < FAILURES_IN_A_ROW) {
      try {
        await call(session)
        calls++
        failedInARow = 0
      } catch (error) {
        errors.add(error)
        failedInARow++
        await sleep(5)
      }
    }
  }
  await Promise.all(sessions.flatMap((session) => Array.from({ length: inflight }, () => loop(session))))
  const elapsed = (performance.now() - startedMs) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return {
    calls,
    seconds: rounded(elapsed),
    perSecond: rounded(calls / elapsed),
    generatorCpuUs: calls > 0 ? rounded((user + system) / calls) : undefined,
    foreign: foreignFrames(sessions) - foreignBefore,
    ...errors.counted(),
  }
}

const foreignFrames = (sessions) => sum(sessions.map((session) => session.foreign))

function createErrorCount() {
  const kinds = {}
  let last
  return {
    total: 0,
    add(error) {
      this.total++
      const kind = error.kind ?? error.message
      kinds[kind] = (kinds[kind] ?? 0) + 1
      last = error.message.slice(0, 160)
    },
    counted() {
      return this.total === 0 ? { failed: 0 } : { failed: this.total, errors: kinds, lastError: last }
    },
  }
}

function argumentsOf(tool, bytes) {
  if (tool === 'blob') return [Buffer.from(`{"bytes":${bytes}}`)]
  return [Buffer.from('{"text":"'), Buffer.alloc(bytes, 'x'), Buffer.from('"}')]
}

function latencies(ms) {
  const sorted = ascending(ms)
  const at = (share) => rounded(quantile(sorted, share))
  return { p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99) }
}

// A promise of the session ends by its own time limit; this catches a proxy that opens a stream and then stays silent.
async function answered(promise, timeoutMs) {
  const outcome = await within(
    timeoutMs + 1000,
    promise.then(() => 'yes'),
  )
  if (outcome !== 'yes') throw Object.assign(new Error('no answer'), { kind: 'hang' })
}
