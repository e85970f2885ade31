// JSON where no is an ordinary answer.

/** Undefined for a text that is none. The words of the parser are dropped: they quote the text, which may be a secret. */
export function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
