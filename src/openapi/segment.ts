// A name as one part of a path, and back: whatever a server calls its tools, and whatever a proxy on the way does to paths.

/** Of dots alone, a part of a path is a direction. */
const DOTS = /^\.+$/
const PLAIN = /^[\w.-]+$/
const OWN = /^(?:[\w.-]|~[0-9A-F]{2})+$/

/**
 * Letters, digits, `.`, `_` and `-` of ASCII stand for themselves; every other byte of its UTF-8 is `~` and two hex digits, in capitals. A
 * name of dots alone is written so as well, and a name of nothing is `~`. No proxy unescapes that, or takes it for a slash. Where `taken`
 * are paths of something else, the first letter of such a name is written so.
 */
export function segmentOf(name: string, taken?: ReadonlySet<string>): string {
  if (PLAIN.test(name) && !DOTS.test(name)) return taken?.has(name) ? escaped(name.slice(0, 1)) + name.slice(1) : name
  if (name === '') return '~'
  return Array.from(name, (char) => (PLAIN.test(char) && !DOTS.test(name) ? char : escaped(char))).join('')
}

/** What is not in that form is the name itself: people type it, with the escapes of URLs taken off. */
export function nameIn(segment: string): string {
  if (segment === '~') return ''
  if (!segment.includes('~') || !OWN.test(segment)) return segment
  try {
    return decodeURIComponent(segment.replaceAll('~', '%'))
  } catch {
    return segment
  }
}

function escaped(char: string): string {
  return Array.from(Buffer.from(char), (byte) => `~${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
}
