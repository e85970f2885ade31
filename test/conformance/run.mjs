// Runs the official conformance suite against a server directly and through openmcp, and compares check by check.
//   node test/conformance/run.mjs [--only direct|http|stdio|http-secured|stdio-secured] [--out DIR] [--openmcp FILE]
import { appendFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { describeLoss, lostChecks, oneLine, sameLeg } from './compare.mjs'
import { startOpenmcp } from './openmcp.mjs'
import { startServer, stopAll } from './processes.mjs'
import { REVISIONS, SUITE_VERSION, runClientLeg, runIssuerLeg, runServerLeg } from './suite.mjs'

const here = import.meta.dirname

// How openmcp stands in front of the fixture: what it publishes, and with which further options of `openmcp run`.
// The client scenarios bring HTTP servers of their own, so they belong to the target with an HTTP upstream.
const HTTP = {
  options: [],
  publish: (fixtureUrl) => `0:${fixtureUrl}`,
  withClients: true,
}
const STDIO = {
  // A child cannot close an HTTP stream in the middle of a call, as one scenario (SEP-1699) wants to see: openmcp can.
  options: ['--poll', '0.05'],
  publish: () => '0',
  command: [process.execPath, join(here, 'fixture-stdio.mjs')],
}
// With the guard on whoever calls has logged in with a DID, and the issuer is looked at as well.
const TARGETS = {
  http: HTTP,
  stdio: STDIO,
  'http-secured': { ...HTTP, secured: true },
  'stdio-secured': { ...STDIO, secured: true },
}
const WATCHDOG_MS = 10 * 60_000

let settings
try {
  settings = readSettings()
} catch (error) {
  complain(error.message)
  process.exit(2)
}

process.once('SIGINT', () => void leave(130))
process.once('SIGTERM', () => void leave(143))
setTimeout(() => void leave(1, `stopped after ${WATCHDOG_MS / 60_000} minutes`), WATCHDOG_MS).unref()

try {
  process.exitCode = (await runAll()) ? 0 : 1
} catch (error) {
  complain(error.message)
  process.exitCode = 1
} finally {
  await stopAll()
}

/** Answers whether all is well. The direct run is always made: it is what the others are measured against. */
async function runAll() {
  const fixtureUrl = await startFixture()
  const direct = await runDirect(fixtureUrl)
  const targets = Object.keys(TARGETS).filter((target) => settings.only === undefined || settings.only === target)
  const runs = [direct]
  for (const target of targets) {
    // A target that does not start is a failure, and no reason not to try the next.
    runs.push(await runThroughOpenmcp(target, fixtureUrl, direct).catch((error) => failedRun(target, error)))
  }
  return runs.every((run) => run.well)
}

async function startFixture() {
  const { origin } = await startServer([join(here, 'fixture-http.mjs')], { onLine: console.error })
  return `${origin}/mcp`
}

function runDirect(url) {
  return runTarget({ target: 'direct', url, directory: makeDirectory('direct'), client: 'fixture-client.mjs' })
}

async function runThroughOpenmcp(target, fixtureUrl, direct) {
  const { program } = settings
  const { options, publish, command, withClients, secured } = TARGETS[target]
  const directory = makeDirectory(target)
  const openmcp = await startOpenmcp({
    program,
    options,
    publish: publish(fixtureUrl),
    command,
    secured,
    directory,
    onLine: (line) => appendFileSync(join(directory, 'openmcp.log'), `${line}\n`),
  })
  console.error(`openmcp: ${target} on ${openmcp.url}`)
  const run = await runTarget({
    target,
    url: openmcp.url,
    directory,
    reference: direct,
    credential: openmcp.credential,
    ...(secured && { issuer: new URL(openmcp.url).origin, identity: openmcp.identity }),
    ...(withClients && {
      client: 'client-via.mjs',
      env: { CONFORMANCE_OPENMCP: JSON.stringify({ program, options, secured, directory }) },
    }),
  })
  await openmcp.stop()
  return run
}

function failedRun(target, error) {
  complain(`${target}: ${error.message}`)
  return { well: false }
}

/** Runs and reports every leg of a target, and keeps the result as a file that compare.mjs can read. */
async function runTarget({ target, url, directory, credential, issuer, identity, client, env, reference }) {
  const run = { target, suite: SUITE_VERSION, node: process.version, well: true, legs: [] }
  const add = (leg) => {
    run.legs.push(leg)
    run.well = report(target, leg, reference && sameLeg(reference, leg)) && run.well
  }
  for (const revision of REVISIONS) {
    add(await runServerLeg({ url, revision, credential, directory: join(directory, `server-${revision}`) }))
  }
  for (const revision of issuer ? REVISIONS : []) {
    add(await runIssuerLeg({ issuer, identity, revision, directory: join(directory, `issuer-${revision}`) }))
  }
  for (const revision of client ? REVISIONS : []) {
    add(await runClientLeg({ client, env, revision, directory: join(directory, `client-${revision}`) }))
  }
  writeFileSync(join(settings.out, `${target}.json`), `${JSON.stringify(run, null, 1)}\n`)
  return run
}

/** One line for the leg, one for each required scenario that fails and each check that was lost. */
function report(target, leg, reference) {
  const { role, revision, seconds, finished, required, scenarios } = leg
  const count = (status) =>
    Object.values(scenarios)
      .flatMap(Object.values)
      .filter((check) => check.status === status).length
  const failing = required.filter((scenario) => !passes(scenarios[scenario]))
  const lost = reference ? lostChecks(reference, leg) : []
  const figures = [
    `required ${required.length - failing.length}/${required.length}`,
    `checks ${count('SUCCESS')} ok ${count('FAILURE')} failed`,
    ...(reference ? [`${lost.length} lost`] : []),
    `${seconds.toFixed(1)} s`,
    ...(finished ? [] : ['stopped before its end']),
  ]
  console.log(`${target} ${role} ${revision}: ${figures.join(', ')}`)
  for (const scenario of failing) console.log(`  FAILED ${scenario}: ${firstComplaint(scenarios[scenario])}`)
  for (const loss of lost) console.log(`  LOST ${describeLoss(loss)}`)
  return failing.length + lost.length === 0
}

function passes(checks = {}) {
  const statuses = Object.values(checks).map((check) => check.status)
  return statuses.includes('SUCCESS') && !statuses.includes('FAILURE')
}

function firstComplaint(checks = {}) {
  const [name, check] = Object.entries(checks).find(([, { status }]) => status === 'FAILURE') ?? []
  return name ? `${name}: ${oneLine(check.why ?? '')}` : 'made no check'
}

function makeDirectory(target) {
  const directory = join(settings.out, target)
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  return directory
}

function readSettings() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      out: { type: 'string', default: join(here, 'results') },
      openmcp: { type: 'string', default: join(here, '../../dist/openmcp.mjs') },
    },
  })
  const { only, out, openmcp } = values
  const names = ['direct', ...Object.keys(TARGETS)]
  if (only !== undefined && !names.includes(only)) throw new Error(`--only is one of ${names.join(', ')}`)
  if (only !== 'direct' && !existsSync(openmcp)) throw new Error(`${openmcp} is missing: npm run build makes it`)
  return { only, out: resolve(out), program: resolve(openmcp) }
}

async function leave(code, why) {
  if (why) complain(why)
  await stopAll()
  process.exit(code)
}

function complain(words) {
  console.error(`conformance: error: ${words}`)
}
