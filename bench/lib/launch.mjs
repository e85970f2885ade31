// Starts processes and makes sure that none is left: the bench ends what it started, by id, and nothing else.
import { spawn } from 'node:child_process'
import net from 'node:net'
import { descendantsOf, statOf } from './proc.mjs'
import { sleep, within } from './time.mjs'

const STDERR_KEPT = 6000
const running = new Set()

/** Starts a command in a process group of its own. stdin stays open: some proxies end with it. */
export function launch({ command, args, env = {}, cwd }, { stdout = 'ignore' } = {}) {
  const startedMs = performance.now()
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['pipe', stdout, 'pipe'], detached: true })
  let stderr = ''
  child.stderr.on('data', (bytes) => {
    stderr = (stderr + bytes).slice(-STDERR_KEPT)
  })
  child.stdin.on('error', () => {}) // a proxy that ended is seen by its exit
  const launched = {
    pid: child.pid,
    stdin: child.stdin,
    stdout: child.stdout,
    startedMs,
    exit: null,
    stderr: () => stderr,
    exited: new Promise((resolve) => {
      const note = (exit) => {
        launched.exit ??= exit
        resolve(launched.exit)
      }
      child.on('exit', (code, endedBy) => note({ code, signal: endedBy }))
      child.on('error', (error) => note({ error: error.message }))
    }),
    stop: (graceMs) => stop(launched, graceMs),
  }
  running.add(launched)
  return launched
}

/** SIGTERM, a while to end, then SIGKILL for whatever is left. Tells whether it ended by itself and what it left behind. */
async function stop(launched, graceMs = 6000) {
  if (!launched.pid) return { inTime: true, left: 0 }
  const family = descendantsOf(launched.pid)
  if (launched.exit === null) signal(launched.pid, 'SIGTERM')
  const exit = await within(graceMs, launched.exited)
  // Children end a moment after their parent: their stdin closes with it.
  const left = () => family.filter(isStillThere)
  for (let i = 0; i < 20 && left().length > 0; i++) await sleep(50)
  const strays = left().length
  for (const { pid } of left()) signal(pid, 'SIGKILL')
  if (exit === undefined) signal(launched.pid, 'SIGKILL')
  running.delete(launched)
  return { inTime: exit !== undefined, left: strays }
}

// A process id is used again one day; the time it started is not.
const isStillThere = ({ pid, started }) => statOf(pid)?.started === started

function signal(pid, name) {
  try {
    process.kill(pid, name)
  } catch {
    // it ended before the signal came
  }
}

process.on('exit', () => {
  for (const { pid, exit } of running) {
    if (!pid) continue
    for (const child of descendantsOf(pid)) signal(child.pid, 'SIGKILL')
    if (exit === null) signal(pid, 'SIGKILL')
  }
})
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => process.exit(130))

/** A port nobody listens on at this moment. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}
