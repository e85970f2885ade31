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
  ['-V', '--version'],
])

/** The option a person may have meant, as they would type it. */
export function nearestOption(typed: string, table: OptionTable): string | undefined {
  const elsewhere = ELSEWHERE.get(typed)
  if (elsewhere !== undefined) return elsewhere
  if (!typed.startsWith('--') || typed.length > 40) return undefined
  const name = typed.slice(2).toLowerCase()
  const known = [...table].filter(([, rule]) => rule.notBuilt !== true).map(([option]) => option)
  const [best] = known.map((option) => ({ option, far: distance(name, option) })).toSorted((a, b) => a.far - b.far)
  if (best !== undefined && best.far <= Math.max(1, Math.floor(name.length / 3))) return `--${best.option}`
  const longer =
    name.length >= 3
      ? known.find((option) => option.startsWith(name) || name.startsWith(`${option}-`) || (option.length > 4 && name.startsWith(option)))
      : undefined
  return longer === undefined ? undefined : `--${longer}`
}

/** Levenshtein: how many letters to add, drop or change. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (const [i, letter] of from.split('').entries()) {
    const next = [i + 1]
    for (const [j, other] of to.split('').entries()) {
      next.push(Math.min((row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1, (row[j] ?? 0) + (letter === other ? 0 : 1)))
    }
    row = next
  }
  return row.at(-1) ?? 0
}
