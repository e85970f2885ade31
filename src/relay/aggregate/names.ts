// Names of several servers in one list: each says whose it is, fits every client, is the same whatever else is in the list, and can be made
// by no server but its own.
import { createHash } from 'node:crypto'

/** Clients refuse a whole session for one longer name: 64 is usual, and Cursor counts its own prefix (60). */
const MAX_CHARS = 60
/** Of these at most for the server, so that something is left for the name. */
const MAX_SERVER_CHARS = 40
const HASH_CHARS = 8
const BETWEEN = '__'

/**
 * `SERVER__NAME`. What that cannot say exactly, because of its length or its characters, ends with a digest, each part with its own: what
 * a server calls its tools is its own choice, and must not be what another's are called here.
 */
export function joinedName(server: string, name: string): string {
  const prefix = `${serverPart(server)}${BETWEEN}`
  const room = MAX_CHARS - prefix.length
  const slug = slugOf(name)
  return prefix + (slug === name && name.length <= room ? name : `${slug.slice(0, room - HASH_CHARS - 1)}_${digestOf(name)}`)
}

/** What stands before a joined name: never with two underscores, so that it can be told where it ends. */
export function serverPart(server: string): string {
  if (server.length <= MAX_SERVER_CHARS && /^[A-Za-z0-9-]+(?:_[A-Za-z0-9-]+)*$/.test(server)) return server
  const plain = slugOf(server)
    .replaceAll(/_+/g, '_')
    .slice(0, MAX_SERVER_CHARS - HASH_CHARS - 1)
    .replaceAll(/^_|_$/g, '')
  return `${plain === '' ? 'x' : plain}_${digestOf(server)}`
}

/** Whose a joined name is, as `serverPart` has it. */
export function serverPartOf(joined: string): string {
  return joined.slice(0, Math.max(joined.indexOf(BETWEEN), 0))
}

/** What every client takes in the name of a tool. */
function slugOf(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9_-]/g, '_')
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, HASH_CHARS)
}

/** `SERVER+SCHEME:…`: still a URI (RFC 3986 §3.1), or a template of one (RFC 6570), and read back without a table. So are names of tasks. */
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
  return `x${plain.replaceAll(/[^a-z0-9.-]/g, '-')}-${digestOf(server)}`
}
