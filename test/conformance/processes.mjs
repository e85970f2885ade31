// Starts programs and sees to it that none outlives the run. Only what was started here is ever stopped, by its id.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

const START_LIMIT_MS = 20_000
const STOP_LIMIT_MS = 5_000

const running = new Set()
// The last resort, when the run itself ends by a mistake.
process.once('exit', () => running.forEach((child) => child.kill()))

/**
 * Runs a Node program to its end, or to the limit. Answers its exit code (null when stopped), what it wrote to stdout, and all it wrote.
 * `onOutput` hears all it wrote so far, each time it writes.
 */
export async function runProgram(args, { cwd, env, limitMs, onOutput = () => {} }) {
  const child = start(args, { cwd, env: { ...process.env, ...env } })
  let stdout = ''
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (part) => (stdout += part))
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part) => onOutput((output += part)))
  const limit = setTimeout(() => void stop(child), limitMs)
  const [code] = await once(child, 'close')
  clearTimeout(limit)
  return { code, stdout, output }
}

/** Starts a Node program that serves HTTP and says on stderr where. Answers its address, without a path. */
export async function startServer(args, { env, onLine }) {
  const child = start(args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...env } })
  const heard = []
  let limit
  const address = new Promise((resolve, reject) => {
    limit = setTimeout(() => reject(new Error(`no address after ${START_LIMIT_MS / 1000} s`)), START_LIMIT_MS)
    child.once('close', (code) => reject(new Error(`ended with exit code ${code} before it named its address`)))
    createInterface(child.stderr).on('line', (line) => {
      onLine(line)
      heard.push(line)
      const named = /listening on (http:\/\/127\.0\.0\.1:\d+)/.exec(line)
      if (named) resolve(named[1])
    })
  })
  try {
    return { origin: await address, stop: () => stop(child) }
  } catch (error) {
    await stop(child)
    throw new Error([`${args.join(' ')}: ${error.message}`, ...heard.slice(-10)].join('\n  '), { cause: error })
  } finally {
    clearTimeout(limit)
  }
}

export async function stopAll() {
  await Promise.all(Array.from(running, stop))
}

function start(args, options) {
  const child = spawn(process.execPath, args, options)
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

async function stop(child) {
  if (!running.has(child)) return
  const gone = once(child, 'exit')
  child.kill()
  const limit = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS)
  await gone
  clearTimeout(limit)
}
