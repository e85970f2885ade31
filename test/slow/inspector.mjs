// The MCP Inspector, with which people try a server first, finds through openmcp what it finds directly. `npm run interop`.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { startOpenmcp } from '../conformance/openmcp.mjs'
import { runProgram, startServer, stopAll } from '../conformance/processes.mjs'

const INSPECTOR = '@modelcontextprotocol/inspector@2.12.0'
const INSTALL_LIMIT_MS = 240_000
const LIMIT_MS = 60_000
const WATCHDOG_MS = 10 * 60_000

const fileOf = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const OPENMCP = fileOf('dist/openmcp.mjs')
const SERVER = [process.execPath, fileOf('node_modules/@modelcontextprotocol/server-everything/dist/index.js'), 'stdio']

/** What is asked, and what a sound answer of this server has in it. */
const QUESTIONS = [
  { ask: ['--method', 'tools/list'], sound: ({ tools }) => tools.some(({ name }) => name === 'echo') },
  {
    ask: ['--method', 'tools/call', '--tool-name', 'echo', '--tool-arg', 'message=ü € 𝄞'],
    sound: (result) => isDeepStrictEqual(result, { content: [{ type: 'text', text: 'Echo: ü € 𝄞' }] }),
  },
  { ask: ['--method', 'resources/list'], sound: ({ resources }) => resources.length > 0 },
  { ask: ['--method', 'prompts/list'], sound: ({ prompts }) => prompts.length > 0 },
]

const home = mkdtempSync(join(tmpdir(), 'openmcp-inspector-'))
// What it keeps from one run to the next stays with this run.
const env = {
  ...process.env,
  MCP_STORAGE_DIR: join(home, 'storage'),
  MCP_CATALOG_PATH: join(home, 'catalog.json'),
  MCP_CLIENT_CONFIG_PATH: join(home, 'client.json'),
}

const running = new Set()
process.once('exit', () => {
  for (const child of running) stopGroup(child)
  rmSync(home, { recursive: true, force: true })
})
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
]) {
  process.once(signal, () => process.exit(code))
}
setTimeout(() => {
  console.error(`interop: error: stopped after ${WATCHDOG_MS / 60_000} minutes`)
  process.exit(1)
}, WATCHDOG_MS).unref()

try {
  process.exitCode = await compareAll()
} catch (error) {
  console.error(`interop: error: ${error.message}`)
  process.exitCode = 1
} finally {
  await stopAll()
}

async function compareAll() {
  const missing = await whyMissing()
  if (missing !== undefined) {
    console.log(`skipped: ${INSPECTOR} cannot be had: ${missing}`)
    if (process.env.OPENMCP_TEST_REQUIRE_ALL !== '1') return 0
    console.error('interop: error: OPENMCP_TEST_REQUIRE_ALL=1 allows no skipping')
    return 1
  }
  const direct = await answers('directly', SERVER)
  const unsound = QUESTIONS.filter(({ sound }, index) => !sound(direct[index]))
  for (const { ask } of unsound) console.error(`interop: error: ${ask[1]} finds nothing of use directly: there is nothing to compare with`)

  const openmcp = await startServer([OPENMCP, 'run', '-p', '0', '--', ...SERVER], { env, onLine: () => {} })
  const lost = [
    ...differences('over Streamable HTTP', direct, await answers('over Streamable HTTP', ['--transport', 'http', '--server-url', `${openmcp.origin}/mcp`])),
    ...differences('over SSE', direct, await answers('over SSE', ['--transport', 'sse', '--server-url', `${openmcp.origin}/sse`])),
    ...differences('as a stdio command', direct, await answers('as a stdio command', [process.execPath, OPENMCP, 'run', '--', ...SERVER])),
  ]
  await openmcp.stop()
  lost.push(...(await lostBehindTheGuard(direct)))
  lost.push(...(await lostUnderTheSeal(direct)))
  for (const words of lost) console.error(`interop: error: ${words}`)
  return unsound.length + lost.length === 0 ? 0 : 1
}

/** The same with --security, logged in with a DID: the inspector has an option for headers. */
async function lostBehindTheGuard(direct) {
  const { url, credential, stop } = await startOpenmcp({
    program: OPENMCP,
    options: [],
    publish: '0',
    command: SERVER,
    secured: true,
    directory: home,
    onLine: () => {},
  })
  const { authorization } = JSON.parse(credential.CONFORMANCE_CREDENTIAL)
  const target = (transport, at) => ['--transport', transport, '--server-url', at, '--header', `Authorization: ${authorization}`]
  const [http, sse] = ['with a token over Streamable HTTP', 'with a token over SSE']
  const lost = [
    ...differences(http, direct, await answers(http, target('http', url))),
    ...differences(sse, direct, await answers(sse, target('sse', url.replace(/mcp$/, 'sse')))),
  ]
  await stop()
  return lost
}

/** The same in front of an openmcp that speaks sealed with another one (`--tsp message`), by messages and over HTTP. */
async function lostUnderTheSeal(direct) {
  const port = await freePort()
  return [
    ...(await lostOverHop(direct, { way: 'over a sealed hop by TCP', port: '0', endpoint: 'tcp://127.0.0.1:0' })),
    ...(await lostOverHop(direct, { way: 'over a sealed hop by HTTP', port, endpoint: `http://127.0.0.1:${port}/tsp` })),
  ]
}

async function lostOverHop(direct, { way, port, endpoint }) {
  const own = { env: { ...env, OPENMCP_HOME: mkdtempSync(join(home, 'sealed-')) }, limitMs: LIMIT_MS, onLine: () => {} }
  const say = async (...args) => (await runProgram([OPENMCP, ...args], own)).stdout.trim()
  const remote = await say('id', 'create', 'tsp', '--tsp', '--endpoint', endpoint)
  await say('trust', 'add', await say('id', 'create', 'me', '--tsp'))
  const node = await startServer([OPENMCP, 'run', '--tsp', 'message', '-p', String(port), '--', ...SERVER], own)
  const front = await startServer([OPENMCP, 'run', '-p', `0:${remote}`, '--id', 'me'], own)
  const lost = differences(way, direct, await answers(way, ['--transport', 'http', '--server-url', `${front.origin}/mcp`]))
  await front.stop()
  await node.stop()
  return lost
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** Fetches the inspector. Answers why there is none; throws when there is one and it does not start. */
async function whyMissing() {
  const { code, stdout, stderr } = await inspector(['--version'], INSTALL_LIMIT_MS)
  if (code === 0 && stdout.trim() !== '') return undefined
  const npm = /npm (?:error|ERR!) (.*)/.exec(stderr)?.[1]
  if (code === null || npm !== undefined) return npm ?? `not installed within ${INSTALL_LIMIT_MS / 1000} s`
  throw new Error(`${INSPECTOR} does not start (exit code ${code}): ${lastLines(stderr)}`)
}

/** The answer to each question, of the server at a target. */
async function answers(way, target) {
  const startedMs = performance.now()
  const found = []
  for (const { ask } of QUESTIONS) {
    const { code, stdout, stderr } = await inspector([...target, ...ask], LIMIT_MS)
    if (code !== 0) throw new Error(`${ask[1]} ${way}: exit code ${code ?? `none within ${LIMIT_MS / 1000} s`}: ${lastLines(stderr)}`)
    found.push(JSON.parse(stdout))
  }
  console.log(`inspector ${way}: ${QUESTIONS.map(({ ask }) => ask[1]).join(', ')}, ${((performance.now() - startedMs) / 1000).toFixed(1)} s`)
  return found
}

function differences(way, direct, found) {
  return QUESTIONS.flatMap(({ ask }, index) =>
    isDeepStrictEqual(found[index], direct[index])
      ? []
      : [`${ask[1]} ${way} is not what it is directly:\n  ${JSON.stringify(found[index])}\n  ${JSON.stringify(direct[index])}`],
  )
}

async function inspector(args, limitMs) {
  // A process group of its own: npx starts a shell that starts the program.
  const child = spawn('npx', ['-y', INSPECTOR, '--cli', ...args], { cwd: home, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  const written = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (text) => (written[name] += text))
  const limit = setTimeout(() => stopGroup(child), limitMs)
  const [code] = await once(child, 'close')
  clearTimeout(limit)
  running.delete(child)
  return { code, ...written }
}

function stopGroup({ pid }) {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nobody is left of it.
  }
}

function lastLines(text) {
  return text.trim().split('\n').slice(-5).join('\n  ')
}
