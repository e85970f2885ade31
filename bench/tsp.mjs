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
/** V8 has compiled everything by then. On a busy machine that takes longer, and is no less work. */
const WARM_UP_CALLS = 5000
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
    ours({ most: WARM_UP_CALLS })
    for (let rep = 0; rep < turns && hasTime(); rep++) {
      const own = await slice(process.pid, () => ours({ seconds: sliceSeconds }))
      put('openmcp', 'seal1k', { rep, ...own })
      if (rust) put('tsp_sdk', 'seal1k', { rep, ...(await slice(rust.pid, () => rust.seals(sliceSeconds))) })
    }
  } finally {
    await rust?.stop()
  }
}

/** What was done, by the clock and by what the process took of the machine meanwhile. */
async function slice(pid, act) {
  const [usedBefore, before] = [cpuOf([pid]).seconds, machineCpu()]
  const { calls, seconds } = await act()
  const used = cpuOf([pid]).seconds - usedBefore
  return { calls, perSecond: rounded(calls / seconds), perCpuSecond: rounded(calls / used), ...machine(before, used) }
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
    for (const [, send] of kinds) await hops(send, { most: WARM_UP_CALLS / 4 })
    for (let rep = 0; rep < turns && hasTime(); rep++) {
      for (const [peer, send] of rep % 2 === 0 ? kinds : kinds.toReversed()) {
        const [before, usedBefore] = [machineCpu(), cpuOf([process.pid, echo.pid]).seconds]
        const row = await hops(send, { seconds: sliceSeconds })
        const used = cpuOf([process.pid, echo.pid]).seconds - usedBefore
        put(peer, 'hop1k', { rep, ...row, perCpuSecond: rounded(row.calls / used), ...machine(before, used) })
      }
    }
  } finally {
    await hop?.close()
    await echo.stop(1000)
  }
}

async function hops(send, { seconds = Infinity, most = Infinity }) {
  const times = []
  const began = performance.now()
  while (performance.now() - began < seconds * 1000 && times.length < most) {
    const start = performance.now()
    await send(DATA)
    times.push(performance.now() - start)
  }
  const sorted = ascending(times)
  const perSecond = (times.length * 1000) / (performance.now() - began)
  return { calls: times.length, perSecond: rounded(perSecond), p50Ms: rounded(quantile(sorted, 0.5)), p95Ms: rounded(quantile(sorted, 0.95)) }
}

/** Seals and opens for so many seconds, or so often. */
async function sealing(dist) {
  const load = modulesOf(dist)
  const { readFrame } = await load('tsp/envelope.js')
  const { openMessage } = await load('tsp/open.js')
  const { sealMessage } = await load('tsp/seal.js')
  const [alice, bob] = [await newParty(dist, 'tcp://127.0.0.1:1'), await newParty(dist, 'tcp://127.0.0.1:1')]
  const payload = { kind: 'application', data: DATA }
  return ({ seconds = Infinity, most = Infinity }) => {
    const start = performance.now()
    let [calls, elapsed] = [0, 0]
    while (calls < most && (elapsed = performance.now() - start) < seconds * 1000) {
      const { message } = sealMessage({ from: alice, to: bob, payload })
      const opened = openMessage(readFrame(message), { from: alice.keys, to: bob.keys })
      if (opened.data.length !== DATA.length) throw new Error('what was opened is not what was sealed')
      calls++
    }
    return { calls, seconds: elapsed / 1000 }
  }
}

/** The Rust SDK behind JSON lines: one answer to each question. */
function startDriver(driver) {
  const child = spawn(driver, { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    pid: child.pid,
    async seals(forSeconds) {
      child.stdin.write(`${JSON.stringify({ op: 'bench', seconds: forSeconds, size: DATA.length })}\n`)
      const { value, done } = await lines.next()
      const { ok, error } = done ? { error: 'the driver ended' } : JSON.parse(value)
      if (error !== undefined) throw new Error(`the driver of tsp_sdk: ${error}`)
      return { calls: ok.count, seconds: ok.seconds }
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
