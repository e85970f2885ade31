// A command line in one text, split into words as a POSIX shell splits it (XCU §2.2): quotes and backslashes, and nothing is expanded.

/** Undefined: a quote is open at its end, or a backslash is the last there is. */
export function splitWords(text: string): string[] | undefined {
  const words: string[] = []
  let word: string | undefined
  let at = 0
  while (at < text.length) {
    const [all = '', blank, literal, quoted, escaped, plain] = PART.exec(text.slice(at)) ?? []
    if (all === '') return undefined
    at += all.length
    if (blank !== undefined) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else word = (word ?? '') + (literal ?? quoted?.replaceAll(/\\(?:\n|([$`"\\]))/g, '$1') ?? (escaped === '\n' ? '' : escaped) ?? plain ?? '')
  }
  return word === undefined ? words : [...words, word]
}

/** Blanks; what is in single quotes; in double ones, where a backslash escapes few; what a backslash escapes; and anything else. */
const PART = /^(?:([ \t\n]+)|'([^']*)'|"((?:[^"\\]|\\[^])*)"|\\([^])|([^ \t\n'"\\]+))/
