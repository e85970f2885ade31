#!/usr/bin/env node
// `npm run bench`: measures openmcp, the floors and the peers, and prints tables. README.md says how to read them.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { compareMode } from './compare.mjs'
import { MODES, NPM_PEERS, PEERS, reasonToSkip } from './peers.mjs'
import { sum } from './lib/numbers.mjs'
import { report } from './report.mjs'
import { SCENARIOS } from './scenarios.mjs'
import { hasPythonPeers, installPythonPeers } from './lib/python.mjs'
import { measureTsp } from './tsp.mjs'

const USAGE = `usage: node bench/run.mjs [OPTIONS]
       node bench/run.mjs --report FILE...

  --mode M,M         ${MODES.join(' ')} tsp (all)
  --peers P,P        only these, by name (all that can run here)
  --scenarios S,S    ${SCENARIOS.map(({ name }) => name).join(' ')} (all)
  --quick            less of everything: a look, not a result
  --reps N           slices of each peer per scenario (5; quick 2), half as many where no target is
  --slice SECONDS    length of a slice (0.5; quick 0.3)
  --budget SECONDS   time for all modes together (680)
  --program FILE     the openmcp to measure (dist/openmcp.mjs)
  --driver FILE      the Rust SDK of TSP, to measure ours against (README.md says how it is built)
  --out FILE         where the raw numbers go (bench/results/TIME.jsonl)
  --report FILE...   no measuring: the tables of earlier runs

example: node bench/run.mjs --mode http-http --peers floor-http,openmcp-http --scenarios seq16 --quick
`

const here = path.dirname(fileURLToPath(import.meta.url))
const startedMs = performance.now()
const say = (words) => process.stderr.write(`[${((performance.now() - startedMs) / 1000).toFixed(0)} s] ${words}\n`)

const asked = readOptions()
if (asked.report) console.log(report(asked.report.flatMap(readRows)))
else await measure(asked)

async function measure({ modes, isTsp, driver, peers, scenarios, pace, budgetSeconds, program, out }) {
  if (process.platform !== 'linux') refuse('memory and CPU are read from /proc, which only Linux has')
  installPeers(peers)
  installPython(peers)
  const rows = []
  const run = new Date().toISOString()
  fs.mkdirSync(path.dirname(out), { recursive: true })
  const put = (row) => {
    rows.push({ run, ...row })
    fs.appendFileSync(out, `${JSON.stringify({ run, ...row })}\n`)
  }
  const build = buildOf(program)
  put({ machine: machine(), effort: `up to ${pace.reps} slices of ${pace.sliceSeconds} s, ${pace.coldStarts} starts` })

  const measuringSinceMs = performance.now()
  const deadlineMs = measuringSinceMs + budgetSeconds * 1000
  // A peer that hangs in a way nobody thought of must not keep the bench: it tells what it has and ends.
  const watchdog = setTimeout(
    () => {
      say('over the time allowed: ending')
      console.log(report(rows))
      process.exit(1)
    },
    (budgetSeconds + 25) * 1000,
  )

  if (isTsp) await measureTsp({ program, driver, pace, deadlineMs, put, say })
  const fields = modes.map((mode) => ({ mode, able: ableToRun(peers, mode, { program, put }) })).filter(({ able }) => able.length > 0)
  for (const [i, { mode, able }] of fields.entries()) {
    const waiting = sum(fields.slice(i).map((field) => effortOf(field.able)))
    const now = performance.now()
    const share = ((deadlineMs - now) * effortOf(able)) / waiting
    await compareMode({ mode, peers: able, scenarios, pace, program, deadlineMs: now + share, put, say })
  }
  clearTimeout(watchdog)
  if (buildOf(program) !== build) put({ rebuilt: true })
  console.log(report(rows))
  say(`raw numbers: ${path.relative(process.cwd(), out)}`)
}

// What a mode takes whoever runs in it (waiting for idle heaps, mostly) is about what two peers take.
function effortOf(able) {
  return able.length + 2
}

function ableToRun(peers, mode, { program, put }) {
  return peers.filter((peer) => {
    if (peer.mode !== mode) return false
    const skipped = reasonToSkip(peer, program)
    if (skipped === null) return true
    put({ mode, peer: peer.name, skipped })
    say(`${peer.name} skipped: ${skipped}`)
    return false
  })
}

function readOptions() {
  const { values, positionals } = parsedArguments()
  if (values.help) {
    process.stdout.write(USAGE)
    process.exit(0)
  }
  if (values.report) {
    if (positionals.length === 0) refuse('--report needs at least one file')
    const missing = positionals.find((file) => !fs.existsSync(file))
    if (missing) refuse(`${missing} does not exist`)
    return { report: positionals }
  }
  if (positionals.length > 0) refuse(`what is ${positionals[0]}?`)

  const { quick } = values
  const allModes = chosen('mode', values.mode, [...MODES, 'tsp'])
  const modes = allModes.filter((mode) => mode !== 'tsp')
  // Who chooses peers or scenarios of the proxies asks for those.
  const isTsp = allModes.includes('tsp') && (values.mode !== undefined || (values.peers === undefined && values.scenarios === undefined))
  const peerNames = chosen(
    'peers',
    values.peers,
    PEERS.map(({ name }) => name),
  )
  const scenarioNames = chosen(
    'scenarios',
    values.scenarios,
    SCENARIOS.map(({ name }) => name),
  )
  const peers = PEERS.filter(({ name, mode }) => peerNames.includes(name) && modes.includes(mode))
  if (peers.length === 0 && !isTsp) refuse('none of these peers belongs to these modes')
  if (values.driver !== undefined && !fs.existsSync(values.driver)) refuse(`--driver: ${values.driver} does not exist`)
  return {
    isTsp,
    driver: values.driver && path.resolve(values.driver),
    modes: modes.filter((mode) => peers.some((peer) => peer.mode === mode)),
    peers,
    scenarios: SCENARIOS.filter(({ name }) => scenarioNames.includes(name)),
    pace: {
      reps: positive('reps', values.reps, quick ? 2 : 5),
      sliceSeconds: positive('slice', values.slice, quick ? 0.3 : 0.5),
      coldStarts: quick ? 2 : 5,
      warmUpSeconds: quick ? 0.8 : 1.6,
    },
    budgetSeconds: positive('budget', values.budget, 680),
    program: path.resolve(values.program ?? path.join(here, '..', 'dist', 'openmcp.mjs')),
    out: path.resolve(values.out ?? path.join(here, 'results', `${new Date().toISOString().replaceAll(/[:.]/g, '-')}.jsonl`)),
  }
}

function parsedArguments() {
  const text = { type: 'string' }
  const options = {
    mode: text,
    peers: text,
    scenarios: text,
    quick: { type: 'boolean', default: false },
    reps: text,
    slice: text,
    budget: text,
    program: text,
    driver: text,
    out: text,
    report: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  }
  try {
    return parseArgs({ options, allowPositionals: true })
  } catch (error) {
    return refuse(error.message)
  }
}

function chosen(option, text, known) {
  if (text === undefined) return known
  const names = text.split(',')
  const strange = names.find((name) => !known.includes(name))
  if (strange !== undefined) refuse(`--${option}: no ${strange}; there are ${known.join(' ')}`)
  return known.filter((name) => names.includes(name))
}

function positive(option, text, otherwise) {
  const number = Number(text ?? otherwise)
  if (!(number > 0)) refuse(`--${option}: ${text} is not a number above 0`)
  return number
}

function refuse(why) {
  process.stderr.write(`bench: error: ${why}\nbench: hint: node bench/run.mjs --help\n`)
  process.exit(2)
}

function installPeers(peers) {
  const wanted = new Set(peers.flatMap((peer) => peer.package ?? []))
  if (wanted.size === 0 || fs.existsSync(path.join(here, 'node_modules'))) return
  say(`installing the peers (${NPM_PEERS.join(', ')}): npm ci --prefix bench`)
  const npm = spawnSync('npm', ['ci', '--prefix', here, '--ignore-scripts', '--no-audit', '--no-fund'], {
    stdio: ['ignore', 2, 2],
    timeout: 180_000,
  })
  if (npm.status !== 0) say('that failed: the peers from npm are skipped')
}

function installPython(peers) {
  if (!peers.some(({ python }) => python) || hasPythonPeers()) return
  say('installing mcpo: python3 -m venv bench/node_modules/.python')
  if (!installPythonPeers()) say('that failed: the peers from PyPI are skipped')
}

function buildOf(program) {
  return fs.statSync(program, { throwIfNoEntry: false })?.mtimeMs
}

function machine() {
  const date = new Date().toISOString().slice(0, 10)
  return `${date}, ${os.cpus().length} cores, ${Math.round(os.totalmem() / 2 ** 30)} GB, Node ${process.versions.node}, load ${os.loadavg()[0].toFixed(1)} at the start`
}

function readRows(file) {
  const lines = fs
    .readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line))
}
