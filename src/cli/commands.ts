// The first words that openmcp knows, and the options of those that have their own.
import {
  CONFIG_OPTIONS,
  DEMO_OPTIONS,
  HELP_OPTIONS,
  ID_OPTIONS,
  KEY_OPTIONS,
  LOGIN_OPTIONS,
  RESET_OPTIONS,
  TOKEN_OPTIONS,
  TRUST_OPTIONS,
  type OptionTable,
} from './option-table.ts'

/** Commands of which only the name is there: refused, so that nobody takes silence for work done. */
export const COMMANDS_NOT_BUILT: readonly string[] = ['tools', 'audit', 'doctor']

/** Commands whose words and options may come in any order. */
export const WORDY: ReadonlyMap<string, OptionTable> = new Map([
  ['config', CONFIG_OPTIONS],
  ['help', HELP_OPTIONS],
  ['id', ID_OPTIONS],
  ['notification-demo', DEMO_OPTIONS],
  ['key', KEY_OPTIONS],
  ['login', LOGIN_OPTIONS],
  ['reset', RESET_OPTIONS],
  ['token', TOKEN_OPTIONS],
  ['trust', TRUST_OPTIONS],
])

export function isCommand(word: string): boolean {
  return ['run', 'test', ...WORDY.keys(), ...COMMANDS_NOT_BUILT].includes(word)
}

/** Commands of mcp-connect that are none of ours: each becomes one. */
const PEER_COMMANDS: readonly string[] = ['proxy', 'load-balance', 'auth-proxy', 'serve', 'init', 'generate-config', 'generate', 'registry']

export function isPeerCommand(word: string): boolean {
  return PEER_COMMANDS.includes(word)
}
