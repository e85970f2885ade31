// What is typed about TSP: which modes, as which identity of ours, bound where.
import { OpenMcpError } from '../errors.ts'
import { FIRST_TSP_NAME } from '../identity/tsp/first-name.ts'
import type { TspOptions } from '../openmcp.ts'
import { parsePublish } from './publish.ts'
import { allOf, oneOf, type Reading } from './target-options.ts'
import { parseChoice, parseName } from './values.ts'

export function hasTsp(reading: Pick<Reading, 'args'>): boolean {
  return allOf(reading, 'tsp').length > 0
}

/** Undefined without --tsp. */
export function tspOf(reading: Reading): TspOptions | undefined {
  const modes = new Set<TspOptions['modes'][number]>()
  for (const { as, value } of allOf(reading, 'tsp')) {
    for (const word of value.split(',')) {
      const mode = reading.mistakes.attempt(() => parseChoice(word.trim(), as, ['verify', 'message']))
      if (mode !== undefined) modes.add(mode)
    }
  }
  const id = oneOf(reading, 'tsp-id', parseName) ?? FIRST_TSP_NAME
  const listen = oneOf(reading, 'tsp-listen', parseListenPlace)
  if (hasTsp(reading)) return { modes: [...modes], id, ...(listen && { listen }) }
  for (const { as } of allOf(reading, 'tsp-id').slice(0, 1)) {
    reading.mistakes.add(new OpenMcpError('usage', `${as} is for --tsp, and nobody is heard by TSP here`, { hint: `drop ${as}, or add --tsp verify` }))
  }
  return undefined
}

export function parseListenPlace(text: string, as: string): { host: string; port: number } {
  const hint = `like ${as} 127.0.0.1:1337; 0.0.0.0 is every address of this machine`
  try {
    const { listen } = parsePublish(text, { hasCommand: true })
    if (listen && text.includes(':')) return listen
  } catch {
    // Said below, for this option and not for -p.
  }
  throw new OpenMcpError('usage', `${as} takes HOST:PORT, an IP address or localhost and its port`, { hint })
}
