// Where a login may lead back to, and how that is called where a person reads it.

export type RedirectKind = 'https' | 'loopback' | 'private-use'

const MOST_CHARACTERS = 512
/** A program on the person's own machine listens on any port of these (RFC 8252 §7.3). */
const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])
/** Schemes that run, show or send something by themselves; every other one belongs to a program (RFC 8252 §7.1). */
const NO_PROGRAM: ReadonlySet<string> = new Set(
  `javascript vbscript livescript data blob file filesystem about view-source jar resource res chrome edge brave opera devtools wyciwyg intent content
   ws wss ftp sftp ssh telnet ldap ldaps smb afp nfs dav davs webdav webdavs vnc rdp gopher mailto tel sms callto facetime sip sips magnet steam market
   urn did cid mid search microsoft-edge onenote mk hcp help shell android-app`
    .split(/\s+/)
    .map((scheme) => `${scheme}:`),
)
/** What systems and browsers keep for themselves: settings, installers, documents that are opened from anywhere, extensions. */
const OF_THE_SYSTEM = /^(?:ms|x|itms|chrome|moz|safari)-|-ms:$/
/** Without its slashes it would be a path of whoever sends there. */
const WITH_HOST = /^https?:\/\/[^/]/i
/** `you-know.me(really),evil.example` is a host to a parser, and would read as something else where it is shown. */
const LABELS = /^(?:[a-z0-9-]{1,63}\.)*[a-z0-9-]{1,63}$/
const MOST_HOST = 253

/** Undefined: no login leads there. */
export function kindOfRedirect(uri: string): RedirectKind | undefined {
  // What a parser would take out or turn round (tabs, line ends, `\`) is one URI here and another one elsewhere.
  if (uri.length > MOST_CHARACTERS || !/^[\x21-\x7e]+$/.test(uri) || uri.includes('\\') || uri.includes('#')) return undefined
  const url = URL.parse(uri)
  if (!url || url.username !== '' || url.password !== '' || /^[^/?]*:\/\/[^/?]*@/.test(uri)) return undefined
  const { protocol, hostname } = url
  if (protocol !== 'https:' && protocol !== 'http:') return NO_PROGRAM.has(protocol) || OF_THE_SYSTEM.test(protocol) ? undefined : 'private-use'
  if (!WITH_HOST.test(uri) || !isPlainHost(hostname)) return undefined
  if (protocol === 'http:') return LOOPBACK.has(hostname) ? 'loopback' : undefined
  return LOOPBACK.has(hostname) ? undefined : 'https'
}

/** Whether it reads as a host and as nothing else. */
export function isPlainHost(hostname: string): boolean {
  return (hostname.length <= MOST_HOST && LABELS.test(hostname)) || /^\[[0-9a-f:.]+\]$/.test(hostname)
}

/** A page of ours that only has to know who is in front of it: what it hears goes to nobody. */
export function isOwnPage(uri: string, base: string): boolean {
  return uri.startsWith(`${base}/oauth/`) && /^[^/?#]+\/proved$/.test(uri.slice(`${base}/oauth/`.length))
}

/** A host, or the scheme of a program: letters that cannot look like others. */
export function placeOfRedirect(uri: string): { host: string; loopback: boolean } {
  const { protocol, host } = new URL(uri)
  const kind = kindOfRedirect(uri)
  return { host: kind === 'private-use' ? protocol : host, loopback: kind === 'loopback' }
}
