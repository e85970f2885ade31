// WWW-Authenticate (RFC 9110 §11.6.1), as far as a login needs it.

export interface Challenge {
  /** RFC 9728 §5.1. */
  readonly resourceMetadata: string | undefined
  readonly scope: string | undefined
  readonly error: string | undefined
}

const MAX_CHARACTERS = 8 * 1024
const PART = /[\s,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|=+)?/y

/** What the challenges for a bearer or bound token say together; the first word on a thing counts. Other schemes are passed over. */
export function parseChallenge(header: string): Challenge {
  const said = new Map<string, string>()
  let ours = false
  const text = header.slice(0, MAX_CHARACTERS)
  PART.lastIndex = 0
  for (let part = PART.exec(text); part; part = PART.exec(text)) {
    const [, name = '', quoted, bare] = part
    const value = quoted?.replace(/\\(.)/g, '$1') ?? bare
    if (value === undefined) ours = ['bearer', 'dpop'].includes(name.toLowerCase())
    else if (ours && !said.has(name.toLowerCase())) said.set(name.toLowerCase(), value)
  }
  return { resourceMetadata: said.get('resource_metadata'), scope: said.get('scope'), error: said.get('error') }
}
