import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { ErrorCode as McpErrorCode, McpError } from '@modelcontextprotocol/sdk/types.js'
import { OpenMcpError, type ErrorCode } from '../../errors.ts'
import type { CommandTarget } from '../../openmcp.ts'
import type { Found, Watch } from './found.ts'
import { inspectLegacy } from './legacy.ts'

const LAST_LINES = 10
const LAST_CHARACTERS = 4000

/** Starts COMMAND, asks it what it is, and ends it. What it last wrote on stderr is told when it fails. */
export async function inspectCommand(target: CommandTarget, watch: Watch & { onStderr: (line: string) => void }): Promise<Found> {
  const { command, args, env, cwd } = target
  const transport = new StdioClientTransport({ command, args: [...args], env: { ...env }, stderr: 'pipe', ...(cwd !== undefined && { cwd }) })
  let words = ''
  let noise = 0
  transport.stderr?.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-LAST_CHARACTERS)
  })
  try {
    // Client.connect keeps the handler it finds and calls it first.
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the SDK's transports have no other way
    transport.onerror = () => void (noise += 1)
    const found = await inspectLegacy(transport, watch)
    return { ...found, transport: `stdio (${command})`, revisions: [found.protocol] }
  } catch (error) {
    for (const line of words.trimEnd().split('\n').slice(-LAST_LINES)) if (line !== '') watch.onStderr(line)
    throw failureOf(error, command, noise)
  }
}

/** In words, what went wrong with a child; a stranger stays what it is. */
function failureOf(error: unknown, command: string, noise: number): unknown {
  const fail = (code: ErrorCode, message: string, hint?: string) => new OpenMcpError(code, message, { ...(hint !== undefined && { hint }), cause: error })
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT') return fail('command_not_found', `there is no program ${command}`, 'install it, or give its full path')
  if (code === 'EACCES') return fail('command_not_found', `${command} is not a program that may be started`, 'chmod +x makes a file a program')
  if (error instanceof OpenMcpError && error.code !== 'timeout') return error
  if (noise > 0) return fail('upstream_not_mcp', `${command} writes something else than MCP on its stdout`, 'its words for people belong on stderr')
  if (!(error instanceof McpError)) return error
  if (code === McpErrorCode.ConnectionClosed) return fail('child_failed', `${command} ended before it answered`, 'its last words, if any, are above')
  return fail('upstream_broke', `${command} does not get through its handshake: ${error.message}`)
}
