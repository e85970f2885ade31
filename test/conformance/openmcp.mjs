// Starts the program under test, with a home of its own so that nothing a machine or an earlier run has kept matters.
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { startServer } from './processes.mjs'

/** `publish` is what follows `-p`; `command` is a stdio server, when there is one. Answers the MCP URL and `stop`. */
export async function startOpenmcp({ program, options, publish, command = [], directory, onLine }) {
  const child = command.length > 0 ? ['--', ...command] : []
  const env = { OPENMCP_HOME: mkdtempSync(join(directory, 'home-')) }
  const { origin, stop } = await startServer([program, 'run', ...options, '-p', publish, ...child], { env, onLine })
  return { url: `${origin}/mcp`, stop }
}
