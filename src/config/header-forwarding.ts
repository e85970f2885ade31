// `client_header_forwarding`, as mcpo writes it: which headers of a caller a remote server gets.
import type { At } from './at.ts'
import { about, listOf, meaning, object, text, yesOrNo, type Members, type Shape } from './shape.ts'
import { headerOfCaller } from './words.ts'

const MEMBERS = {
  enabled: yesOrNo(),
  whitelist: listOf(meaning(text({ to: 128 }), exactHeader), { to: 64 }),
  blacklist: listOf(text({ to: 128 }), { to: 64 }),
}

/** The names that go on. */
export const FORWARDING: Shape<readonly string[]> = about(
  'As mcpo has it: its whitelist is forwardHeaders.',
  meaning(object(MEMBERS, { idle: { debug_headers: 'changes nothing here: headers of callers are not logged' } }), forwarded),
)

function forwarded({ enabled = false, whitelist = [], blacklist = [] }: Members<typeof MEMBERS>): readonly string[] {
  const kept = new Set(blacklist.map((name) => name.toLowerCase()))
  const withheld = (name: string): boolean => [...kept].some((one) => (one.endsWith('*') ? name.startsWith(one.slice(0, -1)) : name === one))
  return enabled ? whitelist.filter((name) => !withheld(name.toLowerCase())) : []
}

/** Whoever sends whatever fits a pattern decides what our server is told. */
function exactHeader(name: string, at: At): string | undefined {
  return name.includes('*') ? at.mistake('is a pattern: only headers that are named go on, each by its whole name') : headerOfCaller().read(name, at)
}
