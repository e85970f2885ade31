// JSON where no is an ordinary answer.

/** Undefined for a text that is none, or nests too deeply. The words of the parser are dropped: they quote the text, which may be a secret. */
export function jsonIn(text: string): unknown {
  if (isTooDeep(text)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Well above what anything nests, and well below the few thousand levels at which `JSON.stringify` runs out of stack. */
export const MOST_LEVELS = 1000

const [QUOTE, BACKSLASH, OPEN, CLOSE, OPEN_BRACE, CLOSE_BRACE] = [34, 92, 91, 93, 123, 125]

/** Before it is parsed: what is parsed already has taken its memory. */
export function isTooDeep(text: string): boolean {
  if (text.length <= MOST_LEVELS) return false
  // Most texts have not even so many brackets, wherever they stand.
  const square = occurrences(text, '[')
  return square + occurrences(text, '{') > MOST_LEVELS && levelsPass(text)
}

/** No more than it takes are counted. */
function occurrences(text: string, bracket: string): number {
  let count = 0
  for (let at = text.indexOf(bracket); at >= 0 && count <= MOST_LEVELS; at = text.indexOf(bracket, at + 1)) count++
  return count
}

function levelsPass(text: string): boolean {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (char === QUOTE) {
      at = endOfString(text, at)
      // It is no JSON, and whoever parses it will say so.
      if (at < 0) return false
    } else if (char === OPEN || char === OPEN_BRACE) {
      if (++depth > MOST_LEVELS) return true
    } else if (char === CLOSE || char === CLOSE_BRACE) depth--
  }
  return false
}

/** Where the string that begins at `from` ends; -1: it does not. */
function endOfString(text: string, from: number): number {
  let at = text.indexOf('"', from + 1)
  while (at >= 0) {
    let before = at - 1
    while (text.charCodeAt(before) === BACKSLASH) before--
    if ((at - before) % 2 === 1) return at
    at = text.indexOf('"', at + 1)
  }
  return -1
}
