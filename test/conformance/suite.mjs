// Runs the official conformance suite and reads what it found. A leg is one role at one protocol revision:
// `{ role, revision, seconds, finished, required: [scenario], scenarios: { scenario: { check: { status, why? } } } }`.
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../support/free-port.mjs'
import { logIn } from './person.mjs'
import { runProgram } from './processes.mjs'

const here = import.meta.dirname
const suite = dirname(fileURLToPath(import.meta.resolve('@modelcontextprotocol/conformance/package.json')))
const program = join(suite, 'dist/index.js')
const NODE_20 = ['--import', import.meta.resolve('./node20.mjs')]
const LOGIN = ['--import', import.meta.resolve('./credential.mjs')]

export const SUITE_VERSION = JSON.parse(readFileSync(join(suite, 'package.json'), 'utf8')).version
export const REVISIONS = ['2025-11-25', '2026-07-28']

// The slowest scenario waits 10 s for one stream and 5 s for the next before it gives up.
const SCENARIO_LIMIT_MS = 20_000
const LEG_LIMIT_MS = 120_000
const LOGIN_LIMIT_MS = 60_000

/**
 * Runs every server scenario of a revision against one URL: the required ones, and those that only inform. `credential` is the
 * environment with which the suite logs in.
 */
export async function runServerLeg({ url, revision, credential, directory }) {
  return timed({ role: 'server', revision }, async () => {
    const args = ['server', '--url', url, '--requirements', revision, '--timeout', `${SCENARIO_LIMIT_MS}`]
    const { code } = await runSuite([...args, '--output-dir', directory], { directory, credential, limitMs: LEG_LIMIT_MS })
    return { finished: code !== null, scenarios: Object.fromEntries(resultsIn(directory, 'server-')) }
  })
}

/**
 * Looks at an issuer as a client of a revision does that has only its URL, and logs a person in there. Without `--client-id` the
 * second scenario would be skipped, which counts as a failure here as everywhere.
 */
export async function runIssuerLeg({ issuer, identity, revision, directory }) {
  const required = ['authorization-server-metadata-endpoint', 'authorization-code-grant']
  return timed({ role: 'issuer', revision, required }, async () => {
    const clientId = await registeredAt(issuer)
    const args = ['authorization', '--url', issuer, '--client-id', clientId, '--resource', `${issuer}/mcp`, '--port', `${await freePort()}`]
    let login
    const onOutput = (text) => {
      const [url] = /http:\/\/\S+\/authorize\?\S+/.exec(text) ?? []
      // The suite sees nobody come, and fails.
      if (url && text.includes('Waiting')) login ??= logIn(url, identity).catch((error) => console.error(`conformance: ${error.message}`))
    }
    const { code } = await runSuite([...args, '--spec-version', revision, '--output-dir', directory], { directory, limitMs: LOGIN_LIMIT_MS, onOutput })
    return { finished: code !== null, scenarios: Object.fromEntries(resultsIn(directory, 'authorization-server-')) }
  })
}

async function registeredAt(issuer) {
  const body = JSON.stringify({ client_name: 'conformance', redirect_uris: ['http://127.0.0.1/callback', 'http://localhost/callback'] })
  const answer = await fetch(`${issuer}/register`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  if (answer.status !== 201) throw new Error(`no client was registered: ${answer.status} ${await answer.text()}`)
  return (await answer.json()).client_id
}

/**
 * Runs the client scenarios a revision requires, one by one, with a Node program as the client: the suite appends the
 * address of its own server. Those about OAuth are left out: there the client speaks to an issuer, not to us.
 */
export async function runClientLeg({ client, env, revision, directory }) {
  return timed({ role: 'client', revision }, async (required) => {
    const scenarios = {}
    for (const scenario of required) {
      scenarios[scenario] = await runClientScenario({ scenario, client, env, revision, directory })
    }
    return { finished: true, scenarios }
  })
}

async function runClientScenario({ scenario, client, env, revision, directory: parent }) {
  const directory = join(parent, scenario)
  const args = ['client', '--command', `"${process.execPath}" ${client}`, '--scenario', scenario]
  const { code, output } = await runSuite([...args, '--spec-version', revision, '--timeout', `${SCENARIO_LIMIT_MS}`, '--output-dir', directory], {
    directory,
    env,
    limitMs: 2 * SCENARIO_LIMIT_MS,
  })
  const [[, checks] = [scenario, {}]] = resultsIn(directory, '')
  return { ...checks, 'client-ends-well': clientEndsWell({ code, output }) }
}

/** What no check of the suite says, only its log: that the client came to its end, in time and without an error. */
function clientEndsWell({ code, output }) {
  const complaint = /CLIENT (?:TIMED OUT|EXITED WITH ERROR)[^]*/.exec(output)?.[0] ?? (code === null ? 'the suite was stopped' : undefined)
  return complaint === undefined ? { status: 'SUCCESS' } : { status: 'FAILURE', why: complaint }
}

async function runSuite(args, { directory, env, credential, limitMs, onOutput }) {
  mkdirSync(directory, { recursive: true })
  const preloads = credential ? [...NODE_20, ...LOGIN] : NODE_20
  const ended = await runProgram([...preloads, program, ...args], { cwd: here, env: { ...env, ...credential }, limitMs, onOutput })
  writeFileSync(join(directory, 'suite.log'), ended.output)
  return ended
}

async function timed({ role, revision, required = requiredScenarios(revision, role) }, run) {
  const startedAtMs = Date.now()
  const { finished, scenarios } = await run(required)
  return { role, revision, seconds: (Date.now() - startedAtMs) / 1000, finished, required, scenarios }
}

/** The frozen list of a revision, without OAuth. Taken from the suite, so that a scenario that did not run is missed. */
function requiredScenarios(revision, role) {
  const yaml = readFileSync(join(suite, 'requirements', `${revision}.yaml`), 'utf8')
  const block = new RegExp(`^${role}:\n((?:  - .+\n)+)`, 'm').exec(yaml)
  if (!block) throw new Error(`the suite names no ${role} scenarios for ${revision}`)
  return Array.from(block[1].matchAll(/- (\S+)/g), ([, name]) => name).filter((name) => !name.startsWith('auth/'))
}

/** The suite leaves one directory per scenario, named after it and the time, with its checks in a file. */
function resultsIn(directory, prefix) {
  const named = new RegExp(`^${prefix}(.+)-\\d{4}-\\d\\d-\\d\\dT[\\d-]+Z$`)
  return readdirSync(directory).flatMap((entry) => {
    const scenario = named.exec(entry)?.[1]
    const file = join(directory, entry, 'checks.json')
    return scenario && existsSync(file) ? [[scenario, readChecks(file)]] : []
  })
}

/** One entry per check. The suite may use an id again, for another case of the same rule: those are told apart here. */
function readChecks(file) {
  const checks = {}
  for (const { id, name, status, description, errorMessage, details } of JSON.parse(readFileSync(file, 'utf8'))) {
    // Without a message it is a line of the suite's diary, with one the reason why a check could not be made.
    if (status === 'INFO' && !details?.message) continue
    let key = `${id} (${name})`
    for (let nth = 2; key in checks; nth += 1) key = `${id} (${name} ${nth})`
    checks[key] = status === 'SUCCESS' ? { status } : { status, why: errorMessage ?? details?.message ?? description }
  }
  return checks
}
