// What TSP costs: a message of 1 KiB sealed and opened, beside the Rust SDK where its driver is given, and a hop over TCP, sealed and plain.
// Slices of the two of a pair lie next to each other, as everywhere in the bench.
import fs from 'node:fs'
import path from 'node:path'
import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { launch } from './lib/launch.mjs'
import { ascending, quantile, rounded } from './lib/numbers.mjs'
import { cpuOf, machineCpu } from './lib/proc.mjs'
import { modulesOf, newParty, openTspHop } from './lib/tsp-hop.mjs'

export const TSP_SCENARIOS = [
  { name: 'seal1k', title: 'messages of 1 KiB sealed and opened, one after the other on one core' },
  { name: 'hop1k', title: '1 KiB over TCP to another process and back, one at a time' },
]
/** Slices of this mode are many: what is compared differs by little. */
const TURNS_PER_REP = 4
/** V8 has compiled everything by then. */
const WARM_UP_SECONDS = 2
const MOST_HOPS = 20_000
const DATA = Buffer.alloc(1024, 'x')

const ECHO = fileURLToPath(new URL('servers/tsp-echo.mjs', import.meta.url))

/** Every measurement goes to `put(row)`, words for people to `say`. Nothing is begun that would not end before `deadlineMs`. */
export async function measureTsp({ program, driver, pace, deadlineMs, put, say }) {
  const dist = path.dirname(program)
  if (!fs.existsSync(path.join(dist, 'tsp', 'seal.js'))) {
    put({ mode: 'tsp', peer: 'openmcp', skipped: `${path.basename(program)} is not built: npm run build` })
    return
  }
  const run = {
    sliceSeconds: pace.sliceSeconds,
    turns: pace.reps * TURNS_PER_REP,
    hasTime: () => deadlineMs - performance.now() > 5000,
    put: (peer, scenario, row) => put({ mode: 'tsp', peer, scenario, ...row }),
  }
  say('tsp: seal1k')
  await measureSealing(run, { dist, driver, say })
  say('tsp: hop1k')
  await measureHops(run, dist)
}

async function measureSealing({ sliceSeconds, turns, hasTime, put }, { dist, driver, say }) {
  const ours = await sealing(dist)
  const rust = driver === undefined ? undefined : startDriver(driver)
  if (!rust) {
    put('tsp_sdk', 'seal1k', { skipped: 'no driver is given: --driver, see README.md' })
    say('tsp_sdk skipped: no driver is given')
  }
  try {
    ours(WARM_UP_SECONDS)
    for (let rep = 0; rep < turns && hasTime(); rep++) {
      const before = machineCpu()
      const cpu = process.cpuUsage()
      const row = ours(sliceSeconds)
      const { user, system } = process.cpuUsage(cpu)
      put('openmcp', 'seal1k', { rep, ...row, cpuUs: rounded((user + system) / row.calls), ...machine(before, (user + system) / 1e6) })
      if (!rust) continue
      const [usedBefore, machineBefore] = [cpuOf([rust.pid]).seconds, machineCpu()]
      const { count, seconds } = await rust.ask({ op: 'bench', seconds: sliceSeconds, size: DATA.length })
      const used = cpuOf([rust.pid]).seconds - usedBefore
      put('tsp_sdk', 'seal1k', {
        rep,
        calls: count,
        perSecond: rounded(count / seconds),
        cpuUs: rounded((used * 1e6) / count),
        ...machine(machineBefore, used),
      })
    }
  } finally {
    await rust?.stop()
  }
}

async function measureHops({ sliceSeconds, turns, hasTime, put }, dist) {
  const echo = launch({ command: process.execPath, args: [ECHO, dist] }, { stdout: 'pipe' })
  let hop
  try {
    const [said] = await once(createInterface({ input: echo.stdout }), 'line')
    hop = await openTspHop(dist)
    const { sealed, plain } = await hop.to(JSON.parse(said))
    const kinds = [
      ['plain', plain],
      ['sealed', sealed],
    ]
    for (const [, send] of kinds) await hops(send, WARM_UP_SECONDS / 2)
    for (let rep = 0; rep < turns && hasTime(); rep++) {
      for (const [peer, send] of rep % 2 === 0 ? kinds : kinds.toReversed()) {
        const [before, usedBefore] = [machineCpu(), cpuOf([process.pid, echo.pid]).seconds]
        const row = await hops(send, sliceSeconds)
        put(peer, 'hop1k', { rep, ...row, ...machine(before, cpuOf([process.pid, echo.pid]).seconds - usedBefore) })
      }
    }
  } finally {
    await hop?.close()
    await echo.stop(1000)
  }
}

async function hops(send, seconds) {
  const times = []
  const began = performance.now()
  while (performance.now() - began < seconds * 1000 && times.length < MOST_HOPS) {
    const start = performance.now()
    await send(DATA)
    times.push(performance.now() - start)
  }
  const sorted = ascending(times)
  const perSecond = (times.length * 1000) / (performance.now() - began)
  return { calls: times.length, perSecond: rounded(perSecond), p50Ms: rounded(quantile(sorted, 0.5)), p95Ms: rounded(quantile(sorted, 0.95)) }
}

/** Seals and opens for so many seconds. */
async function sealing(dist) {
  const load = modulesOf(dist)
  const { readFrame } = await load('tsp/envelope.js')
  const { openMessage } = await load('tsp/open.js')
  const { sealMessage } = await load('tsp/seal.js')
  const [alice, bob] = [await newParty(dist, 'tcp://127.0.0.1:1'), await newParty(dist, 'tcp://127.0.0.1:1')]
  const payload = { kind: 'application', data: DATA }
  return (seconds) => {
    const start = performance.now()
    let [calls, elapsed] = [0, 0]
    while ((elapsed = performance.now() - start) < seconds * 1000) {
      const { message } = sealMessage({ from: alice, to: bob, payload })
      const opened = openMessage(readFrame(message), { from: alice.keys, to: bob.keys })
      if (opened.data.length !== DATA.length) throw new Error('what was opened is not what was sealed')
      calls++
    }
    return { calls, perSecond: rounded((calls * 1000) / elapsed) }
  }
}

/** The Rust SDK behind JSON lines: one answer to each question. */
function startDriver(driver) {
  const child = spawn(driver, { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    pid: child.pid,
    async ask(question) {
      child.stdin.write(`${JSON.stringify(question)}\n`)
      const { value, done } = await lines.next()
      const { ok, error } = done ? { error: 'the driver ended' } : JSON.parse(value)
      if (error !== undefined) throw new Error(`the driver of tsp_sdk: ${error}`)
      return ok
    },
    async stop() {
      const ended = once(child, 'close')
      child.stdin.end()
      await ended
    },
  }
}

/** What others did with the machine meanwhile. */
function machine(before, ourSeconds) {
  const now = machineCpu()
  const ofMachine = (seconds) => rounded((100 * seconds) / (now.all - before.all))
  return { othersPercent: Math.max(0, ofMachine(now.busy - before.busy - ourSeconds)), stolenPercent: ofMachine(now.stolen - before.stolen) }
}
