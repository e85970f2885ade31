// Where a login may lead back to, and how that is called where a person reads it.

export type RedirectKind = 'https' | 'loopback' | 'private-use'

const MOST_CHARACTERS = 512
/** A program on the person's own machine listens on any port of these (RFC 8252 §7.3). */
const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])
/** Schemes that run, show or send something by themselves; every other one belongs to a program (RFC 8252 §7.1). */
const NO_PROGRAM: ReadonlySet<string> = new Set(
  `javascript vbscript livescript data blob file filesystem about view-source jar resource chrome chrome-extension moz-extension intent content
   ws wss ftp sftp ssh telnet ldap smb mailto tel sms callto facetime urn did cid mid search-ms ms-msdt ms-officecmd shell`
    .split(/\s+/)
    .map((scheme) => `${scheme}:`),
)

/** Undefined: no login leads there. */
export function kindOfRedirect(uri: string): RedirectKind | undefined {
  // What a parser would take out or turn round (tabs, line ends, `\`) is one URI here and another one elsewhere.
  if (uri.length > MOST_CHARACTERS || !/^[\x21-\x7e]+$/.test(uri) || uri.includes('\\') || uri.includes('#')) return undefined
  const url = URL.parse(uri)
  if (!url || url.username !== '' || url.password !== '' || /^[^/?]*:\/\/[^/?]*@/.test(uri)) return undefined
  const { protocol, hostname } = url
  if (protocol === 'https:') return LOOPBACK.has(hostname) || hostname === '' ? undefined : 'https'
  if (protocol === 'http:') return LOOPBACK.has(hostname) ? 'loopback' : undefined
  return NO_PROGRAM.has(protocol) ? undefined : 'private-use'
}

/** A host, or the scheme of a program: letters that cannot look like others. */
export function placeOfRedirect(uri: string): { host: string; loopback: boolean } {
  const { protocol, host } = new URL(uri)
  const kind = kindOfRedirect(uri)
  return { host: kind === 'private-use' ? protocol : host, loopback: kind === 'loopback' }
}
