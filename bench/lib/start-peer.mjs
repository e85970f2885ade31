// Starts one peer, with an upstream of its own where it needs one, and measures the time to its first answer.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { commandOf, HTTP_SERVER, STDIO_SERVER } from '../peers.mjs'
import { freePort, launch } from './launch.mjs'
import { makeKeys } from './keys.mjs'
import { DID } from './login.mjs'
import { createTarget } from './sessions.mjs'
import { sleep, within } from './time.mjs'

const START_WITHIN_MS = 15_000
const ONE_TRY_MS = 5000
const PATHS = { streamable: 'mcp', sse: 'sse', rest: '' }
const BETWEEN_TRIES_MS = 4

const COLLECTOR = fileURLToPath(new URL('collect-garbage.cjs', import.meta.url))

const folders = new Set()
process.on('exit', () => folders.forEach(remove)) // where the bench is interrupted

/**
 * Gives `{ coldMs, target(), pids(target), collectGarbage(target), exit(), stderr(), stop() }`. A peer with a stdio face is one
 * process per session: its processes are those of the target's sessions, and there is none that could end by itself.
 */
export async function startPeer(peer, { program, collectable = false }) {
  const tmp = fs.mkdtempSync(path.join(os.tmpdir(), 'openmcp-bench-'))
  folders.add(tmp)
  const undo = [() => remove(tmp)]
  const stop = async () => {
    let ended = { inTime: true, left: 0 }
    for (const act of undo.toReversed()) ended = (await act()) ?? ended
    return ended
  }
  try {
    const places = { tmp, program, did: DID, port: await freePort(), server: STDIO_SERVER.map(quoted).join(' ') }
    if (peer.upstream) {
      const stopUpstream = await startUpstream(places)
      undo.push(stopUpstream)
    }
    for (const [name, content] of Object.entries(peer.files ?? {})) fs.writeFileSync(path.join(tmp, name), content(places))
    if (peer.keys) places.keys = makeKeys({ ...places, count: peer.keys })
    const command = commandOf(peer, places)
    const isNode = command.command === process.execPath
    if (collectable && isNode) command.args.unshift('--require', COLLECTOR)
    const started = peer.face === 'stdio' ? await perSession(command) : await longLived(peer, command, places, undo)
    const collectGarbage = (target) => {
      if (collectable && isNode) for (const pid of started.pids(target)) process.kill(pid, 'SIGUSR2')
    }
    return { ...started, collectGarbage, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startUpstream(places) {
  places.upstreamPort = await freePort()
  places.upstreamOrigin = `http://127.0.0.1:${places.upstreamPort}`
  places.upstream = `${places.upstreamOrigin}/mcp`
  places.upstreamSse = `${places.upstreamOrigin}/sse`
  const [command, ...args] = HTTP_SERVER.map((argument) => argument.replace('{port}', places.upstreamPort))
  const server = launch({ command, args })
  try {
    await firstAnswer({ face: 'streamable', url: places.upstream }, server)
  } catch (error) {
    await server.stop(1000)
    throw error
  }
  return async () => {
    await server.stop(2000)
  }
}

async function longLived(peer, command, places, undo) {
  const target = { face: peer.face, login: peer.login, keys: places.keys, url: `http://127.0.0.1:${places.port}/${PATHS[peer.face]}` }
  const launched = launch(command)
  undo.push(() => launched.stop())
  const coldMs = await firstAnswer(target, launched)
  return {
    coldMs,
    target: () => createTarget(target),
    pids: () => [launched.pid],
    exit: () => launched.exit,
    stderr: launched.stderr,
  }
}

async function perSession(command) {
  const create = () => createTarget({ face: 'stdio', command })
  const target = create()
  const startedMs = performance.now()
  try {
    await target.createSession().open()
    const coldMs = performance.now() - startedMs
    return {
      coldMs,
      target: create,
      pids: ({ live }) => [...live].map(({ pid }) => pid),
      exit: () => null,
      stderr: () => '',
    }
  } finally {
    await target.end()
  }
}

// Asks until the first session opens; milliseconds since the process was started.
async function firstAnswer(spec, launched) {
  const target = createTarget({ ...spec, timeoutMs: ONE_TRY_MS })
  let last
  try {
    while (performance.now() - launched.startedMs < START_WITHIN_MS) {
      if (launched.exit) throw new Error(`it ended before its first answer: ${JSON.stringify(launched.exit)} ${launched.stderr().slice(-300)}`)
      const session = target.createSession()
      const outcome = await within(
        ONE_TRY_MS,
        session.open().catch((error) => error),
      )
      if (outcome === session) return performance.now() - launched.startedMs
      last = outcome
      await session.close()
      await sleep(BETWEEN_TRIES_MS)
    }
  } finally {
    await target.end()
  }
  throw new Error(`no answer in ${START_WITHIN_MS} ms (${last?.message ?? 'silence'}) ${launched.stderr().slice(-300)}`)
}

function remove(folder) {
  folders.delete(folder)
  fs.rmSync(folder, { recursive: true, force: true })
}

const quoted = (argument) => `'${argument.replaceAll("'", `'\\''`)}'`
