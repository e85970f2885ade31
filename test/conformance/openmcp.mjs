// Starts the program under test, with a home of its own so that nothing a machine or an earlier run has kept matters.
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { runProgram, startServer } from './processes.mjs'

const COMMAND_LIMIT_MS = 20_000

/**
 * `publish` is what follows `-p`; `command` is a stdio server, when there is one. Answers the MCP URL and `stop`; with `secured`
 * the guard is on, and `credential` is the environment in which credential.mjs logs in, and `identity` the key of the person who may.
 */
export async function startOpenmcp({ program, options, publish, command = [], secured = false, directory, onLine }) {
  const env = { OPENMCP_HOME: mkdtempSync(join(directory, 'home-')) }
  const say = (...args) => runCommand([program, ...args], env)
  if (secured) await say('trust', 'add', await say('id', 'create', 'suite'))
  const child = command.length > 0 ? ['--', ...command] : []
  const { origin, stop } = await startServer([program, 'run', ...(secured ? ['--security'] : []), ...options, '-p', publish, ...child], { env, onLine })
  const url = `${origin}/mcp`
  if (!secured) return { url, stop }
  // A guard that lets everybody in would conform as well.
  const { status } = await fetch(url, { method: 'POST' })
  if (status !== 401) throw new Error(`whoever has no credential is answered with ${status}`)
  const authorization = `Bearer ${await say('token', url, '--id', 'suite')}`
  const identity = JSON.parse(await say('id', 'export', 'suite', '--private'))
  return { url, stop, identity, credential: { CONFORMANCE_CREDENTIAL: JSON.stringify({ origin, authorization }) } }
}

/** What a command has as its result: the line on stdout. */
async function runCommand(args, env) {
  const { code, stdout, output } = await runProgram(args, { env, limitMs: COMMAND_LIMIT_MS })
  if (code !== 0) throw new Error(`${args.slice(1).join(' ')}: exit code ${code}: ${output}`)
  return stdout.trim()
}
