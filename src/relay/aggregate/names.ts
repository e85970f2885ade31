// Names of several servers in one list: each says whose it is, fits every client, and is the same whatever else is in the list.
import { createHash } from 'node:crypto'

/** Clients refuse a whole session for one longer name: 64 is usual, and Cursor counts its own prefix (60). */
const MAX_CHARS = 60
const HASH_CHARS = 8
const BETWEEN = '__'

/** `SERVER__NAME`; what that cannot say exactly, because of its length or its characters, ends with a digest of both. */
export function joinedName(server: string, name: string): string {
  const joined = `${slugOf(server)}${BETWEEN}${slugOf(name)}`
  if (joined.length <= MAX_CHARS && splits(joined, server, name)) return joined
  const digest = createHash('sha256')
    .update(JSON.stringify([server, name]))
    .digest('hex')
    .slice(0, HASH_CHARS)
  return `${joined.slice(0, MAX_CHARS - HASH_CHARS - 1)}_${digest}`
}

/** Server and name out of a joined one that says them exactly. */
export function splitName(joined: string): { server: string; name: string } | undefined {
  const at = joined.indexOf(BETWEEN)
  return at > 0 && at + BETWEEN.length < joined.length ? { server: joined.slice(0, at), name: joined.slice(at + BETWEEN.length) } : undefined
}

/** Whether reading it gives back what it was made of. */
function splits(joined: string, server: string, name: string): boolean {
  const read = splitName(joined)
  return read?.server === server && read.name === name
}

/** What every client takes in the name of a tool. */
function slugOf(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9_-]/g, '_')
}

/** `SERVER+SCHEME:…`: still a URI (RFC 3986 §3.1), or a template of one (RFC 6570), and read back without a table. */
export function joinedUri(server: string, uri: string): string {
  return `${schemeOf(server)}+${uri}`
}

/** What is before the `+`, as `schemeOf` has it, and the URI as the server knows it. */
export function splitUri(joined: string): { scheme: string; uri: string } | undefined {
  const at = joined.indexOf('+')
  return at > 0 ? { scheme: joined.slice(0, at), uri: joined.slice(at + 1) } : undefined
}

/** A scheme begins with a letter, has no capitals to tell it by, and no `+` of its own here. */
export function schemeOf(server: string): string {
  const plain = server.toLowerCase()
  if (/^[a-z][a-z0-9.-]*$/.test(plain) && plain === server) return server
  const digest = createHash('sha256').update(server).digest('hex').slice(0, HASH_CHARS)
  return `x${plain.replaceAll(/[^a-z0-9.-]/g, '-')}-${digest}`
}
