// The servers of a configuration: every mistake at once, each with its path.
import { isObject } from '../protocol/message.ts'
import { fill, type Filling } from './fill.ts'
import { SERVER_ENTRY, wrongServerName, type ServerEntry } from './server-entry.ts'
import { mapOf, type At } from './shape.ts'

export const SERVERS = mapOf(SERVER_ENTRY, wrongServerName)

/** Those that are switched on, by name, in the order of the file. Undefined when the file's own words are wrong; what could not be filled in is told alone. */
export function readServers(
  value: unknown,
  at: At,
  filling: Filling,
  filled?: (value: string) => void,
): ReadonlyMap<string, NonNullable<ServerEntry>> | undefined {
  // Of one that is switched off nothing has to be there to be filled in.
  const entries = isObject(value)
    ? Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, isOff(entry) ? entry : fill(entry, at.member(name), filling, filled)]))
    : value
  const servers = SERVERS.read(entries, at)
  if (!servers) return undefined
  const on = new Map<string, NonNullable<ServerEntry>>()
  for (const [name, { entry }] of servers) if (entry) on.set(name, entry)
  return on
}

function isOff(entry: unknown): boolean {
  return isObject(entry) && (entry['enabled'] === false || entry['disabled'] === true)
}
