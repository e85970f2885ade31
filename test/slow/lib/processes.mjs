// Programs under test: started here, looked at through /proc, stopped by their id.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readdirSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export const PROGRAM = fileURLToPath(new URL('../../../dist/openmcp.mjs', import.meta.url))
export const SERVER = fileURLToPath(new URL('server.mjs', import.meta.url))

const running = new Set()
process.once('exit', () => running.forEach((child) => child.kill('SIGKILL')))

/** Starts a Node program that says `listening on …`. */
export async function start(args) {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  running.add(child)
  const lines = []
  const ended = once(child, 'close').then(([code, signal]) => {
    running.delete(child)
    return signal ?? code
  })
  const origin = await new Promise((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      lines.push(line)
      if (lines.length > 200) lines.shift()
      const named = /listening on (http:\/\/127\.0\.0\.1:\d+)/.exec(line)
      if (named) resolve(named[1])
    })
    void ended.then((how) => reject(new Error(`it ended (${how}) before it listened: ${lines.join('\n')}`)))
  })
  return {
    origin,
    pid: child.pid,
    lines,
    /** How it ended, once it has. */
    ended,
    get isRunning() {
      return running.has(child)
    },
    async stop() {
      child.kill('SIGTERM')
      return ended
    },
  }
}

/** openmcp with these options in front of a stdio server of its own. */
export const startInFrontOfChild = (...options) => start([PROGRAM, 'run', '-p', '0', ...options, '--', process.execPath, SERVER])

/** openmcp with these options in front of a Streamable HTTP server. */
export const startInFrontOf = (origin, ...options) => start([PROGRAM, 'run', '-p', `0:${origin}/mcp`, ...options])

/** Ids of all processes below this one. */
export function descendantsOf(pid) {
  const parents = new Map()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = read(`/proc/${name}/stat`)
    // The name of a program stands in brackets and may hold anything.
    const parent = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[1]
    if (parent !== undefined) parents.set(Number(name), Number(parent))
  }
  const below = []
  for (const [one] of parents) {
    for (let at = parents.get(one); at !== undefined && at > 1; at = parents.get(at)) if (at === pid) below.push(one)
  }
  return below
}

export function memoryOf(pid) {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`) ?? '')?.[1]
  return Number(kilobytes ?? 0) / 1024
}

export function filesOf(pid) {
  return readdirSync(`/proc/${pid}/fd`).length
}

function read(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined // it ended meanwhile
  }
}

/** Looks until there is something to see; fails when that takes too long. */
export async function until(what, look, withinMs = 30_000) {
  for (const deadline = performance.now() + withinMs; ;) {
    const seen = await look()
    if (seen) return seen
    if (performance.now() > deadline) throw new Error(`in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
