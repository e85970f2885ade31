// Runs the official conformance suite against a server directly and through openmcp, and compares check by check.
//   node test/conformance/run.mjs [--only direct|http|stdio] [--out DIR] [--openmcp FILE]
import { createWriteStream, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { describeLoss, lostChecks, oneLine, sameLeg } from './compare.mjs'
import { startOpenmcp } from './openmcp.mjs'
import { startServer, stopAll } from './processes.mjs'
import { REVISIONS, SUITE_VERSION, runClientLeg, runServerLeg } from './suite.mjs'

const here = import.meta.dirname

// How openmcp stands in front of the fixture: what it publishes, and with which further options of `openmcp run`.
// The client scenarios bring HTTP servers of their own, so they belong to the target with an HTTP upstream.
const TARGETS = {
  http: {
    options: [],
    publish: fixtureUrl => `0:${fixtureUrl}`,
    withClients: true,
  },
  stdio: {
    options: [],
    publish: () => '0',
    command: [process.execPath, join(here, 'fixture-stdio.mjs')],
  },
}
const WATCHDOG_MS = 15 * 60_000

const { only, out, program } = readOptions()

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
  const others = Object.keys(TARGETS).filter(name => only === undefined || only === name)
  let well = direct.well
  for (const name of others) {
    const { well: asWell } = await runThroughOpenmcp(name, fixtureUrl, direct)
    well &&= asWell
  }
  return well
}

async function startFixture() {
  const onLine = line => console.error(line)
  const { origin } = await startServer([join(here, 'fixture-http.mjs')], { onLine })
  return `${origin}/mcp`
}

function runDirect(url) {
  return runTarget({ target: 'direct', url, directory: makeDirectory('direct'), client: 'fixture-client.mjs' })
}

async function runThroughOpenmcp(target, fixtureUrl, direct) {
  const { options, publish, command, withClients } = TARGETS[target]
  const directory = makeDirectory(target)
  const log = createWriteStream(join(directory, 'openmcp.log'))
  const openmcp = await startOpenmcp({
    program,
    options,
    publish: publish(fixtureUrl),
    command,
    directory,
    onLine: line => log.write(`${line}\n`),
  })
  const run = await runTarget({
    target,
    url: openmcp.url,
    directory,
    reference: direct,
    ...(withClients && {
      client: 'client-via.mjs',
      env: { CONFORMANCE_OPENMCP: JSON.stringify({ program, options, directory }) },
    }),
  })
  await openmcp.stop()
  log.end()
  return run
}

/** Runs and reports every leg of a target, and keeps the result as a file that compare.mjs can read. */
async function runTarget({ target, url, directory, client, env, reference }) {
  const run = { target, suite: SUITE_VERSION, node: process.version, well: true, legs: [] }
  const add = leg => {
    run.legs.push(leg)
    run.well = report(target, leg, reference && sameLeg(reference, leg)) && run.well
  }
  for (const revision of REVISIONS) {
    add(await runServerLeg({ url, revision, directory: join(directory, `server-${revision}`) }))
  }
  for (const revision of client ? REVISIONS : []) {
    add(await runClientLeg({ client, env, revision, directory: join(directory, `client-${revision}`) }))
  }
  writeFileSync(join(out, `${target}.json`), `${JSON.stringify(run, null, 1)}\n`)
  return run
}

/** One line for the leg, one for each required scenario that fails and each check that was lost. */
function report(target, leg, reference) {
  const { role, revision, seconds, required, scenarios } = leg
  const count = status => Object.values(scenarios).flatMap(Object.values).filter(check => check.status === status).length
  const failing = required.filter(scenario => !passes(scenarios[scenario]))
  const lost = reference ? lostChecks(reference, leg) : []
  const figures = [
    `required ${required.length - failing.length}/${required.length}`,
    `checks ${count('SUCCESS')} ok ${count('FAILURE')} failed`,
    ...(reference ? [`${lost.length} lost`] : []),
    `${seconds.toFixed(1)} s`,
  ]
  console.log(`${target} ${role} ${revision}: ${figures.join(', ')}`)
  for (const scenario of failing) console.log(`  FAILED ${scenario}: ${firstComplaint(scenarios[scenario])}`)
  for (const loss of lost) console.log(`  LOST ${describeLoss(loss)}`)
  return failing.length + lost.length === 0
}

function passes(checks = {}) {
  const statuses = Object.values(checks).map(check => check.status)
  return statuses.includes('SUCCESS') && !statuses.includes('FAILURE')
}

function firstComplaint(checks = {}) {
  const [name, check] = Object.entries(checks).find(([, { status }]) => status === 'FAILURE') ?? []
  return name ? `${name}: ${oneLine(check.why ?? '')}` : 'made no check'
}

function makeDirectory(target) {
  const directory = join(out, target)
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  return directory
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: 'string' },
        out: { type: 'string', default: join(here, 'results') },
        openmcp: { type: 'string', default: join(here, '../../dist/openmcp.mjs') },
      },
    })
    const names = ['direct', ...Object.keys(TARGETS)]
    if (values.only !== undefined && !names.includes(values.only)) throw new Error(`--only is one of ${names.join(', ')}`)
    const needed = resolve(values.openmcp)
    if (values.only !== 'direct' && !existsSync(needed)) throw new Error(`${needed} is missing: npm run build makes it`)
    return { only: values.only, out: resolve(values.out), program: needed }
  } catch (error) {
    complain(error.message)
    process.exit(2)
  }
}

async function leave(code, why) {
  if (why) complain(why)
  await stopAll()
  process.exit(code)
}

function complain(words) {
  console.error(`conformance: error: ${words}`)
}
