// Measures the peers of one mode against each other. All of them run at the same time and hold their sessions open; short slices
// go round A B C A B C …, so that a ratio compares slices which lie next to each other and the drift of the machine cancels out.
import { createField, rotated } from './field.mjs'
import { measureIdle } from './idle.mjs'
import { openSessions, runCalls, runCrossing, runMints, runNotifications } from './lib/load.mjs'
import { cpuOf, machineCpu } from './lib/proc.mjs'
import { rounded, sum } from './lib/numbers.mjs'
import { sleep } from './lib/time.mjs'
import { isAsking, scenariosOf, sessionsFor } from './scenarios.mjs'

const MEASURES = { idle: measureIdle, calls: measureSlices, notify: measureSlices, cross: measureSlices, mint: measureSlices, open: measureOpening }

/**
 * Every measurement goes to `put(row)`, words for people to `say`. `pace` is how much of each thing: { reps, sliceSeconds,
 * coldStarts, warmUpSeconds }. Nothing is begun that would not end before `deadlineMs`.
 */
export async function compareMode({ mode, peers, scenarios, pace, program, deadlineMs, put, say }) {
  const field = createField({ mode, peers, program, put, say })
  const run = {
    field,
    holds: createHolds(),
    pace,
    program,
    // Slices before those that count: the first calls of a kind are slow. What the guard adds is small, and V8 takes seconds to compile it.
    uncounted: isAsking(mode) ? 4 : 0.5,
    slices: ({ brief }) => (brief && !isAsking(mode) ? Math.ceil(pace.reps / 2) : pace.reps),
    secondsLeft: () => (deadlineMs - performance.now()) / 1000,
    put: (peer, scenario, row) => put({ mode, peer: peer.name, scenario, ...row }),
  }
  const measureAll = async (some) => {
    for (const scenario of some) {
      if (run.secondsLeft() < 15) {
        say(`${mode}: no time left for ${scenario.name}`)
        put({ mode, scenario: scenario.name, skipped: 'no time left' })
        continue
      }
      say(`${mode}: ${scenario.name}`)
      await MEASURES[scenario.kind](run, scenario)
      await field.tidy(scenario.name)
    }
  }
  const asked = scenariosOf(mode).filter((scenario) => scenarios.includes(scenario))
  const ofKind = (...kinds) => asked.filter(({ kind }) => kinds.includes(kind))
  try {
    say(`${mode}: starting ${peers.map(({ name }) => name).join(', ')}`)
    await startAll(field, ofKind('cold').length > 0 ? pace.coldStarts : 0)
    await measureAll(ofKind('idle'))
    const loaded = ofKind('calls', 'notify', 'cross', 'mint', 'open').filter((scenario) => peers.some(({ face }) => sessionsFor(scenario, face) > 0))
    if (loaded.length > 0) await warmUp(run)
    await measureAll(loaded)
  } finally {
    await run.holds.endAll()
    await field.stopAll()
  }
}

async function startAll(field, coldStarts) {
  for (let rep = 0; rep < coldStarts; rep++) {
    for (const peer of rotated(field.peers, rep)) {
      if (field.running.has(peer)) await field.stop(peer)
      await field.start(peer, rep)
    }
  }
  for (const peer of field.peers) if (coldStarts === 0) await field.start(peer)
}

// The sessions of a scenario. Where a session is a whole process, it lives on to the next scenario as it would with a client: a
// fresh one would be measured before its code is compiled.
function createHolds() {
  const kept = new Map()
  const open = async (started, wanted) => {
    const target = started.target()
    const { sessions, counted } = await openSessions(target, wanted)
    return { target, sessions, whyNone: counted.lastError }
  }
  return {
    async sessions(peer, started, wanted) {
      if (!isPerProcess(peer)) return open(started, wanted)
      const hold = kept.get(peer)
      if (hold?.sessions.length >= wanted && !hold.sessions.some((session) => session.hasEnded())) return { ...hold, sessions: hold.sessions.slice(0, wanted) }
      await hold?.target.end()
      const fresh = await open(started, wanted)
      kept.set(peer, fresh)
      return fresh
    },
    async release(peer, { target }) {
      if (!isPerProcess(peer)) await target.end()
    },
    async endAll() {
      for (const { target } of kept.values()) await target.end()
    },
  }
}

async function warmUp({ field, holds, pace }) {
  for (const [peer, started] of field.running) {
    const hold = await holds.sessions(peer, started, isPerProcess(peer) ? 4 : 8)
    const seconds = pace.warmUpSeconds * (isPerProcess(peer) ? 3 : 1) // each of the four processes has its code to compile
    await runCalls(hold.sessions, { seconds, inflight: 2, bytes: 100 })
    await holds.release(peer, hold)
  }
  await field.tidy('warm-up')
}

async function measureSlices({ field, holds, pace, uncounted, slices, put, secondsLeft }, scenario) {
  const held = new Map()
  const takesPart = ([{ measured }]) => measured === undefined || measured.includes(scenario.name)
  for (const [peer, started] of [...field.running].filter(takesPart)) {
    const hold = await holds.sessions(peer, started, sessionsFor(scenario, peer.face))
    const { target, sessions, whyNone } = hold
    held.set(peer, hold)
    if (sessions.length === 0) put(peer, scenario.name, { error: `no session: ${whyNone}` })
    else await slice(scenario, hold, pace.sliceSeconds * uncounted, started.pids(target))
  }
  const givenUp = new Set()
  for (let rep = 0; rep < slices(scenario) && secondsLeft() > 5; rep++) {
    for (const [peer, started] of field.turn(rep).filter(takesPart)) {
      const hold = held.get(peer)
      const { target, sessions } = hold
      if (sessions.length === 0 || givenUp.has(peer)) continue
      const row = await slice(scenario, hold, pace.sliceSeconds, started.pids(target))
      put(peer, scenario.name, { rep, ...row })
      if (row.calls === 0) givenUp.add(peer) // asking again would only wait for the same errors
    }
  }
  for (const [peer, hold] of held) await holds.release(peer, hold)
}

// More than any proxy here makes.
const CALLS_PER_SECOND = 4000
const MINTS_PER_SECOND = 8000

async function slice(scenario, { target, sessions }, seconds, pids) {
  if (scenario.kind === 'calls') await target.login?.prepare(seconds * CALLS_PER_SECOND)
  const before = { proxy: cpuOf(pids), bench: cpuOf([process.pid]), machine: machineCpu() }
  const row = await {
    calls: () => runCalls(sessions, { ...scenario, seconds }),
    notify: () => runNotifications(sessions, { ...scenario, seconds }),
    cross: () => runCrossing(sessions, { seconds }),
    mint: () => runMints(target.login, { ...scenario, seconds, perSecondAtMost: MINTS_PER_SECOND }),
  }[scenario.kind]()
  const [proxy, bench, machine] = [cpuOf(pids), cpuOf([process.pid]), machineCpu()]
  const perCallUs = (column) => (row.calls > 0 ? rounded(((proxy[column] - before.proxy[column]) * 1e6) / row.calls) : undefined)
  const ofMachine = (cpuSeconds) => rounded((100 * cpuSeconds) / (machine.all - before.machine.all))
  const ours = sum(Object.values(bench)) - sum(Object.values(before.bench))
  return {
    ...row,
    cpuUs: perCallUs('seconds'),
    childrenCpuUs: perCallUs('childrenSeconds'),
    othersPercent: Math.max(0, ofMachine(machine.busy - before.machine.busy - ours)),
    stolenPercent: ofMachine(machine.stolen - before.machine.stolen),
  }
}

async function measureOpening({ field, put, secondsLeft, pace }, scenario) {
  for (const [peer, started] of field.running) {
    if (secondsLeft() < 8) return
    const target = started.target()
    const { counted } = await openSessions(target, scenario.sessions, { maxMs: pace.sliceSeconds * 3000 })
    put(peer, scenario.name, { rep: 0, ...counted })
    await target.end()
    await sleep(200)
  }
}

const isPerProcess = (peer) => peer.face === 'stdio'
