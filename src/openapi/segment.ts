// A name as one part of a path, and back: whatever a server calls its tools, and whatever a proxy on the way does to paths.

/** Of dots alone, a part of a path is a direction. */
const DOTS = /^\.+$/
const OWN = /^(?:[\w.-]|~[0-9A-F]{2})+$/

/**
 * Letters, digits, `.`, `_` and `-` of ASCII stand for themselves; every other byte of its UTF-8 is `~` and two hex digits, in capitals. A
 * name of dots alone is written so as well, and a name of nothing is `~`. No proxy unescapes that, or takes it for a slash.
 */
export function segmentOf(name: string): string {
  if (name === '') return '~'
  const free = DOTS.test(name) ? /[^\s\S]/ : /[\w.-]/
  return Array.from(Buffer.from(name), (byte) => {
    const char = String.fromCharCode(byte)
    return byte < 128 && free.test(char) ? char : `~${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }).join('')
}

/** What is not in that form is the name itself: people type it, with the escapes of URLs taken off. */
export function nameIn(segment: string): string {
  if (segment === '~') return ''
  if (!segment.includes('~') || !OWN.test(segment)) return segment
  return Buffer.from(
    segment.replaceAll(/~(..)|([^~])/g, (_all, hex: string | undefined, char: string) => hex ?? char.charCodeAt(0).toString(16)),
    'hex',
  ).toString()
}
