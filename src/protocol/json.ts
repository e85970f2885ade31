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
  let brackets = 0
  for (let at = 0; at < text.length && brackets <= MOST_LEVELS; at++) {
    const char = text.charCodeAt(at)
    if (char === OPEN || char === OPEN_BRACE) brackets++
  }
  return brackets > MOST_LEVELS && levelsPass(text)
}

function levelsPass(text: string): boolean {
  let depth = 0
  let isQuoted = false
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (isQuoted) {
      if (char === BACKSLASH) at++
      else if (char === QUOTE) isQuoted = false
    } else if (char === QUOTE) isQuoted = true
    else if (char === OPEN || char === OPEN_BRACE) {
      if (++depth > MOST_LEVELS) return true
    } else if (char === CLOSE || char === CLOSE_BRACE) depth--
  }
  return false
}
