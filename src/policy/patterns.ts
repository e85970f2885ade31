// Globs over names and patterns over identities. Nothing becomes a regular expression: what an operator writes and what a
// stranger sends meet in steps that are counted.

export const MAX_GLOB_CHARACTERS = 256
/** Names come from callers and servers. A longer one is matched by nothing but `*`. */
const MAX_NAME_CHARACTERS = 1024

/** `*` is any characters, `?` is one. At most as many steps as the name is long, times a constant: the length of a glob is capped. */
export function globMatcher(glob: string): (name: string) => boolean {
  if (/^\*+$/.test(glob)) return () => true
  if (!/[*?]/.test(glob)) return (name) => name === glob
  const parts = Array.from(glob)
  return (name) => name.length <= MAX_NAME_CHARACTERS && matches(parts, Array.from(name))
}

function matches(glob: readonly string[], name: readonly string[]): boolean {
  let [g, n] = [0, 0]
  /** Behind the last star, and where in the name it was tried last. An earlier star never has to take more. */
  let retry: { g: number; n: number } | undefined
  while (n < name.length) {
    if (glob[g] === '*') {
      g += 1
      retry = { g, n }
    } else if (g < glob.length && (glob[g] === '?' || glob[g] === name[n])) {
      g += 1
      n += 1
    } else if (retry) {
      retry.n += 1
      g = retry.g
      n = retry.n
    } else return false
  }
  while (glob[g] === '*') g += 1
  return g === glob.length
}

/** Whose identity a rule is about. */
export type IdentityPattern =
  | { readonly kind: 'any' }
  | { readonly kind: 'exact'; readonly id: string }
  | { readonly kind: 'pattern'; readonly id: string; readonly matches: (identity: string) => boolean }

const MAX_IDENTITY_CHARACTERS = 4096
const DID = /^did:[a-z0-9]+:[\w.:%-]+$/
const DID_PREFIX = /^did:[a-z0-9]+:([\w.%:-]*:)?\*$/
const SUBDOMAINS = /^did:(web|webvh):\*(\.[a-z0-9-]+(?:\.[a-z0-9-]+)*(?:%3A\d{1,5})?)$/

/** Undefined: neither an identity nor a pattern that is known. */
export function parseIdentityPattern(id: string): IdentityPattern | undefined {
  if (id === 'any') return { kind: 'any' }
  // oxlint-disable-next-line no-control-regex -- control characters are what this is about
  if (id.length > MAX_IDENTITY_CHARACTERS || /[\s\u0000-\u001f\u007f]/.test(id)) return undefined
  if (id.includes('|')) return vouchedFor(id)
  const [, method, suffix] = SUBDOMAINS.exec(id) ?? []
  if (method !== undefined && suffix !== undefined) return { kind: 'pattern', id, matches: (identity) => isSubdomain(identity, method, suffix) }
  // A star behind anything but a colon would let did:web:example.com* match did:web:example.com.evil.example.
  if (DID_PREFIX.test(id)) return { kind: 'pattern', id, matches: (identity) => !identity.includes('|') && identity.startsWith(id.slice(0, -1)) }
  return DID.test(id) ? { kind: 'exact', id } : undefined
}

/** Whether whoever asks can make an identity that this stands for: it costs nothing, or no more than a domain. */
export function isOpenToAll(id: string): boolean {
  return id === 'any' || /^did:(?:key|jwk|peer|pkh|web|webvh):\*$/.test(id)
}

/** `issuer|subject`: the issuer is always exact, a star may end the subject. */
function vouchedFor(id: string): IdentityPattern | undefined {
  const bar = id.indexOf('|')
  if (bar === 0 || bar === id.length - 1) return undefined
  const star = id.indexOf('*')
  if (star === -1) return { kind: 'exact', id }
  if (star < bar || star !== id.length - 1) return undefined
  return { kind: 'pattern', id, matches: (identity) => identity.startsWith(id.slice(0, -1)) }
}

/**
 * Subdomains of any depth, with any path, on the port that the pattern has. What stands before the suffix must be labels: a did:web
 * may carry an escaped slash, and did:web:evil.example%2Fx.example.com is a place at evil.example. An identity with a bar is one
 * that an issuer vouches for, whatever it begins with.
 */
function isSubdomain(identity: string, method: string, suffix: string): boolean {
  const [did, found, first = '', second = ''] = identity.split(':', 4)
  if (did !== 'did' || found !== method || identity.includes('|')) return false
  // did:webvh has a hash before its domain, which may be any.
  const host = method === 'web' ? first : second
  return host.endsWith(suffix) && /^[a-z0-9-]+(\.[a-z0-9-]+)*$/.test(host.slice(0, -suffix.length))
}
