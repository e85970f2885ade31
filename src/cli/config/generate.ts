// `openmcp config generate --ide NAME`: what a client's own configuration has to say to come here.
import { OpenMcpError } from '../../errors.ts'
import type { JsonObject } from '../../protocol/message.ts'
import { safeUrlOf } from '../../config/addresses.ts'
import { allOf, oneOf } from '../target-options.ts'
import { print, say } from '../terminal.ts'
import { parseChoice, parseName } from '../values.ts'
import { USUAL_FILE, type Asked } from './asked.ts'

const IDES = ['zed', 'claude', 'vscode', 'cursor'] as const
type Ide = (typeof IDES)[number]

interface Client {
  /** Where people keep it. */
  readonly file: string
  readonly key: string
  /** What names a server behind a URL; undefined: it only starts commands. */
  byUrl?(url: string): JsonObject
}

const CLIENTS: Readonly<Record<Ide, Client>> = {
  zed: { file: 'settings.json of Zed', key: 'context_servers', byUrl: (url) => ({ url }) },
  claude: { file: 'claude_desktop_config.json', key: 'mcpServers' },
  vscode: { file: '.vscode/mcp.json', key: 'servers', byUrl: (url) => ({ type: 'http', url }) },
  cursor: { file: '.cursor/mcp.json', key: 'mcpServers', byUrl: (url) => ({ url }) },
}

/** By URL where one is given and the client can; else openmcp is started for the client, and speaks with it on stdio. */
export async function generate({ reading, words: [url], io }: Asked): Promise<number> {
  const { mistakes, machine } = reading
  const ide = oneOf(reading, 'ide', (text, as) => parseChoice(text, as, IDES))
  if (allOf(reading, 'ide').length === 0)
    mistakes.add(new OpenMcpError('usage', 'openmcp config generate does not say for whom', { hint: '--ide zed, claude, vscode or cursor' }))
  const name = oneOf(reading, 'name', parseName) ?? 'openmcp'
  const file = allOf(reading, 'config')[0]?.value ?? USUAL_FILE
  if (url !== undefined && !safeUrlOf(url))
    mistakes.add(new OpenMcpError('usage', 'the URL must be https (http for loopback), and without a user', { hint: 'like http://127.0.0.1:8000/mcp' }))
  mistakes.throwIfAny()
  if (ide === undefined) return 2
  const client = CLIENTS[ide]
  const args = ['run', ...(url === undefined ? ['-p', 'stdio', '--config', machine.resolve(file)] : [url])]
  const entry = (url === undefined ? undefined : client.byUrl?.(url)) ?? { command: 'openmcp', args }
  say(io, `for ${client.file}`)
  await print(io, `${JSON.stringify({ [client.key]: { [name]: entry } }, undefined, 2)}\n`)
  return 0
}
