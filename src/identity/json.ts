// JSON that a stranger wrote, before a library walks it: not too deep, and no member that would become a prototype.
import { OpenMcpError } from '../errors.ts'

const MOST_DEPTH = 24

/** Throws `identity_invalid`. The size was checked by whoever fetched it. */
export function parseJson(text: string): unknown {
  const value = parsed(text)
  checkBelow(value, 0)
  return value
}

/** The members of an object; undefined for anything else. */
export function membersOf(value: unknown): ReadonlyMap<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? new Map<string, unknown>(Object.entries(value)) : undefined
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new OpenMcpError('identity_invalid', 'it is not JSON')
  }
}

function checkBelow(value: unknown, depth: number): void {
  if (typeof value !== 'object' || value === null) return
  if (depth >= MOST_DEPTH) throw new OpenMcpError('identity_invalid', 'the JSON is too deep')
  if (Object.hasOwn(value, '__proto__')) throw new OpenMcpError('identity_invalid', 'the JSON names a prototype')
  for (const member of Object.values(value)) checkBelow(member, depth + 1)
}
