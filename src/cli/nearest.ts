import { nearestOf } from '../config/nearest.ts'
import type { OptionTable } from './option-table.ts'

/** What other proxies call it. */
const ELSEWHERE = new Map([
  ['--port', '-p [HOST:]PORT'],
  ['--host', '-p HOST:PORT'],
  ['--sse-port', '-p [HOST:]PORT'],
  ['--sse-host', '-p HOST:PORT'],
  ['--cors', '--allow-origin ORIGIN'],
  ['--stdio', "'--' and the COMMAND"],
  ['-v', '--version'],
])

/** The option a person may have meant, as they would type it. */
export function nearestOption(typed: string, table: OptionTable): string | undefined {
  const elsewhere = ELSEWHERE.get(typed)
  if (elsewhere !== undefined) return elsewhere
  if (!typed.startsWith('--') || typed.length > 40) return undefined
  const name = typed.slice(2).toLowerCase()
  const known = [...table].filter(([, rule]) => rule.notBuilt !== true).map(([option]) => option)
  const best = nearestOf(name, known)
  if (best !== undefined) return `--${best}`
  const longer =
    name.length >= 3
      ? known.find((option) => option.startsWith(name) || name.startsWith(`${option}-`) || (option.length > 4 && name.startsWith(option)))
      : undefined
  return longer === undefined ? undefined : `--${longer}`
}
